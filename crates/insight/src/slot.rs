//! One slice of time: exact counters, and the latencies of its exchanges or of a uniform sample of them.

use std::sync::Arc;

use limpid_core::ExchangeRecord;

use crate::cell::Cell;
use crate::code::Code;
use crate::latency::Latency;

/// The latencies of one exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Its cell's index in the slot.
    pub(crate) cell: u16,
    /// By [`Latency`].
    pub(crate) codes: [Code; Latency::COUNT],
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot {
    pub(crate) cells: Vec<Cell>,
    pub(crate) samples: Vec<Sample>,
    /// Exchanges counted; more than `samples.len()` once the bound was met.
    pub(crate) seen: u64,
    /// Those counted under `other`.
    pub(crate) overflow: u64,
    random: u64,
}

impl Slot {
    /// Counts an exchange in the cell of that index, which exists, and keeps its latencies: all of them up to
    /// `max_samples`, then by Vitter's algorithm R, with which each exchange of the slot is kept with equal probability.
    /// `other` is the name that stands for all beyond a bound.
    pub(crate) fn add(&mut self, cell: u16, record: &ExchangeRecord, max_samples: usize, other: &Arc<str>) {
        let Some(counters) = self.cells.get_mut(usize::from(cell)) else { return };
        let sample = Sample { cell, codes: counters.add(record) };
        self.overflow += u64::from(Arc::ptr_eq(&counters.key.reason, other));
        self.seen += 1;
        if self.samples.len() < max_samples {
            self.samples.push(sample);
            return;
        }
        let victim = usize::try_from(self.draw() % self.seen).unwrap_or(usize::MAX);
        if let Some(kept) = self.samples.get_mut(victim) {
            *kept = sample;
        }
    }

    /// For how many sixteenths of an exchange one sample stands, so that slots of different density can be added up.
    pub(crate) fn weight(&self) -> u32 {
        let sixteenths = (self.seen * 16).checked_div(self.samples.len() as u64).unwrap_or(16);
        u32::try_from(sixteenths).unwrap_or(u32::MAX)
    }

    /// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). Not seeded: nobody can
    /// gain by guessing which latencies are kept, and a test can repeat it.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
