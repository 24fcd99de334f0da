//! What telemetry sent and lost: counted where it happens, shown on every surface, logged at a bounded rate.
//!
//! The OpenTelemetry SDK says little of this: its span queue warns once when it is full, and its shutdown reports
//! success after losing a batch. Hence own books, one [`Ledger`] a kind of thing. A span, a log record or a line of the
//! exchange log is either queued or counted as `queue_full`; a queued one is sent, or counted as `refused` (the collector
//! answered no), `rejected` (it took the export but not this one), `export` (no answer in time, after all tries), `write` (a
//! line that could not be written) or `shutdown` (time ran out at the end). The log gets at most one line a kind in ten seconds, which tells all that was lost since the last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a line about losses of one kind may be logged.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Why something was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The queue to the thread was full.
    QueueFull,
    /// The collector did not answer, or asked for another try until the time was up.
    Export,
    /// The collector answered that it does not take the export.
    Refused,
    /// The collector took the export, but not all that was in it.
    Rejected,
    /// The time ran out at the end.
    Shutdown,
    /// It could not be written.
    Write,
}

impl Why {
    const COUNT: usize = 6;

    const fn as_str(self) -> &'static str {
        match self {
            Why::QueueFull => "queue_full",
            Why::Export => "export",
            Why::Refused => "refused",
            Why::Rejected => "rejected",
            Why::Shutdown => "shutdown",
            Why::Write => "write",
        }
    }
}

/// The books of one kind of thing that leaves.
#[derive(Debug)]
pub(crate) struct Ledger {
    what: &'static str,
    /// Why it can be lost.
    whys: &'static [Why],
    sent: AtomicU64,
    lost: [AtomicU64; Why::COUNT],
    complaints: Mutex<Complaints>,
}

#[derive(Debug, Default)]
struct Complaints {
    spoken: Option<Instant>,
    unspoken: [u64; Why::COUNT],
    error: Option<String>,
}

impl Ledger {
    fn new(what: &'static str, whys: &'static [Why]) -> Arc<Ledger> {
        Arc::new(Ledger {
            what,
            whys,
            sent: AtomicU64::new(0),
            lost: std::array::from_fn(|_| AtomicU64::new(0)),
            complaints: Mutex::default(),
        })
    }

    pub(crate) fn sent(&self, n: u64) {
        self.sent.fetch_add(n, Ordering::Relaxed);
    }

    /// Counts a loss, and logs a line if it is time for one.
    pub(crate) fn lost(&self, why: Why, n: u64, error: Option<&dyn std::fmt::Display>) {
        if n == 0 {
            return;
        }
        self.lost[why as usize].fetch_add(n, Ordering::Relaxed);
        let line = self.note(why, n, error, Instant::now());
        self.say(line);
    }

    /// Logs what was lost since the last line, however short ago that was: nothing more is to come.
    pub(crate) fn end(&self) {
        let line = self.complaints().take();
        self.say(line);
    }

    fn note(&self, why: Why, n: u64, error: Option<&dyn std::fmt::Display>, now: Instant) -> Option<Line> {
        let mut c = self.complaints();
        c.unspoken[why as usize] = c.unspoken[why as usize].saturating_add(n);
        if let Some(error) = error {
            c.error = Some(error.to_string());
        }
        if c.spoken.is_some_and(|last| now.saturating_duration_since(last) < COMPLAIN_EVERY) {
            return None;
        }
        c.spoken = Some(now);
        c.take()
    }

    fn complaints(&self) -> MutexGuard<'_, Complaints> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, line: Option<Line>) {
        let Some((lost, error)) = line else { return };
        let total: u64 = lost.iter().sum();
        let why: Vec<_> = self.whys.iter().filter(|why| lost[**why as usize] > 0).collect();
        let why: Vec<_> = why.iter().map(|why| format!("{} {}", why.as_str(), lost[**why as usize])).collect();
        let why = why.join(", ");
        tracing::warn!(what = self.what, lost = total, %why, error = error.as_deref(), "telemetry was lost");
    }

    pub(crate) fn lost_in_all(&self) -> u64 {
        self.lost.iter().map(|n| n.load(Ordering::Relaxed)).sum()
    }
}

/// Losses by cause, and the last error.
type Line = ([u64; Why::COUNT], Option<String>);

impl Complaints {
    fn take(&mut self) -> Option<Line> {
        let lost = std::mem::take(&mut self.unspoken);
        let error = self.error.take();
        lost.iter().any(|n| *n > 0).then_some((lost, error))
    }
}

/// Counts of exports; all of them only grow.
#[derive(Debug)]
pub struct ExportCounts {
    pub(crate) spans: Arc<Ledger>,
    pub(crate) log_records: Arc<Ledger>,
    /// Exports of all metrics.
    pub(crate) metrics: Arc<Ledger>,
    pub(crate) metric_points: Arc<Ledger>,
    /// Of the exchange log.
    pub(crate) log_lines: Arc<Ledger>,
}

impl Default for ExportCounts {
    fn default() -> ExportCounts {
        const QUEUED: &[Why] = &[Why::QueueFull, Why::Export, Why::Refused, Why::Rejected, Why::Shutdown];
        ExportCounts {
            spans: Ledger::new("spans", QUEUED),
            log_records: Ledger::new("log_records", QUEUED),
            metrics: Ledger::new("metrics", &[Why::Export, Why::Refused]),
            metric_points: Ledger::new("metric_points", &[Why::Rejected]),
            log_lines: Ledger::new("log_lines", &[Why::QueueFull, Why::Write, Why::Shutdown]),
        }
    }
}

impl ExportCounts {
    /// Spans that a collector took.
    pub fn spans_exported(&self) -> u64 {
        self.spans.sent.load(Ordering::Relaxed)
    }

    /// Spans that were lost, for whatever reason.
    pub fn spans_lost(&self) -> u64 {
        self.spans.lost_in_all()
    }

    /// Log records that a collector took.
    pub fn log_records_exported(&self) -> u64 {
        self.log_records.sent.load(Ordering::Relaxed)
    }

    /// Log records that were lost, for whatever reason.
    pub fn log_records_lost(&self) -> u64 {
        self.log_records.lost_in_all()
    }

    /// Exports of all metrics that a collector took.
    pub fn metrics_exported(&self) -> u64 {
        self.metrics.sent.load(Ordering::Relaxed)
    }

    /// Exports of all metrics that failed. With cumulative temporality, the default, the next one makes up for it.
    pub fn metrics_failed(&self) -> u64 {
        self.metrics.lost_in_all()
    }

    /// Lines that did not come into the exchange log, for whatever reason.
    pub fn log_lines_failed(&self) -> u64 {
        self.log_lines.lost_in_all()
    }

    fn all(&self) -> [&Ledger; 5] {
        [&self.spans, &self.log_records, &self.metrics, &self.metric_points, &self.log_lines]
    }

    /// What was lost, why, and how often: the labels and values of `limpid.export.failed`.
    pub fn failed(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let of = |ledger: &'_ Ledger| {
            let (what, whys) = (ledger.what, ledger.whys);
            let counts: Vec<_> = whys.iter().map(|w| ledger.lost[*w as usize].load(Ordering::Relaxed)).collect();
            whys.iter().zip(counts).map(move |(why, n)| (what, why.as_str(), n))
        };
        self.all().into_iter().flat_map(of)
    }

    /// What was sent or written, and how often: the label and values of `limpid.export.sent`.
    pub fn sent(&self) -> impl Iterator<Item = (&'static str, u64)> {
        // Points are not counted when they are taken, only when they are not.
        let counted = self.all().into_iter().filter(|ledger| ledger.what != "metric_points");
        counted.map(|ledger| (ledger.what, ledger.sent.load(Ordering::Relaxed)))
    }
}

/// Lines of limpid's own log that were lost. Counted where they are; the log itself tells of it.
#[derive(Debug, Default)]
pub struct OwnLogCounts {
    queue_full: AtomicU64,
    unwritten: AtomicU64,
}

impl OwnLogCounts {
    /// So many were lost because standard error was not read.
    pub fn queue_full(&self, lines: u64) {
        self.queue_full.fetch_add(lines, Ordering::Relaxed);
    }

    /// So many could not be written.
    pub fn unwritten(&self, lines: u64) {
        self.unwritten.fetch_add(lines, Ordering::Relaxed);
    }

    /// Why they were lost, and how many: the label and values of `limpid.log.dropped`.
    pub fn lost(&self) -> [(&'static str, u64); 2] {
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        [(Why::QueueFull.as_str(), read(&self.queue_full)), (Why::Write.as_str(), read(&self.unwritten))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_come_once_an_interval_and_lose_no_count() {
        let spans = ExportCounts::default().spans;
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let count = |line: Option<Line>| line.map(|(lost, error)| (lost.iter().sum::<u64>(), error));
        assert_eq!(count(spans.note(Why::Export, 1, Some(&"gone"), at(0))), Some((1, Some("gone".to_owned()))));
        assert_eq!(count(spans.note(Why::QueueFull, 2, None, at(9))), None);
        let (lost, error) = spans.note(Why::Refused, 3, None, at(10)).unwrap();
        assert_eq!((lost[Why::QueueFull as usize], lost[Why::Refused as usize], error), (2, 3, None));
        assert_eq!(count(spans.note(Why::Export, 4, None, at(11))), None);
        assert_eq!(count(spans.complaints().take()), Some((4, None)), "the rest, at the end");
        assert_eq!(count(spans.complaints().take()), None);
    }

    #[test]
    fn every_loss_stands_under_one_cause() {
        let counts = ExportCounts::default();
        counts.spans.sent(5);
        counts.spans.lost(Why::Rejected, 2, None);
        counts.log_lines.lost(Why::Write, 1, None);
        assert_eq!((counts.spans_exported(), counts.spans_lost(), counts.log_lines_failed()), (5, 2, 1));
        let failed: Vec<_> = counts.failed().filter(|(.., n)| *n > 0).collect();
        assert_eq!(failed, [("spans", "rejected", 2), ("log_lines", "write", 1)]);
        let sent: Vec<_> = counts.sent().collect();
        assert_eq!(sent, [("spans", 5), ("log_records", 0), ("metrics", 0), ("log_lines", 0)]);
    }
}
