//! HTTP/1.1 messages as they stand on the wire (RFC 9112): just enough to find where a message ends, changing nothing.

use limpid_core::Tick;

/// A response as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status line, without its line end.
    pub status_line: String,
    /// The status; 0 where the line has none.
    pub status: u16,
    /// Names and values in wire order; names in their own case, values without surrounding blanks.
    pub headers: Vec<(String, String)>,
    /// The body; transfer coding removed, content coding kept.
    pub body: Vec<u8>,
    /// The sizes of the transfer chunks; empty where the body was not chunked.
    pub chunks: Vec<usize>,
    /// The reads that brought the response.
    pub reads: Vec<Read>,
    /// How it ended.
    pub end: ReplyEnd,
    /// All bytes as they came, interim responses (1xx) before this one included.
    pub raw: Vec<u8>,
}

/// One read from the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// When it returned.
    pub at: Tick,
    /// How many bytes of the body it brought; 0 where it brought only head or framing.
    pub body_bytes: usize,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyEnd {
    /// As its framing announces; for a body without framing, at the end of the connection.
    Complete,
    /// The connection ended before that, cleanly.
    Eof,
    /// The connection was reset before that.
    Reset,
    /// The time was over before that.
    Timeout,
    /// It is not HTTP/1.1.
    Malformed,
}

impl Reply {
    /// The values of a header, in wire order; its case does not matter.
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).first().copied()
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// When the body byte at `offset` had been read.
    pub fn read_at(&self, offset: usize) -> Option<Tick> {
        let mut seen = 0;
        self.reads.iter().find_map(|read| {
            seen += read.body_bytes;
            (seen > offset).then_some(read.at)
        })
    }
}

/// A message's first line and headers.
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The head at the beginning of `bytes` and its length with the empty line; `None` while it is not whole.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Head, usize)> {
        let length = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&bytes[..length - 4]).into_owned();
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                (name.to_owned(), value.trim().to_owned())
            })
            .collect();
        Some((Head { line, headers }, length))
    }

    pub(crate) fn status(&self) -> u16 {
        let mut parts = self.line.split(' ');
        let version = parts.next().unwrap_or_default();
        let status = parts.next().and_then(|s| s.parse().ok());
        status.filter(|_| version.starts_with("HTTP/1.")).unwrap_or(0)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    fn framing(&self, without: Framing) -> Framing {
        if self.value("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with("chunked")) {
            return Framing::Chunked(Chunk::Size);
        }
        match self.value("content-length").map(str::parse) {
            Some(Ok(length)) => Framing::Length(length),
            Some(Err(_)) | None => without,
        }
    }

    /// The framing of a request's body.
    pub(crate) fn request_body(&self) -> Body {
        Body::new(self.framing(Framing::Length(0)))
    }

    /// The framing of a response's body; `to_head`: it answers a HEAD request.
    pub(crate) fn response_body(&self, to_head: bool) -> Body {
        let none = to_head || matches!(self.status(), 204 | 304);
        Body::new(if none { Framing::Length(0) } else { self.framing(Framing::Connection) })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// So many bytes are to come.
    Length(usize),
    Chunked(Chunk),
    /// Until the connection ends.
    Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Size,
    Data(usize),
    DataEnd,
    Trailer,
    Over,
}

/// Takes a body's framing off, piece by piece.
#[derive(Debug)]
pub(crate) struct Body {
    framing: Framing,
    /// A line of framing that is not whole yet.
    line: Vec<u8>,
    pub(crate) data: Vec<u8>,
    pub(crate) chunks: Vec<usize>,
    pub(crate) malformed: bool,
}

impl Body {
    fn new(framing: Framing) -> Body {
        Body { framing, line: Vec::new(), data: Vec::new(), chunks: Vec::new(), malformed: false }
    }

    /// Whether the body is whole.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.framing, Framing::Length(0) | Framing::Chunked(Chunk::Over))
    }

    /// Whether the end of the connection is the body's proper end.
    pub(crate) fn ends_with_connection(&self) -> bool {
        self.framing == Framing::Connection
    }

    /// Takes the next bytes; returns how many belong to this body.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        while used < bytes.len() && !self.is_complete() && !self.malformed {
            let rest = &bytes[used..];
            match &mut self.framing {
                Framing::Connection => {
                    self.data.extend_from_slice(rest);
                    used += rest.len();
                }
                Framing::Length(left) | Framing::Chunked(Chunk::Data(left)) => {
                    let n = rest.len().min(*left);
                    self.data.extend_from_slice(&rest[..n]);
                    *left -= n;
                    used += n;
                    if self.framing == Framing::Chunked(Chunk::Data(0)) {
                        self.framing = Framing::Chunked(Chunk::DataEnd);
                    }
                }
                Framing::Chunked(_) => {
                    self.line.push(rest[0]);
                    used += 1;
                    if rest[0] == b'\n' {
                        self.take_line();
                    }
                }
            }
        }
        used
    }

    /// A whole line of the chunked framing.
    fn take_line(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).trim_end().to_owned();
        let next = match self.framing {
            Framing::Chunked(Chunk::Size) => {
                let size = line.split(';').next().unwrap_or_default().trim();
                match usize::from_str_radix(size, 16) {
                    Ok(0) => Chunk::Trailer,
                    Ok(size) => {
                        self.chunks.push(size);
                        Chunk::Data(size)
                    }
                    Err(_) => {
                        self.malformed = true;
                        return;
                    }
                }
            }
            Framing::Chunked(Chunk::Trailer) if !line.is_empty() => Chunk::Trailer,
            Framing::Chunked(Chunk::Trailer) => Chunk::Over,
            _ => Chunk::Size,
        };
        self.framing = Framing::Chunked(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_is_found_however_it_is_split() {
        let (head, _) = Head::parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        let wire = b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nTrailer: t\r\n\r\nNEXT";
        for split in 1..wire.len() {
            let mut body = head.response_body(false);
            let used: usize = wire.chunks(split).map(|part| body.feed(part)).sum();
            assert!(body.is_complete());
            assert_eq!((&body.data[..], &body.chunks[..]), (&b"hello!"[..], &[5, 1][..]));
            assert_eq!(used, wire.len() - 4);
        }
    }

    #[test]
    fn names_keep_their_case_and_order() {
        let (head, length) = Head::parse(b"HTTP/1.1 429 Too Many\r\nX-b: 1\r\nx-A:  2 \r\n\r\nrest").unwrap();
        assert_eq!((head.status(), length), (429, 43));
        assert_eq!(head.headers, [("X-b".to_owned(), "1".to_owned()), ("x-A".to_owned(), "2".to_owned())]);
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n").is_none());
        assert_eq!(Head::parse(b"SSH-2.0\r\n\r\n").unwrap().0.status(), 0);
    }
}
