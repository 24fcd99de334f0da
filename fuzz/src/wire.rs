//! The heads of HTTP/1.1 requests in a client's bytes, against a plain reading of the whole.
//!
//! Input: one byte of the split, and the bytes of a connection.

#[path = "../../crates/proxy/src/wire.rs"]
mod heads;

use heads::Heads;

/// As many as the proxy takes.
const MAX_FIELDS: usize = 512;

/// Panics if an invariant does not hold.
pub fn check(input: &[u8]) {
    let [split, bytes @ ..] = input else { return };
    let whole = read([bytes]);
    assert_eq!(read(bytes.chunks(1)), whole, "depends on the cuts");
    assert_eq!(read(bytes.chunks(usize::from(*split) + 1)), whole, "depends on the cuts");
    let (ended, ambiguous) = whole.ended();
    let plain = plainly(bytes);
    if plain.exact {
        assert_eq!((ended, ambiguous), (plain.ended, plain.ambiguous), "differs from a plain reading");
    } else {
        // Behind what nobody accepts anything may be said, but not of what came before.
        assert!(ended >= plain.ended && !(ambiguous && ended == plain.ended), "tells of a sound one");
    }
}

/// What is seen if the bytes come in these pieces.
pub(crate) fn read<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Heads {
    let mut heads = Heads::default();
    pieces.into_iter().for_each(|piece| heads.feed(piece));
    heads
}

/// What `httparse`, which hyper uses too, finds.
struct Plain {
    ended: u64,
    /// The last one is.
    ambiguous: bool,
    /// Up to the end of the bytes, or the ambiguous one; not up to something that is no HTTP.
    exact: bool,
}

fn plainly(mut bytes: &[u8]) -> Plain {
    let mut plain = Plain { ended: 0, ambiguous: false, exact: false };
    loop {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Plain { exact: true, ..plain },
            Err(_) => return plain,
        };
        let named = |name: &'static str| request.headers.iter().filter(move |f| f.name.eq_ignore_ascii_case(name));
        let (lengths, codings) = (named("content-length").count(), named("transfer-encoding").count());
        let rest = &bytes[length..];
        if lengths > 1 || lengths == 1 && codings > 0 {
            // If hyper refuses it besides, nobody asks.
            return Plain { ended: plain.ended + 1, ambiguous: true, exact: true };
        }
        let behind = match named("content-length").next() {
            _ if codings > 0 => behind_chunks(rest),
            None => Ok(rest),
            Some(field) if field.value.is_empty() || !field.value.iter().all(u8::is_ascii_digit) => Err(NoHttp),
            Some(field) => match std::str::from_utf8(field.value).map(str::parse::<u64>) {
                Ok(Ok(length)) => Ok(rest.get(usize::try_from(length).unwrap_or(usize::MAX)..).unwrap_or_default()),
                _ => Err(NoHttp),
            },
        };
        plain.ended += 1;
        match behind {
            Ok(behind) => bytes = behind,
            Err(NoHttp) => return plain,
        }
    }
}

struct NoHttp;

/// A line, and what follows.
type Line<'b> = (&'b [u8], &'b [u8]);

/// What stands behind a chunked body; nothing where it does not end.
fn behind_chunks(mut bytes: &[u8]) -> Result<&[u8], NoHttp> {
    loop {
        let Some((line, rest)) = line(bytes)? else { return Ok(&[]) };
        let end = line.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(line.len());
        let (size, behind) = line.split_at(end);
        let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok()).ok_or(NoHttp)?;
        let extension = behind.trim_ascii_start();
        let blanks = &behind[..behind.len() - extension.len()];
        let sound = blanks.iter().all(|b| matches!(b, b' ' | b'\t')) && (extension.is_empty() || extension[0] == b';');
        if !sound || extension.contains(&b'\n') {
            return Err(NoHttp);
        }
        bytes = rest;
        if size == 0 {
            break;
        }
        let Some(rest) = bytes.get(usize::try_from(size).unwrap_or(usize::MAX)..) else { return Ok(&[]) };
        bytes = match rest {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return Ok(&[]),
            _ => return Err(NoHttp),
        };
    }
    loop {
        match line(bytes)? {
            Some(([], rest)) => return Ok(rest),
            Some((_, rest)) => bytes = rest,
            None => return Ok(&[]),
        }
    }
}

/// A line that ends with CRLF and has no other CR, and what follows; `None` if there is no more than its beginning.
fn line(bytes: &[u8]) -> Result<Option<Line<'_>>, NoHttp> {
    let Some(end) = bytes.iter().position(|b| *b == b'\r') else { return Ok(None) };
    match bytes.get(end + 1) {
        Some(b'\n') => Ok(Some((&bytes[..end], &bytes[end + 2..]))),
        Some(_) => Err(NoHttp),
        None => Ok(None),
    }
}
