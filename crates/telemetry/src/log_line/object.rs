//! JSON, written into a buffer member by member.
//!
//! Only what a line needs: members have names of limpid's own, which need no escape, and texts that need one are left to
//! serde.

use std::time::Duration;

use limpid_core::{Discount, PicoUsd};

/// Numbers from here on, in thousandths, are left to serde: they have more digits than a float tells.
const MOST_THOUSANDTHS: u64 = 1_000_000_000_000_000;
/// Longer times, of 104 days, are no longer whole as a float.
const EXACT_NANOS: u128 = 1 << 53;

/// A JSON object that is being written.
pub(super) struct Object<'a> {
    pub(super) out: &'a mut Vec<u8>,
}

impl Object<'_> {
    pub(super) fn begin(out: &mut Vec<u8>) -> Object<'_> {
        out.push(b'{');
        Object { out }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    /// A member's name; one of limpid's, so nothing in it needs an escape.
    #[inline]
    pub(super) fn name(&mut self, name: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    pub(super) fn object(&mut self, name: &'static str) -> Object<'_> {
        self.name(name);
        Object::begin(self.out)
    }

    pub(super) fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.out.push(b'[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            write(self, item);
        }
        self.out.push(b']');
    }

    /// A text with nothing in it that needs an escape.
    #[inline]
    pub(super) fn ascii(&mut self, name: &'static str, text: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }

    #[inline]
    pub(super) fn some_ascii(&mut self, name: &'static str, text: Option<&'static str>) {
        if let Some(text) = text {
            self.ascii(name, text);
        }
    }

    #[inline]
    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        self.quoted(text);
    }

    #[inline]
    pub(super) fn some_text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(super) fn named_text(&mut self, name: &str, text: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.quoted(name);
        self.out.push(b':');
        self.quoted(text);
    }

    pub(super) fn quoted(&mut self, text: &str) {
        if text.bytes().any(|b| b < b' ' || b == b'"' || b == b'\\') {
            return self.left_to_serde(text);
        }
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }

    pub(super) fn flag(&mut self, name: &'static str, is: bool) {
        self.name(name);
        self.out.extend_from_slice(if is { b"true" } else { b"false" });
    }

    #[inline]
    pub(super) fn number(&mut self, name: &'static str, number: u64) {
        self.name(name);
        self.digits(number);
    }

    #[inline]
    pub(super) fn some_number(&mut self, name: &'static str, number: Option<u64>) {
        if let Some(number) = number {
            self.number(name, number);
        }
    }

    #[inline]
    pub(super) fn some_millis(&mut self, name: &'static str, duration: Option<Duration>) {
        let Some(duration) = duration else { return };
        self.name(name);
        let ns = duration.as_nanos();
        if ns < EXACT_NANOS {
            // To whole microseconds, half of one up.
            self.thousandths((ns + 500) / 1_000);
        } else {
            self.left_to_serde(&((ns as f64 / 1e3).round() / 1e3));
        }
    }

    pub(super) fn some_seconds(&mut self, name: &'static str, duration: Option<Duration>) {
        if let Some(duration) = duration {
            self.rounded(name, duration.as_secs_f64());
        }
    }

    /// With three decimals at most.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is never negative")]
    pub(super) fn rounded(&mut self, name: &'static str, number: f64) {
        self.name(name);
        self.thousandths((number * 1e3).round() as u128);
    }

    /// As serde writes such a float: with a point, and no zeros behind the last digit but one.
    pub(super) fn thousandths(&mut self, all: u128) {
        let Some(all) = u64::try_from(all).ok().filter(|all| *all < MOST_THOUSANDTHS) else {
            return self.left_to_serde(&(all as f64 / 1e3));
        };
        let (whole, rest) = (all / 1_000, all % 1_000);
        self.digits(whole);
        let digit = |n: u64| b'0' + u8::try_from(n % 10).unwrap_or(0);
        let (a, b, c) = (digit(rest / 100), digit(rest / 10), digit(rest));
        let decimals: &[u8] = match (b, c) {
            (b'0', b'0') => &[b'.', a],
            (_, b'0') => &[b'.', a, b],
            _ => &[b'.', a, b, c],
        };
        self.out.extend_from_slice(decimals);
    }

    pub(super) fn digits(&mut self, mut number: u64) {
        const PAIRS: &[u8; 200] = b"00010203040506070809101112131415161718192021222324252627282930313233343536373839\
            40414243444546474849505152535455565758596061626364656667686970717273747576777879\
            8081828384858687888990919293949596979899";
        let mut all = [b'0'; 20];
        let mut from = all.len();
        while number >= 10 {
            let pair = usize::try_from(number % 100).unwrap_or(0) * 2;
            number /= 100;
            from -= 2;
            (all[from], all[from + 1]) = (PAIRS[pair], PAIRS[pair + 1]);
        }
        // The first digit of an odd number of them.
        if number > 0 || from == all.len() {
            from -= 1;
            all[from] = b'0' + u8::try_from(number).unwrap_or(0);
        }
        self.out.extend_from_slice(&all[from..]);
    }

    pub(super) fn hex(&mut self, name: &'static str, number: u128, digits: usize) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut all = [b'0'; 32];
        for (place, byte) in all.as_chunks_mut::<2>().0.iter_mut().zip(number.to_be_bytes()) {
            *place = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(&all[all.len() - digits..]);
        self.out.push(b'"');
    }

    /// Dollars in plain decimal digits, as a text.
    pub(super) fn usd(&mut self, name: &'static str, usd: PicoUsd) {
        let (whole, pico) = (usd.0 / PicoUsd::DOLLAR, usd.0 % PicoUsd::DOLLAR);
        self.name(name);
        self.out.push(b'"');
        self.digits(whole);
        if pico > 0 {
            // The one keeps the zeros before the digits, and becomes the point.
            let point = self.out.len();
            self.digits(PicoUsd::DOLLAR + pico);
            self.out[point] = b'.';
            while self.out.last() == Some(&b'0') {
                self.out.pop();
            }
        }
        self.out.push(b'"');
    }

    pub(super) fn discount(&mut self, name: &'static str, discount: Discount) {
        self.name(name);
        self.left_to_serde(&discount);
    }

    fn left_to_serde<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        // Writing to memory does not fail.
        drop(serde_json::to_writer(&mut *self.out, value));
    }
}
