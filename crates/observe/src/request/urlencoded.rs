//! A form as `application/x-www-form-urlencoded` (WHATWG URL, section 5): pairs between `&`, `+` for a blank, `%xx` for a byte.
//!
//! `curl -d` sends JSON under this label. A body that begins like JSON is handed over to who reads that.

use std::sync::Arc;

use limpid_core::RequestFacts;

use super::form::Fields;
use super::json::JsonBody;
use super::{KEEP_BYTES, MetadataLabel};

/// See the module.
#[derive(Debug)]
pub(super) struct UrlEncoded {
    metadata: Arc<[MetadataLabel]>,
    limit: usize,
    left: usize,
    begun: bool,
    over: bool,
    /// The pair at hand as it is written, as far as it is kept.
    pair: Vec<u8>,
    fields: Fields,
}

impl UrlEncoded {
    pub(super) fn new(limit: usize, metadata: Arc<[MetadataLabel]>) -> UrlEncoded {
        UrlEncoded {
            metadata,
            limit,
            left: limit,
            begun: false,
            over: limit == 0,
            pair: Vec::new(),
            fields: Fields::default(),
        }
    }

    /// Takes the next bytes; or nothing of them, if this is no form but JSON: then who reads that.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<JsonBody> {
        let first = bytes.first().filter(|_| !self.over)?;
        if !std::mem::replace(&mut self.begun, true)
            && matches!(first, b'{' | b'[' | b' ' | b'\t' | b'\r' | b'\n' | 0xEF)
        {
            return Some(JsonBody::new(self.limit, Arc::clone(&self.metadata)));
        }
        let mut rest = bytes.get(..self.left.min(bytes.len())).unwrap_or_default();
        self.left -= rest.len();
        while let Some(at) = memchr::memchr(b'&', rest) {
            self.keep(rest.get(..at).unwrap_or_default());
            self.ends();
            rest = rest.get(at + 1..).unwrap_or_default();
        }
        self.keep(rest);
        self.over = self.left == 0;
        None
    }

    /// The body is whole, and so is the last pair; unless there is more of it than is looked at.
    pub(super) fn finish(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.ends();
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = KEEP_BYTES.saturating_sub(self.pair.len()).min(bytes.len());
        self.pair.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    fn ends(&mut self) {
        let mut pair = std::mem::take(&mut self.pair);
        let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(at);
        let name = decoded(name);
        if Fields::wants(&name) {
            self.fields.is(&name, &decoded(value.get(1..).unwrap_or_default()));
        }
        pair.clear();
        self.pair = pair;
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn facts(&self) -> &RequestFacts {
        self.fields.facts()
    }

    pub(super) fn has_two_models(&self) -> bool {
        self.fields.has_two_models()
    }

    pub(super) fn into_facts(self) -> (Box<RequestFacts>, bool) {
        self.fields.into_facts()
    }
}

fn decoded(written: &[u8]) -> Vec<u8> {
    let hex = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written;
    while let [first, behind @ ..] = rest {
        rest = behind;
        bytes.push(match (first, behind) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match hex(*high).zip(hex(*low)) {
                Some((high, low)) => {
                    rest = after;
                    high << 4 | low
                }
                None => b'%',
            },
            (other, _) => *other,
        });
    }
    bytes
}
