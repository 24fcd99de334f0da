//! A plain reading of heads, by `httparse`, and of chunks.

use limpid_http1::MAX_FIELDS;

/// A head, as `httparse` reads it.
pub(super) struct Head {
    /// Method and target, or status and nothing.
    pub(super) first: [Vec<u8>; 2],
    pub(super) minor: u8,
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) len: usize,
}

impl Head {
    pub(super) fn of_request(bytes: &[u8]) -> Option<Head> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let Ok(httparse::Status::Complete(len)) = request.parse(bytes) else { return None };
        let first = [request.method?, request.path?].map(|text| text.as_bytes().to_vec());
        Some(Head { first, minor: request.version?, fields: owned(request.headers), len })
    }

    pub(super) fn of_response(bytes: &[u8]) -> Option<Head> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let Ok(httparse::Status::Complete(len)) = response.parse(bytes) else { return None };
        let first = [response.code?.to_string().into_bytes(), Vec::new()];
        Some(Head { first, minor: response.version?, fields: owned(response.headers), len })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The fields with those of one name behind its first.
    pub(super) fn grouped(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut groups: Vec<Vec<(Vec<u8>, Vec<u8>)>> = Vec::new();
        for field in &self.fields {
            match groups.iter_mut().find(|group| group[0].0.eq_ignore_ascii_case(&field.0)) {
                Some(group) => group.push(field.clone()),
                None => groups.push(vec![field.clone()]),
            }
        }
        groups.concat()
    }
}

fn owned(fields: &[httparse::Header<'_>]) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields.iter().map(|field| (field.name.as_bytes().to_vec(), field.value.to_vec())).collect()
}

/// The data of a chunked body that is whole, with nothing behind it.
pub(super) fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    decode(bytes, &mut data).map(|()| data)
}

/// The data of as much as there is of a chunked body.
pub(super) fn begun(bytes: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let _broken_off = decode(bytes, &mut data);
    data
}

fn decode(mut bytes: &[u8], data: &mut Vec<u8>) -> Option<()> {
    loop {
        let (line, rest) = line(bytes)?;
        let digits = line.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(line.len());
        let size = usize::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()?;
        bytes = rest;
        if size == 0 {
            break;
        }
        data.extend_from_slice(&bytes[..size.min(bytes.len())]);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
    loop {
        let (line, rest) = line(bytes)?;
        bytes = rest;
        if line.is_empty() {
            return bytes.is_empty().then_some(());
        }
    }
}

/// A line up to its CRLF, and what follows.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|w| w == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}
