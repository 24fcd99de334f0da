//! One number over time.
//!
//! Steps lie on a fixed grid (multiples of the step since limpid's clock began), so that a bar keeps its exchanges from
//! one poll to the next. The first and the last step are therefore shorter than the others, unless the window happens to
//! fit; each point says how long it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::dimension::Filters;
use crate::latency::Latency;
use crate::quantiles::{Percentiles, Quantiler};
use crate::slot::Slot;
use crate::stats::{OutcomeCounts, PriceSum, RefusalCounts, Tally, TokenFlows};
use crate::window::{Grid, Window, WindowSpan, per_second};

/// What a series can be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Exchanges by outcome.
    Requests,
    /// Token flow.
    Tokens,
    /// Price.
    Price,
    /// Refusals by verdict.
    Refusals,
    /// Percentiles of one latency.
    Latency(Latency),
}

impl Metric {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Metric> {
        [Metric::Requests, Metric::Tokens, Metric::Price, Metric::Refusals]
            .into_iter()
            .chain(Latency::ALL.into_iter().map(Metric::Latency))
    }

    /// The name in queries and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::Requests => "requests",
            Metric::Tokens => "tokens",
            Metric::Price => "price",
            Metric::Refusals => "refusals",
            Metric::Latency(latency) => latency.name(),
        }
    }

    /// The unit of its values.
    pub const fn unit(self) -> &'static str {
        match self {
            Metric::Requests | Metric::Refusals => "exchanges",
            Metric::Tokens => "tokens",
            Metric::Price => "USD",
            Metric::Latency(latency) => latency.unit(),
        }
    }

    /// The metric of that name.
    pub fn from_name(name: &str) -> Option<Metric> {
        Metric::all().find(|m| m.name() == name)
    }
}

/// What a series is asked for.
#[derive(Debug, Clone)]
pub struct SeriesQuery {
    /// Of what.
    pub metric: Metric,
    /// How far back; cut to the longest window.
    pub window: Duration,
    /// The length of a step; rounded up to whole slots.
    pub step: Duration,
    /// Which exchanges.
    pub filters: Filters,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// Of what.
    pub metric: &'static str,
    /// The unit of its values.
    pub unit: &'static str,
    /// The window.
    pub window: WindowSpan,
    /// The step, seconds.
    pub step_s: f64,
    /// As asked.
    pub filters: Filters,
    /// Oldest first, without gaps: a step without exchanges has a count of 0.
    pub points: Vec<Point>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Its begin, RFC 3339.
    pub from: String,
    /// Its length so far, seconds.
    pub seconds: f64,
    /// What was asked for.
    #[serde(flatten)]
    pub value: Value,
}

/// The values of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Exchanges.
    Requests {
        /// How many ended.
        count: u64,
        /// The same per second.
        #[serde(skip_serializing_if = "Option::is_none")]
        per_s: Option<f64>,
        /// By category.
        outcomes: OutcomeCounts,
    },
    /// Tokens.
    Tokens(TokenFlows),
    /// Price.
    Price(PriceSum),
    /// Refusals.
    Refusals(RefusalCounts),
    /// A latency.
    Latency(Percentiles),
}

pub(crate) fn series(grid: &Grid, window: &Window, slots: &[(u64, Arc<Slot>)], query: &SeriesQuery) -> Series {
    let per_step = u64::try_from(query.step.as_nanos().div_ceil(grid.slot.as_nanos().max(1))).unwrap_or(u64::MAX);
    let per_step = per_step.clamp(1, grid.slots.max(1));
    let (first, last) = (*window.slots.start(), *window.slots.end());
    let mut quantiler = Quantiler::new();
    let mut passes = HashMap::new();
    let points = (first / per_step..=last / per_step).map(|step| {
        let begin = (step * per_step).max(first);
        let end = (step + 1) * per_step;
        let from = grid.begin(begin).max(window.from);
        let seconds = grid.begin(end).min(window.to).since(from).as_secs_f64();
        let begin = slots.partition_point(|(number, _)| *number < begin);
        let end = slots.partition_point(|(number, _)| *number < end);
        let value = value(&slots[begin..end], seconds, query, &mut passes, quantiler.as_mut());
        Point { from: grid.wall(from), seconds, value }
    });
    Series {
        metric: query.metric.name(),
        unit: query.metric.unit(),
        window: grid.span(window),
        step_s: (grid.slot_ns().saturating_mul(per_step)) as f64 / 1e9,
        filters: query.filters.clone(),
        points: points.collect(),
    }
}

fn value(
    slots: &[(u64, Arc<Slot>)],
    seconds: f64,
    query: &SeriesQuery,
    passes: &mut HashMap<usize, bool>,
    quantiler: Option<&mut Quantiler>,
) -> Value {
    let mut tally = Tally::default();
    let mut picked = Vec::new();
    for (_, slot) in slots {
        let mut pass = |key: &Arc<crate::cell::Key>| {
            *passes.entry(Arc::as_ptr(key).addr()).or_insert_with(|| query.filters.pass(|d| key.name(d)))
        };
        let cells: Vec<bool> = slot.cells.iter().map(|cell| pass(&cell.key)).collect();
        slot.cells.iter().zip(&cells).filter(|(_, pass)| **pass).for_each(|(cell, _)| tally.add(cell));
        picked.push((slot, cells));
    }
    match query.metric {
        Metric::Requests => {
            Value::Requests { count: tally.count, per_s: per_second(tally.count, seconds), outcomes: tally.outcomes() }
        }
        Metric::Tokens => Value::Tokens(tally.tokens(seconds)),
        Metric::Price => Value::Price(tally.price()),
        Metric::Refusals => Value::Refusals(tally.refusals()),
        Metric::Latency(latency) => {
            let count = tally.measured[latency as usize];
            let samples = picked.iter().flat_map(|(slot, cells)| {
                let weight = slot.weight();
                slot.samples
                    .iter()
                    .filter(|sample| cells.get(usize::from(sample.cell)).is_some_and(|pass| *pass))
                    .map(move |sample| (weight, sample.codes[latency as usize]))
            });
            Value::Latency(match quantiler {
                Some(quantiler) if count > 0 => quantiler.one(latency, count, samples),
                _ => Percentiles { count, ..Percentiles::default() },
            })
        }
    }
}
