//! Borrowed JSON: what the dialects' structs are made of.
//!
//! A leaf is a [`Raw`], the member's own text, read only when it matters. That is both the fastest (a delta's text is
//! never unescaped, for only its emptiness counts) and the most tolerant way: a vendor's `"code": 500` where others
//! write a string spoils nothing. Containers that every event has are typed, so that they are walked once.
//!
//! Each shape is written down once, with `members!`, and can be read in two ways: by a [scan] that is quick and takes
//! what is usual, and by serde, which takes the rest and settles what is JSON at all.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use limpid_core::ObserverFault;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

mod members;
mod scan;
#[cfg(test)]
mod tests;

pub(crate) use members::{is_called, members};
pub(crate) use scan::{Scanner, Unusual, is_plain, special, string_end};

/// What can be read in both ways, with the same result.
pub(crate) trait Json<'a>: Deserialize<'a> + Default + fmt::Debug {
    /// Reads the next value into a default one, where it stands: a reply is two kilobytes of members, and moving them up
    /// from call to call took as long as reading them. What was read into is worth nothing if that fails.
    fn scan_into(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Unusual>;
}

/// Reads `text` as a `T`. `Ok(None)` if it is JSON of another shape, which is no fault but tells nothing; a fault if it
/// is not JSON at all.
pub(crate) fn parse<'a, T: Json<'a>>(text: &'a str) -> Result<Option<T>, ObserverFault> {
    let mut value = T::default();
    parse_into(text, &mut value).map(|shaped| shaped.then_some(value))
}

/// The same where a large value stands, which is a default one; false, and it is none again, if the shape is another.
pub(crate) fn parse_into<'a, T: Json<'a>>(text: &'a str, value: &mut T) -> Result<bool, ObserverFault> {
    if Scanner::whole(text, value).is_ok() {
        return Ok(true);
    }
    let unusual = parse_unusual(text);
    let shaped = matches!(unusual, Ok(Some(_)));
    *value = unusual?.unwrap_or_default();
    Ok(shaped)
}

#[cold]
fn parse_unusual<'a, T: Deserialize<'a>>(text: &'a str) -> Result<Option<T>, ObserverFault> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(Some(value)),
        Err(_) if serde_json::from_str::<IgnoredAny>(text).is_ok() => Ok(None),
        Err(_) => Err(ObserverFault::Json),
    }
}

/// A member's own text. `null` is `None` of an `Option<Raw>`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a>(&'a str);

impl Default for Raw<'_> {
    fn default() -> Self {
        Raw("null")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        <&'a RawValue>::deserialize(d).map(|value| Raw(value.get()))
    }
}

impl<'a> Raw<'a> {
    /// A string that was found to be valid JSON, quotes included.
    pub(crate) fn of_string(text: &'a str) -> Raw<'a> {
        Raw(text)
    }

    /// The text as it stands.
    pub(crate) fn text(self) -> &'a str {
        self.0
    }

    /// Its first byte, which tells what it is.
    pub(crate) fn first(self) -> Option<u8> {
        self.text().as_bytes().first().copied()
    }

    /// What stands between the quotes, escapes and all; `None` for anything but a string.
    pub(crate) fn inside(self) -> Option<&'a str> {
        match self.text().as_bytes() {
            [b'"', inner @ .., b'"'] => self.text().get(1..=inner.len()),
            _ => None,
        }
    }

    /// The string it holds, unescaped; `None` for anything but a string.
    pub(crate) fn string(self) -> Option<Cow<'a, str>> {
        let inner = self.inside()?;
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Some(Cow::Borrowed(inner));
        }
        serde_json::from_str(self.text()).ok().map(Cow::Owned)
    }

    /// A string or a number, as text.
    pub(crate) fn scalar(self) -> Option<Cow<'a, str>> {
        match self.first() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => Some(Cow::Borrowed(self.text())),
            _ => None,
        }
    }

    /// A string with something in it.
    pub(crate) fn is_text(self) -> bool {
        self.first() == Some(b'"') && self.text().len() > 2
    }

    /// `""`.
    pub(crate) fn is_empty_text(self) -> bool {
        self.text() == "\"\""
    }

    /// What Python calls true: not `false`, 0, nor an empty string, object or array.
    pub(crate) fn is_truthy(self) -> bool {
        !matches!(serde_json::from_str(self.text()), Ok(Truth(false)))
    }

    /// A count. A float without a fraction passes (`12.0`); a negative number does not, and neither does one that nobody can
    /// have counted, such as a server's `size_t(-1)`: it would be a certain number that is wrong, and take the good ones
    /// along in every sum.
    pub(crate) fn count(self) -> Option<u64> {
        self.whole().filter(|n| *n <= MOST_COUNTED)
    }

    fn whole(self) -> Option<u64> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let more = |n: u64, digit: u8| digit.is_ascii_digit().then(|| n * 10 + u64::from(digit - b'0'));
        // Of so many digits the largest fits.
        if self.text().len() <= 19
            && let Some(n) = self.text().bytes().try_fold(0, more)
        {
            return Some(n);
        }
        if let Ok(n) = self.text().parse() {
            return Some(n);
        }
        let float: f64 = self.text().parse().ok()?;
        if !(0.0..=EXACT).contains(&float) || float.fract() != 0.0 {
            return None;
        }
        format!("{float:.0}").parse().ok()
    }

    /// Whether it is `true`.
    pub(crate) fn is_true(self) -> bool {
        self.text() == "true"
    }

    /// Reads it as a `T`; `None` if it has another shape.
    pub(crate) fn parse<T: Json<'a>>(self) -> Option<T> {
        let mut value = T::default();
        match Scanner::whole(self.text(), &mut value) {
            Ok(()) => Some(value),
            Err(Unusual) => serde_json::from_str(self.text()).ok(),
        }
    }
}

/// A member that is looked at only if it has the shape wanted, and spoils nothing if it has another; `None` then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loose<T>(pub(crate) Option<T>);

impl<T> Default for Loose<T> {
    fn default() -> Self {
        Loose(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Raw::deserialize(d).map(|raw| Loose(serde_json::from_str(raw.text()).ok()))
    }
}

/// The largest count that is taken for one: a million million.
const MOST_COUNTED: u64 = 1_000_000_000_000;

/// An optional leaf, in few letters.
pub(crate) type Leaf<'a> = Option<Raw<'a>>;

/// Whether a value is true in Python's sense.
struct Truth(bool);

impl<'de> Deserialize<'de> for Truth {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Truth;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_bool<E>(self, v: bool) -> Result<Truth, E> {
                Ok(Truth(v))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Truth, E> {
                Ok(Truth(v != 0))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Truth, E> {
                Ok(Truth(v != 0))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Truth, E> {
                Ok(Truth(v != 0.0))
            }
            fn visit_str<E>(self, v: &str) -> Result<Truth, E> {
                Ok(Truth(!v.is_empty()))
            }
            fn visit_unit<E>(self) -> Result<Truth, E> {
                Ok(Truth(false))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Truth, A::Error> {
                let some = seq.next_element::<IgnoredAny>()?.is_some();
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Truth(some))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Truth, A::Error> {
                let some = map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some();
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Truth(some))
            }
        }
        d.deserialize_any(V)
    }
}

/// The first elements of an array: one without allocation, which is nearly always all, and no more than
/// [`Few::MOST`], so that a hostile array of `{}` does not become a hundred times its size.
#[derive(Debug)]
pub(crate) struct Few<T> {
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> Few<T> {
    /// OpenAI's own upper limit of `n`.
    pub(crate) const MOST: usize = 128;

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The element of an array that has one.
    pub(crate) fn only(&self) -> Option<&T> {
        self.first.as_ref().filter(|_| self.rest.is_empty())
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few { first: None, rest: Vec::new() }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for V<T> {
            type Value = Few<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array or null")
            }
            fn visit_unit<E>(self) -> Result<Few<T>, E> {
                Ok(Few::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Few<T>, A::Error> {
                let mut few = Few { first: seq.next_element()?, rest: Vec::new() };
                while few.rest.len() + 1 < Few::<T>::MOST {
                    match seq.next_element()? {
                        Some(element) => few.rest.push(element),
                        None => return Ok(few),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(few)
            }
        }
        d.deserialize_any(V(PhantomData))
    }
}

/// How many elements an array has; 0 for `null`.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Len(pub(crate) u64);

impl<'de> Deserialize<'de> for Len {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Len;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array or null")
            }
            fn visit_unit<E>(self) -> Result<Len, E> {
                Ok(Len(0))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Len, A::Error> {
                let mut n = 0;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    n += 1;
                }
                Ok(Len(n))
            }
        }
        d.deserialize_any(V)
    }
}

/// Whether `"filtered": true` stands anywhere in a value (Azure's filter results, whose shape varies by filter).
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Filtered {
    pub(crate) hit: bool,
    is_true: bool,
}

impl<'de> Deserialize<'de> for Filtered {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(FilterVisitor)
    }
}

struct FilterVisitor;

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum FilterKey {
    Filtered,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for FilterVisitor {
    type Value = Filtered;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_bool<E>(self, is_true: bool) -> Result<Filtered, E> {
        Ok(Filtered { hit: false, is_true })
    }
    fn visit_u64<E>(self, _: u64) -> Result<Filtered, E> {
        Ok(Filtered::default())
    }
    fn visit_i64<E>(self, _: i64) -> Result<Filtered, E> {
        Ok(Filtered::default())
    }
    fn visit_f64<E>(self, _: f64) -> Result<Filtered, E> {
        Ok(Filtered::default())
    }
    fn visit_str<E>(self, _: &str) -> Result<Filtered, E> {
        Ok(Filtered::default())
    }
    fn visit_unit<E>(self) -> Result<Filtered, E> {
        Ok(Filtered::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Filtered, A::Error> {
        let mut all = Filtered::default();
        while let Some(one) = seq.next_element::<Filtered>()? {
            all.hit |= one.hit;
        }
        Ok(all)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Filtered, A::Error> {
        let mut all = Filtered::default();
        while let Some((key, value)) = map.next_entry::<FilterKey, Filtered>()? {
            all.hit |= value.hit || matches!(key, FilterKey::Filtered) && value.is_true;
        }
        Ok(all)
    }
}
