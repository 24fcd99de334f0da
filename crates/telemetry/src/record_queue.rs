//! Records on their way to an exporting thread: one queue for spans, one for log records.
//!
//! The SDK's batch processors warn once when their queue is full and are silent from then on, and their shutdown says
//! `Ok` after losing a batch. This one counts. The queue holds records, not spans: they are shared with the other
//! consumers, and what is sent is built by the exporting thread. Pushing takes a short lock and never waits; a collector
//! that is gone or never answers costs the queue's length in memory and no more.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use limpid_core::{ExchangeRecord, RecordConsumer, in_share};

use crate::counts::{Ledger, Why};
use crate::settings::Batching;
use crate::transport::{Payload, SendError, Transport};

/// Whether an exchange gets a span: as the client decided, else by the share of traces, told from the trace id, so
/// that every service with the same ratio decides alike.
pub(crate) fn is_sampled(r: &ExchangeRecord, ratio: f64) -> bool {
    if let Some(client) = r.caller.trace {
        return client.sampled;
    }
    in_share(r.trace_id, ratio)
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<ExchangeRecord>>,
    exporting: usize,
    closed: bool,
    abandoned: bool,
}

/// The queue between the consumer and the exporting thread.
pub(crate) struct RecordQueue {
    state: Mutex<State>,
    changed: Condvar,
    batching: Batching,
    ledger: Arc<Ledger>,
}

impl RecordQueue {
    pub(crate) fn new(batching: Batching, ledger: Arc<Ledger>) -> RecordQueue {
        let queue = batching.queue.max(1);
        let batching = Batching { queue, batch: batching.batch.clamp(1, queue), ..batching };
        RecordQueue { state: Mutex::default(), changed: Condvar::new(), batching, ledger }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was taken.
    fn push(&self, record: &Arc<ExchangeRecord>) -> bool {
        let mut state = self.lock();
        if state.closed || state.waiting.len() >= self.batching.queue {
            let why = if state.closed { Why::Shutdown } else { Why::QueueFull };
            drop(state);
            self.ledger.lost(why, 1, None);
            return false;
        }
        state.waiting.push_back(Arc::clone(record));
        let wake = state.waiting.len() == 1 || state.waiting.len() == self.batching.batch;
        drop(state);
        if wake {
            self.changed.notify_one();
        }
        true
    }

    /// The next batch: as soon as it is full, `delay` after its first record, or at once when the queue is closed.
    /// `None` when it is closed and empty.
    fn next(&self) -> Option<Vec<Arc<ExchangeRecord>>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let start = Instant::now();
        while state.waiting.len() < self.batching.batch && !state.closed {
            let left = self.batching.delay.saturating_sub(start.elapsed());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = state.waiting.len().min(self.batching.batch);
        let batch: Vec<_> = state.waiting.drain(..count).collect();
        state.exporting = batch.len();
        Some(batch)
    }

    /// Notes the end of an export, unless its records were given up and counted already.
    fn exported(&self, records: usize, result: Result<u64, SendError>) {
        let mut state = self.lock();
        state.exporting = 0;
        if state.abandoned {
            return;
        }
        let records = records as u64;
        match result {
            Ok(rejected) => {
                let rejected = rejected.min(records);
                self.ledger.sent(records - rejected);
                self.ledger.lost(Why::Rejected, rejected, None);
            }
            Err(error) => self.ledger.lost(error.why(), records, Some(&error)),
        }
    }

    /// Takes no more records; what waits is exported at once.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Gives up what is not exported, and counts it.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.abandoned = true;
        let lost = state.waiting.len() + state.exporting;
        state.waiting.clear();
        state.exporting = 0;
        drop(state);
        self.ledger.lost(Why::Shutdown, lost as u64, None);
        self.ledger.end();
        self.changed.notify_all();
    }
}

/// Exports until the queue is closed and empty. Runs on a thread of its own, for sending blocks.
pub(crate) fn export(queue: &RecordQueue, transport: &Transport, payload: impl Fn(&[Arc<ExchangeRecord>]) -> Payload) {
    while let Some(records) = queue.next() {
        let result = transport.send(&payload(&records));
        queue.exported(records.len(), result);
    }
}

/// Queues the records that are wanted.
pub(crate) struct QueueConsumer {
    pub(crate) queue: Arc<RecordQueue>,
    pub(crate) wanted: Box<dyn Fn(&ExchangeRecord) -> bool + Send>,
    /// Captured content goes this way or none: what is not queued is forgotten at once, however long others keep the record.
    pub(crate) takes_content: bool,
}

impl RecordConsumer for QueueConsumer {
    fn consume(&mut self, record: &Arc<ExchangeRecord>) {
        let queued = (self.wanted)(record) && self.queue.push(record);
        if self.takes_content && !queued {
            drop(record.content.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanKind, TraceId};
    use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample as _};

    use super::*;
    use crate::fixture::record;

    #[test]
    fn a_new_trace_is_sampled_as_the_sdk_would() {
        let mut r = record();
        r.caller.trace = None;
        for (n, share) in (0..2_000_u128).zip([0.0, 0.1, 0.25, 0.5, 0.999, 1.0].into_iter().cycle()) {
            r.trace_id = n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let id = TraceId::from_bytes(r.trace_id.to_be_bytes());
            let sampler = Sampler::TraceIdRatioBased(share);
            let told = sampler.should_sample(None, id, "", &SpanKind::Client, &[], &[]).decision;
            assert_eq!(is_sampled(&r, share), told == SamplingDecision::RecordAndSample, "{share} {:032x}", r.trace_id);
        }
    }
}
