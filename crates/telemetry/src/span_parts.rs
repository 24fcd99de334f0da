//! What a span of an exchange has beside its attributes: events, and child spans for attempts.
//!
//! An attempt is a span of its own only where there were several: one logical call, and a child for each time that it was
//! sent. Attempts have no `gen_ai.*` attributes, so that nobody counts an inference twice. Their ids follow from the
//! exchange's span id.

use std::time::SystemTime;

use limpid_core::{Ending, ExchangeRecord, Tick};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, SpanContext, SpanId, SpanKind, Status, TraceFlags};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::names::attr;
use crate::semconv::Semconv;
use crate::span::{Attributes, Sink};

/// Something that happened at one moment: an event of the span.
pub(crate) struct Moment {
    pub(crate) at: SystemTime,
    pub(crate) name: &'static str,
    /// Whether it is what went wrong, and has the error's attributes.
    pub(crate) failed: bool,
}

/// The first token, the first visible text, and what went wrong in the middle of a stream, in the order of time.
pub(crate) fn moments(r: &ExchangeRecord) -> impl Iterator<Item = Moment> {
    let mark = |name, after: Option<_>| after.map(|after| Moment { at: r.started_at + after, name, failed: false });
    let token = mark(attr::FIRST_TOKEN_EVENT, r.timeline.ttft());
    let content = mark(attr::FIRST_CONTENT_EVENT, r.timeline.first_content());
    let error = broke(r).map(|at| Moment { at: wall(r, at), name: attr::STREAM_ERROR_EVENT, failed: true });
    let mut all = [token, content, error];
    if all[2].is_some() {
        all.sort_by_key(|moment| moment.as_ref().map(|m| m.at));
    }
    all.into_iter().flatten()
}

/// The attributes of what went wrong.
pub(crate) fn error(r: &ExchangeRecord, to: &mut impl Sink) {
    let a = &mut Attributes { semconv: Semconv::default(), to };
    a.text(attr::ERROR_TYPE, r.outcome.error_type());
    a.fixed(attr::CATEGORY, Some(r.outcome.category.as_str()));
}

/// The moments as the SDK has them.
pub(crate) fn events(r: &ExchangeRecord) -> SpanEvents {
    let event = |Moment { at, name, failed }| {
        let mut attributes = Vec::new();
        if failed {
            error(r, &mut attributes);
        }
        Event::new(name, at, attributes, 0)
    };
    let mut events = SpanEvents::default();
    events.events.extend(moments(r).map(event));
    events
}

/// When a stream that had begun failed.
fn broke(r: &ExchangeRecord) -> Option<Tick> {
    let failed = r.stream && r.timeline.headers.is_some() && r.outcome.error_type().is_some();
    let broken_off = (r.outcome.ending == Ending::UpstreamError).then_some(r.timeline.ended);
    r.timeline.marks.error.or(broken_off).filter(|_| failed)
}

/// The children of an exchange's span: one for each attempt, if there were several.
pub(crate) fn attempts(r: &ExchangeRecord, span: &SpanData) -> Vec<SpanData> {
    let mut spans = Vec::new();
    if r.timeline.unsent.is_empty() {
        return spans;
    }
    let unsent = r.timeline.unsent.iter().map(|a| (a.began, a.ended, Some(attr::UNSENT)));
    // Where no connection could be had after that, the last to come back was the last to be sent.
    let again = usize::try_from(r.attempts).is_ok_and(|sent| sent > r.timeline.unsent.len());
    let last = r.timeline.sent.filter(|_| again).map(|sent| (sent, r.timeline.ended, r.outcome.error_type()));
    for (number, (began, ended, failure)) in (1..).zip(unsent.chain(last)) {
        let mut attributes = Vec::new();
        let a = &mut Attributes { semconv: Semconv::default(), to: &mut attributes };
        a.count(attr::ATTEMPT, Some(number));
        a.text(attr::UPSTREAM, r.upstream.as_deref().map(|u| &*u.name));
        a.text(attr::SERVER_ADDRESS, r.upstream.as_deref().map(|u| &*u.address));
        a.count(attr::SERVER_PORT, r.upstream.as_deref().map(|u| u64::from(u.port)));
        a.text(attr::ERROR_TYPE, failure);
        spans.push(attempt(r, span, number, (began, ended), (attributes, failure)));
    }
    spans
}

fn attempt(
    r: &ExchangeRecord,
    of: &SpanData,
    number: u64,
    (began, ended): (Tick, Tick),
    (attributes, error): (Vec<KeyValue>, Option<&str>),
) -> SpanData {
    SpanData {
        span_context: SpanContext::new(
            of.span_context.trace_id(),
            SpanId::from_bytes(child_id(r.span_id, number).to_be_bytes()),
            TraceFlags::SAMPLED,
            false,
            of.span_context.trace_state().clone(),
        ),
        parent_span_id: of.span_context.span_id(),
        parent_span_is_remote: false,
        span_kind: SpanKind::Client,
        name: attr::ATTEMPT_SPAN.into(),
        start_time: wall(r, began),
        end_time: wall(r, ended),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: if error.is_some() { Status::error("") } else { Status::Unset },
        instrumentation_scope: of.instrumentation_scope.clone(),
    }
}

fn wall(r: &ExchangeRecord, at: Tick) -> SystemTime {
    r.started_at + at.since(r.timeline.arrived)
}

/// An id that nobody else is likely to have: the finalizer of `SplitMix64`, which maps different inputs to different ids.
fn child_id(parent: u64, number: u64) -> u64 {
    let mut z = parent.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).max(1)
}
