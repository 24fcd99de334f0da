//! Label values as small numbers, and the bound on how many there can be.
//!
//! A label set becomes a key of sixteen numbers, which is cheap to look up once a record. Model, key, project, reason and
//! the operator's own labels come from outside, so each has a number of places; whoever comes when they are taken is called `other` and counted.
//! A failed exchange may take only the first half of the places: a client that tries a thousand wrong models or keys
//! must not push the real ones out; the same holds for label sets. Models that the settings name have their places from
//! the start. Places are never given back, for a counter that vanishes and returns misleads.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use limpid_core::{BuildFingerprint, OwnLabel};

use crate::names::{MAX_LABELS, OTHER, Shape};

/// A label value is cut to this many bytes.
pub(crate) const MAX_BYTES: usize = 128;
/// Finish reasons come from the backend, so they are bounded too; there are about sixty real ones.
const MAX_REASONS: usize = 128;

/// An interned value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Symbol(u32);

impl Symbol {
    /// No value: the label is left out.
    pub(crate) const ABSENT: Symbol = Symbol(0);
    /// The value `other`.
    pub(crate) const OTHER: Symbol = Symbol(1);
}

/// A shape and all symbols.
const PACKED: usize = 1 + MAX_LABELS + OwnLabel::MOST;
pub(crate) type Packed = [u32; PACKED];

/// The label values of one series, in the order of its shape's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LabelSet {
    pub(crate) shape: Shape,
    pub(crate) values: [Symbol; MAX_LABELS],
    /// The operator's own, in the order of the settings.
    pub(crate) own: [Symbol; OwnLabel::MOST],
}

impl LabelSet {
    pub(crate) fn new(shape: Shape, base: [Symbol; 4], more: &[Symbol]) -> LabelSet {
        let mut values = [Symbol::ABSENT; MAX_LABELS];
        for (place, value) in values.iter_mut().zip(base.iter().chain(more)) {
            *place = *value;
        }
        LabelSet { shape, values, own: <_>::default() }
    }

    /// The whole of it as plain numbers, which are looked up faster.
    pub(crate) fn packed(&self) -> Packed {
        let mut packed = [0; PACKED];
        packed[0] = self.shape as u32;
        for (at, value) in self.values.iter().enumerate() {
            packed[1 + at] = value.0;
        }
        for (at, value) in self.own.iter().enumerate() {
            packed[1 + MAX_LABELS + at] = value.0;
        }
        packed
    }

    /// The set that takes what has no place of its own: only the labels that say what the number is keep their values.
    /// `own`: how many labels of their own there are.
    pub(crate) fn collapsed(mut self, own: usize) -> LabelSet {
        if self.shape.has_own() {
            self.own.iter_mut().take(own).for_each(|value| *value = Symbol::OTHER);
        }
        for (value, label) in self.values.iter_mut().zip(self.shape.labels()) {
            if !label.is_kept() {
                *value = Symbol::OTHER;
            }
        }
        self
    }
}

/// A kind of label whose values come from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    Model,
    Key,
    Project,
    Reason,
    /// The operator's own, by its place.
    Own(usize),
}

impl Open {
    const NAMES: [&str; 4] = ["model", "key", "project", "reason"];

    const fn index(self) -> usize {
        match self {
            Open::Model => 0,
            Open::Key => 1,
            Open::Project => 2,
            Open::Reason => 3,
            Open::Own(at) => Open::NAMES.len() + at,
        }
    }
}

/// How often a value had no place, by label; readable from any thread.
#[derive(Debug)]
pub(crate) struct Overflow {
    open: Vec<(Arc<str>, AtomicU64)>,
    label_sets: AtomicU64,
}

impl Overflow {
    pub(crate) fn new(caps: &Caps) -> Arc<Overflow> {
        let names = Open::NAMES.map(Arc::from).into_iter().chain(caps.own.iter().map(|(name, _)| Arc::clone(name)));
        Arc::new(Overflow {
            open: names.map(|name| (name, AtomicU64::new(0))).collect(),
            label_sets: AtomicU64::new(0),
        })
    }

    pub(crate) fn count(&self, open: Open) {
        if let Some((_, count)) = self.open.get(open.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn count_label_set(&self) {
        self.label_sets.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts by the name of the label.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        let open = self.open.iter().map(|(name, count)| (&**name, count.load(Ordering::Relaxed)));
        open.chain([("label_sets", self.label_sets.load(Ordering::Relaxed))])
    }
}

/// How many values each label may have; see [`crate::MetricsConfig`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Caps {
    pub(crate) label_sets: usize,
    pub(crate) models: usize,
    pub(crate) keys: usize,
    pub(crate) projects: usize,
    /// The operator's own labels, with a number for each.
    pub(crate) own: Vec<(Arc<str>, usize)>,
    /// Models that have a place before anybody asks for one.
    pub(crate) known_models: Vec<Arc<str>>,
}

/// Symbols by what they stand for. Each such table has a bound.
type Symbols<K> = HashMap<K, Symbol, BuildFingerprint>;

/// All label values met so far.
pub(crate) struct Labels {
    texts: Vec<Arc<str>>,
    fixed: Symbols<Arc<str>>,
    /// By the code, as far as it has three digits.
    statuses: Vec<Symbol>,
    open: Vec<(Symbols<Arc<str>>, usize)>,
    overflow: Arc<Overflow>,
}

impl Labels {
    pub(crate) fn new(caps: &Caps, overflow: Arc<Overflow>) -> Labels {
        let places = [caps.models, caps.keys, caps.projects, MAX_REASONS];
        let places = places.into_iter().chain(caps.own.iter().map(|(_, cap)| *cap));
        let mut labels = Labels {
            texts: vec![Arc::from(""), Arc::from(OTHER)],
            fixed: <_>::default(),
            statuses: vec![Symbol::ABSENT; 1_000],
            open: places.map(|cap| (<_>::default(), cap)).collect(),
            overflow,
        };
        for model in &caps.known_models {
            labels.open(Open::Model, Some(model), true);
        }
        labels
    }

    /// A value from a closed list or from the settings.
    pub(crate) fn fixed(&mut self, value: Option<&str>) -> Symbol {
        let Some(value) = value.filter(|v| !v.is_empty()).map(cut) else { return Symbol::ABSENT };
        match self.fixed.get(value) {
            Some(symbol) => *symbol,
            None => insert(&mut self.texts, &mut self.fixed, value),
        }
    }

    /// A status code.
    pub(crate) fn status(&mut self, status: Option<u16>) -> Symbol {
        let Some(status) = status else { return Symbol::ABSENT };
        match self.statuses.get(usize::from(status)) {
            Some(symbol) if *symbol != Symbol::ABSENT => *symbol,
            _ => {
                let symbol = self.fixed(Some(&status.to_string()));
                if let Some(place) = self.statuses.get_mut(usize::from(status)) {
                    *place = symbol;
                }
                symbol
            }
        }
    }

    /// A value from outside. Unless it is `trusted` it gets a new place only among the first half.
    pub(crate) fn open(&mut self, open: Open, value: Option<&str>, trusted: bool) -> Symbol {
        let Some(value) = value.filter(|v| !v.is_empty()).map(cut) else { return Symbol::ABSENT };
        let Some((places, cap)) = self.open.get_mut(open.index()) else { return Symbol::OTHER };
        if let Some(symbol) = places.get(value) {
            return *symbol;
        }
        if places.len() >= if trusted { *cap } else { cap.div_ceil(2) } {
            self.overflow.count(open);
            return Symbol::OTHER;
        }
        insert(&mut self.texts, places, value)
    }

    /// Whether the symbol is that of this value.
    pub(crate) fn is(&self, symbol: Symbol, value: Option<&str>) -> bool {
        self.texts.get(symbol.0 as usize).is_some_and(|text| **text == *cut(value.unwrap_or_default()))
    }

    pub(crate) fn text(&self, symbol: Symbol) -> Arc<str> {
        self.texts.get(symbol.0 as usize).cloned().unwrap_or_else(|| Arc::from(OTHER))
    }
}

fn insert(texts: &mut Vec<Arc<str>>, places: &mut Symbols<Arc<str>>, value: &str) -> Symbol {
    let Ok(next) = u32::try_from(texts.len()) else { return Symbol::OTHER };
    let text: Arc<str> = Arc::from(value);
    texts.push(Arc::clone(&text));
    places.insert(text, Symbol(next));
    Symbol(next)
}

/// The value, or its first bytes up to the limit, whole characters only.
pub(crate) fn cut(value: &str) -> &str {
    if value.len() <= MAX_BYTES {
        return value;
    }
    let end = (0..=MAX_BYTES).rev().find(|i| value.is_char_boundary(*i)).unwrap_or(0);
    &value[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(models: usize) -> Labels {
        let own = vec![("segment".into(), 3)];
        let caps = Caps { label_sets: 10, models, keys: 2, projects: 2, own, known_models: vec![] };
        Labels::new(&caps, Overflow::new(&caps))
    }

    #[test]
    fn a_full_label_says_other_and_still_knows_the_old_values() {
        let mut l = labels(2);
        let a = l.open(Open::Model, Some("a"), true);
        let b = l.open(Open::Model, Some("b"), true);
        assert_ne!(a, b);
        assert_eq!(l.open(Open::Model, Some("c"), true), Symbol::OTHER);
        assert_eq!(l.open(Open::Model, Some("a"), true), a);
        assert_eq!(&*l.text(a), "a");
        assert_eq!(l.overflow.counts().next(), Some(("model", 1)));
    }

    #[test]
    fn failed_exchanges_fill_half_of_the_places_at_most() {
        let mut l = labels(4);
        for i in 0..100 {
            l.open(Open::Model, Some(&format!("typo-{i}")), false);
        }
        assert_ne!(l.open(Open::Model, Some("real-1"), true), Symbol::OTHER);
        assert_ne!(l.open(Open::Model, Some("real-2"), true), Symbol::OTHER);
        assert_eq!(l.open(Open::Model, Some("real-3"), true), Symbol::OTHER);
    }

    #[test]
    fn an_own_label_has_places_and_a_count_of_its_own() {
        let mut l = labels(2);
        for value in ["a", "b", "c", "d", "e"] {
            l.open(Open::Own(0), Some(value), true);
        }
        assert_eq!(l.open(Open::Own(0), Some("f"), true), Symbol::OTHER);
        assert_eq!(l.open(Open::Own(0), None, true), Symbol::ABSENT);
        assert_ne!(l.open(Open::Own(0), Some("b"), false), Symbol::OTHER);
        assert!(l.overflow.counts().any(|count| count == ("segment", 3)));
    }

    #[test]
    fn models_of_the_settings_have_their_places_whatever_comes() {
        let caps = Caps { models: 3, known_models: vec!["real".into()], ..Caps::default() };
        let mut l = Labels::new(&caps, Overflow::new(&caps));
        for i in 0..100 {
            l.open(Open::Model, Some(&format!("m-{i}")), true);
        }
        assert_ne!(l.open(Open::Model, Some("real"), false), Symbol::OTHER);
        assert_eq!(l.open(Open::Model, Some("m-99"), true), Symbol::OTHER);
    }

    #[test]
    fn absent_and_empty_are_absent_and_long_values_are_cut_between_characters() {
        let mut l = labels(4);
        assert_eq!(l.fixed(None), Symbol::ABSENT);
        assert_eq!(l.open(Open::Key, Some(""), true), Symbol::ABSENT);
        let long = "ä".repeat(100);
        assert_eq!(cut(&long).len(), 128);
        assert_eq!(cut(&format!("x{long}")).len(), 127);
    }

    #[test]
    fn a_collapsed_set_keeps_what_the_number_is() {
        let set = LabelSet::new(Shape::TokenType, [Symbol(7); 4], &[Symbol(9)]).collapsed(1);
        assert_eq!(set.values[..6], [Symbol::OTHER, Symbol::OTHER, Symbol::OTHER, Symbol::OTHER, Symbol(9), Symbol(0)]);
        assert_eq!(set.own, [Symbol::ABSENT; 4], "its metrics have none");
        let set = LabelSet::new(Shape::Request, [Symbol(7); 4], &[]).collapsed(2);
        assert_eq!(set.own, [Symbol::OTHER, Symbol::OTHER, Symbol::ABSENT, Symbol::ABSENT]);
    }
}
