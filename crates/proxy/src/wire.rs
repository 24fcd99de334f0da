//! Finds the heads of HTTP/1.1 requests in the bytes that a client sends, and the one whose length is told in two ways.
//!
//! hyper puts right what a proxy should refuse: of a length beside `Transfer-Encoding` it drops the length, of equal
//! lengths all but one, and then nobody can tell any more that they were there. So the bytes are looked at on their way
//! to hyper. Not one is changed or held.
//!
//! **One reading.** All that is said here holds only where hyper accepts the head and the body's framing; where it does
//! not, no request comes of them. That makes the grammar small: a head is lines, each a name, a colon and a value, up to
//! an empty one (`httparse` takes a bare LF for the end of a line; it takes no blank before a colon, no folded line and
//! no bare CR). Chunks are read state by state as hyper's decoder reads them. After the first byte that hyper cannot take
//! either, nothing is looked at any more; so too after a switch to WebSocket, whose frames do not begin like a method.
//!
//! **Cost.** No allocation, no buffer: what is known in the midst of a head is a few numbers, however the reads cut it.
//! Lines are skipped with `memchr`, bodies by their length; only the framing of chunks is read byte by byte.

/// The request heads of one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Heads {
    at: At,
    ended: u64,
    ambiguous: bool,
    head: Head,
}

/// What the head that is being read has told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Head {
    coded: bool,
    several_lengths: bool,
    /// `Err` for a length that hyper refuses.
    length: Option<Result<u64, NoLength>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NoLength;

/// What the next byte is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    /// The first of a message, or of the empty lines before it.
    #[default]
    Begin,
    /// Within a line of which nothing more is wanted.
    Line,
    /// The first of a field's line, or of the empty one.
    Field,
    /// The LF of the empty line.
    HeadLf,
    /// Within a name that is like this one so far.
    Name(Name, usize),
    /// Within the value of a length; whether a digit or a blank behind the digits has come.
    Length { digits: bool, over: bool },
    /// Within a body that has so many bytes left.
    Body(u64),
    /// Within a chunked body.
    Chunks(Chunk),
    /// Beyond what hyper reads.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Length,
    Coding,
}

impl Name {
    const fn text(self) -> &'static [u8] {
        match self {
            Name::Length => b"content-length",
            Name::Coding => b"transfer-encoding",
        }
    }
}

/// A place in a chunked body, as hyper's decoder has them. The number is the chunk's size, or what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Begin,
    Size(u64),
    Blank(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
    EndCr,
    EndLf,
}

impl Heads {
    /// The next bytes of the connection.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = match self.at {
                At::Lost => return,
                At::Line => match memchr::memchr(b'\n', bytes) {
                    Some(end) => {
                        self.at = At::Field;
                        bytes.get(end + 1..).unwrap_or_default()
                    }
                    None => return,
                },
                At::Body(left) => {
                    let (left, rest) = skip(left, bytes);
                    self.at = if left == 0 { At::Begin } else { At::Body(left) };
                    rest
                }
                At::Chunks(Chunk::Data(left)) => {
                    let (left, rest) = skip(left, bytes);
                    self.at = At::Chunks(if left == 0 { Chunk::DataCr } else { Chunk::Data(left) });
                    rest
                }
                At::Chunks(chunk) => {
                    self.at = chunk.after(byte);
                    rest
                }
                _ => {
                    self.step(byte);
                    rest
                }
            };
        }
    }

    /// How many heads have ended, and whether the last one's length is told in two ways. Nothing is looked at behind such a
    /// one, for nothing behind it may be believed.
    pub(crate) fn ended(&self) -> (u64, bool) {
        (self.ended, self.ambiguous)
    }

    /// One byte of a head.
    fn step(&mut self, byte: u8) {
        self.at = match self.at {
            At::Begin => match byte {
                b'\r' | b'\n' => At::Begin,
                // A method; the rest of the line is hyper's to judge.
                0x21..=0x7e => At::Line,
                _ => At::Lost,
            },
            At::Field => match byte {
                b'\r' => At::HeadLf,
                b'\n' => self.end_of_head(),
                b'c' | b'C' => At::Name(Name::Length, 1),
                b't' | b'T' => At::Name(Name::Coding, 1),
                _ => At::Line,
            },
            At::HeadLf if byte == b'\n' => self.end_of_head(),
            At::Name(name, matched) => self.name(name, matched, byte),
            At::Length { digits, over } => self.length(digits, over, byte),
            At::HeadLf | At::Line | At::Body(_) | At::Chunks(_) | At::Lost => At::Lost,
        };
    }

    fn name(&mut self, name: Name, matched: usize, byte: u8) -> At {
        match (name.text().get(matched), name) {
            (Some(next), _) if *next == byte.to_ascii_lowercase() => At::Name(name, matched + 1),
            (None, Name::Coding) if byte == b':' => {
                self.head.coded = true;
                At::Line
            }
            (None, Name::Length) if byte == b':' => {
                self.head.several_lengths = self.head.length.is_some();
                self.head.length = Some(Ok(0));
                At::Length { digits: false, over: false }
            }
            _ if byte == b'\n' => At::Field,
            _ => At::Line,
        }
    }

    fn length(&mut self, digits: bool, over: bool, byte: u8) -> At {
        let so_far = self.head.length.and_then(Result::ok).unwrap_or(0);
        let next = match byte {
            b' ' | b'\t' => return At::Length { digits, over: digits },
            b'\r' if digits => return At::Line,
            b'\n' if digits => return At::Field,
            b'0'..=b'9' if !over => so_far.checked_mul(10).and_then(|n| n.checked_add(u64::from(byte - b'0'))),
            _ => None,
        };
        self.head.length = Some(next.ok_or(NoLength));
        match next {
            Some(_) => At::Length { digits: true, over },
            None if byte == b'\n' => At::Field,
            None => At::Line,
        }
    }

    fn end_of_head(&mut self) -> At {
        let head = std::mem::take(&mut self.head);
        self.ended = self.ended.saturating_add(1);
        match head.length {
            Some(_) if head.coded || head.several_lengths => {
                self.ambiguous = true;
                At::Lost
            }
            None if head.coded => At::Chunks(Chunk::Begin),
            Some(Ok(0)) | None => At::Begin,
            Some(Ok(length)) => At::Body(length),
            Some(Err(NoLength)) => At::Lost,
        }
    }
}

impl Chunk {
    /// Where the next byte is after this one, which is no data.
    fn after(self, byte: u8) -> At {
        At::Chunks(match (self, byte) {
            (Chunk::Begin, _) if byte.is_ascii_hexdigit() => return Chunk::Size(0).after(byte),
            (Chunk::Size(size), _) if byte.is_ascii_hexdigit() => match larger(size, byte) {
                Some(size) => Chunk::Size(size),
                None => return At::Lost,
            },
            (Chunk::Size(size) | Chunk::Blank(size), b' ' | b'\t') => Chunk::Blank(size),
            (Chunk::Size(size) | Chunk::Blank(size), b';') => Chunk::Extension(size),
            (Chunk::Size(size) | Chunk::Blank(size) | Chunk::Extension(size), b'\r') => Chunk::SizeLf(size),
            (Chunk::Extension(size), _) if byte != b'\n' => Chunk::Extension(size),
            (Chunk::SizeLf(0) | Chunk::TrailerLf, b'\n') => Chunk::EndCr,
            (Chunk::SizeLf(size), b'\n') => Chunk::Data(size),
            (Chunk::DataCr, b'\r') => Chunk::DataLf,
            (Chunk::DataLf, b'\n') => Chunk::Begin,
            (Chunk::EndCr, b'\r') => Chunk::EndLf,
            (Chunk::EndLf, b'\n') => return At::Begin,
            (Chunk::Trailer, b'\r') => Chunk::TrailerLf,
            (Chunk::EndCr | Chunk::Trailer, _) => Chunk::Trailer,
            _ => return At::Lost,
        })
    }
}

fn larger(size: u64, hex: u8) -> Option<u64> {
    let digit = char::from(hex).to_digit(16)?;
    size.checked_mul(16)?.checked_add(u64::from(digit))
}

/// What is left of so many bytes, and the bytes behind them.
fn skip(left: u64, bytes: &[u8]) -> (u64, &[u8]) {
    let now = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    (left - now as u64, bytes.get(now..).unwrap_or_default())
}
