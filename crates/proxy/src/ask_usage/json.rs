//! Where the members of a JSON object stand in its text, so that one can be cut out or put in without writing the rest
//! anew.
//!
//! `serde_json` reads the text and so decides what JSON is; nothing is interpreted here. Values are skipped without
//! recursion, however deep they are.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Shows each member of the object that `json` is: its unescaped name and where its value stands. `None` if `json` is
/// no object, or no JSON; some members may have been shown then.
pub(super) fn members(json: &[u8], see: impl FnMut(&str, Range<usize>)) -> Option<()> {
    let mut json_deserializer = serde_json::Deserializer::from_slice(json);
    Members { base: json.as_ptr().addr(), see }.deserialize(&mut json_deserializer).ok()?;
    json_deserializer.end().ok()
}

/// What a member takes with it when it goes: its name, its value and one comma. `value` is where its value stands.
/// `None` if its name is not spelt as `name` is.
pub(super) fn with_comma(json: &[u8], name: &str, value: &Range<usize>) -> Option<Range<usize>> {
    let colon = json.get(..value.start)?.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    let before = colon.strip_suffix(b"\"")?.strip_suffix(name.as_bytes())?.strip_suffix(b"\"")?;
    if let Some(others) = before.trim_ascii_end().strip_suffix(b",") {
        return Some(others.len()..value.end);
    }
    // The first member takes the comma behind it, and the blank that stands before the next.
    let behind = json.get(value.end..)?;
    let rest = behind.trim_ascii_start();
    let rest = rest.strip_prefix(b",").map_or(behind, <[u8]>::trim_ascii_start);
    Some(before.len()..json.len() - rest.len())
}

struct Members<F> {
    base: usize,
    see: F,
}

impl<'de, F: FnMut(&str, Range<usize>)> DeserializeSeed<'de> for Members<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str, Range<usize>)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            let start = value.get().as_ptr().addr().saturating_sub(self.base);
            (self.see)(&name, start..start + value.get().len());
        }
        Ok(())
    }
}

/// A member's name; it allocates only where there are escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        d.deserialize_str(V)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_where_they_stand() {
        let json = br#" {"a" : [1, {"b":2}] ,"\u0062":"x\"}", "a":null } "#;
        let mut found = Vec::new();
        members(json, |name, at| found.push((name.to_owned(), String::from_utf8_lossy(&json[at]).into_owned())))
            .unwrap();
        let want = [("a", r#"[1, {"b":2}]"#), ("b", r#""x\"}""#), ("a", "null")];
        assert_eq!(found, want.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for json in [
            &b""[..],
            b"[]",
            b"1",
            b"null",
            b"{",
            b"{} {}",
            b"{\"a\":1,}",
            b"{\"a\":NaN}",
            b"{\"\xff\":1}",
            b"\xef\xbb\xbf{}",
        ] {
            assert_eq!(members(json, |_, _| ()), None, "{}", json.escape_ascii());
        }
        let deep = [&b"{\"a\":"[..], &b"[".repeat(100_000), &b"]".repeat(100_000), b"}"].concat();
        assert_eq!(members(&deep, |_, _| ()), Some(()));
    }

    #[test]
    fn a_member_goes_with_one_comma() {
        for (json, want) in [
            (r#"{"a":1,"u":null}"#, r#"{"a":1}"#),
            (r#"{"a": 1, "u": null, "b": 2}"#, r#"{"a": 1, "b": 2}"#),
            (r#"{"u": null, "b": 2}"#, r#"{"b": 2}"#),
            (r#"{"u":null}"#, "{}"),
            ("{\n  \"a\": 1,\n  \"u\" : null\n}", "{\n  \"a\": 1\n}"),
            (r#"{ "u":null }"#, "{  }"),
        ] {
            let mut cut = None;
            members(json.as_bytes(), |name, at| {
                if name == "u" {
                    cut = with_comma(json.as_bytes(), "u", &at);
                }
            });
            let cut = cut.unwrap();
            assert_eq!(format!("{}{}", &json[..cut.start], &json[cut.end..]), want);
        }
        let escaped = br#"{"a":1,"\u0075":null}"#;
        members(escaped, |_, at| assert_eq!(with_comma(escaped, "u", &at), None));
    }
}
