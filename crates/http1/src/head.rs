//! Heads: read into `http`'s types, and written with each name in the case that it came in ([`Spelling`]). Values share the
//! memory of the head that they came in.

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, Uri, Version, request, response};

use crate::MAX_FIELDS;
use crate::framing::{Reading, ends_in_chunked, told_length};
use crate::scratch::take_off;
use crate::spelling::{self, Field, Spelling};

/// The longest target, bytes; what a [`Uri`] can hold.
const MAX_TARGET: usize = (u16::MAX - 1) as usize;

/// Why a head is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is no HTTP/1.1, or its framing could be read in two ways.
    Malformed,
    /// It has more bytes or fields than are taken.
    TooLarge,
    /// Its target is too long.
    TargetTooLong,
}

impl Refused {
    /// The status that tells a client.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Refused::Malformed => StatusCode::BAD_REQUEST,
            Refused::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refused::TargetTooLong => StatusCode::URI_TOO_LONG,
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refused::Malformed => "what came is no HTTP/1.1",
            Refused::TooLarge => "the head is too large",
            Refused::TargetTooLong => "the target is too long",
        })
    }
}

impl std::error::Error for Refused {}

impl From<httparse::Error> for Refused {
    fn from(error: httparse::Error) -> Refused {
        if error == httparse::Error::TooManyHeaders { Refused::TooLarge } else { Refused::Malformed }
    }
}

/// A request's head, and what it tells of its connection and body.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) parts: request::Parts,
    pub(crate) spelling: Spelling,
    pub(crate) reading: Reading,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
    /// Whether its sender takes trailers (RFC 9110 §6.5.1).
    pub(crate) takes_trailers: bool,
}

/// A response's head, and what it tells of its connection and body.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) parts: response::Parts,
    pub(crate) spelling: Spelling,
    pub(crate) reading: Reading,
    pub(crate) keep_alive: bool,
}

/// A head's place in the bytes that were read.
struct Place {
    len: usize,
    version: Version,
    fields: Vec<Field>,
}

/// A head's fields, and which of those that tell of its connection and body are among them: to look for each in the map
/// takes longer than to see it pass.
#[expect(clippy::struct_excessive_bools, reason = "each is a field that is there or not")]
struct Fields {
    map: HeaderMap,
    spelling: Spelling,
    connection: bool,
    te: bool,
    expect: bool,
    coding: bool,
    length: bool,
}

/// A head that is shorter is read anew with each byte, bytes.
const SHORT: usize = 1024;

/// Whether it is worth the work to read a head, of which the first `seen` bytes were read already: it may have ended, or is
/// so short that what is no head should show at once.
pub(crate) fn is_worth_reading(bytes: &[u8], seen: usize) -> bool {
    seen < SHORT || may_have_ended(bytes, seen)
}

/// Whether a head may have ended within `bytes`, of which the first `seen` were looked at already.
#[doc(hidden)]
pub fn may_have_ended(bytes: &[u8], seen: usize) -> bool {
    let tail = bytes.get(seen.saturating_sub(3)..).unwrap_or_default();
    tail.windows(2).any(|w| w == b"\n\n") || tail.windows(3).any(|w| w == b"\n\r\n")
}

/// Takes empty lines off the front of what was read, where a head should begin (RFC 9112 §2.2), and says how many bytes
/// they had. To read a head anew behind ever more of them would take longer and longer.
pub(crate) fn pass_empty_lines(read: &mut BytesMut) -> usize {
    let mut passed = 0;
    loop {
        passed += match read.get(passed..).unwrap_or_default() {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => break,
        };
    }
    if passed > 0 {
        read.advance(passed);
    }
    passed
}

fn span(within: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(within.as_ptr() as usize);
    start..start + part.len()
}

fn places(within: &[u8], fields: &[httparse::Header<'_>]) -> Vec<Field> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let place = |field: &httparse::Header<'_>| {
        let (name, value) = (span(within, field.name.as_bytes()), span(within, field.value));
        let (name, name_end) = (number(name.start), number(name.end));
        Field { name, name_end, value: number(value.start), value_end: number(value.end) }
    };
    fields.iter().map(place).collect()
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 }
}

/// A head that was looked for, and what its first line tells.
type Located<T> = Result<Option<(Place, T)>, Refused>;

/// Finds a request's head, and in it the method and the target.
fn locate_request(bytes: &[u8]) -> Located<[Range<usize>; 2]> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    match httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut request, bytes, &mut fields)? {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(len) => {
            let method = span(bytes, request.method.unwrap_or_default().as_bytes());
            let target = span(bytes, request.path.unwrap_or_default().as_bytes());
            let (version, fields) = (version(request.version), places(bytes, request.headers));
            Ok(Some((Place { len, version, fields }, [method, target])))
        }
    }
}

/// Finds a response's head, and its status.
fn locate_response(bytes: &[u8]) -> Located<u16> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    match httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut fields)? {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(len) => {
            let (version, fields) = (version(response.version), places(bytes, response.headers));
            Ok(Some((Place { len, version, fields }, response.code.unwrap_or_default())))
        }
    }
}

/// Where the reason phrase stands in a response's head that has been found good: behind `HTTP/1.1 200 `. httparse leaves
/// out one that is not ASCII.
fn reason(head: &[u8]) -> Range<usize> {
    const BEFORE: usize = "HTTP/1.1 200 ".len();
    // Empty lines may come first.
    let start = head.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(0) + BEFORE;
    let rest = head.get(start - 1..).unwrap_or_default();
    let line = rest.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    if line.is_empty() { 0..0 } else { start..start - 1 + line.len() }
}

impl Place {
    fn fields(self, head: &Bytes) -> Result<Fields, Refused> {
        let mut map = HeaderMap::with_capacity(self.fields.len() + 1);
        let (mut connection, mut te, mut expect, mut coding, mut length) = (false, false, false, false, false);
        for &Field { name, name_end, value, value_end } in &self.fields {
            let name = head.get(name as usize..name_end as usize).unwrap_or_default();
            let name = HeaderName::from_bytes(name).map_err(|_| Refused::Malformed)?;
            let value = HeaderValue::from_maybe_shared(head.slice(value as usize..value_end as usize));
            match name {
                CONNECTION => connection = true,
                TE => te = true,
                EXPECT => expect = true,
                TRANSFER_ENCODING => coding = true,
                CONTENT_LENGTH => length = true,
                _ => {}
            }
            map.append(name, value.map_err(|_| Refused::Malformed)?);
        }
        let spelling = Spelling::new(head.clone(), self.fields);
        Ok(Fields { map, spelling, connection, te, expect, coding, length })
    }
}

impl Fields {
    /// Whether the connection may be used again: unless its sender says otherwise in 1.1, only if it does in 1.0.
    fn keep_alive(&self, version: Version) -> bool {
        let says = |option: &[u8]| self.connection && lists(&self.map, &CONNECTION, option);
        !says(b"close") && (version == Version::HTTP_11 || says(b"keep-alive"))
    }

    /// Whether the last of the codings is `chunked`; `None` where there is no coding.
    fn ends_in_chunked(&self) -> Option<bool> {
        if self.coding { ends_in_chunked(&self.map) } else { None }
    }

    fn told_length(&self) -> Result<Option<u64>, Refused> {
        if self.length { told_length(&self.map).map_err(|_| Refused::Malformed) } else { Ok(None) }
    }
}

/// Whether one of the fields of this name, which are lists, has this option in it, in either case.
pub(crate) fn lists(fields: &HeaderMap, name: &HeaderName, option: &[u8]) -> bool {
    let mut listed = fields.get_all(name).iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
    listed.any(|one| one.trim_ascii().eq_ignore_ascii_case(option))
}

/// Takes the head of a request off the front of what was read; `None` where it has not ended. Gives its length too.
pub(crate) fn read_request(read: &mut BytesMut) -> Result<Option<(RequestHead, usize)>, Refused> {
    let Some((place, [method, target])) = locate_request(read)? else { return Ok(None) };
    if target.len() > MAX_TARGET {
        return Err(Refused::TargetTooLong);
    }
    let (len, version) = (place.len, place.version);
    let head = take_off(read, len);
    let fields = place.fields(&head)?;
    let reading = request_reading(version, &fields)?;
    let keep_alive = version == Version::HTTP_11 && fields.keep_alive(version);
    let expects = |v: &HeaderValue| v.as_bytes().eq_ignore_ascii_case(b"100-continue");
    let expects_continue = version == Version::HTTP_11 && fields.expect && fields.map.get(EXPECT).is_some_and(expects);
    let takes_trailers = fields.te && lists(&fields.map, &TE, b"trailers");
    let mut parts = Request::new(()).into_parts().0;
    parts.method = Method::from_bytes(head.get(method).unwrap_or_default()).map_err(|_| Refused::Malformed)?;
    parts.uri = Uri::from_maybe_shared(head.slice(target)).map_err(|_| Refused::Malformed)?;
    (parts.version, parts.headers) = (version, fields.map);
    Ok(Some((
        RequestHead { parts, spelling: fields.spelling, reading, keep_alive, expects_continue, takes_trailers },
        len,
    )))
}

/// Where a request's body ends (RFC 9112 §6.3). A length beside a coding, and a length that is told twice, are left for the
/// caller to see and to refuse: here the coding counts, or the one number.
fn request_reading(version: Version, fields: &Fields) -> Result<Reading, Refused> {
    match fields.ends_in_chunked() {
        Some(true) if version == Version::HTTP_11 => Ok(Reading::Chunks(Box::default())),
        Some(_) => Err(Refused::Malformed),
        None => Ok(Reading::Length(fields.told_length()?.unwrap_or(0))),
    }
}

/// Takes the head of the response to a request of that method off the front of what was read; `None` where it has not
/// ended. Gives its length too.
pub(crate) fn read_response(read: &mut BytesMut, asked: &Method) -> Result<Option<(ResponseHead, usize)>, Refused> {
    let Some((place, status)) = locate_response(read)? else { return Ok(None) };
    let (len, version) = (place.len, place.version);
    let head = take_off(read, len);
    let mut fields = place.fields(&head)?;
    let status = StatusCode::from_u16(status).map_err(|_| Refused::Malformed)?;
    let reason = reason(&head);
    if status.canonical_reason().map(str::as_bytes) != head.get(reason.clone()) {
        fields.spelling.reason = Some(head.slice(reason));
    }
    let reading = response_reading(version, status, asked, &fields)?;
    let keep_alive = fields.keep_alive(version);
    let mut parts = Response::new(()).into_parts().0;
    (parts.status, parts.version, parts.headers) = (status, version, fields.map);
    Ok(Some((ResponseHead { parts, spelling: fields.spelling, reading, keep_alive }, len)))
}

/// Where a response's body ends (RFC 9112 §6.3).
fn response_reading(version: Version, status: StatusCode, asked: &Method, fields: &Fields) -> Result<Reading, Refused> {
    let to_connect = *asked == Method::CONNECT && status.is_success();
    if status.is_informational() || matches!(status.as_u16(), 204 | 304) || *asked == Method::HEAD || to_connect {
        return Ok(Reading::NONE);
    }
    match fields.ends_in_chunked() {
        Some(_) if version == Version::HTTP_10 => Err(Refused::Malformed),
        Some(true) => Ok(Reading::Chunks(Box::default())),
        Some(false) => Ok(Reading::ToEnd),
        None => Ok(fields.told_length()?.map_or(Reading::ToEnd, Reading::Length)),
    }
}

/// Writes a request's head. `more` stands behind its fields: whole lines.
pub(crate) fn write_request(parts: &request::Parts, spelling: Option<&Spelling>, more: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b' ');
    match parts.uri.path_and_query() {
        Some(path) => out.extend_from_slice(path.as_str().as_bytes()),
        None => out.push(b'/'),
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    spelling::write(&parts.headers, spelling, out);
    out.extend_from_slice(more);
    out.extend_from_slice(b"\r\n");
}

/// Writes a response's head. `more` stands behind its fields: whole lines.
pub(crate) fn write_response(parts: &response::Parts, spelling: Option<&Spelling>, more: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(if parts.version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(parts.status.as_str().as_bytes());
    out.push(b' ');
    match spelling.and_then(|s| s.reason.as_ref()) {
        Some(reason) => out.extend_from_slice(reason),
        None => out.extend_from_slice(parts.status.canonical_reason().unwrap_or_default().as_bytes()),
    }
    out.extend_from_slice(b"\r\n");
    spelling::write(&parts.headers, spelling, out);
    out.extend_from_slice(more);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
