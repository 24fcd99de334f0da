//! All slots, and the names in them.
//!
//! A slot is shared with the queries that read it and copied when written meanwhile, so that a query holds the lock only
//! while it collects the slots. Names and keys are kept once; each new slot drops what no slot uses any more.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use limpid_core::{BuildFingerprint, Category, ExchangeRecord, Fingerprint};

use crate::cell::{Cell, Key, OTHER};
use crate::config::InsightConfig;
use crate::dimension::Dimension;
use crate::slot::Slot;

/// A longer name is cut to this: what core keeps of a model's name.
pub(crate) const NAME_BYTES: usize = 256;

/// Names in one key that traffic can choose: model, key, project, reason.
pub(crate) const NAMES_PER_KEY: usize = 4;

/// See the module.
pub(crate) struct Store {
    slots: BTreeMap<u64, Arc<Slot>>,
    keys: HashSet<Arc<Key>>,
    names: HashSet<Arc<str>>,
    open: Open,
    other: Arc<str>,
    config: InsightConfig,
}

/// The slot last written to.
#[derive(Default)]
struct Open {
    number: u64,
    /// Its cells.
    cells: HashMap<Arc<Key>, u16>,
    /// The cell of the last record with that fingerprint, if it is likely to be the next one's too. At most one a cell.
    likely: HashMap<u64, u16, BuildFingerprint>,
}

impl Store {
    pub(crate) fn new(config: InsightConfig) -> Store {
        Store {
            slots: BTreeMap::new(),
            keys: HashSet::new(),
            names: HashSet::new(),
            open: Open::default(),
            other: OTHER.into(),
            config,
        }
    }

    /// Counts a record in the slot of that number.
    pub(crate) fn add(&mut self, number: u64, record: &ExchangeRecord) {
        if self.open.number != number {
            self.turn_to(number);
        }
        let print = fingerprint(record);
        let slot = Arc::make_mut(self.slots.entry(number).or_default());
        let likely = self.open.likely.get(&print).copied();
        if let Some(cell) =
            likely.filter(|cell| slot.cells.get(usize::from(*cell)).is_some_and(|c| c.key.is_of(record)))
        {
            return slot.add(cell, record, self.config.slot_samples, &self.other);
        }
        let cell = self.cell_of(number, print, record);
        if let (Some(cell), Some(slot)) = (cell, self.slots.get_mut(&number)) {
            Arc::make_mut(slot).add(cell, record, self.config.slot_samples, &self.other);
        }
    }

    /// The cell of a record's key, which is made if it is new; the `other` cell of its category beyond the bounds.
    fn cell_of(&mut self, number: u64, print: u64, record: &ExchangeRecord) -> Option<u16> {
        let key = self.key_of(record);
        let slot = Arc::make_mut(self.slots.entry(number).or_default());
        let Open { cells, likely, .. } = &mut self.open;
        let mut cell = key.as_ref().and_then(|key| cells.get(key).copied());
        if cell.is_none() {
            // Beyond the bound only the `other` cells are made, one a category.
            let key = match key {
                Some(key) if slot.cells.len() < self.config.slot_cells => key,
                _ => Arc::new(overflow_key(&self.other, record.outcome.category)),
            };
            cell = cells.get(&key).copied().or_else(|| {
                let index = u16::try_from(slot.cells.len()).ok()?;
                slot.cells.push(Cell::new(Arc::clone(&key)));
                cells.insert(key, index);
                Some(index)
            });
        }
        if let Some(cell) = cell.filter(|cell| slot.cells[usize::from(*cell)].key.is_of(record)) {
            likely.insert(print, cell);
        }
        cell
    }

    /// The slots of that range that hold anything, oldest first.
    pub(crate) fn range(&self, range: RangeInclusive<u64>) -> Vec<(u64, Arc<Slot>)> {
        self.slots.range(range).map(|(n, slot)| (*n, Arc::clone(slot))).collect()
    }

    fn turn_to(&mut self, number: u64) {
        let newest = self.slots.last_key_value().map_or(0, |(n, _)| *n);
        self.open = Open { number, ..Open::default() };
        if number > newest {
            let oldest = number.saturating_sub(self.config.slots as u64);
            self.slots = self.slots.split_off(&oldest);
            self.keys.retain(|key| Arc::strong_count(key) > 1);
            self.names.retain(|name| Arc::strong_count(name) > 1);
        } else if let Some(slot) = self.slots.get(&number) {
            let cells = slot.cells.iter().map(|cell| Arc::clone(&cell.key)).zip(0..);
            self.open.cells.extend(cells);
        }
    }

    /// The record's key; none where the bound on keys or names is met.
    fn key_of(&mut self, record: &ExchangeRecord) -> Option<Arc<Key>> {
        let mut names: [Option<Arc<str>>; Dimension::COUNT] = [const { None }; Dimension::COUNT];
        for (dimension, name) in Dimension::ALL.into_iter().zip(&mut names) {
            if let Some(value) = dimension.of(record) {
                *name = Some(self.intern(value)?);
            }
        }
        let key = Key { names, category: record.outcome.category, reason: self.intern(&record.outcome.reason)? };
        if let Some(known) = self.keys.get(&key) {
            return Some(Arc::clone(known));
        }
        if self.keys.len() >= self.config.max_keys {
            return None;
        }
        let key = Arc::new(key);
        self.keys.insert(Arc::clone(&key));
        Some(key)
    }

    fn intern(&mut self, name: &str) -> Option<Arc<str>> {
        let mut end = name.len().min(NAME_BYTES);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let name = &name[..end];
        if let Some(known) = self.names.get(name) {
            return Some(Arc::clone(known));
        }
        if self.names.len() >= self.config.max_keys * NAMES_PER_KEY {
            return None;
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        Some(name)
    }

    /// Bytes taken, by the sizes of what is allocated.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> usize {
        let slot = |s: &Arc<Slot>| {
            s.samples.capacity() * size_of::<crate::slot::Sample>() + s.cells.capacity() * size_of::<Cell>() + 128
        };
        let names: usize = self.names.iter().map(|n| n.len() + 64).sum();
        self.slots.values().map(slot).sum::<usize>() + self.keys.len() * (size_of::<Key>() + 64) + names
    }
}

/// Alike for records of the same key.
fn fingerprint(record: &ExchangeRecord) -> u64 {
    let (endpoint, category) = (record.endpoint as u64, record.outcome.category as u64);
    let band = record.input_tokens_band().map_or(u64::from(u8::MAX), |band| band as u64);
    Fingerprint::default()
        .number(endpoint << 16 | category << 8 | band)
        .text(record.model.name())
        .text(record.caller.key.as_deref())
        .text(record.caller.project.as_deref())
        .text(record.upstream.as_deref().map(|u| &*u.name))
        .text(Some(&record.outcome.reason))
        .get()
}

fn overflow_key(other: &Arc<str>, category: Category) -> Key {
    let mut names = [const { None }; Dimension::COUNT].map(|_: Option<Arc<str>>| Some(Arc::clone(other)));
    names[Dimension::Outcome as usize] = Some(category.as_str().into());
    Key { names, category, reason: Arc::clone(other) }
}
