//! What "the last N seconds" means in slots.

use std::ops::RangeInclusive;
use std::time::Duration;

use limpid_core::{Clock, Tick};
use serde::Serialize;

/// A window as it was answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowSpan {
    /// What was asked for, seconds; cut to the longest window.
    pub asked_s: f64,
    /// From `from` to `to`, seconds: what rates divide by.
    pub seconds: f64,
    /// Its begin, RFC 3339: that of a slot, or limpid's start.
    pub from: String,
    /// Its end, RFC 3339: now.
    pub to: String,
}

/// The grid of slots.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    pub(crate) clock: Clock,
    pub(crate) started: Tick,
    pub(crate) slot: Duration,
    pub(crate) slots: u64,
}

/// A window on the grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) asked: Duration,
    pub(crate) slots: RangeInclusive<u64>,
    pub(crate) from: Tick,
    pub(crate) to: Tick,
}

impl Grid {
    pub(crate) fn slot_ns(&self) -> u64 {
        u64::try_from(self.slot.as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// The number of the slot that holds a moment.
    pub(crate) fn number(&self, at: Tick) -> u64 {
        at.0 / self.slot_ns()
    }

    /// When a slot begins, or when limpid started if that is later.
    pub(crate) fn begin(&self, number: u64) -> Tick {
        Tick(number.saturating_mul(self.slot_ns())).max(self.started)
    }

    /// The last `asked` until now.
    pub(crate) fn window(&self, asked: Duration) -> Window {
        let slots = (asked.as_nanos().div_ceil(self.slot.as_nanos().max(1))).clamp(1, u128::from(self.slots.max(1)));
        let to = self.clock.now();
        let now = self.number(to);
        let first = now.saturating_sub(u64::try_from(slots).unwrap_or(u64::MAX)).max(self.number(self.started));
        let asked = asked.min(self.slot.saturating_mul(u32::try_from(self.slots).unwrap_or(u32::MAX)));
        Window { asked, slots: first..=now, from: self.begin(first).min(to), to }
    }

    /// RFC 3339 in UTC with milliseconds.
    pub(crate) fn wall(&self, at: Tick) -> String {
        humantime::format_rfc3339_millis(self.clock.wall(at)).to_string()
    }

    pub(crate) fn span(&self, window: &Window) -> WindowSpan {
        WindowSpan {
            asked_s: window.asked.as_secs_f64(),
            seconds: (window.seconds() * 1e3).round() / 1e3,
            from: self.wall(window.from),
            to: self.wall(window.to),
        }
    }
}

impl Window {
    pub(crate) fn seconds(&self) -> f64 {
        self.to.since(self.from).as_secs_f64()
    }
}

/// `amount` per second, to a millionth; absent where no time has passed.
pub(crate) fn per_second(amount: u64, seconds: f64) -> Option<f64> {
    (seconds > 0.0).then(|| (amount as f64 / seconds * 1e6).round() / 1e6)
}
