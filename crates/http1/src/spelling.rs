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

/// How many fields are looked at one by one for a name; what is further is looked up in an index.
const NEAR: usize = 32;

/// Finds how each name was written: of several of one name the first that is not taken. Fields mostly come out in the order
/// in which they came in, so what is looked for is mostly the first, or near. Fields of one name come out together, and may
/// have come in far apart; so that this costs no more than a sender should be able to choose, an index is made for such.
struct Speller<'a> {
    spelling: &'a Spelling,
    /// All before it are taken.
    first: usize,
    /// Those that were taken behind it; empty as long as there are none.
    taken: Vec<bool>,
    /// The fields' places in the order of their names; empty as long as it is not needed.
    index: Vec<u32>,
    /// Where in the index to go on.
    next: usize,
}

impl<'a> Speller<'a> {
    fn new(spelling: &'a Spelling) -> Speller<'a> {
        Speller { spelling, first: 0, taken: Vec::new(), index: Vec::new(), next: 0 }
    }

    fn next(&mut self, name: &str) -> Option<Spelt<'a>> {
        let found = self.near(name).or_else(|| self.far(name))?;
        let field = *self.spelling.fields.get(found)?;
        if found == self.first {
            self.first += 1;
        } else {
            self.taken.resize(self.spelling.fields.len(), false);
            self.taken[found] = true;
        }
        while self.is_taken(self.first) {
            self.first += 1;
        }
        Some(Spelt { head: &self.spelling.head, field })
    }

    fn is_taken(&self, place: usize) -> bool {
        self.taken.get(place) == Some(&true)
    }

    fn name(&self, place: usize) -> &'a [u8] {
        let Spelling { head, fields, .. } = self.spelling;
        fields.get(place).map_or(&[], |field| Spelt { head, field: *field }.name())
    }

    fn near(&self, name: &str) -> Option<usize> {
        let end = self.spelling.fields.len().min(self.first + NEAR);
        (self.first..end).find(|i| !self.is_taken(*i) && self.name(*i).eq_ignore_ascii_case(name.as_bytes()))
    }

    #[cold]
    fn far(&mut self, name: &str) -> Option<usize> {
        fn lower(name: &[u8]) -> impl Iterator<Item = u8> {
            name.iter().map(u8::to_ascii_lowercase)
        }
        let fields = self.spelling.fields.len();
        if fields <= self.first + NEAR {
            return None;
        }
        if self.index.is_empty() {
            let mut index: Vec<_> = (0..u32::try_from(fields).unwrap_or(u32::MAX)).collect();
            // Of one name in their order.
            index.sort_by(|a, b| lower(self.name(*a as usize)).cmp(lower(self.name(*b as usize))));
            self.index = index;
        }
        let place = |at: usize| self.index.get(at).map(|place| *place as usize);
        let is_named = |at: usize| place(at).is_some_and(|p| self.name(p).eq_ignore_ascii_case(name.as_bytes()));
        let mut at = self.next;
        if !is_named(at) {
            at = self.index.partition_point(|p| lower(self.name(*p as usize)).lt(name.bytes()));
        }
        while is_named(at) && place(at).is_some_and(|p| self.is_taken(p) || p < self.first) {
            at += 1;
        }
        let found = place(at).filter(|_| is_named(at));
        self.next = at + 1;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields of one name come out together, each as the one that it is was written, however far apart they came in.
    #[test]
    fn each_is_spelt_as_it_was_written_wherever_it_stood() {
        for (names, each) in [(1, 512), (2, 100), (40, 2), (256, 2), (170, 3), (100, 5)] {
            let spelt = |round: usize, n: usize| {
                if round.is_multiple_of(2) { format!("x-NAME-{n}") } else { format!("X-name-{n}") }
            };
            let (mut head, mut fields, mut map) = (Vec::new(), Vec::new(), HeaderMap::new());
            for round in 0..each {
                for n in 0..names {
                    let (name, value) = (spelt(round, n), round.to_string());
                    let start = u32::try_from(head.len()).unwrap();
                    let (name_end, value_at) =
                        (start + u32::try_from(name.len()).unwrap(), start + u32::try_from(name.len()).unwrap() + 2);
                    let value_end = value_at + u32::try_from(value.len()).unwrap();
                    head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
                    fields.push(Field { name: start, name_end, value: value_at, value_end });
                    let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
                    map.append(name, HeaderValue::from_str(&value).unwrap());
                }
            }
            let spelling = Spelling::new(Bytes::from(head), fields);
            let mut out = Vec::new();
            write(&map, Some(&spelling), &mut out);
            let each_in_turn = (0..names).flat_map(|n| (0..each).map(move |round| (round, n)));
            let want: Vec<_> = each_in_turn.map(|(round, n)| format!("{}: {round}\r\n", spelt(round, n))).collect();
            let want = want.concat();
            assert_eq!(String::from_utf8(out).unwrap(), want, "{names} names, {each} of each");
        }
    }
}
