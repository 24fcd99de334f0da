//! Counts and percentiles of a window, per group.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::cell::{Key, OTHER};
use crate::dimension::{Dimension, Filters};
use crate::quantiles::{Percentiles, Quantiler};
use crate::slot::Slot;
use crate::stats::{Counts, Latencies, Tally};
use crate::window::{Grid, Window, WindowSpan};

/// What a summary is asked for.
#[derive(Debug, Clone, Default)]
pub struct SummaryQuery {
    /// How far back; cut to the longest window.
    pub window: Duration,
    /// One group for each combination of these; none for the total alone.
    pub group_by: Vec<Dimension>,
    /// Which exchanges.
    pub filters: Filters,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The window.
    pub window: WindowSpan,
    /// As asked.
    pub group_by: Vec<Dimension>,
    /// As asked.
    pub filters: Filters,
    /// All exchanges that pass the filters.
    pub total: Counts,
    /// The same by group, largest first.
    pub groups: Vec<Group>,
    /// Groups merged into one named `other`, the last, because there were more than the bound.
    pub merged_groups: usize,
    /// Exchanges of the window, filters aside, whose dimensions all read `other` but for the outcome, because a bound
    /// was met when they were counted.
    pub overflow_records: u64,
}

/// The exchanges that agree in the dimensions grouped by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Their values; `null` where the exchanges do not know it.
    pub by: BTreeMap<Dimension, Option<String>>,
    /// What they add up to.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The place of a sample: slot, index.
type Pick = (u32, u32);

#[derive(Default)]
struct Gathered {
    names: Vec<Option<Arc<str>>>,
    tally: Tally,
    picks: Vec<Pick>,
}

pub(crate) fn summarize(
    grid: &Grid,
    window: &Window,
    slots: &[(u64, Arc<Slot>)],
    query: &SummaryQuery,
    max_groups: usize,
) -> Summary {
    let mut groups = gather(slots, query);
    groups.sort_by(|a, b| b.tally.count.cmp(&a.tally.count).then_with(|| a.names.cmp(&b.names)));
    let merged_groups = merge_smallest(&mut groups, query.group_by.len(), max_groups);
    let mut quantiler = Quantiler::new();
    let seconds = window.seconds();
    let mut total = Tally::default();
    for group in &groups {
        total.merge(&group.tally);
    }
    let all = groups.iter().flat_map(|g| &g.picks);
    let total = total.counts(seconds, latencies(quantiler.as_mut(), &total, slots, all));
    let told = groups.iter().map(|g| Group {
        by: query.group_by.iter().copied().zip(g.names.iter().map(|n| n.as_deref().map(str::to_owned))).collect(),
        counts: g.tally.counts(seconds, latencies(quantiler.as_mut(), &g.tally, slots, g.picks.iter())),
    });
    Summary {
        window: grid.span(window),
        group_by: query.group_by.clone(),
        filters: query.filters.clone(),
        total,
        groups: if query.group_by.is_empty() { Vec::new() } else { told.collect() },
        merged_groups,
        overflow_records: slots.iter().map(|(_, slot)| slot.overflow).sum(),
    }
}

/// Sorts cells and samples into groups.
fn gather(slots: &[(u64, Arc<Slot>)], query: &SummaryQuery) -> Vec<Gathered> {
    let mut groups: Vec<Gathered> = Vec::new();
    let mut by_names: HashMap<Vec<Option<Arc<str>>>, usize> = HashMap::new();
    // A key is shared by the cells of all slots: its address spares comparing eight names.
    let mut by_address: HashMap<usize, Option<usize>> = HashMap::new();
    let mut group_of = |key: &Arc<Key>, groups: &mut Vec<Gathered>| {
        *by_address.entry(Arc::as_ptr(key).addr()).or_insert_with(|| {
            if !query.filters.pass(|dimension| key.name(dimension)) {
                return None;
            }
            let names: Vec<_> = query.group_by.iter().map(|d| key.names[*d as usize].clone()).collect();
            Some(*by_names.entry(names).or_insert_with_key(|names| {
                groups.push(Gathered { names: names.clone(), ..Gathered::default() });
                groups.len() - 1
            }))
        })
    };
    for (slot_index, (_, slot)) in (0..).zip(slots) {
        let cell_groups: Vec<_> = slot.cells.iter().map(|cell| group_of(&cell.key, &mut groups)).collect();
        for (cell, group) in slot.cells.iter().zip(&cell_groups) {
            if let Some(group) = group {
                groups[*group].tally.add(cell);
            }
        }
        for (sample_index, sample) in (0..).zip(&slot.samples) {
            if let Some(Some(group)) = cell_groups.get(usize::from(sample.cell)) {
                groups[*group].picks.push((slot_index, sample_index));
            }
        }
    }
    groups
}

/// Leaves at most `max` groups, the last of them all the rest; returns how many went into it, 0 if none had to.
fn merge_smallest(groups: &mut Vec<Gathered>, dimensions: usize, max: usize) -> usize {
    if groups.len() <= max {
        return 0;
    }
    let rest = groups.split_off(max.saturating_sub(1));
    let mut merged = Gathered { names: vec![Some(OTHER.into()); dimensions], ..Gathered::default() };
    for group in &rest {
        merged.tally.merge(&group.tally);
        merged.picks.extend_from_slice(&group.picks);
    }
    groups.push(merged);
    rest.len()
}

fn latencies<'a>(
    quantiler: Option<&mut Quantiler>,
    tally: &Tally,
    slots: &[(u64, Arc<Slot>)],
    picks: impl Iterator<Item = &'a Pick>,
) -> Latencies {
    let weights: Vec<u32> = slots.iter().map(|(_, slot)| slot.weight()).collect();
    let samples = picks.filter_map(|(slot, sample)| {
        let sample = slots.get(*slot as usize)?.1.samples.get(*sample as usize)?;
        Some((*weights.get(*slot as usize)?, &sample.codes))
    });
    Latencies(match quantiler {
        Some(quantiler) => quantiler.all(&tally.measured, samples),
        None => tally.measured.map(|count| Percentiles { count, ..Percentiles::default() }),
    })
}
