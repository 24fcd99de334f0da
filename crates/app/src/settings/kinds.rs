//! The kinds of values that settings have: how each is read and how it is shown.
//!
//! Reading says why a value does not fit; it never repeats the value, for that may be a secret.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use limpid_core::Discount;

use super::tree::{Item, Value};

/// A value that a setting can have.
pub(super) trait Kind: Sized {
    /// What to write, with an example: `write a duration such as "30s"`.
    const WRITE: &'static str;
    /// Whether a fault must not quote it.
    const SECRET: bool = false;

    /// Reads it, or says what the written value is instead.
    fn read(item: &Item) -> Result<Self, String>;

    /// As it would stand in the file; secrets masked.
    fn show(&self) -> String;
}

fn text(item: &Item) -> Result<&str, String> {
    item.text().ok_or_else(|| format!("{} is not a string", item.value.name()))
}

impl Kind for bool {
    const WRITE: &'static str = "write true or false";

    fn read(item: &Item) -> Result<bool, String> {
        match item.value {
            Value::Bool(b) => Ok(b),
            _ => Err(format!("{} is not a yes or no", item.value.name())),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Kind for usize {
    const WRITE: &'static str = "write a whole number such as 1000";

    fn read(item: &Item) -> Result<usize, String> {
        match item.value {
            Value::Integer(n) => usize::try_from(n).map_err(|_| "the number is negative or too large".to_owned()),
            _ => Err(format!("{} is not a whole number", item.value.name())),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Kind for f64 {
    const WRITE: &'static str = "write a number such as 0.1";

    fn read(item: &Item) -> Result<f64, String> {
        match item.value {
            Value::Float(x) if x.is_finite() => Ok(x),
            // Integers in settings of this kind are 0 and 1; precision is no matter.
            Value::Integer(n) => i32::try_from(n).map(f64::from).map_err(|_| "the number is too large".to_owned()),
            _ => Err(format!("{} is not a number", item.value.name())),
        }
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

/// Plain text: not empty, at most 256 characters, none of them a control character.
impl Kind for Arc<str> {
    const WRITE: &'static str = "write a short string on one line";

    fn read(item: &Item) -> Result<Arc<str>, String> {
        match text(item)? {
            "" => Err("it is empty".to_owned()),
            long if long.chars().count() > 256 => Err("it is longer than 256 characters".to_owned()),
            odd if odd.chars().any(char::is_control) => Err("it has a control character".to_owned()),
            plain => Ok(Arc::from(plain)),
        }
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Kind for SocketAddr {
    const WRITE: &'static str =
        "write an address and a port such as \"127.0.0.1:4800\" (all interfaces: \"0.0.0.0:4800\")";

    fn read(item: &Item) -> Result<SocketAddr, String> {
        text(item)?.parse().map_err(|_| "that is not an IP address with a port".to_owned())
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Kind for Duration {
    const WRITE: &'static str = "write a duration such as \"30s\" or \"250ms\"";

    fn read(item: &Item) -> Result<Duration, String> {
        humantime::parse_duration(text(item)?).map_err(|e| format!("that is not a duration ({e})"))
    }

    fn show(&self) -> String {
        let ms = self.as_millis();
        match self.subsec_nanos() {
            0 => format!("\"{}s\"", self.as_secs()),
            n if n % 1_000_000 == 0 => format!("\"{ms}ms\""),
            _ => format!("\"{}\"", humantime::format_duration(*self)),
        }
    }
}

/// A share in percent, or as a number below 1.
impl Kind for Discount {
    const WRITE: &'static str = "write a share such as \"20%\" or 0.2";

    fn read(item: &Item) -> Result<Discount, String> {
        let share = super::prices::decimal(item)?;
        // 1 and 20 could be meant either way.
        let plain = share.ends_with('%') || share.contains('.') || share == "0";
        let discount = Discount::parse(&share).filter(|_| plain);
        discount.ok_or_else(|| "that is not a share from nothing to all".to_owned())
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

/// A share of something, 0 to 1; written in percent, or as a number below 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(Discount);

impl Share {
    /// So many percent; all of it above 100.
    pub(super) fn percent(percent: u8) -> Share {
        Share(Discount::parse(&format!("{percent}%")).unwrap_or(Discount::NONE))
    }

    /// From 0 to 1.
    pub fn ratio(self) -> f64 {
        self.0.ratio()
    }
}

impl Kind for Share {
    const WRITE: &'static str = "write a share such as \"1%\" or 0.01";

    fn read(item: &Item) -> Result<Share, String> {
        Discount::read(item).map(Share)
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

/// A size in bytes, written as a number or with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

const UNITS: [(&str, usize); 8] = [
    ("", 1),
    ("b", 1),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
];

impl Kind for Size {
    const WRITE: &'static str = "write a number of bytes, or a size such as \"64KiB\" or \"8MiB\"";

    fn read(item: &Item) -> Result<Size, String> {
        if let Value::Integer(_) = item.value {
            return usize::read(item).map(Size);
        }
        let written = text(item)?.trim();
        let (number, unit) = written.split_at(written.find(|c: char| !c.is_ascii_digit()).unwrap_or(written.len()));
        let unit = unit.trim().to_ascii_lowercase();
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or("that is not a size".to_owned())?;
        let number: usize = number.parse().map_err(|_| "that is not a size".to_owned())?;
        number.checked_mul(*factor).map(Size).ok_or("the size is too large".to_owned())
    }

    fn show(&self) -> String {
        match self.0 {
            n if n > 0 && n % (1 << 20) == 0 => format!("\"{}MiB\"", n >> 20),
            n if n > 0 && n % (1 << 10) == 0 => format!("\"{}KiB\"", n >> 10),
            n => n.to_string(),
        }
    }
}

/// A list of strings; each is as long and as plain as [`Arc<str>`] must be.
impl Kind for Vec<Arc<str>> {
    const WRITE: &'static str = "write a list of strings such as [\"gpt-4o\", \"llama-*\"]";

    fn read(item: &Item) -> Result<Self, String> {
        let Value::List(values) = &item.value else {
            return Err(format!("{} is not a list", item.value.name()));
        };
        values
            .iter()
            .map(|value| {
                let item = Item { value: value.clone(), origin: item.origin.clone(), raw: None };
                Arc::<str>::read(&item).map_err(|why| format!("in one of its entries {why}"))
            })
            .collect()
    }

    fn show(&self) -> String {
        format!("[{}]", self.iter().map(Kind::show).collect::<Vec<_>>().join(", "))
    }
}

/// A value that is never shown: an API key, a header's value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps the value.
    pub fn new(value: &str) -> Secret {
        Secret(Arc::from(value))
    }

    /// The value itself. Only for the wire, never for a log, record or error.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Prints `****`.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// Names and values, such as headers.
impl<V: Kind> Kind for BTreeMap<Arc<str>, V> {
    const WRITE: &'static str = "write a table such as { name = \"value\" }";
    const SECRET: bool = V::SECRET;

    fn read(item: &Item) -> Result<Self, String> {
        let Value::Table(table) = &item.value else {
            return Err(format!("{} is not a table", item.value.name()));
        };
        let named = |why, name| format!("the value of `{name}`: {why}");
        table
            .iter()
            .map(|(name, item)| Ok((Arc::from(name.as_str()), V::read(item).map_err(|why| named(why, name))?)))
            .collect()
    }

    fn show(&self) -> String {
        if self.is_empty() {
            return "{}".to_owned();
        }
        let pairs: Vec<_> = self.iter().map(|(name, value)| format!("{} = {}", toml_key(name), value.show())).collect();
        format!("{{ {} }}", pairs.join(", "))
    }
}

impl Kind for Secret {
    const WRITE: &'static str = "write a string";
    const SECRET: bool = true;

    fn read(item: &Item) -> Result<Secret, String> {
        text(item).map(Secret::new)
    }

    fn show(&self) -> String {
        "\"****\"".to_owned()
    }
}

/// A key as TOML wants it: bare where that is allowed.
pub(super) fn toml_key(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { key.to_owned() } else { format!("{key:?}") }
}

/// Makes a [`Kind`] of an enum of names.
macro_rules! named_kind {
    ($(#[$meta:meta])* $name:ident, $write:literal { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// The name in settings.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// The value of that name.
            pub fn from_name(name: &str) -> Option<$name> {
                [$($name::$variant),+].into_iter().find(|v| v.as_str() == name)
            }
        }

        impl $crate::settings::kinds::Kind for $name {
            const WRITE: &'static str = $write;

            fn read(item: &$crate::settings::tree::Item) -> Result<$name, String> {
                item.text().and_then($name::from_name).ok_or_else(|| "there is no such choice".to_owned())
            }

            fn show(&self) -> String {
                format!("{:?}", self.as_str())
            }
        }
    };
}
pub(super) use named_kind;

#[cfg(test)]
mod tests {
    use super::super::faults::Origin;
    use super::*;

    fn read<T: Kind>(text: &str) -> Result<T, String> {
        T::read(&Item::from_text(text, Origin::Env("X".into())))
    }

    #[test]
    fn sizes_take_numbers_and_binary_or_decimal_units() {
        for (text, bytes) in [("65536", 65536), ("64KiB", 65536), ("8 MiB", 8 << 20), ("1kB", 1000), ("1GiB", 1 << 30)]
        {
            assert_eq!(read::<Size>(text), Ok(Size(bytes)), "{text}");
        }
        for text in ["-1", "1.5MiB", "KiB", "64 kilo", "99999999999GiB", "true"] {
            assert!(read::<Size>(text).is_err(), "{text}");
        }
        assert_eq!(
            (Size(65536).show(), Size(8 << 20).show(), Size(1000).show()),
            ("\"64KiB\"".into(), "\"8MiB\"".into(), "1000".into())
        );
    }

    #[test]
    fn a_string_from_the_environment_may_look_like_a_number() {
        assert_eq!(read::<Arc<str>>("1").as_deref(), Ok("1"));
        assert_eq!(read::<Arc<str>>("2026-11-22").as_deref(), Ok("2026-11-22"));
        assert_eq!(read::<Arc<str>>("\"quoted\"").as_deref(), Ok("quoted"));
        assert!(read::<Arc<str>>("").is_err());
    }

    #[test]
    fn durations_show_as_they_are_written() {
        for text in ["10s", "250ms", "60s"] {
            assert_eq!(read::<Duration>(text).unwrap().show(), format!("{text:?}"));
        }
        assert!(read::<Duration>("10").is_err());
    }

    #[test]
    fn a_secret_shows_in_no_form() {
        let s = Secret::new("hush");
        assert_eq!(format!("{s:?} {}", s.show()), "**** \"****\"");
        let headers: BTreeMap<Arc<str>, Secret> = read("{ authorization = \"Bearer hush\" }").unwrap();
        assert_eq!(headers.show(), "{ authorization = \"****\" }");
    }
}
