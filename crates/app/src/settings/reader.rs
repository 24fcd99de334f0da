//! Takes typed settings out of the tree, one key at a time.
//!
//! Why not serde: it stops at the first fault, and forgets where a value came from. Here each key is asked for once, by
//! name, with its default and its rule; that one call gives the typed value, the fault if there is one (and then the
//! default, so that the run goes on to the next), the line that `limpid check` prints, and the list of known keys that
//! makes every other key a fault.

use std::ops::RangeInclusive;

use super::faults::{Fault, Origin, nearest};
use super::kinds::{Kind, Size};
use super::tree::{Item, Table, Value};

/// A setting as it came out, for `limpid check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// `server`, `upstreams.vllm-a`.
    pub section: String,
    /// The key; for a line that only explains, what it explains.
    pub key: &'static str,
    /// As it would stand in the file, secrets masked; `None` if the setting is absent.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// Whether it can be set; else it follows from other settings.
    pub is_setting: bool,
}

/// What reading gathers beside the values.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    pub(super) resolved: Vec<Resolved>,
}

/// Why a value of the right kind is refused, and what to write.
pub(super) struct Refused {
    pub(super) why: String,
    pub(super) mend: String,
}

impl Refused {
    pub(super) fn new(why: impl Into<String>, mend: impl Into<String>) -> Refused {
        Refused { why: why.into(), mend: mend.into() }
    }
}

pub(super) type Checked = Result<(), Refused>;

/// One section on its way from tree to type.
pub(super) struct Reader<'a> {
    section: String,
    items: Table,
    origin: Origin,
    known: Vec<&'static str>,
    pub(super) report: &'a mut Report,
}

impl<'a> Reader<'a> {
    pub(super) fn new(section: String, items: Table, origin: Origin, report: &'a mut Report) -> Self {
        Reader { section, items, origin, known: Vec::new(), report }
    }

    /// Where the section stands, for faults about what is missing in it.
    pub(super) fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// A setting with a default, which any value of its kind can take.
    pub(super) fn value<T: Kind>(&mut self, key: &'static str, default: T) -> T {
        self.value_if(key, default, |_| Ok(()))
    }

    /// A setting with a default and a rule.
    pub(super) fn value_if<T: Kind>(&mut self, key: &'static str, default: T, rule: impl Fn(&T) -> Checked) -> T {
        self.value_or(key, (default, Origin::Default), rule)
    }

    /// A setting with a rule and a fallback that has an origin of its own.
    pub(super) fn value_or<T: Kind>(
        &mut self,
        key: &'static str,
        fallback: (T, Origin),
        rule: impl Fn(&T) -> Checked,
    ) -> T {
        self.value_and_origin(key, fallback, rule).0
    }

    /// The same, with the origin.
    pub(super) fn value_and_origin<T: Kind>(
        &mut self,
        key: &'static str,
        fallback: (T, Origin),
        rule: impl Fn(&T) -> Checked,
    ) -> (T, Origin) {
        let (value, origin) = self.take(key, rule).unwrap_or(fallback);
        self.show(key, Some(value.show()), origin.clone());
        (value, origin)
    }

    /// A setting that may be absent.
    pub(super) fn optional<T: Kind>(&mut self, key: &'static str, rule: impl Fn(&T) -> Checked) -> Option<T> {
        self.optional_or(key, None, rule).map(|(value, _)| value)
    }

    /// The same with a fallback, and with the origin.
    pub(super) fn optional_or<T: Kind>(
        &mut self,
        key: &'static str,
        fallback: Option<(T, Origin)>,
        rule: impl Fn(&T) -> Checked,
    ) -> Option<(T, Origin)> {
        let found = self.take(key, rule).or(fallback);
        let (shown, origin) = match &found {
            Some((value, origin)) => (Some(value.show()), origin.clone()),
            None => (None, Origin::Default),
        };
        self.show(key, shown, origin);
        found
    }

    /// A setting that must be there; `mend` says how to give it.
    pub(super) fn required<T: Kind>(
        &mut self,
        key: &'static str,
        mend: &str,
        rule: impl Fn(&T) -> Checked,
    ) -> Option<T> {
        if !self.items.contains_key(key) {
            let what = format!("[{}] has no `{key}`", self.section);
            self.fault(self.origin(), what, "that setting has no default", mend);
        }
        self.optional(key, rule)
    }

    /// A whole number within a range.
    pub(super) fn count(&mut self, key: &'static str, default: usize, range: RangeInclusive<usize>) -> usize {
        self.value_if(key, default, |n| within(*n, &range))
    }

    /// A number of bytes within a range.
    pub(super) fn size(&mut self, key: &'static str, default: usize, range: RangeInclusive<usize>) -> usize {
        self.value_if(key, Size(default), |n| within(n.0, &range)).0
    }

    /// Adds a line for `limpid check` that follows from other settings.
    pub(super) fn explain(&mut self, key: &'static str, value: String, origin: Origin) {
        let section = self.section.clone();
        self.report.resolved.push(Resolved { section, key, value: Some(value), origin, is_setting: false });
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, at: Origin, what: String, why: impl Into<String>, mend: impl Into<String>) {
        self.report.faults.push(Fault { at, what, why: why.into(), mend: mend.into() });
    }

    /// The section is read: whatever is left is unknown.
    pub(super) fn finish(mut self) {
        for (key, item) in std::mem::take(&mut self.items) {
            let what = format!("unknown setting `{}.{key}`", self.section);
            let mend = match nearest(&key, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{}`?", spelt(&item.origin, &key, near)),
                None => format!("take it out, or write one of {}", self.known.join(", ")),
            };
            self.fault(item.origin, what, format!("[{}] has no such key", self.section), mend);
        }
    }

    fn take<T: Kind>(&mut self, key: &'static str, rule: impl Fn(&T) -> Checked) -> Option<(T, Origin)> {
        self.known.push(key);
        let item = self.items.remove(key)?;
        let refused = match T::read(&item) {
            Ok(value) => match rule(&value) {
                Ok(()) => return Some((value, item.origin)),
                Err(refused) => refused,
            },
            Err(why) => Refused::new(why, T::WRITE),
        };
        let mut what = format!("{}.{key}", self.section);
        if !T::SECRET && !item.text().is_some_and(may_hold_secret) {
            what = format!("{what} = {}", item.value.show());
        }
        self.fault(item.origin, what, refused.why, refused.mend);
        None
    }

    fn show(&mut self, key: &'static str, value: Option<String>, origin: Origin) {
        let section = self.section.clone();
        self.report.resolved.push(Resolved { section, key, value, origin, is_setting: true });
    }
}

/// Whether a text may be a URL with a password or a key in its query. Such a one is refused, and not quoted.
fn may_hold_secret(text: &str) -> bool {
    text.contains(['@', '?'])
}

/// A key as the origin spells it: `LIMPID_SERVER__LISTEN` for `LIMPID_SERVER__LISTN`.
fn spelt(origin: &Origin, written: &str, near: &str) -> String {
    match origin {
        Origin::Env(name) => match name.len().checked_sub(written.len()).and_then(|n| name.get(..n)) {
            Some(prefix) => format!("{prefix}{}", near.to_ascii_uppercase()),
            None => near.to_owned(),
        },
        _ => near.to_owned(),
    }
}

/// Takes a table out of an item; anything else is a fault.
pub(super) fn table_of(item: Item, name: &str, mend: &str, report: &mut Report) -> Option<(Table, Origin)> {
    if let Value::Table(table) = item.value {
        return Some((table, item.origin));
    }
    let what = format!("`{name}`");
    let why = format!("{} is not a section", item.value.name());
    report.faults.push(Fault { at: item.origin, what, why, mend: mend.to_owned() });
    None
}

/// Refuses a number outside a range.
fn within(n: usize, range: &RangeInclusive<usize>) -> Checked {
    if range.contains(&n) {
        return Ok(());
    }
    let (low, high) = (range.start(), range.end());
    let why = if n < *low { format!("the least is {low}") } else { format!("the most is {high}") };
    Err(Refused::new(why, format!("write a number from {low} to {high}")))
}

/// Refuses a duration of nothing.
pub(super) fn positive(d: &std::time::Duration) -> Checked {
    if d.is_zero() {
        return Err(Refused::new("no time at all would fail everything", "write a duration such as \"10s\""));
    }
    Ok(())
}
