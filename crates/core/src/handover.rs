//! The hand-over of a finished record from the relay to whoever reports it.
//!
//! The relay must never wait for a reporter, so the queue is bounded and a full queue drops the record and counts it.
//! One thread takes the records out and shows each to every consumer in turn: a consumer needs no lock of its own, and
//! all of them see the same records in the same order. A consumer that waited would hold up the others: whatever may have to
//! (a file, a pipe, a collector) puts the record into a [`BatchQueue`](crate::BatchQueue) of its own and returns.
//!
//! Waking that thread costs the relay more than all else here. So it is woken for the first record after a quiet moment,
//! which is seen at once; while records come one upon the other, it looks for them every few hundredths of a second by
//! itself, and handing one over wakes nobody. What its consumers run is much code that nobody else runs: the more records
//! it meets at a time, the less of it has to come into the core's caches anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Endpoint, ExchangeRecord};

/// Where the relay tells that an exchange began and how it ended. Neither call waits or fails.
pub trait ExchangeSink: Send + Sync {
    /// An exchange of this kind began.
    fn started(&self, endpoint: Endpoint);

    /// It ended; exactly once for each `started`.
    fn finished(&self, record: Arc<ExchangeRecord>);

    /// Something came of which no request could be made, so that nothing began.
    fn unreadable(&self, _why: Unreadable) {}
}

/// Why no request could be made of what a client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no HTTP.
    Malformed,
    /// Its head is too large.
    TooLarge,
}

impl Unreadable {
    /// Both.
    pub const ALL: [Unreadable; 2] = [Unreadable::Malformed, Unreadable::TooLarge];

    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unreadable::Malformed => "malformed",
            Unreadable::TooLarge => "too_large",
        }
    }
}

/// What reads finished records: metrics, spans, windows, the log.
pub trait RecordConsumer: Send {
    /// Takes note of one record, without waiting for anything. Called from one thread, in order of the endings.
    fn consume(&mut self, record: &Arc<ExchangeRecord>);

    /// The queue is empty for the moment: pass on what was gathered, without waiting.
    fn idle(&mut self) {}
}

/// Counts of the hand-over, readable at any time.
#[derive(Debug, Default)]
pub struct HandoverCounts {
    in_flight: [AtomicI64; Endpoint::COUNT],
    finished: AtomicU64,
    dropped: AtomicU64,
    shown: AtomicU64,
    unreadable: [AtomicU64; Unreadable::ALL.len()],
}

impl HandoverCounts {
    /// Exchanges of this kind that have begun and not ended.
    pub fn in_flight(&self, endpoint: Endpoint) -> i64 {
        self.in_flight[endpoint.index()].load(Ordering::Relaxed)
    }

    /// Exchanges that ended.
    pub fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    /// Records that were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Records that no consumer has been shown yet, up to some that are being shown. They are lost if the process ends.
    pub fn waiting(&self) -> u64 {
        let shown = self.shown.load(Ordering::Relaxed);
        self.finished().saturating_sub(self.dropped()).saturating_sub(shown)
    }

    /// Exchanges of all kinds that have begun and not ended.
    pub fn under_way(&self) -> u64 {
        Endpoint::ALL.iter().map(|endpoint| u64::try_from(self.in_flight(*endpoint)).unwrap_or(0)).sum()
    }

    /// What came of which no request could be made.
    pub fn unreadable(&self, why: Unreadable) -> u64 {
        self.unreadable[why as usize].load(Ordering::Relaxed)
    }
}

/// How long the thread rests when it has just shown records and others came shortly before, at most: by so much a surface
/// lags behind, consumers' own time left out.
const REST: Duration = Duration::from_millis(25);
/// How fast a queue may fill during a rest: 100,000 exchanges a second. A shorter queue has shorter rests.
const FASTEST: Duration = Duration::from_micros(10);
/// It is not worth to rest for less.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long a rest may be with a queue of that many.
fn rest(capacity: usize) -> Duration {
    let until_full = FASTEST.saturating_mul(u32::try_from(capacity).unwrap_or(u32::MAX));
    if until_full < SHORTEST { Duration::ZERO } else { until_full.min(REST) }
}

/// The sending half; the process has one.
pub struct Handover {
    queue: SyncSender<Arc<ExchangeRecord>>,
    counts: Arc<HandoverCounts>,
}

impl Handover {
    /// A queue of at most `capacity` records, and the loop that empties it: run it on a thread of its own. It returns
    /// when the `Handover` is gone and the queue is empty. `counts` come from outside, for a consumer that shows them is
    /// made before the hand-over.
    pub fn new(
        capacity: usize,
        mut consumers: Vec<Box<dyn RecordConsumer>>,
        counts: Arc<HandoverCounts>,
    ) -> (Handover, impl FnOnce() + Send + 'static) {
        let (queue, records) = sync_channel(capacity);
        let rest = rest(capacity);
        let of_thread = Arc::clone(&counts);
        (Handover { queue, counts }, move || drain(&records, &mut consumers, rest, &of_thread.shown))
    }

    /// The counts.
    pub fn counts(&self) -> Arc<HandoverCounts> {
        Arc::clone(&self.counts)
    }
}

fn drain(
    records: &Receiver<Arc<ExchangeRecord>>,
    consumers: &mut [Box<dyn RecordConsumer>],
    rest: Duration,
    shown: &AtomicU64,
) {
    while let Some((record, busy)) = next(records, rest) {
        show(&record, consumers);
        let mut count = 1;
        while let Ok(record) = records.try_recv() {
            show(&record, consumers);
            count += 1;
        }
        for consumer in consumers.iter_mut() {
            consumer.idle();
        }
        shown.fetch_add(count, Ordering::Relaxed);
        if busy && !rest.is_zero() {
            thread::sleep(rest);
        }
    }
}

/// The next record, and whether it had not to be waited for, or not for as long as a rest. `None` at the end.
fn next(records: &Receiver<Arc<ExchangeRecord>>, rest: Duration) -> Option<(Arc<ExchangeRecord>, bool)> {
    match records.try_recv() {
        Ok(record) => Some((record, true)),
        Err(TryRecvError::Disconnected) => None,
        Err(TryRecvError::Empty) => {
            let began = Instant::now();
            let record = records.recv().ok()?;
            Some((record, began.elapsed() < rest))
        }
    }
}

fn show(record: &Arc<ExchangeRecord>, consumers: &mut [Box<dyn RecordConsumer>]) {
    for consumer in consumers {
        consumer.consume(record);
    }
}

impl ExchangeSink for Handover {
    fn started(&self, endpoint: Endpoint) {
        self.counts.in_flight[endpoint.index()].fetch_add(1, Ordering::Relaxed);
    }

    fn finished(&self, record: Arc<ExchangeRecord>) {
        self.counts.in_flight[record.endpoint.index()].fetch_sub(1, Ordering::Relaxed);
        self.counts.finished.fetch_add(1, Ordering::Relaxed);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(record) {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn unreadable(&self, why: Unreadable) {
        self.counts.unreadable[why as usize].fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    struct Counting(Arc<AtomicU64>);

    impl RecordConsumer for Counting {
        fn consume(&mut self, _: &Arc<ExchangeRecord>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says what it is shown.
    struct Telling(std::sync::mpsc::Sender<u128>);

    impl RecordConsumer for Telling {
        fn consume(&mut self, record: &Arc<ExchangeRecord>) {
            self.0.send(record.id.0).unwrap();
        }
    }

    #[test]
    fn records_that_come_during_a_rest_are_seen_after_it_in_order() {
        let (told, seen) = std::sync::mpsc::channel();
        let (handover, drain) = Handover::new(10_000, vec![Box::new(Telling(told))], Arc::default());
        let draining = thread::spawn(drain);
        for id in 0..5_000u128 {
            handover.finished(Arc::new(ExchangeRecord { id: crate::ExchangeId::from(id), ..record() }));
            if id % 500 == 0 {
                assert_eq!(seen.recv_timeout(Duration::from_secs(60)), Ok(id), "all before it, and itself");
            } else if id % 500 == 499 {
                (id - 498..=id).for_each(|id| assert_eq!(seen.recv_timeout(Duration::from_secs(60)), Ok(id)));
            }
        }
        drop(handover);
        draining.join().unwrap();
        assert!(seen.try_recv().is_err());
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_the_rest_is_seen_by_all() {
        let seen = [Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default()];
        let consumers = seen.iter().map(|s| Box::new(Counting(Arc::clone(s))) as Box<dyn RecordConsumer>).collect();
        let (handover, drain) = Handover::new(3, consumers, Arc::default());
        let counts = handover.counts();
        for _ in 0..5 {
            handover.started(Endpoint::Chat);
        }
        for _ in 0..4 {
            handover.finished(Arc::new(record()));
        }
        assert_eq!((counts.in_flight(Endpoint::Chat), counts.finished(), counts.dropped()), (1, 4, 1));
        assert_eq!((counts.waiting(), counts.under_way()), (3, 1));
        drop(handover);
        drain();
        assert_eq!(counts.waiting(), 0);
        assert_eq!(seen.map(|s| s.load(Ordering::Relaxed)), [3, 3]);
    }
}
