//! The chunked coding (RFC 9112 §7.1), followed byte by byte and however the reads cut it.
//!
//! Strict where a lenient reader would open a door: a size is hex digits alone, at least one, without overflow; blanks may
//! follow it, then an extension; each line ends with CRLF, never with a bare LF. Extensions and trailers are bounded.
//!
//! What is said of a byte is whose it is ([`Part`]): a body's data, its framing, or an aside that ends with this hop. What
//! is left without the asides is the same body in plain chunks with the same bounds; a relay can pass it on as it stands.

/// The digits of a chunk's size, at most, leading zeros among them: those of a `u64`, and no more than curl and Go read.
const MAX_DIGITS: u8 = 16;
/// The bytes of all extensions of one body, at most, with the blanks around them.
const MAX_EXTENSIONS: usize = 16 * 1024;
/// The bytes of a body's trailers, at most.
const MAX_TRAILERS: usize = 16 * 1024;

/// Bytes that are no chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Whose bytes these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The body's.
    Data,
    /// A chunk's size and the ends of lines.
    Framing,
    /// Extensions, the blanks around them, trailers, and the empty line behind those: for this hop only.
    Aside,
}

/// A place in a chunked body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Begin,
    Size,
    Blank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
    EndCr,
    EndLf,
    End,
    /// Behind what is no chunk.
    Lost,
}

/// A chunked body that is being read.
#[derive(Debug, Clone, Default)]
pub struct Chunks {
    at: At,
    /// The chunk's size, or what is left of it.
    left: u64,
    /// The digits of its size so far.
    digits: u8,
    extensions: usize,
    trailers: Vec<u8>,
}

impl Chunks {
    /// Follows bytes from the front of `bytes` that are of one kind, and says which and how many: at least one, if there
    /// are any and the body is not at its end.
    ///
    /// # Errors
    ///
    /// [`Malformed`]: the bytes are no chunks, and nothing behind them may be believed.
    pub fn next(&mut self, bytes: &[u8]) -> Result<(Part, usize), Malformed> {
        if self.at == At::Data {
            let now = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            self.left -= now as u64;
            if self.left == 0 {
                self.at = At::DataCr;
            }
            return Ok((Part::Data, now));
        }
        let mut part = Part::Framing;
        for (count, &byte) in bytes.iter().enumerate() {
            let next = self.part(byte);
            if matches!(self.at, At::Data | At::End) || (count > 0 && next != part) {
                return Ok((part, count));
            }
            part = next;
            let Ok(at) = self.after(byte) else { return Err(self.lose()) };
            self.at = at;
        }
        Ok((part, bytes.len()))
    }

    /// What is read of it is no good: it has no end, and nothing more is believed.
    pub(crate) fn lose(&mut self) -> Malformed {
        self.at = At::Lost;
        Malformed
    }

    /// Whether the next byte is the first of a size.
    pub(crate) fn is_between(&self) -> bool {
        self.at == At::Begin
    }

    /// Whether the body is over: nothing of the bytes that follow is its own.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.at == At::End
    }

    /// The trailers as they came, each line with its end; empty where there are none. Whole once the body is over.
    pub(crate) fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    /// What this byte is, if it may stand here.
    fn part(&self, byte: u8) -> Part {
        match self.at {
            At::Size if matches!(byte, b' ' | b'\t' | b';') => Part::Aside,
            At::Blank | At::Extension if byte != b'\r' => Part::Aside,
            At::Trailer | At::TrailerLf | At::EndCr | At::EndLf => Part::Aside,
            At::Data => Part::Data,
            _ => Part::Framing,
        }
    }

    /// Where the next byte is after this one, which is no data.
    fn after(&mut self, byte: u8) -> Result<At, Malformed> {
        Ok(match (self.at, byte) {
            (At::Begin | At::Size, _) if byte.is_ascii_hexdigit() => {
                if self.at == At::Begin {
                    (self.left, self.digits) = (0, 0);
                }
                self.digits += 1;
                if self.digits > MAX_DIGITS {
                    return Err(Malformed);
                }
                self.left = larger(self.left, byte).ok_or(Malformed)?;
                At::Size
            }
            (At::Size | At::Blank, b' ' | b'\t') => self.aside(At::Blank)?,
            (At::Size | At::Blank, b';') => At::Extension,
            (At::Size | At::Blank | At::Extension, b'\r') => At::SizeLf,
            (At::Extension, _) if byte != b'\n' => self.aside(At::Extension)?,
            (At::SizeLf, b'\n') if self.left == 0 => At::EndCr,
            (At::SizeLf, b'\n') => At::Data,
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Begin,
            (At::EndCr, b'\r') => At::EndLf,
            (At::EndLf, b'\n') => At::End,
            (At::EndCr | At::Trailer | At::TrailerLf, _) => return self.in_trailers(byte),
            _ => return Err(Malformed),
        })
    }

    /// One more byte that is dropped.
    fn aside(&mut self, at: At) -> Result<At, Malformed> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS { Err(Malformed) } else { Ok(at) }
    }

    fn in_trailers(&mut self, byte: u8) -> Result<At, Malformed> {
        if self.trailers.len() >= MAX_TRAILERS {
            return Err(Malformed);
        }
        self.trailers.push(byte);
        match (self.at, byte) {
            (At::TrailerLf, b'\n') => Ok(At::EndCr),
            (At::TrailerLf, _) | (_, b'\n') => Err(Malformed),
            (_, b'\r') => Ok(At::TrailerLf),
            _ => Ok(At::Trailer),
        }
    }
}

fn larger(size: u64, hex: u8) -> Option<u64> {
    let digit = char::from(hex).to_digit(16)?;
    size.checked_mul(16)?.checked_add(u64::from(digit))
}

/// Moves together what remains of `read` bytes in `into` without the asides. Says how many were used and remain, and
/// whether they are sound.
pub(crate) fn without_asides(
    chunks: &mut Chunks,
    read: usize,
    into: &mut [u8],
    saw: &mut impl FnMut(&[u8]),
) -> (usize, usize, bool) {
    let (mut from, mut to) = (0, 0);
    while from < read && !chunks.is_end() {
        let Ok((part, count)) = chunks.next(&into[from..read]) else { return (from, to, false) };
        if part == Part::Data {
            saw(&into[from..from + count]);
        }
        if part != Part::Aside {
            if from != to {
                into.copy_within(from..from + count, to);
            }
            to += count;
        }
        from += count;
    }
    (from, to, true)
}

#[cfg(test)]
mod tests;
