//! A record as a span of the GenAI conventions.
//!
//! The span is built when the exchange is over, from the record alone, with the start and end that the record tells and
//! the ids that it carries: no tracer is needed, and nothing happens on the relay's path. It continues the client's
//! trace where there is one. Attributes that are not known are left out.

use std::borrow::Cow;

use limpid_core::{Endpoint, ExchangeRecord, Verdict};
use opentelemetry::trace::{Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::names::attr;

/// The span of an exchange, as sampled.
pub(crate) fn span(r: &ExchangeRecord, scope: &InstrumentationScope) -> SpanData {
    let operation = r.endpoint.operation();
    let name: Cow<'static, str> = match r.model.name() {
        Some(model) => format!("{operation} {model}").into(),
        None => operation.into(),
    };
    let status = match r.outcome.error_type() {
        Some(reason) => Status::error(reason.to_owned()),
        None => Status::Unset,
    };
    let parent = r.caller.trace.filter(|t| t.trace_id == r.trace_id);
    SpanData {
        span_context: SpanContext::new(
            TraceId::from_bytes(r.trace_id.to_be_bytes()),
            SpanId::from_bytes(r.span_id.to_be_bytes()),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: parent.map_or(SpanId::INVALID, |t| SpanId::from_bytes(t.span_id.to_be_bytes())),
        parent_span_is_remote: parent.is_some(),
        span_kind: SpanKind::Client,
        name,
        start_time: r.started_at,
        end_time: r.started_at + r.timeline.total(),
        attributes: attributes(r),
        dropped_attributes_count: 0,
        events: events(r),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: scope.clone(),
    }
}

fn events(r: &ExchangeRecord) -> SpanEvents {
    let mut events = SpanEvents::default();
    let marks = [(attr::FIRST_TOKEN_EVENT, r.timeline.ttft()), (attr::FIRST_CONTENT_EVENT, r.timeline.first_content())];
    for (name, after) in marks {
        events.events.extend(after.map(|after| Event::new(name, r.started_at + after, Vec::new(), 0)));
    }
    events
}

/// Attributes, of which only the known are kept.
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn put(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        self.0.extend(value.map(|value| KeyValue::new(name, value)));
    }

    fn text(&mut self, name: &'static str, value: Option<&str>) {
        self.put(name, value.map(str::to_owned));
    }

    fn fixed(&mut self, name: &'static str, value: &'static str) {
        self.put(name, Some(value));
    }

    fn count(&mut self, name: &'static str, value: Option<u64>) {
        self.put(name, value.and_then(|n| i64::try_from(n).ok()));
    }

    fn seconds(&mut self, name: &'static str, value: Option<std::time::Duration>) {
        self.put(name, value.map(|d| d.as_secs_f64()));
    }
}

fn attributes(r: &ExchangeRecord) -> Vec<KeyValue> {
    let mut a = Attributes(Vec::with_capacity(48));
    who(&mut a, r);
    request(&mut a, r);
    response(&mut a, r);
    openai(&mut a, r);
    exchange(&mut a, r);
    measured(&mut a, r);
    a.0
}

fn who(a: &mut Attributes, r: &ExchangeRecord) {
    a.fixed(attr::OPERATION, r.endpoint.operation());
    a.text(attr::REQUEST_MODEL, r.model.name());
    if let Some(upstream) = r.upstream.as_deref() {
        a.text(attr::PROVIDER, Some(&upstream.provider));
        a.text(attr::SERVER_ADDRESS, Some(&upstream.address));
        a.put(attr::SERVER_PORT, Some(i64::from(upstream.port)));
        a.text(attr::UPSTREAM, Some(&upstream.name));
        a.text(attr::REGION, upstream.region.as_deref());
    }
}

fn request(a: &mut Attributes, r: &ExchangeRecord) {
    let q = &r.request;
    a.count(attr::CHOICE_COUNT, q.choices.filter(|n| *n != 1));
    a.put(attr::SEED, q.seed);
    a.put(attr::TOP_K, q.top_k);
    a.put(attr::TOP_P, q.top_p);
    a.put(attr::TEMPERATURE, q.temperature);
    a.count(attr::MAX_TOKENS, q.max_tokens);
    a.put(attr::FREQUENCY_PENALTY, q.frequency_penalty);
    a.put(attr::PRESENCE_PENALTY, q.presence_penalty);
    a.text(attr::REASONING_LEVEL, q.reasoning_effort.as_deref());
    a.text(attr::CONVERSATION, q.conversation_id.as_deref());
    a.put(attr::STREAM, (q.stream.unwrap_or(r.stream)).then_some(true));
}

fn response(a: &mut Attributes, r: &ExchangeRecord) {
    a.text(attr::ERROR_TYPE, r.outcome.error_type());
    a.text(attr::RESPONSE_ID, r.response_id.as_deref());
    a.text(attr::RESPONSE_MODEL, r.model.responded.as_deref());
    let mut reasons: Vec<_> = r.finish_reasons.iter().map(|f| StringValue::from(f.reason.to_string())).collect();
    if reasons.is_empty() && r.outcome.error_type().is_some() && r.timeline.marks.first_token.is_some() {
        // The convention's word for a stream that ended before its final event.
        reasons.push("error".into());
    }
    a.put(attr::FINISH_REASONS, (!reasons.is_empty()).then_some(Value::Array(Array::String(reasons))));
    if r.stream {
        a.seconds(attr::TIME_TO_FIRST_CHUNK, r.timeline.first_event());
    }
    if let Some(usage) = &r.usage {
        a.count(attr::INPUT_TOKENS, usage.input_tokens);
        a.count(attr::OUTPUT_TOKENS, usage.output_tokens);
        a.count(attr::CACHE_READ, usage.cached_input_tokens);
        a.count(attr::CACHE_CREATION, usage.cache_write_input_tokens);
        a.count(attr::REASONING_TOKENS, usage.reasoning_output_tokens);
        a.seconds(attr::AUDIO_INPUT, usage.audio_ms.map(std::time::Duration::from_millis));
        a.fixed(attr::USAGE_SOURCE, usage.source.as_str());
        a.text(attr::USAGE_METHOD, usage.method.as_deref());
    }
    a.put(attr::HTTP_STATUS, r.status.map(i64::from));
}

/// Only for the provider itself: a compatible server is not `openai`.
fn openai(a: &mut Attributes, r: &ExchangeRecord) {
    if r.provider() != Some("openai") {
        return;
    }
    match r.endpoint {
        Endpoint::Chat => a.fixed(attr::OPENAI_API_TYPE, "chat_completions"),
        Endpoint::Responses => a.fixed(attr::OPENAI_API_TYPE, "responses"),
        _ => {}
    }
    a.text(attr::OPENAI_REQUEST_TIER, r.request.service_tier.as_deref().filter(|tier| *tier != "auto"));
    a.text(attr::OPENAI_RESPONSE_TIER, r.service_tier.as_deref());
}

fn exchange(a: &mut Attributes, r: &ExchangeRecord) {
    a.put(attr::EXCHANGE, Some(r.id.to_string()));
    a.fixed(attr::ENDPOINT, r.endpoint.as_str());
    a.text(attr::KEY, r.caller.key.as_deref());
    a.text(attr::PROJECT, r.caller.project.as_deref());
    a.text(attr::USER, r.caller.user.as_deref());
    a.text(attr::TEMPLATE, r.caller.template.as_deref());
    a.text(attr::SESSION, r.caller.session.as_deref());
    a.text(attr::PRIORITY, r.caller.priority.as_deref());
    a.text(attr::REQUEST_ID, r.caller.request_id.as_deref());
    a.put(attr::ATTEMPTS, Some(i64::from(r.attempts)));
    a.fixed(attr::CATEGORY, r.outcome.category.as_str());
    a.text(attr::REASON, Some(&r.outcome.reason));
    a.fixed(attr::ENDING, r.outcome.ending.as_str());
    a.put(attr::FAULT, r.outcome.fault.map(limpid_core::Fault::as_str));
    a.put(attr::RETRYABLE, r.outcome.retryable.map(limpid_core::Retryable::as_str));
    limits(a, r);
    a.put(attr::ANSWERED, r.answered_by_limpid.then_some(true));
    if r.refusal.verdict != Verdict::None {
        a.fixed(attr::REFUSAL, r.refusal.verdict.as_str());
        a.put(attr::REFUSAL_SOURCE, r.refusal.source);
        a.put(attr::REFUSAL_KIND, r.refusal.kind.map(limpid_core::RefusalKind::as_str));
    }
}

fn limits(a: &mut Attributes, r: &ExchangeRecord) {
    let Some(told) = r.rate_limits.as_deref() else { return };
    a.seconds(attr::RETRY_AFTER, told.retry_after);
    for (name, budget) in told.known() {
        let Some((_, [limit, remaining, reset])) = attr::RATE_LIMITS.iter().find(|(n, _)| *n == name) else { continue };
        a.count(limit, budget.limit);
        a.count(remaining, budget.remaining);
        a.seconds(reset, budget.reset);
    }
}

fn measured(a: &mut Attributes, r: &ExchangeRecord) {
    a.seconds(attr::QUEUE, r.timeline.queue());
    a.seconds(attr::TTFT, r.timeline.ttft());
    a.seconds(attr::TPOT, r.tpot());
    a.seconds(attr::STALL, r.timeline.stall);
    a.seconds(attr::READER_LAG, r.timeline.reader_lag);
    a.put(attr::OUTPUT_SPEED, r.output_tokens_per_s());
    if let Some(price) = &r.price {
        a.put(attr::PRICE_USD, Some(price.usd.as_usd()));
        a.fixed(attr::PRICE_SOURCE, price.source.as_str());
        a.put(attr::PRICE_ESTIMATED, price.estimated.then_some(true));
        a.text(attr::PRICE_MATCHED, price.matched.as_deref());
    }
    a.put(attr::UNPRICED, r.unpriced);
    a.put(attr::UNESTIMATED, r.unestimated);
}
