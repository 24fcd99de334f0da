//! Where a body ends (RFC 9112 §6), and how one is framed for the other side.

use std::fmt;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http_body::{Body, Frame};

use crate::chunks::{Chunks, Malformed, Part};
use crate::scratch::take_off;
use crate::trailers;

/// A body that cannot be read to its end.
#[derive(Debug)]
pub enum BodyError {
    /// Its framing is no HTTP.
    Malformed,
    /// The connection ended before it did.
    CutOff,
    /// The connection failed.
    Io(std::io::Error),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Malformed => f.write_str("the body's framing is no HTTP"),
            BodyError::CutOff => f.write_str("the connection ended in the midst of the body"),
            BodyError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BodyError::Io(error) => error.source(),
            BodyError::Malformed | BodyError::CutOff => None,
        }
    }
}

impl From<Malformed> for BodyError {
    fn from(_: Malformed) -> BodyError {
        BodyError::Malformed
    }
}

/// What is yet to come of a body.
#[derive(Debug)]
pub(crate) enum Reading {
    /// So many bytes; 0 is the end.
    Length(u64),
    Chunks(Box<Chunks>),
    /// All until the connection ends.
    ToEnd,
}

impl Reading {
    pub(crate) const NONE: Reading = Reading::Length(0);

    pub(crate) fn is_end(&self) -> bool {
        match self {
            Reading::Length(left) => *left == 0,
            Reading::Chunks(chunks) => chunks.is_end(),
            Reading::ToEnd => false,
        }
    }

    /// Bytes that are yet to come, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Reading::Length(left) => Some(*left),
            Reading::Chunks(_) | Reading::ToEnd => None,
        }
    }

    /// The next frame out of what was read; `None` where more is needed, or all has been taken.
    pub(crate) fn take(&mut self, read: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Malformed> {
        match self {
            Reading::Length(left) => {
                let now = usize::try_from(*left).map_or(read.len(), |left| left.min(read.len()));
                *left -= now as u64;
                Ok(data(read, now))
            }
            Reading::ToEnd => Ok(data(read, read.len())),
            Reading::Chunks(chunks) => {
                while !read.is_empty() && !chunks.is_end() {
                    let (part, count) = chunks.next(read)?;
                    if part == Part::Data {
                        return Ok(data(read, count));
                    }
                    read.advance(count);
                    if chunks.is_end() {
                        let fields = trailers::read(chunks.trailers()).map_err(|_| chunks.lose())?;
                        return Ok(fields.map(Frame::trailers));
                    }
                }
                Ok(None)
            }
        }
    }

    /// The connection has ended: so has a body that has no other end.
    pub(crate) fn connection_ended(&mut self) -> Result<(), BodyError> {
        match self {
            Reading::ToEnd => *self = Reading::NONE,
            _ if self.is_end() => {}
            _ => return Err(BodyError::CutOff),
        }
        Ok(())
    }
}

fn data(read: &mut BytesMut, count: usize) -> Option<Frame<Bytes>> {
    (count > 0).then(|| Frame::data(take_off(read, count)))
}

/// How a body is framed for the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// There is none, whatever the head says.
    None,
    /// As many bytes as the head tells.
    Length,
    /// In chunks; behind them those of the trailers that are named.
    Chunked(Box<[HeaderName]>),
    /// Up to the connection's end.
    ToEnd,
}

/// The longest that a chunk's size and its two line ends can be, and the last chunk behind it.
const AROUND: usize = 16 + 2 + 2 + 5;

impl Framing {
    /// In chunks, for a head with these fields.
    pub(crate) fn chunked(fields: &HeaderMap) -> Framing {
        Framing::Chunked(trailers::announced(fields))
    }

    /// Puts as much of `data` as there is room for into `into`, and says how many bytes that made.
    pub(crate) fn put(&self, data: &mut Bytes, into: &mut [u8]) -> usize {
        let chunked = matches!(self, Framing::Chunked(_));
        let room = into.len().saturating_sub(if chunked { AROUND } else { 0 });
        let now = data.len().min(room);
        if now == 0 || *self == Framing::None {
            return 0;
        }
        let part = data.split_to(now);
        let mut out = Out { into, used: 0 };
        if chunked {
            out.size(now);
        }
        out.put(&part);
        if chunked {
            out.put(b"\r\n");
        }
        out.used
    }

    /// Puts the end of a body into `into`, which has room for [`AROUND`] bytes at least. Trailers that find no room are
    /// left out: they are nobody's to rely on (RFC 9110 §6.5.1).
    pub(crate) fn end(&self, fields: Option<&HeaderMap>, into: &mut [u8]) -> usize {
        if !matches!(self, Framing::Chunked(_)) {
            return 0;
        }
        let mut out = Out { into, used: 0 };
        out.size(0);
        let used = out.used;
        used + self.end_of_trailers(fields, into.get_mut(used..).unwrap_or_default())
    }

    /// Puts what stands behind the last chunk.
    pub(crate) fn end_of_trailers(&self, fields: Option<&HeaderMap>, into: &mut [u8]) -> usize {
        let Framing::Chunked(announced) = self else { return 0 };
        let mut out = Out { into, used: 0 };
        out.trailers(fields, announced);
        out.put(b"\r\n");
        out.used
    }
}

/// A body of frames on its way to the wire: what is left of the last frame, and of the end.
#[derive(Debug, Default)]
pub struct Frames {
    rest: Bytes,
    /// The body has no more frames.
    over: bool,
    trailers: Option<HeaderMap>,
}

impl Frames {
    /// Whether what was put of the body so far is whole chunks, and more will come.
    #[must_use]
    pub fn is_between_chunks(&self) -> bool {
        self.rest.is_empty() && !self.over
    }

    /// Puts what is next of `body`, framed like this, into `into`, which is a whole scratch.
    ///
    /// # Errors
    ///
    /// The body's own, once all before it was put.
    pub fn poll_wire<B: Body<Data = Bytes> + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut B,
        framing: &Framing,
        into: &mut [u8],
    ) -> Poll<Result<Wire, B::Error>> {
        loop {
            if !self.rest.is_empty() && *framing != Framing::None {
                let mut bytes = framing.put(&mut self.rest, into);
                let ended = self.rest.is_empty() && body.is_end_stream() && into.len() - bytes > AROUND;
                if ended {
                    bytes += framing.end(None, into.get_mut(bytes..).unwrap_or_default());
                }
                return Poll::Ready(Ok(Wire { bytes, ended }));
            }
            if self.over {
                return Poll::Ready(Ok(Wire { bytes: framing.end(self.trailers.as_ref(), into), ended: true }));
            }
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                None => self.over = true,
                Some(frame) => match frame?.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => {
                        self.over = true;
                        self.trailers = frame.into_trailers().ok();
                    }
                },
            }
        }
    }
}

/// What was put into a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// How many bytes.
    pub bytes: usize,
    /// Whether the body ends with them.
    pub ended: bool,
}

/// Bytes that are put one behind the other. What finds no room is left out; callers see to it that there is.
struct Out<'a> {
    into: &'a mut [u8],
    used: usize,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if let Some(place) = self.into.get_mut(self.used..self.used + bytes.len()) {
            place.copy_from_slice(bytes);
            self.used += bytes.len();
        }
    }

    /// The line before a chunk of this size.
    fn size(&mut self, size: usize) {
        let mut place = self.into.get_mut(self.used..).unwrap_or_default();
        let room = place.len();
        if write!(place, "{size:X}\r\n").is_ok() {
            self.used += room - place.len();
        }
    }

    fn trailers(&mut self, fields: Option<&HeaderMap>, announced: &[HeaderName]) {
        let mut lines = Vec::new();
        if let Some(fields) = fields.filter(|_| !announced.is_empty()) {
            trailers::write(fields, announced, &mut lines);
        }
        if self.used + lines.len() + 2 <= self.into.len() {
            self.put(&lines);
        }
    }
}

/// All lengths that a head tells: none, one number, or something that is no length.
pub(crate) fn told_length(fields: &HeaderMap) -> Result<Option<u64>, NoLength> {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter().map(length);
    let Some(first) = lengths.next() else { return Ok(None) };
    let first = first?;
    if lengths.all(|other| other == Ok(first)) { Ok(Some(first)) } else { Err(NoLength) }
}

/// A `Content-Length` that is no plain number, or too large a one, or not the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoLength;

fn length(value: &HeaderValue) -> Result<u64, NoLength> {
    let digits = value.as_bytes();
    if digits.is_empty() {
        return Err(NoLength);
    }
    let number = digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    });
    // What no file has is no length; counting beyond it could wrap.
    number.filter(|n| *n <= u64::MAX >> 1).ok_or(NoLength)
}

/// Whether the last of the codings is `chunked`; `None` where there is no coding.
pub(crate) fn ends_in_chunked(fields: &HeaderMap) -> Option<bool> {
    let last = fields.get_all(TRANSFER_ENCODING).iter().next_back()?;
    let last = last.as_bytes().rsplit(|b| *b == b',').next().unwrap_or_default();
    Some(last.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_written_with_their_size() {
        let framing = Framing::Chunked(Box::default());
        for (len, head) in [(1, "1"), (15, "F"), (16, "10"), (255, "FF"), (4096, "1000")] {
            let (mut into, mut data) = ([0; 5000], Bytes::from(vec![b'x'; len]));
            let used = framing.put(&mut data, &mut into);
            let want = [head.as_bytes(), b"\r\n", &vec![b'x'; len], b"\r\n"].concat();
            assert_eq!(&into[..used], want);
        }
    }

    #[test]
    fn what_finds_no_room_waits() {
        let framing = Framing::Chunked(Box::default());
        let (mut into, mut data) = ([0; 30], Bytes::from_static(b"0123456789"));
        let used = framing.put(&mut data, &mut into);
        assert_eq!((&into[..used], &data[..]), (&b"5\r\n01234\r\n"[..], &b"56789"[..]));
        let used = Framing::ToEnd.put(&mut data, &mut into[..3]);
        assert_eq!((&into[..used], &data[..]), (&b"567"[..], &b"89"[..]));
    }

    #[test]
    fn only_announced_trailers_end_a_body() {
        let head = [("trailer", "x-a, Content-Length"), ("trailer", "x-b")];
        let head = head.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
        let framing = Framing::Chunked(trailers::announced(&head));
        let fields = trailers::read(b"X-A:1\r\nX-C: 3\r\ncontent-length: 4\r\nx-b: 2\r\n").unwrap();
        let mut into = [0; 100];
        let used = framing.end(fields.as_ref(), &mut into);
        assert_eq!(std::str::from_utf8(&into[..used]), Ok("0\r\nx-a: 1\r\nx-b: 2\r\n\r\n"));
        let used = framing.end(fields.as_ref(), &mut into[..10]);
        assert_eq!(&into[..used], b"0\r\n\r\n", "no room");
    }

    #[test]
    fn lengths_are_plain_numbers() {
        let told = |values: &[&'static str]| {
            let fields = values.iter().map(|v| (CONTENT_LENGTH, HeaderValue::from_static(v))).collect();
            told_length(&fields).map_err(|_| ())
        };
        assert_eq!(told(&[]), Ok(None));
        assert_eq!(told(&["0003", "3"]), Ok(Some(3)));
        for bad in
            [&["3", "4"][..], &["+3"], &["3, 3"], &[""], &["0x3"], &["18446744073709551615"], &["99999999999999999999"]]
        {
            assert_eq!(told(bad), Err(()), "{bad:?}");
        }
    }
}
