//! The strings of a request: where one ends, and what it says.

use std::borrow::Cow;

use memchr::memchr2;

use crate::json::{is_plain, special};

/// Where the first quote or backslash stands, else the end. To set up a search for them costs as much as thirty bytes of a
/// walk, and names and most values are shorter.
pub(super) fn quote_or_escape(bytes: &[u8]) -> usize {
    const SHORT: usize = 32;
    let at = special(bytes.get(..SHORT).unwrap_or(bytes), 0);
    match bytes.get(at..) {
        None | Some([] | [b'"' | b'\\', ..]) => at,
        // Behind the beginning, or a control character, which is none of JSON's but no end either.
        Some(rest) => at + memchr2(b'"', b'\\', rest).unwrap_or(rest.len()),
    }
}

/// The text of a string whose inner bytes these are. One that was cut off loses what it was cut in.
pub(super) fn unescape(inner: &[u8]) -> Cow<'_, str> {
    if is_plain(inner)
        && let Ok(text) = std::str::from_utf8(inner)
    {
        return Cow::Borrowed(text);
    }
    for less in 0..=12.min(inner.len()) {
        let part = inner.get(..inner.len() - less).unwrap_or_default();
        let quoted = [b"\"", part, b"\""].concat();
        if let Ok(text) = serde_json::from_slice(&quoted) {
            return Cow::Owned(text);
        }
    }
    Cow::Borrowed("")
}
