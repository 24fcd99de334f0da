//! JSON, written into a buffer member by member.
//!
//! Only what a line needs: members have names of limpid's own, which need no escape, and texts that need one are left to
//! serde.

use std::time::Duration;

use limpid_core::{Discount, PicoUsd};

/// Numbers from here on, in thousandths, are left to serde: they have more digits than a float tells.
const MOST_THOUSANDTHS: u64 = 1_000_000_000_000_000;
/// Longer times, of 104 days, are no longer whole as a float.
const EXACT_NANOS: u64 = 1 << 53;

/// A member's name as it stands in an object: `,"name":`. Names are limpid's own, so nothing in them needs an escape, and
/// put together at compile time they are written at once.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(super) use key;

/// Two digits.
pub(super) fn pair(number: u64) -> [u8; 2] {
    const PAIRS: [[u8; 2]; 100] = {
        let mut all = [[0; 2]; 100];
        let mut n = 0u8;
        while n < 100 {
            all[n as usize] = [b'0' + n / 10, b'0' + n % 10];
            n += 1;
        }
        all
    };
    PAIRS[(number % 100) as usize]
}

/// Four digits.
pub(super) fn four(number: u64) -> [u8; 4] {
    let ([a, b], [c, d]) = (pair(number / 100), pair(number));
    [a, b, c, d]
}

/// Whether a text needs no escape: no quote, no backslash, nothing below a blank. Told of eight bytes at once.
fn is_plain(text: &str) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // The highest bit of each byte that is below `than`, and of none else if there is none.
    let below = |eight: u64, than: u64| eight.wrapping_sub(EACH * than) & !eight & (EACH << 7);
    let odd = |eight: u64| {
        below(eight, b' '.into())
            | below(eight ^ (EACH * u64::from(b'"')), 1)
            | below(eight ^ (EACH * u64::from(b'\\')), 1)
    };
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let last = match text.as_bytes().last_chunk::<8>() {
        // Some of it was seen already.
        Some(last) => u64::from_le_bytes(*last),
        // Blanks fill it up.
        None => rest.iter().fold(EACH * u64::from(b' '), |all, byte| all << 8 | u64::from(*byte)),
    };
    words.iter().fold(odd(last), |all, word| all | odd(u64::from_le_bytes(*word))) == 0
}

/// A JSON object that is being written. Each member begins with a comma; the first one's becomes the brace.
pub(super) struct Object<'a> {
    pub(super) out: &'a mut Vec<u8>,
    start: usize,
}

impl Object<'_> {
    pub(super) fn begin(out: &mut Vec<u8>) -> Object<'_> {
        let start = out.len();
        Object { out, start }
    }

    #[inline]
    pub(super) fn end(self) {
        match self.out.get_mut(self.start) {
            Some(comma) => *comma = b'{',
            None => self.out.push(b'{'),
        }
        self.out.push(b'}');
    }

    /// A member's name, by [`key`].
    #[inline]
    pub(super) fn name(&mut self, key: &'static str) {
        self.out.extend_from_slice(key.as_bytes());
    }

    #[inline]
    pub(super) fn object(&mut self, key: &'static str) -> Object<'_> {
        self.name(key);
        Object::begin(self.out)
    }

    /// One whose name is no constant, but needs no escape.
    pub(super) fn named_object(&mut self, name: &str) -> Object<'_> {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
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
    pub(super) fn ascii(&mut self, key: &'static str, text: &str) {
        self.name(key);
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }

    #[inline]
    pub(super) fn some_ascii(&mut self, key: &'static str, text: Option<&'static str>) {
        if let Some(text) = text {
            self.ascii(key, text);
        }
    }

    #[inline]
    pub(super) fn text(&mut self, key: &'static str, text: &str) {
        self.name(key);
        self.quoted(text);
    }

    #[inline]
    pub(super) fn some_text(&mut self, key: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    pub(super) fn named_text(&mut self, name: &str, text: &str) {
        self.out.push(b',');
        self.quoted(name);
        self.out.push(b':');
        self.quoted(text);
    }

    pub(super) fn quoted(&mut self, text: &str) {
        if !is_plain(text) {
            return self.left_to_serde(text);
        }
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }

    pub(super) fn flag(&mut self, key: &'static str, is: bool) {
        self.name(key);
        self.out.extend_from_slice(if is { b"true" } else { b"false" });
    }

    #[inline]
    pub(super) fn number(&mut self, key: &'static str, number: u64) {
        self.name(key);
        self.digits(number);
    }

    #[inline]
    pub(super) fn some_number(&mut self, key: &'static str, number: Option<u64>) {
        if let Some(number) = number {
            self.number(key, number);
        }
    }

    #[inline]
    pub(super) fn some_millis(&mut self, key: &'static str, duration: Option<Duration>) {
        let Some(duration) = duration else { return };
        self.name(key);
        match u64::try_from(duration.as_nanos()) {
            // To whole microseconds, half of one up.
            Ok(ns) if ns < EXACT_NANOS => self.thousandths((ns + 500) / 1_000),
            _ => self.left_to_serde(&((duration.as_nanos() as f64 / 1e3).round() / 1e3)),
        }
    }

    pub(super) fn some_seconds(&mut self, key: &'static str, duration: Option<Duration>) {
        if let Some(duration) = duration {
            self.rounded(key, duration.as_secs_f64());
        }
    }

    /// With three decimals at most.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is never negative")]
    pub(super) fn rounded(&mut self, key: &'static str, number: f64) {
        self.name(key);
        self.thousandths((number * 1e3).round() as u64);
    }

    /// As serde writes such a float: with a point, and no zeros behind the last digit but one.
    fn thousandths(&mut self, all: u64) {
        if all >= MOST_THOUSANDTHS {
            return self.left_to_serde(&(all as f64 / 1e3));
        }
        self.digits(all / 1_000);
        let [_, a, b, c] = four(all % 1_000);
        match (b, c) {
            (b'0', b'0') => self.out.extend_from_slice(&[b'.', a]),
            (_, b'0') => self.out.extend_from_slice(&[b'.', a, b]),
            _ => self.out.extend_from_slice(&[b'.', a, b, c]),
        }
    }

    pub(super) fn digits(&mut self, number: u64) {
        match number {
            10_000.. => {
                self.digits(number / 10_000);
                self.out.extend_from_slice(&four(number));
            }
            n @ 1_000.. => self.out.extend_from_slice(&four(n)),
            n @ 100.. => self.out.extend_from_slice(&four(n)[1..]),
            n @ 10.. => self.out.extend_from_slice(&pair(n)),
            n => self.out.push(pair(n)[1]),
        }
    }

    pub(super) fn hex<const N: usize>(&mut self, key: &'static str, bytes: [u8; N]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        const PAIRS: [[u8; 2]; 256] = {
            let mut all = [[b'0'; 2]; 256];
            let mut n = 0;
            while n < 256 {
                all[n] = [DIGITS[n >> 4], DIGITS[n & 15]];
                n += 1;
            }
            all
        };
        let mut all = [[b'0'; 2]; N];
        for (place, byte) in all.iter_mut().zip(bytes) {
            *place = PAIRS[usize::from(byte)];
        }
        self.name(key);
        self.out.push(b'"');
        self.out.extend_from_slice(all.as_flattened());
        self.out.push(b'"');
    }

    /// Dollars in plain decimal digits, as a text.
    pub(super) fn usd(&mut self, key: &'static str, usd: PicoUsd) {
        let (whole, pico) = (usd.0 / PicoUsd::DOLLAR, usd.0 % PicoUsd::DOLLAR);
        self.name(key);
        self.out.push(b'"');
        match whole {
            // By far the most.
            0 => self.out.push(b'0'),
            _ => self.digits(whole),
        }
        if pico > 0 {
            // Twelve digits, four at once; fours of zeros at the end are not even written.
            let [first, second, third] = [pico / 100_000_000, pico / 10_000 % 10_000, pico % 10_000];
            self.out.push(b'.');
            self.out.extend_from_slice(&four(first));
            if second > 0 || third > 0 {
                self.out.extend_from_slice(&four(second));
            }
            if third > 0 {
                self.out.extend_from_slice(&four(third));
            }
            while self.out.last() == Some(&b'0') {
                self.out.pop();
            }
        }
        self.out.push(b'"');
    }

    pub(super) fn discount(&mut self, key: &'static str, discount: Discount) {
        self.name(key);
        self.left_to_serde(&discount);
    }

    fn left_to_serde<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        // Writing to memory does not fail.
        drop(serde_json::to_writer(&mut *self.out, value));
    }
}
