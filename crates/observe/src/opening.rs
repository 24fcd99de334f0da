//! A JSON string's text, added to the reply's opening without a string of its own in between.
//!
//! Escapes are undone piece by piece, so that a delta with `\n` or `\u00e9` in it allocates no more than one without.
//! Half a surrogate pair, which JSON allows and Unicode does not, is a replacement character.

use limpid_core::Opening;

use crate::json::Raw;

/// Adds what `raw` says, if it is a string and there is room.
pub(crate) fn add(opening: &mut Opening, raw: Raw<'_>) {
    let Some(mut rest) = raw.inside() else { return };
    while !opening.is_full() {
        let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) else {
            opening.push_str(rest);
            return;
        };
        let (plain, escape) = rest.split_at(at);
        opening.push_str(plain);
        let (c, after) = unescape(escape.get(1..).unwrap_or_default());
        opening.push_str(c.encode_utf8(&mut [0; 4]));
        rest = after;
    }
}

/// The character that an escape means, and what follows it. `text` begins after the backslash.
fn unescape(text: &str) -> (char, &str) {
    let mut chars = text.chars();
    let c = match chars.next() {
        Some('n') => '\n',
        Some('t') => '\t',
        Some('r') => '\r',
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('u') => return unicode(chars.as_str()),
        Some(itself) => itself,
        None => char::REPLACEMENT_CHARACTER,
    };
    (c, chars.as_str())
}

/// After `\u`: a character, or the first half of one whose second half follows.
fn unicode(text: &str) -> (char, &str) {
    let Some((unit, after)) = unit(text) else { return (char::REPLACEMENT_CHARACTER, text) };
    if let Some(c) = char::from_u32(unit) {
        return (c, after);
    }
    let low = after.strip_prefix("\\u").and_then(self::unit);
    let pair = low.filter(|(low, _)| unit < 0xDC00 && (0xDC00..0xE000).contains(low));
    let joined = pair.map(|(low, rest)| (0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00), rest));
    joined.and_then(|(code, rest)| Some((char::from_u32(code)?, rest))).unwrap_or((char::REPLACEMENT_CHARACTER, after))
}

/// Four hexadecimal digits.
fn unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unescaped(json: &str) -> String {
        let mut opening = Opening::default();
        add(&mut opening, serde_json::from_str(json).unwrap());
        opening.as_str().to_owned()
    }

    #[test]
    fn escapes_mean_what_json_says() {
        for (json, text) in [
            (r#""""#, ""),
            (r#""I\u2019m \"sorry\"\n\\\/\b\f\r\t.""#, "I’m \"sorry\"\n\\/\u{8}\u{c}\r\t."),
            (r#""\ud83d\ude00!""#, "😀!"),
            (r#""\uD83D!""#, "\u{fffd}!"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
            ("12", ""),
            (r#"["a"]"#, ""),
        ] {
            assert_eq!(unescaped(json), text, "{json}");
        }
    }

    proptest! {
        #[test]
        fn any_string_comes_through(text in "[^\\s]\\PC{0,200}") {
            prop_assert_eq!(unescaped(&serde_json::to_string(&text).unwrap()), text);
        }
    }
}
