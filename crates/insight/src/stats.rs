//! Sums over cells, and how they are told.

use std::collections::HashMap;
use std::sync::Arc;

use limpid_core::{Category, PicoUsd, Source, Verdict};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::cell::{Cell, OTHER, TOKEN_KINDS};
use crate::latency::Latency;
use crate::quantiles::{Percentiles, Quantiles};
use crate::window::per_second;

/// Reasons told apart in one answer; later ones are counted as `other` of their category.
const MAX_REASONS: usize = 64;

/// Sums over any number of cells.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    categories: [u64; Category::ALL.len()],
    reasons: HashMap<(Category, Arc<str>), u64>,
    verdicts: [u64; Verdict::ALL.len()],
    sources: [u64; Source::ALL.len()],
    tokens: [(u64, u64); TOKEN_KINDS],
    priced: u64,
    unpriced: u64,
    price: PicoUsd,
    pub(crate) measured: [u64; Latency::COUNT],
}

impl Tally {
    pub(crate) fn add(&mut self, cell: &Cell) {
        let count = u64::from(cell.count);
        self.count += count;
        self.categories[cell.key.category as usize] += count;
        self.add_reason(cell.key.category, &cell.key.reason, count);
        add_each(&mut self.verdicts, &cell.verdicts);
        add_each(&mut self.sources, &cell.sources);
        add_each(&mut self.measured, &cell.measured);
        for (sum, part) in self.tokens.iter_mut().zip(&cell.tokens) {
            *sum = (sum.0.saturating_add(part.tokens), sum.1 + u64::from(part.exchanges));
        }
        self.priced += u64::from(cell.priced);
        self.unpriced += u64::from(cell.unpriced);
        self.price = self.price.plus(cell.price);
    }

    /// Adds the sums of another.
    pub(crate) fn merge(&mut self, other: &Tally) {
        self.count += other.count;
        for ((category, reason), count) in &other.reasons {
            self.add_reason(*category, reason, *count);
        }
        let pairs = [
            (&mut self.categories[..], &other.categories[..]),
            (&mut self.verdicts[..], &other.verdicts[..]),
            (&mut self.sources[..], &other.sources[..]),
            (&mut self.measured[..], &other.measured[..]),
        ];
        for (sums, parts) in pairs {
            sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
        for (sum, part) in self.tokens.iter_mut().zip(&other.tokens) {
            *sum = (sum.0.saturating_add(part.0), sum.1 + part.1);
        }
        self.priced += other.priced;
        self.unpriced += other.unpriced;
        self.price = self.price.plus(other.price);
    }

    fn add_reason(&mut self, category: Category, reason: &Arc<str>, count: u64) {
        let key = (category, Arc::clone(reason));
        if self.reasons.len() < MAX_REASONS || self.reasons.contains_key(&key) {
            *self.reasons.entry(key).or_default() += count;
        } else {
            *self.reasons.entry((category, OTHER.into())).or_default() += count;
        }
    }

    pub(crate) fn outcomes(&self) -> OutcomeCounts {
        OutcomeCounts(self.categories)
    }

    pub(crate) fn refusals(&self) -> RefusalCounts {
        let [none, suspected, certain] = self.verdicts;
        RefusalCounts { none, suspected, certain }
    }

    pub(crate) fn price(&self) -> PriceSum {
        PriceSum { usd: (self.priced > 0).then_some(self.price), priced: self.priced, unpriced: self.unpriced }
    }

    pub(crate) fn tokens(&self, seconds: f64) -> TokenFlows {
        let [input, output, cached_input, reasoning_output] = self.tokens.map(|(sum, exchanges)| TokenFlow {
            exchanges,
            sum: (exchanges > 0).then_some(sum),
            per_s: if exchanges > 0 { per_second(sum, seconds) } else { None },
        });
        TokenFlows { input, output, cached_input, reasoning_output }
    }

    fn reasons(&self) -> Vec<ReasonCount> {
        let mut reasons: Vec<_> = self
            .reasons
            .iter()
            .map(|((category, reason), count)| ReasonCount {
                category: *category,
                reason: reason.to_string(),
                count: *count,
            })
            .collect();
        reasons.sort_by(|a, b| {
            b.count.cmp(&a.count).then(a.category.cmp(&b.category)).then_with(|| a.reason.cmp(&b.reason))
        });
        reasons
    }

    pub(crate) fn counts(&self, seconds: f64, latency: Latencies) -> Counts {
        let [reported, exact, estimated] = self.sources;
        Counts {
            count: self.count,
            per_s: per_second(self.count, seconds),
            outcomes: self.outcomes(),
            reasons: self.reasons(),
            refusals: self.refusals(),
            usage: UsageSources {
                reported,
                exact,
                estimated,
                absent: self.count.saturating_sub(reported + exact + estimated),
            },
            tokens: self.tokens(seconds),
            price: self.price(),
            latency,
        }
    }
}

fn add_each(sums: &mut [u64], parts: &[u32]) {
    sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += u64::from(*part));
}

/// What is told of a set of exchanges.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Counts {
    /// How many ended in the window.
    pub count: u64,
    /// The same per second of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_s: Option<f64>,
    /// By category; each exchange is in one.
    pub outcomes: OutcomeCounts,
    /// By category and reason, most frequent first; good ones have their finish reason.
    pub reasons: Vec<ReasonCount>,
    /// By refusal verdict.
    pub refusals: RefusalCounts,
    /// By where the token counts came from.
    pub usage: UsageSources,
    /// Token flow.
    pub tokens: TokenFlows,
    /// Price.
    pub price: PriceSum,
    /// Percentiles.
    pub latency: Latencies,
}

/// Counts by [`Category`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutcomeCounts(pub(crate) [u64; Category::ALL.len()]);

impl OutcomeCounts {
    /// Exchanges of that category.
    pub fn of(&self, category: Category) -> u64 {
        self.0[category as usize]
    }

    /// Exchanges that failed: all but `ok` and `cancelled` (there the client left, which says nothing of the service).
    pub fn failed(&self) -> u64 {
        self.0.iter().sum::<u64>() - self.of(Category::Ok) - self.of(Category::Cancelled)
    }
}

impl Serialize for OutcomeCounts {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(Category::ALL.iter().zip(self.0))
    }
}

/// How many exchanges ended for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonCount {
    /// The category.
    pub category: Category,
    /// The reason.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// Counts by [`Verdict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RefusalCounts {
    /// No sign of one.
    pub none: u64,
    /// The text reads like one.
    pub suspected: u64,
    /// The reply's structure says so.
    pub certain: u64,
}

/// Counts by [`Source`] of the usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UsageSources {
    /// The backend told it.
    pub reported: u64,
    /// Counted without doubt.
    pub exact: u64,
    /// limpid's estimate.
    pub estimated: u64,
    /// No token counts: these exchanges are in no sum.
    pub absent: u64,
}

/// The sum of one kind of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TokenFlow {
    /// Over how many exchanges.
    pub exchanges: u64,
    /// The sum; absent where no exchange knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum: Option<u64>,
    /// The sum per second of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_s: Option<f64>,
}

/// Sums of tokens. `cached_input` is a part of `input`, `reasoning_output` of `output`. A token counts in the moment its
/// exchange ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TokenFlows {
    /// All input tokens.
    pub input: TokenFlow,
    /// All output tokens.
    pub output: TokenFlow,
    /// Input read from a prompt cache.
    pub cached_input: TokenFlow,
    /// Output spent on reasoning.
    pub reasoning_output: TokenFlow,
}

/// The sum of prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PriceSum {
    /// Dollars, exact; absent where no exchange has a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd: Option<PicoUsd>,
    /// Over how many exchanges.
    pub priced: u64,
    /// How many exchanges have token counts and no price: the sum lacks theirs.
    pub unpriced: u64,
}

/// Percentiles by [`Latency`].
#[derive(Debug, Clone, PartialEq)]
pub struct Latencies(pub(crate) [Percentiles; Latency::COUNT]);

impl Latencies {
    /// Those of one latency.
    pub fn of(&self, latency: Latency) -> &Percentiles {
        &self.0[latency as usize]
    }

    /// Its quantiles; absent where no exchange has the number.
    pub fn quantiles(&self, latency: Latency) -> Option<Quantiles> {
        self.of(latency).quantiles
    }
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(Latency::COUNT))?;
        for latency in Latency::ALL {
            map.serialize_entry(latency.member(), self.of(latency))?;
        }
        map.end()
    }
}
