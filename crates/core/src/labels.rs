//! The operator's own labels: a name from the settings, a value from the traffic.
//!
//! A value comes from outside, so it is made harmless where it is taken in, for every surface alike: short, on one line,
//! and without characters that a terminal, a query language or a page could read as something else. How many values a
//! label may have is a matter of the metrics; a record has the value itself.

use std::sync::Arc;

/// One label of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnLabel {
    /// As the settings name it.
    pub name: Arc<str>,
    /// See [`OwnLabel::new`]. Never empty.
    pub value: Box<str>,
}

impl OwnLabel {
    /// The most labels that can be configured.
    pub const MOST: usize = 4;
    /// A value is cut to this many bytes.
    pub const VALUE_BYTES: usize = 64;

    /// The label with that value, blanks around it taken off; `None` if nothing is left. Letters and digits of any script
    /// stay, and blanks and `-_.:/@+=,#`; every other character becomes `_`. The value ends at 64 bytes, on a character's
    /// boundary.
    pub fn new(name: &Arc<str>, raw: &str) -> Option<OwnLabel> {
        let mut value = String::new();
        for c in raw.trim().chars() {
            let plain =
                c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | ':' | '/' | '@' | '+' | '=' | ',' | '#');
            let c = if plain { c } else { '_' };
            if value.len() + c.len_utf8() > Self::VALUE_BYTES {
                break;
            }
            value.push(c);
        }
        (!value.is_empty()).then(|| OwnLabel { name: Arc::clone(name), value: value.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_short_plain_and_never_empty() {
        let name: Arc<str> = "segment".into();
        let of = |raw: &str| OwnLabel::new(&name, raw).map(|l| l.value.into_string());
        assert_eq!(of(" gold-tier/7 "), Some("gold-tier/7".into()));
        assert_eq!(of("größe 日本"), Some("größe 日本".into()));
        assert_eq!(of("a\"b\\c\nd\u{1b}[31m<script>\u{202e}x"), Some("a_b_c_d__31m_script__x".into()));
        assert_eq!(of(" \t "), None);
        assert_eq!(of(&"x".repeat(1000)).map(|v| v.len()), Some(64));
        assert_eq!(of(&format!("x{}", "ä".repeat(100))).map(|v| v.len()), Some(63));
    }
}
