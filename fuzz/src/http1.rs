//! HTTP/1.1 as limpid speaks it: a client's connection, an upstream's reply, and what is passed on of both.
//!
//! Input: one byte of the split, one of the request's method, and the bytes of a connection. They are read as requests and
//! as a reply. However they are cut, they mean the same; what is passed on is read alike by `httparse` and by a plain
//! decoder of chunks.

#[path = "http1/plain.rs"]
mod plain;
#[path = "http1/reply.rs"]
mod reply;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::Method;
use limpid_http1::chunks::{Chunks, Part};
use limpid_http1::fuzz;

use plain::{Head, decoded};
use reply::{Given, by_frames, by_wire, sent};

/// Panics if an invariant does not hold.
pub fn check(input: &[u8]) {
    let [split, asked, bytes @ ..] = input else { return };
    let (piece, whole) = (usize::from(*split) + 1, bytes.len().max(1));
    let alone = requests(bytes.chunks(1));
    for cut in [piece, whole] {
        let other = requests(bytes.chunks(cut));
        assert_eq!(other.requests, alone.requests, "depends on the cuts");
        // A head that has no end may be refused for what was seen of it, or be waited for.
        let rest = &bytes[alone.used..];
        let begin = rest.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(rest.len());
        let undecided = !fuzz::may_have_ended(&rest[begin..], 0);
        assert!(other.refused == alone.refused || undecided, "depends on the cuts");
    }

    let asked = [Method::GET, Method::HEAD, Method::CONNECT][usize::from(*asked) % 3].clone();
    let alone = by_wire(bytes, 1, &asked);
    for cut in [piece, whole] {
        let other = by_wire(bytes, cut, &asked);
        assert_eq!(other.seen, alone.seen, "depends on the cuts");
        assert!(other.seen.ended != Some(true) || other.wire == alone.wire, "depends on the cuts");
        assert!(!other.idle || other.used == alone.used, "a connection is kept of which too much was read");
        assert_eq!(by_frames(bytes, cut, &asked), alone.seen, "frames differ from the wire");
    }
}

/// What a client's bytes are.
#[derive(Debug, Default)]
pub(crate) struct Came {
    pub(crate) requests: Vec<Seen>,
    /// What stands behind the last is no request.
    pub(crate) refused: bool,
    /// Bytes up to the end of the last request, or as much of it as was believed.
    used: usize,
}

/// One of its requests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The head as it goes on.
    pub(crate) written: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: String,
    /// Whether the body ended well; `None` where it did not end.
    pub(crate) ended: Option<bool>,
}

/// A request whose body is being read.
struct Reading {
    request: fuzz::Request,
    /// The body as it stands on the wire.
    raw: Vec<u8>,
    frames: VecDeque<http_body::Frame<Bytes>>,
}

/// What a connection reads, if its bytes come in these pieces.
pub(crate) fn requests<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Came {
    let (mut all, mut read, mut seen, mut reading) = (Came::default(), BytesMut::new(), 0, None);
    for piece in pieces {
        read.extend_from_slice(piece);
        loop {
            let goes_on = match &mut reading {
                None => all.head(&mut read, &mut seen, &mut reading),
                Some(of) => {
                    let goes_on = all.body(&mut read, of);
                    if all.requests.last().is_some_and(|last| last.ended == Some(true))
                        && let Some(of) = reading.take()
                        && !of.ends(&all.requests)
                    {
                        return all;
                    }
                    goes_on
                }
            };
            match goes_on {
                Some(true) => {}
                Some(false) => break,
                None => return all,
            }
        }
    }
    all
}

impl Came {
    /// Reads a head as the server does. Whether it goes on at once, or needs more; `None` where it does not go on.
    fn head(&mut self, read: &mut BytesMut, seen: &mut usize, reading: &mut Option<Reading>) -> Option<bool> {
        if read.is_empty() || (*seen > 0 && !fuzz::may_have_ended(read, *seen)) {
            *seen = read.len();
            return Some(false);
        }
        let bytes = std::mem::take(read).freeze();
        match fuzz::read_request(&bytes) {
            Err(_) => {
                self.refused = true;
                None
            }
            Ok(None) => {
                *read = BytesMut::from(&bytes[..]);
                *seen = read.len();
                Some(false)
            }
            Ok(Some((request, len))) => {
                (*read, *seen) = (BytesMut::from(&bytes[len..]), 0);
                self.used += len;
                let written = request.written();
                goes_on_alike(&bytes[..len], &written);
                self.requests.push(Seen { written, body: Vec::new(), trailers: String::new(), ended: None });
                *reading = Some(Reading { request, raw: Vec::new(), frames: VecDeque::new() });
                Some(true)
            }
        }
    }

    /// Takes what is next of a body; tells the same.
    fn body(&mut self, read: &mut BytesMut, of: &mut Reading) -> Option<bool> {
        let last = self.requests.last_mut()?;
        let before = read.clone();
        let taken = of.request.take(read);
        let used = before.len() - read.len();
        of.raw.extend_from_slice(&before[..used]);
        self.used += used;
        let Ok(frame) = taken else {
            last.ended = Some(false);
            return None;
        };
        let Some(frame) = frame else {
            assert!(of.request.is_end() || read.is_empty(), "no progress");
            last.ended = of.request.is_end().then_some(true);
            return Some(of.request.is_end());
        };
        match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => last.body.extend_from_slice(data),
            (_, Some(fields)) => last.trailers = format!("{fields:?}"),
            _ => {}
        }
        of.frames.push_back(frame);
        Some(true)
    }
}

impl Reading {
    /// Its body is whole: it is the same without its asides, and as it goes up. Whether another request may follow.
    fn ends(self, requests: &[Seen]) -> bool {
        let Some(last) = requests.last() else { return false };
        let Reading { request, raw, frames } = self;
        let (keep_alive, chunked) = (request.keep_alive, request.is_chunked());
        if chunked {
            assert_eq!(decoded(&raw).as_ref(), Some(&last.body), "a plain decoder reads another body");
            for cut in [1, raw.len()] {
                assert_eq!(decoded(&plain_chunks(&raw, cut)).as_ref(), Some(&last.body), "the asides were more");
            }
        } else {
            assert_eq!(raw, last.body);
        }
        let length = (!chunked).then_some(raw.len() as u64);
        let has_framing = ["content-length", "transfer-encoding"].map(|name| request.parts.headers.contains_key(name));
        let up = sent(http::Request::from_parts(request.parts, Given::new(frames, length)), Some(&request.spelling));
        let Some(head) = Head::of_request(&up) else { panic!("a head goes up that is none") };
        assert_eq!(has_framing, ["content-length", "transfer-encoding"].map(|name| head.has(name)), "another framing");
        let body = if chunked { decoded(&up[head.len..]) } else { Some(up[head.len..].to_vec()) };
        assert_eq!(body.as_ref(), Some(&last.body), "another body goes up");
        keep_alive
    }
}

/// A chunked body without what ends at the hop.
fn plain_chunks(raw: &[u8], cut: usize) -> Vec<u8> {
    let (mut chunks, mut plain) = (Chunks::default(), Vec::new());
    for mut piece in raw.chunks(cut) {
        while !piece.is_empty() {
            let Ok((part, count)) = chunks.next(piece) else { panic!("read before, malformed now") };
            assert!(count > 0, "no progress");
            if part != Part::Aside {
                plain.extend_from_slice(&piece[..count]);
            }
            piece = &piece[count..];
        }
    }
    assert!(chunks.is_end());
    // The empty line behind the trailers is an aside too.
    plain.extend_from_slice(b"\r\n");
    plain
}

/// A request's head that goes on is the one that came, but that fields of one name stand together.
fn goes_on_alike(came: &[u8], written: &[u8]) {
    let (Some(came), Some(goes)) = (Head::of_request(came), Head::of_request(written)) else {
        panic!("read before, no head now")
    };
    assert_eq!((goes.len, goes.minor), (written.len(), 1));
    assert_eq!(goes.fields, came.grouped());
    assert_eq!(goes.first[0], came.first[0], "the method");
    let target = &came.first[1];
    if target.starts_with(b"/") {
        let end = target.iter().position(|b| *b == b'#').unwrap_or(target.len());
        assert_eq!(goes.first[1], target[..end], "the target");
    }
}
