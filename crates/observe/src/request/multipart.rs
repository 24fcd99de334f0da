//! A form as `multipart/form-data` (RFC 7578): its plain fields, in any order, behind files of any size. Files are passed over,
//! and so is a field that has a file's name.
//!
//! A line ends in CRLF, or in a bare LF as some clients write it. The boundary counts at a line's beginning only, and where
//! nothing but blanks follows it on its line. Of a field's value, and of a part's head, so much is kept as may matter.

use super::KEEP_BYTES;
use super::form::{Fields, parameters_of};

/// The longest head of a part, bytes; of a longer one no field is read.
const HEAD_BYTES: usize = 8 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Multipart {
    left: usize,
    /// What stands before a boundary's end: a line's end, `--`, and the boundary. It begins with the LF.
    mark: Vec<u8>,
    state: State,
    /// The LF of the mark stood before the value, and is none of it.
    outside: bool,
    /// The name of the field whose value is read, where it is wanted.
    name: Option<Vec<u8>>,
    /// Its value, or the part's head.
    kept: Vec<u8>,
    pub(super) fields: Fields,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a value, or before the first boundary; how many bytes of the mark have just been there.
    Value(usize),
    /// Behind the mark, where a line must end, or `--` stand; whether one `-` did.
    Behind {
        dash: bool,
    },
    /// On the boundary's line, behind a blank.
    Line,
    /// In a part's head; whether its line is empty so far.
    Head {
        empty: bool,
    },
    Over,
}

impl Multipart {
    pub(super) fn new(limit: usize, boundary: &[u8]) -> Multipart {
        Multipart {
            left: limit,
            mark: [b"\n--", boundary].concat(),
            // The first boundary may be the body's first line.
            state: if limit == 0 { State::Over } else { State::Value(1) },
            outside: true,
            name: None,
            kept: Vec::new(),
            fields: Fields::default(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes.get(..self.left.min(bytes.len())).unwrap_or_default();
        self.left -= rest.len();
        while let [byte, behind @ ..] = rest {
            rest = match self.state {
                State::Value(0) => {
                    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                    let (text, line) = rest.split_at(end);
                    self.keep(text);
                    match line {
                        [_, line @ ..] => {
                            self.state = State::Value(1);
                            line
                        }
                        [] => line,
                    }
                }
                State::Value(matched) => self.in_mark(matched, rest),
                State::Behind { dash } => self.behind_mark(dash, rest),
                State::Line => {
                    if *byte == b'\n' {
                        self.value_ends();
                    }
                    behind
                }
                State::Head { empty } => {
                    self.in_head(empty, *byte);
                    behind
                }
                State::Over => return,
            };
        }
        if self.left == 0 {
            self.state = State::Over;
        }
    }

    /// Some bytes of the mark have come. The LF stands nowhere else in it, so what breaks it may begin it anew, but no less.
    fn in_mark<'b>(&mut self, matched: usize, bytes: &'b [u8]) -> &'b [u8] {
        let [byte, behind @ ..] = bytes else { return bytes };
        if self.mark.get(matched) == Some(byte) {
            let whole = matched + 1 == self.mark.len();
            self.state = if whole { State::Behind { dash: false } } else { State::Value(matched + 1) };
            return behind;
        }
        self.no_mark(matched);
        bytes
    }

    /// What seemed to be the mark's beginning is the value's.
    fn no_mark(&mut self, matched: usize) {
        let mark = std::mem::take(&mut self.mark);
        let outside = usize::from(std::mem::replace(&mut self.outside, false));
        self.keep(mark.get(outside..matched).unwrap_or_default());
        self.mark = mark;
        self.state = State::Value(0);
    }

    fn behind_mark<'b>(&mut self, dash: bool, bytes: &'b [u8]) -> &'b [u8] {
        let [byte, behind @ ..] = bytes else { return bytes };
        match (dash, byte) {
            (false, b'\n') => self.value_ends(),
            (false, b'\r' | b' ' | b'\t') => self.state = State::Line,
            (false, b'-') => self.state = State::Behind { dash: true },
            (true, b'-') => {
                self.value_ends();
                self.state = State::Over;
            }
            _ => {
                // A longer line that only begins like a boundary.
                self.no_mark(self.mark.len());
                if dash {
                    self.keep(b"-");
                }
                return bytes;
            }
        }
        behind
    }

    /// A boundary's line is over: what stood before it is a value, and a part begins.
    fn value_ends(&mut self) {
        let mut kept = std::mem::take(&mut self.kept);
        if let Some(name) = self.name.take() {
            self.fields.is(&name, kept.strip_suffix(b"\r").unwrap_or(&kept));
        }
        kept.clear();
        self.kept = kept;
        self.state = State::Head { empty: true };
    }

    fn in_head(&mut self, empty: bool, byte: u8) {
        if byte == b'\n' && empty {
            self.name = name_of(&self.kept).filter(|name| Fields::wants(name));
            self.kept.clear();
            // A value may be empty: the boundary follows at once.
            self.state = State::Value(1);
            self.outside = true;
            return;
        }
        // One byte more than may be, so that a head that is too long shows.
        if self.kept.len() <= HEAD_BYTES {
            self.kept.push(byte);
        }
        self.state = State::Head { empty: byte == b'\n' || (empty && byte == b'\r') };
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.name.is_some() {
            let room = KEEP_BYTES.saturating_sub(self.kept.len()).min(bytes.len());
            self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        }
    }
}

/// The field that a part's head names; `None` for a file, and for what names none.
fn name_of(head: &[u8]) -> Option<Vec<u8>> {
    if head.len() > HEAD_BYTES {
        return None;
    }
    let of_line = |line: &'_ [u8]| {
        let at = line.iter().position(|b| *b == b':')?;
        let (name, value) = line.split_at(at);
        name.trim_ascii()
            .eq_ignore_ascii_case(b"content-disposition")
            .then(|| value.get(1..).unwrap_or_default().to_vec())
    };
    let value = head.split(|b| *b == b'\n').find_map(of_line)?;
    let at = value.iter().position(|b| *b == b';')?;
    let mut name = None;
    for (parameter, text) in parameters_of(value.get(at..).unwrap_or_default()) {
        if parameter.eq_ignore_ascii_case(b"name") {
            name.get_or_insert(text);
        } else if parameter.eq_ignore_ascii_case(b"filename") || parameter.eq_ignore_ascii_case(b"filename*") {
            return None;
        }
    }
    name
}
