//! A record as a span of the GenAI conventions.
//!
//! The span is built when the exchange is over, from the record alone, with the start and end that the record tells and
//! the ids that it carries: no tracer is needed, and nothing happens on the relay's path. It continues the client's
//! trace where there is one. Attributes that are not known are left out; those that a sampler may ask for stand first.
//!
//! The description of a failed span's status says whose fault it was: the conventions want neither `error.type` nor a
//! status code repeated there.

use std::borrow::Cow;
use std::str::FromStr as _;
use std::sync::Arc;

use limpid_core::{Endpoint, ExchangeRecord, OutputType, OwnLabel, Verdict};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanLinks};

use crate::names::attr::{self, Attr, Type};
use crate::semconv::Semconv;
use crate::span_parts::events;

/// More finish reasons are not listed for a failure.
const MOST_CHOICES: u32 = 128;

/// The span of an exchange, as sampled. The scope's schema says which names are used.
pub(crate) fn span(r: &ExchangeRecord, scope: &InstrumentationScope) -> SpanData {
    let operation = r.endpoint.operation();
    let name: Cow<'static, str> = match r.model.name() {
        Some(model) => format!("{operation} {model}").into(),
        None => operation.into(),
    };
    let parent = r.caller.trace.filter(|t| t.trace_id == r.trace_id);
    let state = r.caller.trace_state.as_deref().filter(|_| parent.is_some());
    SpanData {
        span_context: SpanContext::new(
            TraceId::from_bytes(r.trace_id.to_be_bytes()),
            SpanId::from_bytes(r.span_id.to_be_bytes()),
            TraceFlags::SAMPLED,
            false,
            // One that does not read is as good as none (Trace Context §3.3).
            state.and_then(|text| TraceState::from_str(text).ok()).unwrap_or_default(),
        ),
        parent_span_id: parent.map_or(SpanId::INVALID, |t| SpanId::from_bytes(t.span_id.to_be_bytes())),
        parent_span_is_remote: parent.is_some(),
        span_kind: SpanKind::Client,
        name,
        start_time: r.started_at,
        end_time: r.started_at + r.timeline.total(),
        attributes: attributes(r, Semconv::of(scope)),
        dropped_attributes_count: 0,
        events: events(r),
        links: SpanLinks::default(),
        status: status(r),
        instrumentation_scope: scope.clone(),
    }
}

fn attributes(r: &ExchangeRecord, semconv: Semconv) -> Vec<KeyValue> {
    let mut a = Attributes::new(semconv, 56);
    who(&mut a, r);
    request(&mut a, r);
    response(&mut a, r);
    usage(&mut a, r);
    providers(&mut a, r);
    exchange(&mut a, r);
    measured(&mut a, r);
    a.known
}

fn status(r: &ExchangeRecord) -> Status {
    match (r.outcome.error_type(), r.outcome.fault) {
        (None, _) => Status::Unset,
        (Some(_), Some(fault)) => Status::error(format!("{}, fault of the {fault} side", r.outcome.category)),
        (Some(_), None) => Status::error(r.outcome.category.as_str()),
    }
}

/// Attributes, of which only the known are kept.
pub(crate) struct Attributes {
    semconv: Semconv,
    pub(crate) known: Vec<KeyValue>,
}

impl Attributes {
    /// None yet; `expected` of them.
    pub(crate) fn new(semconv: Semconv, expected: usize) -> Attributes {
        Attributes { semconv, known: Vec::with_capacity(expected) }
    }

    fn put(&mut self, attr: Attr, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.known.push(KeyValue::new(attr.of(self.semconv).0, value));
        }
    }

    /// The operator's own labels, whose names only the settings know.
    fn own(&mut self, labels: &[OwnLabel]) {
        let named = |l: &OwnLabel| KeyValue::new(format!("{}{}", attr::OWN_LABEL, l.name), l.value.to_string());
        self.known.extend(labels.iter().map(named));
    }

    pub(crate) fn text(&mut self, attr: Attr, value: Option<&str>) {
        self.put(attr, value.map(str::to_owned));
    }

    /// A text that other records have too, or that stands in the program: it is not copied.
    fn shared(&mut self, attr: Attr, value: Option<impl Into<StringValue>>) {
        self.put(attr, value.map(|text| Value::String(text.into())));
    }

    pub(crate) fn fixed(&mut self, attr: Attr, value: &'static str) {
        self.put(attr, Some(value));
    }

    pub(crate) fn count(&mut self, attr: Attr, value: Option<u64>) {
        self.put(attr, value.and_then(|n| i64::try_from(n).ok()));
    }

    fn texts<'a>(&mut self, attr: Attr, values: impl Iterator<Item = &'a str>) {
        let values: Vec<_> = values.map(|text| StringValue::from(text.to_owned())).collect();
        self.put(attr, (!values.is_empty()).then_some(Value::Array(Array::String(values))));
    }

    fn seconds(&mut self, attr: Attr, value: Option<std::time::Duration>) {
        self.put(attr, value.map(|d| d.as_secs_f64()));
    }

    /// A number that one text has as a double and the other as an integer. What is no integer is left out there.
    fn number(&mut self, attr: Attr, value: Option<f64>) {
        match attr.of(self.semconv).1 {
            Type::Int => {
                let whole = value.filter(|n| n.fract() == 0.0 && n.abs() < 9e15);
                #[expect(clippy::cast_possible_truncation, reason = "it is a whole number that fits")]
                self.put(attr, whole.map(|n| n as i64));
            }
            _ => self.put(attr, value),
        }
    }
}

fn who(a: &mut Attributes, r: &ExchangeRecord) {
    a.fixed(attr::OPERATION, r.endpoint.operation());
    a.text(attr::REQUEST_MODEL, r.model.name());
    if let Some(upstream) = r.upstream.as_deref() {
        a.shared(attr::PROVIDER, Some(Arc::clone(&upstream.provider)));
        a.shared(attr::SERVER_ADDRESS, Some(Arc::clone(&upstream.address)));
        a.put(attr::SERVER_PORT, Some(i64::from(upstream.port)));
        a.shared(attr::UPSTREAM, Some(Arc::clone(&upstream.name)));
        a.shared(attr::REGION, upstream.region.clone());
    }
}

fn request(a: &mut Attributes, r: &ExchangeRecord) {
    let q = &r.request;
    a.count(attr::CHOICE_COUNT, q.choices.filter(|n| *n != 1));
    a.put(attr::SEED, q.seed);
    a.number(attr::TOP_K, q.top_k);
    a.put(attr::TOP_P, q.top_p);
    a.put(attr::TEMPERATURE, q.temperature);
    a.count(attr::MAX_TOKENS, q.max_tokens);
    a.put(attr::FREQUENCY_PENALTY, q.frequency_penalty);
    a.put(attr::PRESENCE_PENALTY, q.presence_penalty);
    a.text(attr::REASONING_LEVEL, q.reasoning_effort.as_deref());
    a.text(attr::PREVIOUS_RESPONSE, q.previous_response_id.as_deref());
    a.text(attr::CONVERSATION, q.conversation_id.as_deref().or(r.caller.session.as_deref()));
    a.text(attr::PROMPT_NAME, r.caller.template.as_deref());
    let output = match r.endpoint {
        Endpoint::Images => Some(OutputType::Image),
        Endpoint::Audio if r.path.ends_with("/speech") => Some(OutputType::Speech),
        _ => q.output_type,
    };
    a.put(attr::OUTPUT_TYPE, output.map(OutputType::as_str));
    if r.endpoint == Endpoint::Embeddings {
        a.texts(attr::ENCODING_FORMATS, q.encoding_formats.iter().map(|format| &**format));
        a.count(attr::DIMENSIONS, q.dimensions);
    }
    a.put(attr::STREAM, (q.stream.unwrap_or(r.stream)).then_some(true));
}

fn response(a: &mut Attributes, r: &ExchangeRecord) {
    a.text(attr::ERROR_TYPE, r.outcome.error_type());
    a.text(attr::RESPONSE_ID, r.response_id.as_deref());
    a.text(attr::RESPONSE_MODEL, r.model.responded.as_deref());
    finish_reasons(a, r);
    if r.stream {
        a.seconds(attr::TIME_TO_FIRST_CHUNK, r.timeline.first_event());
    }
    a.put(attr::HTTP_STATUS, r.status.map(i64::from));
}

/// In the order of the choices. A choice that began and has no reason although the reply is over has the convention's
/// word for it, `error`.
fn finish_reasons(a: &mut Attributes, r: &ExchangeRecord) {
    let failed = r.outcome.error_type().is_some() && r.timeline.marks.first_token.is_some();
    if !failed {
        return a.texts(attr::FINISH_REASONS, r.finish_reasons.iter().map(|f| &*f.reason));
    }
    let asked = r.request.choices.and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    let seen = r.finish_reasons.last().map_or(0, |f| f.index.saturating_add(1));
    let reason = |index| r.finish_reasons.iter().find(|f| f.index == index).map_or("error", |f| &*f.reason);
    a.texts(attr::FINISH_REASONS, (0..asked.max(seen).clamp(1, MOST_CHOICES)).map(reason));
}

fn usage(a: &mut Attributes, r: &ExchangeRecord) {
    a.put(attr::USAGE_ASKED, r.request.usage_asked.map(limpid_core::UsageAsked::as_str));
    let Some(usage) = &r.usage else { return };
    a.count(attr::INPUT_TOKENS, usage.input_tokens);
    a.count(attr::OUTPUT_TOKENS, usage.output_tokens);
    a.count(attr::CACHE_READ, usage.cached_input_tokens);
    a.count(attr::CACHE_WRITE, usage.cache_write_input_tokens);
    a.count(attr::REASONING_TOKENS, usage.reasoning_output_tokens);
    a.count(attr::AUDIO_INPUT_TOKENS, usage.audio_input_tokens);
    a.count(attr::IMAGE_INPUT_TOKENS, usage.image_input_tokens);
    a.count(attr::AUDIO_OUTPUT_TOKENS, usage.audio_output_tokens);
    a.seconds(attr::AUDIO_INPUT, usage.audio_ms.map(std::time::Duration::from_millis));
    a.fixed(attr::USAGE_SOURCE, usage.source.as_str());
    a.shared(attr::USAGE_METHOD, usage.method.clone());
}

/// Only for the provider itself: a compatible server is not `openai`.
fn providers(a: &mut Attributes, r: &ExchangeRecord) {
    match r.provider() {
        Some("openai") => {}
        Some("azure.ai.inference" | "azure.ai.openai") => {
            return a.fixed(attr::AZURE_NAMESPACE, "Microsoft.CognitiveServices");
        }
        _ => return,
    }
    match r.endpoint {
        Endpoint::Chat => a.fixed(attr::OPENAI_API_TYPE, "chat_completions"),
        Endpoint::Responses => a.fixed(attr::OPENAI_API_TYPE, "responses"),
        _ => {}
    }
    a.text(attr::OPENAI_REQUEST_TIER, r.request.service_tier.as_deref().filter(|tier| *tier != "auto"));
    a.text(attr::OPENAI_RESPONSE_TIER, r.service_tier.as_deref());
    a.text(attr::OPENAI_FINGERPRINT, r.system_fingerprint.as_deref());
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
    a.own(&r.labels);
    a.put(attr::ATTEMPTS, Some(i64::from(r.attempts)));
    a.fixed(attr::CATEGORY, r.outcome.category.as_str());
    a.shared(attr::REASON, Some(r.outcome.reason.clone()));
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
        a.count(*limit, budget.limit);
        a.count(*remaining, budget.remaining);
        a.seconds(*reset, budget.reset);
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
        a.shared(attr::PRICE_MATCHED, price.matched.clone());
        a.shared(attr::PRICE_TABLE, price.table.clone());
        a.put(attr::PRICE_DISCOUNT, price.discount.map(|d| d.to_string()));
    }
    a.put(attr::UNPRICED, r.unpriced);
    a.put(attr::UNESTIMATED, r.unestimated);
}
