//! The counters of one combination of dimensions in one slot.

use std::sync::Arc;

use limpid_core::{Category, ExchangeRecord, PicoUsd, Source, Usage, Verdict};

use crate::code::Code;
use crate::dimension::Dimension;
use crate::latency::Latency;

/// The name that stands for all names beyond a bound.
pub(crate) const OTHER: &str = "other";

/// What the exchanges of a cell have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// By [`Dimension`], in its order.
    pub(crate) names: [Option<Arc<str>>; Dimension::COUNT],
    pub(crate) category: Category,
    pub(crate) reason: Arc<str>,
}

impl Key {
    /// Whether the record has this very key. One with a name that is too long to be kept whole has none.
    pub(crate) fn is_of(&self, record: &ExchangeRecord) -> bool {
        self.category == record.outcome.category
            && *self.reason == *record.outcome.reason
            && Dimension::ALL.into_iter().all(|dimension| self.name(dimension) == dimension.of(record))
    }

    pub(crate) fn name(&self, dimension: Dimension) -> Option<&str> {
        self.names[dimension as usize].as_deref()
    }
}

/// A sum of tokens and over how many exchanges it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TokenSum {
    pub(crate) tokens: u64,
    pub(crate) exchanges: u32,
}

impl TokenSum {
    fn add(&mut self, tokens: Option<u64>) {
        if let Some(tokens) = tokens {
            self.tokens = self.tokens.saturating_add(tokens);
            self.exchanges = self.exchanges.saturating_add(1);
        }
    }
}

/// Input, output, cached input and reasoning output tokens, in this order.
pub(crate) const TOKEN_KINDS: usize = 4;

fn token_kinds(usage: &Usage) -> [Option<u64>; TOKEN_KINDS] {
    [usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_output_tokens]
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) key: Arc<Key>,
    pub(crate) count: u32,
    /// By [`Verdict`].
    pub(crate) verdicts: [u32; Verdict::ALL.len()],
    /// By [`Source`]; the rest has no usage.
    pub(crate) sources: [u32; Source::ALL.len()],
    pub(crate) tokens: [TokenSum; TOKEN_KINDS],
    pub(crate) priced: u32,
    pub(crate) unpriced: u32,
    pub(crate) price: PicoUsd,
    /// By [`Latency`]: how many exchanges have it.
    pub(crate) measured: [u32; Latency::COUNT],
}

impl Cell {
    pub(crate) fn new(key: Arc<Key>) -> Cell {
        Cell {
            key,
            count: 0,
            verdicts: [0; Verdict::ALL.len()],
            sources: [0; Source::ALL.len()],
            tokens: [TokenSum::default(); TOKEN_KINDS],
            priced: 0,
            unpriced: 0,
            price: PicoUsd::default(),
            measured: [0; Latency::COUNT],
        }
    }

    /// Counts one exchange; returns its latencies.
    pub(crate) fn add(&mut self, record: &ExchangeRecord) -> [Code; Latency::COUNT] {
        self.count = self.count.saturating_add(1);
        bump(&mut self.verdicts[record.refusal.verdict as usize]);
        if let Some(usage) = &record.usage {
            bump(&mut self.sources[usage.source as usize]);
            for (sum, tokens) in self.tokens.iter_mut().zip(token_kinds(usage)) {
                sum.add(tokens);
            }
        }
        match &record.price {
            Some(price) => {
                bump(&mut self.priced);
                self.price = self.price.plus(price.usd);
            }
            None if record.usage.is_some() => bump(&mut self.unpriced),
            None => {}
        }
        // Not `map`, which is a call for each of an array's elements.
        let mut codes = [Code::ABSENT; Latency::COUNT];
        for ((code, measured), latency) in codes.iter_mut().zip(&mut self.measured).zip(Latency::ALL) {
            if let Some(value) = latency.of(record) {
                bump(measured);
                *code = Code::of(value);
            }
        }
        codes
    }
}

fn bump(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}
