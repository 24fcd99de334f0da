//! The bounds of what is kept, and the memory they allow.

use std::time::Duration;

use crate::cell::{Cell, Key};
use crate::slot::Sample;
use crate::store::{NAME_BYTES, NAMES_PER_KEY};

/// How much is kept. Every bound is at least 1; smaller values count as 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsightConfig {
    /// Recent exchanges kept whole. Default 1000.
    pub recent: usize,
    /// Groups in one answer; the smallest beyond are merged. Default 200.
    pub max_groups: usize,
    /// The length of a slot: the grain of windows and steps. Default 5 s, at least 1 s.
    pub slot: Duration,
    /// How many slots a window may reach back. Default 720: one hour.
    pub slots: usize,
    /// Latencies kept in one slot; beyond, a uniform sample of that size. Default 2048: 409 exchanges a second.
    pub slot_samples: usize,
    /// Distinct combinations of dimensions and reason in one slot; beyond, `other`. Default 240, at most 65,000.
    pub slot_cells: usize,
    /// Distinct combinations in all slots together; beyond, `other`. Default 4096.
    pub max_keys: usize,
    /// Live events that a subscriber may lag behind before it loses the oldest. Default 256.
    pub live: usize,
}

impl Default for InsightConfig {
    fn default() -> Self {
        InsightConfig {
            recent: 1000,
            max_groups: 200,
            slot: Duration::from_secs(5),
            slots: 720,
            slot_samples: 2048,
            slot_cells: 240,
            max_keys: 4096,
            live: 256,
        }
    }
}

impl InsightConfig {
    /// The settings with every bound in its range.
    #[must_use]
    pub fn clamped(mut self) -> InsightConfig {
        self.slot = self.slot.max(Duration::from_secs(1));
        self.slots = self.slots.max(1);
        self.slot_cells = self.slot_cells.clamp(1, 65_000);
        for bound in
            [&mut self.recent, &mut self.max_groups, &mut self.slot_samples, &mut self.max_keys, &mut self.live]
        {
            *bound = (*bound).max(1);
        }
        self
    }

    /// The longest window that can be asked for.
    pub fn longest_window(&self) -> Duration {
        self.slot.saturating_mul(u32::try_from(self.slots).unwrap_or(u32::MAX))
    }

    /// Bytes that the windows take at most, whatever the traffic; the recent records come on top, and for the time of a
    /// query one slot and 8 bytes a sample looked at. With the defaults 71 MB; 30 combinations at 20 exchanges a second
    /// take about 5 MB.
    pub fn memory_bound(&self) -> usize {
        // A growing Vec doubles, so its room is at most the next power of two. 15 more cells: one `other` a category.
        let samples = self.slot_samples.next_power_of_two() * size_of::<Sample>();
        let cells = (self.slot_cells + 15).next_power_of_two() * size_of::<Cell>();
        let keys = self.max_keys * (size_of::<Key>() + 64 + NAMES_PER_KEY * (NAME_BYTES + 64));
        (self.slots + 2) * (samples + cells + 128) + keys
    }
}
