//! Takes the middle out of very long JSON strings, before anything holds them.
//!
//! Images come as megabytes of base64 inside the event that also has the usage; held whole they would go beyond every
//! limit, and the usage with them. Of a string longer than [`KEEP`] the rest is left out of the observed copy, which stays
//! JSON: the cut never falls into an escape. A line feed ends a string, for JSON has none inside; so a stray quote in a
//! comment costs no more than its line.

use memchr::{memchr, memchr3};

use super::Outcome;

/// A string is kept up to here, in bytes: more than anybody reads of one.
pub(crate) const KEEP: usize = 64 * 1024;

/// The bytes behind a backslash that belong to its escape, at most: `u0041`.
const ESCAPE: usize = 5;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Elide {
    in_string: bool,
    /// Behind a backslash.
    escaped: bool,
    /// Bytes of this string that were kept.
    kept: usize,
    /// Bytes since the last escape began.
    plain: usize,
    dropping: bool,
}

impl Elide {
    /// Hands on what is kept of the next bytes, in as few pieces as can be.
    pub(crate) fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8]) -> Outcome) -> Outcome {
        if self.is_short(bytes) {
            *self = Elide::default();
            return sink(bytes);
        }
        let (mut from, mut at) = (0, 0);
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            if !self.in_string {
                let Some(quote) = memchr(b'"', rest) else { break };
                *self = Elide { in_string: true, plain: ESCAPE, ..Elide::default() };
                at += quote + 1;
                continue;
            }
            let end = if self.escaped { 0 } else { memchr3(b'"', b'\\', b'\n', rest).unwrap_or(rest.len()) };
            let keep = self.keep(end);
            if keep < end || self.dropping {
                if !self.dropping || keep > 0 {
                    sink(bytes.get(from..at + keep).unwrap_or_default())?;
                }
                self.dropping = true;
                from = at + end;
            }
            at += end;
            if let Some(special) = bytes.get(at) {
                from = if self.special(*special) { from } else { at + 1 };
                at += 1;
            }
        }
        match bytes.get(from..) {
            Some(left) if !left.is_empty() => sink(left),
            _ => Ok(()),
        }
    }

    /// Whether no string grows too long in these bytes, nor behind them: as nearly all of a stream's reads, they end with a
    /// line. So it need not be looked where each string is.
    fn is_short(&self, bytes: &[u8]) -> bool {
        let held = if self.in_string { self.kept } else { 0 };
        // A line feed behind a backslash ends no string.
        let ends = matches!(bytes, [.., before, b'\n'] if *before != b'\\');
        ends && !self.dropping && held.saturating_add(bytes.len()) <= KEEP
    }

    /// How many of the next `length` plain bytes of the string to keep.
    fn keep(&mut self, length: usize) -> usize {
        if self.dropping {
            return 0;
        }
        let keep = length.min(KEEP.saturating_sub(self.kept).max(ESCAPE.saturating_sub(self.plain)));
        self.kept += keep;
        self.plain = self.plain.saturating_add(keep);
        keep
    }

    /// A byte that ends the string or an escape, or begins one. Answers whether it is kept.
    fn special(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
            self.kept += 1;
            self.plain = 1;
        } else if byte == b'\\' {
            self.escaped = true;
            self.kept += 1;
        } else {
            self.in_string = false;
            self.dropping = false;
            return true;
        }
        !self.dropping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str, piece: usize) -> String {
        let (mut elide, mut out) = (Elide::default(), Vec::new());
        for piece in text.as_bytes().chunks(piece) {
            elide
                .feed(piece, &mut |bytes| {
                    out.extend_from_slice(bytes);
                    Ok(())
                })
                .unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_short_passes_and_what_is_long_loses_its_rest() {
        let short = "data: {\"a\":\"x\\\"y\\\\\",\"b\":[1,\"\"]}\n\n: it's \"so\n\ndata: {\"c\":\"d\"}\n\n";
        let long =
            |n: usize, tail: &str| format!("{short}data: {{\"b64\":\"{}{tail}\",\"usage\":1}}\n\n", "A".repeat(n));
        for piece in [1, 3, 1000, 1 << 20] {
            assert_eq!(kept(short, piece), short);
            assert_eq!(kept(&long(KEEP, ""), piece), long(KEEP, ""));
            for tail in ["B", "\\/\\\"B", "\\\\"] {
                assert_eq!(kept(&long(KEEP + 7, tail), piece), long(KEEP, ""), "{tail} by {piece}");
            }
        }
    }

    #[test]
    fn no_escape_is_cut() {
        for before in KEEP - 8..=KEEP {
            let text = format!("{{\"a\":\"{}\\u0041\\nBBBBBBBBBBBB{}\"}}", "A".repeat(before), "\\u00e9".repeat(9));
            let got = kept(&text, 5);
            assert!(got.len() < text.len() && serde_json::from_str::<serde_json::Value>(&got).is_ok(), "{before}");
            assert_eq!(kept(&text, 1 << 20), got);
        }
    }
}
