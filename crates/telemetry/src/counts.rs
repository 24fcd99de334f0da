//! What telemetry lost: counted where it happens, shown on every surface, logged at a bounded rate.
//!
//! The OpenTelemetry SDK says little of this: its span queue warns once when it is full, and its shutdown reports
//! success after losing a batch. Hence own counts. A span is either queued or counted as `queue_full`; a queued one is
//! exported, counted as `export`, or counted as `shutdown`. What a collector accepts and then rejects in part is not
//! seen: the exporter does not hand that answer out.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts of exports; all of them only grow.
#[derive(Debug, Default)]
pub struct ExportCounts {
    pub(crate) spans_exported: AtomicU64,
    pub(crate) spans_queue_full: AtomicU64,
    pub(crate) spans_failed: AtomicU64,
    pub(crate) spans_shutdown: AtomicU64,
    pub(crate) metrics_exported: AtomicU64,
    pub(crate) metrics_failed: AtomicU64,
    pub(crate) log_lines_failed: AtomicU64,
}

impl ExportCounts {
    /// Spans that a collector took.
    pub fn spans_exported(&self) -> u64 {
        self.spans_exported.load(Ordering::Relaxed)
    }

    /// Spans that were lost: the queue was full, the export failed after its retries, or time ran out at shutdown.
    pub fn spans_lost(&self) -> u64 {
        [&self.spans_queue_full, &self.spans_failed, &self.spans_shutdown]
            .iter()
            .map(|n| n.load(Ordering::Relaxed))
            .sum()
    }

    /// Exports of all metrics that a collector took.
    pub fn metrics_exported(&self) -> u64 {
        self.metrics_exported.load(Ordering::Relaxed)
    }

    /// Exports of all metrics that failed. With cumulative temporality, the default, the next one makes up for it.
    pub fn metrics_failed(&self) -> u64 {
        self.metrics_failed.load(Ordering::Relaxed)
    }

    /// Lines that could not be written to the exchange log.
    pub fn log_lines_failed(&self) -> u64 {
        self.log_lines_failed.load(Ordering::Relaxed)
    }

    /// What failed, why, and how often: the labels and values of `limpid.export.failed`.
    pub fn failed(&self) -> [(&'static str, &'static str, u64); 5] {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        [
            ("spans", "queue_full", get(&self.spans_queue_full)),
            ("spans", "export", get(&self.spans_failed)),
            ("spans", "shutdown", get(&self.spans_shutdown)),
            ("metrics", "export", get(&self.metrics_failed)),
            ("log_lines", "write", get(&self.log_lines_failed)),
        ]
    }
}

pub(crate) fn add(count: &AtomicU64, n: usize) {
    count.fetch_add(n as u64, Ordering::Relaxed);
}

/// Lets one of many equal complaints through per interval, and says how many there were since.
#[derive(Debug)]
pub(crate) struct Throttle {
    every: Duration,
    state: Mutex<(Option<Instant>, u64)>,
}

impl Throttle {
    pub(crate) const fn new(every: Duration) -> Throttle {
        Throttle { every, state: Mutex::new((None, 0)) }
    }

    /// Notes `n` complaints at `now`. `Some` with the count since the last `Some` if it is time to speak.
    pub(crate) fn note(&self, n: usize, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = state.1.saturating_add(n as u64);
        if state.0.is_some_and(|last| now.saturating_duration_since(last) < self.every) {
            return None;
        }
        state.0 = Some(now);
        Some(std::mem::take(&mut state.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_speaks_once_an_interval_and_loses_no_count() {
        let t = Throttle::new(Duration::from_secs(10));
        let start = Instant::now();
        assert_eq!(t.note(1, start), Some(1));
        assert_eq!(t.note(2, start + Duration::from_secs(9)), None);
        assert_eq!(t.note(3, start + Duration::from_secs(10)), Some(5));
    }
}
