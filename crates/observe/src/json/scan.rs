//! Reads what is usual of JSON in one walk; the rest is left to `serde_json`.
//!
//! A reply is walked once for each exchange, and so are the events of a stream that are not
//! [plain](crate::dialect). Through `serde_json` a leaf is walked for its end and again for its worth, and what lies in
//! it a third time; that came to forty instructions a byte. A [`Scanner`] passes each byte once.
//!
//! It is as strict as `serde_json`, or stricter: it takes no text that `serde_json` would not, and reads the same out of
//! it, which each reading in the unit tests asserts, and a property test of every shape. What it does not take is [`Unusual`]: broken JSON, another shape,
//! a member that stands twice or whose name has an escape in it, and what lies more than [`DEEPEST`] brackets deep. Then
//! `serde_json` decides, at its price.

use super::{Few, Filtered, Json, Len, Loose, Raw};

/// More open brackets than this are not followed; each is a call.
const DEEPEST: u32 = 64;

/// Not for this reader. See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unusual;

/// Where in a text the reading is.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Reads `text`, which is one value, into a default one.
    pub(super) fn whole<T: Json<'a>>(text: &'a str, value: &mut T) -> Result<(), Unusual> {
        let mut scanner = Scanner { text, at: 0 };
        value.scan_into(&mut scanner)?;
        if blank_end(text.as_bytes(), scanner.at) < text.len() {
            return Err(Unusual);
        }
        #[cfg(test)]
        assert_eq!(Ok(format!("{value:?}")), serde_json::from_str::<T>(text).map(|v| format!("{v:?}")).map_err(drop));
        Ok(())
    }

    /// The next byte that is no white space; it stays the next.
    #[inline]
    fn next(&mut self) -> Result<u8, Unusual> {
        self.at = blank_end(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied().ok_or(Unusual)
    }

    /// Passes an object and hands each member's name to `each`, which passes the value.
    #[inline]
    pub(crate) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, &'a [u8]) -> Result<(), Unusual>,
    ) -> Result<(), Unusual> {
        if self.next()? != b'{' {
            return Err(Unusual);
        }
        self.at += 1;
        if self.next()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.next()? != b'"' {
                return Err(Unusual);
            }
            let from = self.at + 1;
            let (to, escaped) = string_end(self.text.as_bytes(), from).ok_or(Unusual)?;
            if escaped {
                return Err(Unusual);
            }
            let name = self.text.as_bytes().get(from..to).ok_or(Unusual)?;
            self.at = to + 1;
            if self.next()? != b':' {
                return Err(Unusual);
            }
            self.at += 1;
            each(self, name)?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    /// Passes an array; `each` passes an element.
    #[inline]
    fn elements(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Unusual>) -> Result<(), Unusual> {
        if self.next()? != b'[' {
            return Err(Unusual);
        }
        self.at += 1;
        if self.next()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            each(self)?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    /// Behind a value: a comma and more, or the end.
    #[inline]
    fn goes_on(&mut self, end: u8) -> Result<bool, Unusual> {
        let byte = self.next()?;
        self.at += 1;
        if byte == b',' {
            return Ok(true);
        }
        if byte == end { Ok(false) } else { Err(Unusual) }
    }

    /// Passes any value.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<(), Unusual> {
        self.value().map(drop)
    }

    /// Passes any value: its own text.
    #[inline]
    fn value(&mut self) -> Result<Raw<'a>, Unusual> {
        let bytes = self.text.as_bytes();
        let from = blank_end(bytes, self.at);
        self.at = value_end(bytes, from, DEEPEST).ok_or(Unusual)?;
        self.text.get(from..self.at).map(Raw).ok_or(Unusual)
    }

    /// Passes `null`.
    #[inline]
    fn null(&mut self) -> Result<(), Unusual> {
        self.at = word_end(self.text.as_bytes(), self.at, b"null").ok_or(Unusual)?;
        Ok(())
    }
}

/// Where white space ends that begins at `at`, if any does.
#[inline]
fn blank_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Where the value ends that begins at `at`, with at most `left` brackets open in it.
#[inline]
fn value_end(bytes: &[u8], at: usize, left: u32) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => string_end(bytes, at + 1).map(|(to, _)| to + 1),
        b'-' | b'0'..=b'9' => number_end(bytes, at),
        b'n' => word_end(bytes, at, b"null"),
        b't' => word_end(bytes, at, b"true"),
        b'f' => word_end(bytes, at, b"false"),
        b'{' => container_end(bytes, at + 1, b'}', left.checked_sub(1)?),
        b'[' => container_end(bytes, at + 1, b']', left.checked_sub(1)?),
        _ => None,
    }
}

/// Where the object or array ends whose inside begins at `at`.
fn container_end(bytes: &[u8], at: usize, end: u8, left: u32) -> Option<usize> {
    let mut at = blank_end(bytes, at);
    if *bytes.get(at)? == end {
        return Some(at + 1);
    }
    loop {
        if end == b'}' {
            if *bytes.get(at)? != b'"' {
                return None;
            }
            at = blank_end(bytes, string_end(bytes, at + 1)?.0 + 1);
            if *bytes.get(at)? != b':' {
                return None;
            }
            at = blank_end(bytes, at + 1);
        }
        at = blank_end(bytes, value_end(bytes, at, left)?);
        match *bytes.get(at)? {
            b',' => at = blank_end(bytes, at + 1),
            byte if byte == end => return Some(at + 1),
            _ => return None,
        }
    }
}

#[inline]
fn word_end(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    (bytes.get(at..at + word.len())? == word).then_some(at + word.len())
}

/// A digit behind a leading zero ends the number, and nothing lets it follow one.
#[inline]
fn number_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    at += usize::from(bytes.get(at) == Some(&b'-'));
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits_end(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        at = digits_end(bytes, at)?;
    }
    Some(at)
}

/// At least one digit.
#[inline]
fn digits_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    (at > from).then_some(at)
}

/// Where the string ends whose inside begins at `at`, and whether there is an escape in it; `None` if it is not valid or
/// has no end. Escapes are looked at as `serde_json` does that skips them: half a surrogate pair may pass.
#[inline]
pub(crate) fn string_end(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    let to = special(bytes, at);
    if *bytes.get(to)? == b'"' { Some((to, false)) } else { Some((escaped_end(bytes, to)?, true)) }
}

/// The same from the first escape on. By itself, so that what nearly every string takes stays small.
#[inline(never)]
fn escaped_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => match bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => at += 6,
                _ => return None,
            },
            _ => return None,
        }
        at = special(bytes, at);
    }
}

/// Whether there is no quote, backslash or control character in it.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    special(bytes, 0) == bytes.len()
}

/// Where from `at` on the next quote, backslash or control character stands; behind the end if there is none.
///
/// Eight bytes at a time: in `word - least` the highest bit of a byte becomes set that was less than `least`. A borrow
/// may set it in bytes above such a one too, never below, and only the lowest counts. With 2 flipped a quote is the
/// neighbour of the control characters, which stay what they are, so that one comparison finds both.
pub(crate) fn special(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = 0x8080_8080_8080_8080;
    const BACKSLASH: u64 = 0x5C;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let below = |word: u64, least: u64| word.wrapping_sub(ONES * least) & !word;
        let hits = (below(word ^ (ONES * 2), 0x21) | below(word ^ (ONES * BACKSLASH), 1)) & HIGHEST;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            break;
        }
        at += 1;
    }
    at
}

impl<'a> Json<'a> for Raw<'a> {
    #[inline]
    fn scan_into(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Unusual> {
        *self = scanner.value()?;
        Ok(())
    }
}

impl<'a, T: Json<'a>> Json<'a> for Option<T> {
    #[inline]
    fn scan_into(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Unusual> {
        if scanner.next()? == b'n' {
            return scanner.null();
        }
        self.insert(T::default()).scan_into(scanner)
    }
}

impl<'a, T: Json<'a>> Json<'a> for Few<T> {
    fn scan_into(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Unusual> {
        if scanner.next()? == b'n' {
            return scanner.null();
        }
        scanner.elements(|scanner| {
            if self.first.is_none() {
                self.first.insert(T::default()).scan_into(scanner)
            } else if self.rest.len() + 1 < Few::<T>::MOST {
                self.rest.push(T::default());
                self.rest.last_mut().map_or(Err(Unusual), |last| last.scan_into(scanner))
            } else {
                scanner.skip()
            }
        })
    }
}

impl<'a> Json<'a> for Len {
    fn scan_into(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Unusual> {
        if scanner.next()? == b'n' {
            return scanner.null();
        }
        scanner.elements(|scanner| {
            self.0 += 1;
            scanner.skip()
        })
    }
}

/// Azure alone has one, and it is small.
impl<'a> Json<'a> for Filtered {
    fn scan_into(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Unusual> {
        *self = serde_json::from_str(scanner.value()?.text()).map_err(|_| Unusual)?;
        Ok(())
    }
}

impl<'a, T: Json<'a>> Json<'a> for Loose<T> {
    #[inline]
    fn scan_into(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Unusual> {
        match scanner.next()? {
            b'{' => self.0.insert(T::default()).scan_into(scanner),
            // An array may be one to serde.
            b'[' => Err(Unusual),
            _ => scanner.skip(),
        }
    }
}
