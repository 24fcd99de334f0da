//! A number that texts and numbers have in common, for those who look exchanges up by what they are alike in.
//!
//! Told in a few instructions a word, which a keyed hash is not. Anybody can find texts with the same fingerprint, so it is
//! only for tables with a bound, in which a clash costs a comparison: as the hasher of such a table, or as a first guess.

use std::hash::{BuildHasherDefault, Hasher};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

/// Of nothing yet.
impl Default for Fingerprint {
    fn default() -> Fingerprint {
        // With 0, a 0 would leave no trace.
        Fingerprint(Fingerprint::SPREAD)
    }
}

impl Fingerprint {
    /// An odd number with its bits well spread: the fraction of the golden ratio.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

    /// With a number.
    #[inline]
    #[must_use]
    pub const fn number(self, number: u64) -> Fingerprint {
        Fingerprint((self.0.rotate_left(5) ^ number).wrapping_mul(Self::SPREAD))
    }

    /// With a text; an absent one differs from an empty one.
    #[inline]
    #[must_use]
    pub fn text(self, text: Option<&str>) -> Fingerprint {
        match text {
            Some(text) => self.bytes(text.as_bytes()),
            None => self.number(u64::MAX),
        }
    }

    #[inline]
    fn bytes(self, bytes: &[u8]) -> Fingerprint {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut print = self.number(bytes.len() as u64);
        for word in words {
            print = print.number(u64::from_le_bytes(*word));
        }
        if rest.is_empty() {
            return print;
        }
        print.number(rest.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)))
    }

    /// The number; its low bits are as good as the high ones.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// Hashes the keys of a table that has a bound.
pub type BuildFingerprint = BuildHasherDefault<Fingerprint>;

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.get()
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        *self = self.bytes(bytes);
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        *self = self.number(number.into());
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        *self = self.number(number.into());
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        *self = self.number(number.into());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        *self = self.number(number);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        *self = self.number(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_differs_has_another_number() {
        let of = |texts: &[Option<&str>]| texts.iter().fold(Fingerprint::default(), |p, text| p.text(*text)).get();
        let all = [
            of(&[]),
            of(&[None]),
            of(&[Some("")]),
            of(&[Some("a")]),
            of(&[Some("a"), None]),
            of(&[Some("a"), Some("b")]),
            of(&[Some("b"), Some("a")]),
            of(&[Some("ab")]),
            of(&[Some("\0a")]),
            of(&[Some("gpt-4o-mini")]),
            of(&[Some("gpt-4o-minj")]),
            Fingerprint::default().number(1).get(),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{all:x?}");
        assert_eq!(of(&[Some("gpt-4o-mini")]), of(&[Some(&String::from("gpt-4o-mini"))]));
    }
}
