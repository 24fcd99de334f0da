//! Fields behind a chunked body (RFC 9110 §6.5).
//!
//! They pass where the head's `Trailer` names them, and never those that would change how a message is framed, routed or
//! read (RFC 9110 §6.5.1): whoever merges trailers into the head must not be told anything new there.

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, HeaderMap,
    HeaderName, HeaderValue, MAX_FORWARDS, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
};

use crate::MAX_FIELDS;
use crate::chunks::Malformed;

const NEVER: &[HeaderName] = &[
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    HOST,
    MAX_FORWARDS,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
];

/// Reads lines that each have their end; `None` where there are none.
pub(crate) fn read(lines: &[u8]) -> Result<Option<HeaderMap>, Malformed> {
    if lines.is_empty() {
        return Ok(None);
    }
    let raw = Bytes::from([lines, b"\r\n"].concat());
    let mut fields = vec![httparse::EMPTY_HEADER; MAX_FIELDS];
    let parsed = httparse::parse_headers(&raw, &mut fields).map_err(|_| Malformed)?;
    let httparse::Status::Complete((_, fields)) = parsed else { return Err(Malformed) };
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| Malformed)?;
        map.append(name, value);
    }
    Ok(Some(map))
}

/// The names that a head announces and that may pass.
pub(crate) fn announced(head: &HeaderMap) -> Box<[HeaderName]> {
    let lists = head.get_all(TRAILER).iter().filter_map(|v| v.to_str().ok());
    let names = lists.flat_map(|v| v.split(',')).filter_map(|n| HeaderName::from_bytes(n.trim().as_bytes()).ok());
    names.filter(|name| !NEVER.contains(name)).collect()
}

/// Writes those that were announced, without the empty line behind them.
pub(crate) fn write(fields: &HeaderMap, announced: &[HeaderName], out: &mut Vec<u8>) {
    for (name, value) in fields.iter().filter(|(name, _)| announced.contains(name)) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
}
