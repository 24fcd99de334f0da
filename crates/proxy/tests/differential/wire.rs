//! HTTP/1.1 messages taken apart without a loss: heads as bytes, bodies with their framing taken off, and how they
//! ended. Own code, for the comparison must not depend on the library that the relay is made of.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

/// A field's name and value, as they stand.
pub(crate) type Field = (Vec<u8>, Vec<u8>);

/// How far a message has come: its number on the connection, then 1 for its head and 1 for each byte of its body.
pub(crate) type Progress = (usize, usize);

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As its framing says.
    Complete,
    /// Before that.
    Cut,
    /// It is not HTTP/1.
    Malformed,
}

/// What a body's framing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(usize),
    Chunked,
    /// Until the connection ends.
    Close,
}

/// A message as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) line: Vec<u8>,
    pub(crate) fields: Vec<Field>,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<Field>,
    pub(crate) end: End,
}

/// Which message is read: its framing depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    /// The answer to a request; `true`: to HEAD.
    Reply(bool),
}

/// Takes a body's framing off, piece by piece.
#[derive(Debug)]
pub(crate) struct Unframer {
    framing: Framing,
    left: usize,
    chunk: Chunk,
    line: Vec<u8>,
    pub(crate) body: Vec<u8>,
    trailers: Vec<Field>,
    malformed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Size,
    Data,
    DataEnd,
    Trailer,
    Over,
}

impl Unframer {
    pub(crate) fn new(framing: Framing) -> Unframer {
        let left = if let Framing::Length(n) = framing { n } else { 0 };
        let (line, body, trailers) = (Vec::new(), Vec::new(), Vec::new());
        Unframer { framing, left, chunk: Chunk::Size, line, body, trailers, malformed: false }
    }

    pub(crate) fn over(&self) -> bool {
        match self.framing {
            Framing::None => true,
            Framing::Length(_) => self.left == 0,
            Framing::Chunked => self.chunk == Chunk::Over || self.malformed,
            Framing::Close => false,
        }
    }

    /// Takes the next bytes; answers how many belong to this body.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        while used < bytes.len() && !self.over() {
            let rest = &bytes[used..];
            let plain = match (self.framing, self.chunk) {
                (Framing::Close, _) => rest.len(),
                (Framing::Length(_), _) | (_, Chunk::Data) => self.left.min(rest.len()),
                _ => {
                    self.line.push(rest[0]);
                    used += 1;
                    if self.line.ends_with(b"\n") {
                        let line = std::mem::take(&mut self.line);
                        self.chunk = self.after(line.strip_suffix(b"\r\n"));
                    }
                    continue;
                }
            };
            self.body.extend_from_slice(&rest[..plain]);
            self.left = self.left.saturating_sub(plain);
            used += plain;
            if self.chunk == Chunk::Data && self.left == 0 {
                self.chunk = Chunk::DataEnd;
            }
        }
        used
    }

    /// What follows a line of the chunked coding.
    fn after(&mut self, line: Option<&[u8]>) -> Chunk {
        let text = line.map(String::from_utf8_lossy);
        match (self.chunk, text.as_deref()) {
            (Chunk::Size, Some(text)) => match usize::from_str_radix(text.split(';').next().unwrap_or(""), 16) {
                Ok(0) => return Chunk::Trailer,
                Ok(size) => {
                    self.left = size;
                    return Chunk::Data;
                }
                Err(_) => {}
            },
            (Chunk::DataEnd, Some("")) => return Chunk::Size,
            (Chunk::Trailer, Some("")) => return Chunk::Over,
            (Chunk::Trailer, Some(_)) => {
                if let Some(field) = line.and_then(field) {
                    self.trailers.push(field);
                    return Chunk::Trailer;
                }
            }
            _ => {}
        }
        self.malformed = true;
        self.chunk
    }
}

fn field(line: &[u8]) -> Option<Field> {
    let at = line.iter().position(|b| *b == b':')?;
    let value = line[at + 1..].trim_ascii();
    Some((line[..at].to_vec(), value.to_vec()))
}

/// A head without its empty line, taken apart.
pub(crate) fn head(bytes: &[u8]) -> Option<(Vec<u8>, Vec<Field>)> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|w| w == b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    lines.push(rest);
    let (line, fields) = lines.split_first()?;
    Some((line.to_vec(), fields.iter().map(|l| field(l)).collect::<Option<_>>()?))
}

/// The values of a field.
pub(crate) fn values<'a>(fields: &'a [Field], name: &str) -> Vec<&'a [u8]> {
    fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, v)| &v[..]).collect()
}

pub(crate) fn framing(kind: Kind, line: &[u8], fields: &[Field]) -> Framing {
    let status = String::from_utf8_lossy(line).split(' ').nth(1).and_then(|s| s.parse::<u16>().ok());
    if kind == Kind::Reply(true) || kind == Kind::Reply(false) && matches!(status, Some(100..=199 | 204 | 304)) {
        return Framing::None;
    }
    if values(fields, "transfer-encoding").iter().any(|v| v.eq_ignore_ascii_case(b"chunked")) {
        return Framing::Chunked;
    }
    let length = values(fields, "content-length").first().and_then(|v| String::from_utf8_lossy(v).parse().ok());
    match (length, kind) {
        (Some(length), _) => Framing::Length(length),
        (None, Kind::Request) => Framing::None,
        (None, Kind::Reply(_)) => Framing::Close,
    }
}

pub(crate) fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// Reads one message; interim replies are skipped. `None`: the connection ended before its first byte. What follows
/// stays in `buffer`; `seen` is told how far the message has come, `number` being its number.
pub(crate) async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    kind: Kind,
    mut number: impl FnMut() -> usize,
    seen: &Arc<watch::Sender<Progress>>,
) -> Option<Message> {
    loop {
        let length = loop {
            match head_length(buffer) {
                Some(length) => break length,
                None if fill(stream, buffer).await => {}
                None if buffer.is_empty() => return None,
                None => return Some(broken(std::mem::take(buffer), End::Cut)),
            }
        };
        let rest = buffer.split_off(length);
        let bytes = std::mem::replace(buffer, rest);
        let Some((line, fields)) = head(&bytes[..length - 4]) else { return Some(broken(bytes, End::Malformed)) };
        if kind != Kind::Request && line.get(9) == Some(&b'1') {
            continue;
        }
        let number = number();
        let framing = framing(kind, &line, &fields);
        let mut unframer = Unframer::new(framing);
        seen.send_replace((number, 1));
        let end = loop {
            let used = unframer.feed(buffer);
            buffer.drain(..used);
            seen.send_replace((number, 1 + unframer.body.len()));
            if unframer.over() {
                break if unframer.malformed { End::Malformed } else { End::Complete };
            }
            match read_more(stream, buffer).await {
                Ok(0) if framing == Framing::Close => break End::Complete,
                Ok(0) | Err(_) => break End::Cut,
                Ok(_) => {}
            }
        };
        let Unframer { body, trailers, .. } = unframer;
        return Some(Message { line, fields, framing, body, trailers, end });
    }
}

fn broken(line: Vec<u8>, end: End) -> Message {
    Message { line, fields: Vec::new(), framing: Framing::None, body: Vec::new(), trailers: Vec::new(), end }
}

async fn fill<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> bool {
    read_more(stream, buffer).await.is_ok_and(|n| n > 0)
}

async fn read_more<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
    buffer.reserve(16 << 10);
    stream.read_buf(buffer).await
}
