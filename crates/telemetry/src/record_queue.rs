//! Records on their way to a slow consumer: a queue and a thread for spans, one for OTLP's log records, one for the
//! exchange log.
//!
//! Whatever such a consumer waits for (a collector that never answers, a pipe that nobody reads, a disk), it holds up its own
//! queue alone: metrics, windows and the other slow ones go on. The queue holds records, not spans or lines: they are shared
//! with the other consumers, and what is sent is built by the thread. Pushing takes a short lock and never waits; a receiver
//! that is gone costs the queue's length in memory and no more. Each record that a consumer wants ends as sent or as lost,
//! under one cause, in its [`Ledger`]; what is still queued at the end, or in the hands of a thread that is stuck, is lost by
//! `shutdown`.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use limpid_core::{BatchQueue, Batching, ExchangeRecord, NotTaken, RecordConsumer, in_share};

use crate::counts::{Ledger, Why};
use crate::transport::{Payload, Transport};

/// Whether an exchange gets a span: as the client decided, else by the share of traces, told from the trace id, so
/// that every service with the same ratio decides alike.
pub(crate) fn is_sampled(r: &ExchangeRecord, ratio: f64) -> bool {
    if let Some(client) = r.caller.trace {
        return client.sampled;
    }
    in_share(r.trace_id, ratio)
}

/// The queue between the hand-over and a thread.
pub(crate) struct RecordQueue {
    records: BatchQueue<Arc<ExchangeRecord>>,
    ledger: Arc<Ledger>,
}

impl RecordQueue {
    /// Starts the thread. `work` is shown each batch, and tells of every record whether it was [`sent`](Self::sent) or
    /// [`lost`](Self::lost).
    pub(crate) fn start(
        thread_name: &str,
        batching: Batching,
        ledger: &Arc<Ledger>,
        mut work: impl FnMut(&RecordQueue, &mut Vec<Arc<ExchangeRecord>>) + Send + 'static,
    ) -> io::Result<Arc<RecordQueue>> {
        let queue = Arc::new(RecordQueue { records: BatchQueue::new(batching), ledger: Arc::clone(ledger) });
        let of_thread = Arc::clone(&queue);
        thread::Builder::new()
            .name(thread_name.to_owned())
            .spawn(move || of_thread.records.run(|batch| work(&of_thread, batch)))?;
        Ok(queue)
    }

    /// Whether it was taken.
    fn push(&self, record: &Arc<ExchangeRecord>) -> bool {
        let why = match self.records.push_quietly(Arc::clone(record)) {
            Ok(()) => return true,
            Err(NotTaken::Full) => Why::QueueFull,
            Err(NotTaken::Closed) => Why::Shutdown,
        };
        self.ledger.lost(why, 1, None);
        false
    }

    /// So many records of the batch are out. False if they had been given up, and counted, already: the thread need not go on.
    pub(crate) fn sent(&self, records: u64) -> bool {
        self.records.done(size(records), || self.ledger.sent(records))
    }

    /// So many records of the batch are lost. False as above.
    pub(crate) fn lost(&self, why: Why, records: u64, error: Option<&dyn std::fmt::Display>) -> bool {
        self.records.done(size(records), || self.ledger.lost(why, records, error))
    }

    /// Takes no more records; what waits is worked off at once.
    pub(crate) fn close(&self) {
        self.records.close();
    }

    /// Closes, waits for the thread until `deadline`, gives up the rest, and counts it. Blocks.
    pub(crate) fn end(&self, deadline: Instant) {
        self.given_up(self.records.end(deadline));
    }

    /// Gives up what is not out, and counts it.
    pub(crate) fn abandon(&self) {
        self.given_up(self.records.abandon());
    }

    fn given_up(&self, records: usize) {
        self.ledger.lost(Why::Shutdown, records as u64, None);
        self.ledger.end();
    }
}

fn size(records: u64) -> usize {
    usize::try_from(records).unwrap_or(usize::MAX)
}

/// A thread's work: exports each batch. Sending blocks.
pub(crate) fn export(
    transport: Transport,
    payload: impl Fn(&[Arc<ExchangeRecord>]) -> Payload + Send + 'static,
) -> impl FnMut(&RecordQueue, &mut Vec<Arc<ExchangeRecord>>) + Send + 'static {
    move |queue, batch| {
        let records = batch.len() as u64;
        match transport.send(&payload(batch)) {
            Ok(rejected) => {
                let rejected = rejected.min(records);
                queue.sent(records - rejected);
                queue.lost(Why::Rejected, rejected, None);
            }
            Err(error) => {
                queue.lost(error.why(), records, Some(&error));
            }
        }
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

    fn idle(&mut self) {
        self.queue.records.wake();
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
