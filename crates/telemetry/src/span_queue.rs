//! Sampled records on their way to the span exporter.
//!
//! The SDK's batch processor warns once when its queue is full and is silent from then on, and its shutdown says `Ok`
//! after losing a batch. This one counts. The queue holds records, not spans: they are shared with the other consumers,
//! and the spans are built by the exporting thread. Pushing takes a short lock and never waits; a collector that is gone
//! or never answers costs the queue's length in memory and no more.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use limpid_core::{ExchangeRecord, RecordConsumer};
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample, SpanExporter};

use crate::counts::{ExportCounts, Throttle, add};
use crate::settings::OtlpConfig;
use crate::span::span;

/// How often a line about lost spans may be logged.
pub(crate) const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Whether an exchange gets a span: as the client decided, else by the share of traces, told from the trace id, so
/// that every service with the same ratio decides alike.
pub(crate) fn is_sampled(r: &ExchangeRecord, ratio: f64) -> bool {
    if let Some(client) = r.caller.trace {
        return client.sampled;
    }
    let id = TraceId::from_bytes(r.trace_id.to_be_bytes());
    let sampler = Sampler::TraceIdRatioBased(ratio);
    sampler.should_sample(None, id, "", &SpanKind::Client, &[], &[]).decision == SamplingDecision::RecordAndSample
}

/// Sizes and times of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batching {
    /// Records that may wait.
    pub(crate) queue: usize,
    /// Spans of one export.
    pub(crate) batch: usize,
    /// How long the first of a batch waits for the others.
    pub(crate) delay: Duration,
}

impl From<&OtlpConfig> for Batching {
    fn from(c: &OtlpConfig) -> Batching {
        let queue = c.span_queue.max(1);
        Batching { queue, batch: c.span_batch.clamp(1, queue), delay: c.span_delay }
    }
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<ExchangeRecord>>,
    exporting: usize,
    closed: bool,
    abandoned: bool,
}

/// The queue between the consumer and the exporting thread.
pub(crate) struct SpanQueue {
    state: Mutex<State>,
    changed: Condvar,
    batching: Batching,
    counts: Arc<ExportCounts>,
    full: Throttle,
}

impl SpanQueue {
    pub(crate) fn new(batching: Batching, counts: Arc<ExportCounts>) -> SpanQueue {
        let full = Throttle::new(COMPLAIN_EVERY);
        SpanQueue { state: Mutex::default(), changed: Condvar::new(), batching, counts, full }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, record: &Arc<ExchangeRecord>) {
        let mut state = self.lock();
        if state.closed || state.waiting.len() >= self.batching.queue {
            let why = if state.closed { &self.counts.spans_shutdown } else { &self.counts.spans_queue_full };
            drop(state);
            add(why, 1);
            if let Some(lost) = self.full.note(1, Instant::now()) {
                tracing::warn!(lost, "spans were dropped: the queue to the OTLP exporter is full or closed");
            }
            return;
        }
        state.waiting.push_back(Arc::clone(record));
        let wake = state.waiting.len() == 1 || state.waiting.len() == self.batching.batch;
        drop(state);
        if wake {
            self.changed.notify_one();
        }
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

    /// Notes the end of an export, unless the spans were given up and counted already.
    fn exported(&self, spans: usize, ok: bool) {
        let mut state = self.lock();
        state.exporting = 0;
        if !state.abandoned {
            add(if ok { &self.counts.spans_exported } else { &self.counts.spans_failed }, spans);
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
        add(&self.counts.spans_shutdown, lost);
        self.changed.notify_all();
    }
}

/// Exports until the queue is closed and empty. Runs on a thread of its own, for the HTTP exporter blocks.
pub(crate) fn export_spans(queue: &SpanQueue, exporter: &impl SpanExporter, scope: &InstrumentationScope) {
    let failures = Throttle::new(COMPLAIN_EVERY);
    while let Some(records) = queue.next() {
        let spans = records.iter().map(|r| span(r, scope)).collect();
        let result = futures_executor::block_on(exporter.export(spans));
        queue.exported(records.len(), result.is_ok());
        if let Err(error) = result
            && let Some(lost) = failures.note(records.len(), Instant::now())
        {
            tracing::warn!(lost, %error, "OTLP export of spans failed");
        }
    }
    // There is nothing left to lose; an exporter that fails to end has nobody to tell.
    drop(exporter.shutdown());
}

/// Queues the records of inference calls that are sampled.
pub(crate) struct SpanConsumer {
    pub(crate) queue: Arc<SpanQueue>,
    pub(crate) sample_ratio: f64,
}

impl RecordConsumer for SpanConsumer {
    fn consume(&mut self, record: &Arc<ExchangeRecord>) {
        if record.endpoint.is_inference() && is_sampled(record, self.sample_ratio) {
            self.queue.push(record);
        }
    }
}
