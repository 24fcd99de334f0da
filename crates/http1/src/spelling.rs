//! How a head was written, which its [`HeaderMap`] does not keep: that has names in lower case, and groups repeated ones
//! behind the first. It goes with the message's body, for that is what a relay hands through.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};

/// How the names of a head's fields were written, in their order, and what else of it would be lost.
#[derive(Debug)]
pub struct Spelling {
    head: Bytes,
    fields: Vec<Field>,
    /// The reason phrase of a response, where it is not the usual one (RFC 9112 §4).
    pub(crate) reason: Option<Bytes>,
}

/// Where a field stands in its head, bytes from its begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: u32,
    pub(crate) name_end: u32,
    pub(crate) value: u32,
    pub(crate) value_end: u32,
}

impl Spelling {
    pub(crate) fn new(head: Bytes, fields: Vec<Field>) -> Spelling {
        Spelling { head, fields, reason: None }
    }
}

/// Writes fields as they were written, those that are new in lower case.
pub(crate) fn write(fields: &HeaderMap, spelling: Option<&Spelling>, out: &mut Vec<u8>) {
    let mut speller = spelling.map(Speller::new);
    for (name, value) in fields {
        let spelt = speller.as_mut().and_then(|s| s.next(name.as_str()));
        if let Some(line) = spelt.as_ref().and_then(|spelt| spelt.line(value)) {
            out.extend_from_slice(line);
        } else {
            out.extend_from_slice(spelt.as_ref().map_or(name.as_str().as_bytes(), Spelt::name));
            let blank = !value.is_empty() || spelt.is_none_or(|spelt| spelt.blank());
            out.extend_from_slice(if blank { b": " } else { b":" });
            out.extend_from_slice(value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// A field as it was written.
struct Spelt<'a> {
    head: &'a Bytes,
    field: Field,
}

impl<'a> Spelt<'a> {
    fn part(&self, from: u32, to: u32) -> &'a [u8] {
        self.head.get(from as usize..to as usize).unwrap_or_default()
    }

    fn name(&self) -> &'a [u8] {
        self.part(self.field.name, self.field.name_end)
    }

    /// Whether a blank followed its colon.
    fn blank(&self) -> bool {
        self.head.get(self.field.name_end as usize + 1).is_some_and(|b| matches!(b, b' ' | b'\t'))
    }

    /// The whole line but for its end, if it is written as usual and `value` is the one that came: the same memory.
    fn line(&self, value: &HeaderValue) -> Option<&'a [u8]> {
        let Field { name, name_end, value: from, value_end } = self.field;
        let came = std::ptr::eq(self.part(from, value_end), value.as_bytes());
        (came && self.part(name_end, from) == b": ").then(|| self.part(name, value_end))
    }
}

/// Finds how each name was written: of several of one name the first that is not taken. Fields mostly come out in the order
/// in which they came in, so what is looked for is mostly the first.
struct Speller<'a> {
    spelling: &'a Spelling,
    /// All before it are taken.
    first: usize,
    /// Those that were taken behind it; empty as long as there are none.
    taken: Vec<bool>,
}

impl<'a> Speller<'a> {
    fn new(spelling: &'a Spelling) -> Speller<'a> {
        Speller { spelling, first: 0, taken: Vec::new() }
    }

    fn next(&mut self, name: &str) -> Option<Spelt<'a>> {
        let Spelling { head, fields, .. } = self.spelling;
        let spelt = |field: &Field| Spelt { head, field: *field };
        let is_taken = |taken: &[bool], i: usize| taken.get(i) == Some(&true);
        let is = |field: &Field| spelt(field).name().eq_ignore_ascii_case(name.as_bytes());
        let found = (self.first..fields.len()).find(|i| !is_taken(&self.taken, *i) && is(&fields[*i]))?;
        if found == self.first {
            self.first += 1;
        } else {
            self.taken.resize(fields.len(), false);
            self.taken[found] = true;
        }
        while is_taken(&self.taken, self.first) {
            self.first += 1;
        }
        Some(spelt(&fields[found]))
    }
}
