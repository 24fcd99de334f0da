//! What the span of an exchange says, as the GenAI conventions want it.
//!
//! A span follows from the record alone, with the start and end that the record tells and the ids that it carries: no
//! tracer is needed, and nothing happens on the relay's path. It continues the client's trace where there is one.
//! Attributes that are not known are left out; those that a sampler may ask for stand first. They are told here once and
//! go into a [`Sink`]: the SDK's type for JSON and gRPC (`span_data`), or bytes at once for protocol buffers (`span_bytes`).
//!
//! The description of a failed span's status says whose fault it was: the conventions want neither `error.type` nor a
//! status code repeated there.

use std::borrow::Cow;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use limpid_core::{Endpoint, ExchangeRecord, OutputType, OwnLabel, TraceParent, Verdict};
use opentelemetry::trace::{Status, TraceState};

use crate::names::attr::{self, Attr, Name, Type};
use crate::semconv::Semconv;

/// More finish reasons are not listed for a failure.
const MOST_CHOICES: u32 = 128;

/// Where attributes go.
pub(crate) trait Sink {
    fn text(&mut self, name: &Name, value: &str);

    /// A text that stands in the program: it need not be copied.
    #[inline]
    fn fixed(&mut self, name: &Name, value: &'static str) {
        self.text(name, value);
    }

    /// A text that other records have too: likewise.
    #[inline]
    fn shared(&mut self, name: &Name, value: &Arc<str>) {
        self.text(name, value);
    }

    fn int(&mut self, name: &Name, value: i64);

    fn double(&mut self, name: &Name, value: f64);

    /// True.
    fn flag(&mut self, name: &Name);

    /// At least one.
    fn texts<'a>(&mut self, name: &Name, values: impl Iterator<Item = &'a str> + Clone);

    /// One of the operator's own, whose name only the settings know.
    fn own(&mut self, label: &OwnLabel);
}

/// The attributes of an exchange's span.
pub(crate) fn attributes(r: &ExchangeRecord, semconv: Semconv, to: &mut impl Sink) {
    let a = &mut Attributes { semconv, to };
    who(a, r);
    request(a, r);
    response(a, r);
    usage(a, r);
    providers(a, r);
    exchange(a, r);
    measured(a, r);
}

/// The client's span, if this one continues its trace.
pub(crate) fn parent(r: &ExchangeRecord) -> Option<TraceParent> {
    r.caller.trace.filter(|t| t.trace_id == r.trace_id)
}

/// The client's, beside its span. One that does not read is as good as none (Trace Context §3.3).
pub(crate) fn trace_state(r: &ExchangeRecord) -> TraceState {
    let state = r.caller.trace_state.as_deref().filter(|_| parent(r).is_some());
    state.and_then(|text| TraceState::from_str(text).ok()).unwrap_or_default()
}

pub(crate) fn status(r: &ExchangeRecord) -> Status {
    match (r.outcome.error_type(), r.outcome.fault) {
        (None, _) => Status::Unset,
        (Some(_), Some(fault)) => Status::error(format!("{}, fault of the {fault} side", r.outcome.category)),
        (Some(_), None) => Status::error(r.outcome.category.as_str()),
    }
}

/// Puts the attributes that are known into a sink, under the names of one text of the conventions.
pub(crate) struct Attributes<'a, S> {
    pub(crate) semconv: Semconv,
    pub(crate) to: &'a mut S,
}

impl<S: Sink> Attributes<'_, S> {
    pub(crate) fn text(&mut self, attr: &Attr, value: Option<&str>) {
        if let Some(value) = value {
            self.to.text(attr.of(self.semconv), value);
        }
    }

    pub(crate) fn fixed(&mut self, attr: &Attr, value: Option<&'static str>) {
        if let Some(value) = value {
            self.to.fixed(attr.of(self.semconv), value);
        }
    }

    fn shared(&mut self, attr: &Attr, value: Option<&Arc<str>>) {
        if let Some(value) = value {
            self.to.shared(attr.of(self.semconv), value);
        }
    }

    fn word(&mut self, attr: &Attr, value: Option<&Cow<'static, str>>) {
        match value {
            Some(Cow::Borrowed(value)) => self.fixed(attr, Some(value)),
            Some(Cow::Owned(value)) => self.text(attr, Some(value)),
            None => {}
        }
    }

    pub(crate) fn int(&mut self, attr: &Attr, value: Option<i64>) {
        if let Some(value) = value {
            self.to.int(attr.of(self.semconv), value);
        }
    }

    pub(crate) fn count(&mut self, attr: &Attr, value: Option<u64>) {
        self.int(attr, value.and_then(|n| i64::try_from(n).ok()));
    }

    fn double(&mut self, attr: &Attr, value: Option<f64>) {
        if let Some(value) = value {
            self.to.double(attr.of(self.semconv), value);
        }
    }

    fn seconds(&mut self, attr: &Attr, value: Option<Duration>) {
        self.double(attr, value.map(|d| d.as_secs_f64()));
    }

    /// True, or absent.
    fn flag(&mut self, attr: &Attr, value: bool) {
        if value {
            self.to.flag(attr.of(self.semconv));
        }
    }

    fn texts<'a>(&mut self, attr: &Attr, values: impl Iterator<Item = &'a str> + Clone) {
        if values.clone().next().is_some() {
            self.to.texts(attr.of(self.semconv), values);
        }
    }

    /// A number that one text has as a double and the other as an integer. What is no integer is left out there.
    fn number(&mut self, attr: &Attr, value: Option<f64>) {
        match attr.of(self.semconv).kind {
            Type::Int => {
                let whole = value.filter(|n| n.fract() == 0.0 && n.abs() < 9e15);
                #[expect(clippy::cast_possible_truncation, reason = "it is a whole number that fits")]
                self.int(attr, whole.map(|n| n as i64));
            }
            _ => self.double(attr, value),
        }
    }
}

fn who(a: &mut Attributes<'_, impl Sink>, r: &ExchangeRecord) {
    a.fixed(attr::OPERATION, Some(r.endpoint.operation()));
    a.text(attr::REQUEST_MODEL, r.model.name());
    if let Some(upstream) = r.upstream.as_deref() {
        a.shared(attr::PROVIDER, Some(&upstream.provider));
        a.shared(attr::SERVER_ADDRESS, Some(&upstream.address));
        a.int(attr::SERVER_PORT, Some(upstream.port.into()));
        a.shared(attr::UPSTREAM, Some(&upstream.name));
        a.shared(attr::REGION, upstream.region.as_ref());
    }
}

fn request(a: &mut Attributes<'_, impl Sink>, r: &ExchangeRecord) {
    let q = &r.request;
    a.count(attr::CHOICE_COUNT, q.choices.filter(|n| *n != 1));
    a.int(attr::SEED, q.seed);
    a.number(attr::TOP_K, q.top_k);
    a.double(attr::TOP_P, q.top_p);
    a.double(attr::TEMPERATURE, q.temperature);
    a.count(attr::MAX_TOKENS, q.max_tokens);
    a.double(attr::FREQUENCY_PENALTY, q.frequency_penalty);
    a.double(attr::PRESENCE_PENALTY, q.presence_penalty);
    a.text(attr::REASONING_LEVEL, q.reasoning_effort.as_deref());
    a.text(attr::PREVIOUS_RESPONSE, q.previous_response_id.as_deref());
    a.text(attr::CONVERSATION, q.conversation_id.as_deref().or(r.caller.session.as_deref()));
    a.text(attr::PROMPT_NAME, r.caller.template.as_deref());
    let output = match r.endpoint {
        Endpoint::Images => Some(OutputType::Image),
        Endpoint::Audio if r.path.ends_with("/speech") => Some(OutputType::Speech),
        _ => q.output_type,
    };
    a.fixed(attr::OUTPUT_TYPE, output.map(OutputType::as_str));
    if r.endpoint == Endpoint::Embeddings {
        a.texts(attr::ENCODING_FORMATS, q.encoding_formats.iter().map(|format| &**format));
        a.count(attr::DIMENSIONS, q.dimensions);
    }
    a.flag(attr::STREAM, q.stream.unwrap_or(r.stream));
}

fn response(a: &mut Attributes<'_, impl Sink>, r: &ExchangeRecord) {
    a.text(attr::ERROR_TYPE, r.outcome.error_type());
    a.text(attr::RESPONSE_ID, r.response_id.as_deref());
    a.text(attr::RESPONSE_MODEL, r.model.responded.as_deref());
    finish_reasons(a, r);
    if r.stream {
        a.seconds(attr::TIME_TO_FIRST_CHUNK, r.timeline.first_event());
    }
    a.int(attr::HTTP_STATUS, r.status.map(i64::from));
}

/// In the order of the choices. A choice that began and has no reason although the reply is over has the convention's
/// word for it, `error`.
fn finish_reasons(a: &mut Attributes<'_, impl Sink>, r: &ExchangeRecord) {
    let failed = r.outcome.error_type().is_some() && r.timeline.marks.first_token.is_some();
    if !failed {
        return a.texts(attr::FINISH_REASONS, r.finish_reasons.iter().map(|f| &*f.reason));
    }
    let asked = r.request.choices.and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    let seen = r.finish_reasons.last().map_or(0, |f| f.index.saturating_add(1));
    let reason = |index| r.finish_reasons.iter().find(|f| f.index == index).map_or("error", |f| &*f.reason);
    a.texts(attr::FINISH_REASONS, (0..asked.max(seen).clamp(1, MOST_CHOICES)).map(reason));
}

fn usage(a: &mut Attributes<'_, impl Sink>, r: &ExchangeRecord) {
    a.fixed(attr::USAGE_ASKED, r.request.usage_asked.map(limpid_core::UsageAsked::as_str));
    let Some(usage) = &r.usage else { return };
    a.count(attr::INPUT_TOKENS, usage.input_tokens);
    a.count(attr::OUTPUT_TOKENS, usage.output_tokens);
    a.count(attr::CACHE_READ, usage.cached_input_tokens);
    a.count(attr::CACHE_WRITE, usage.cache_write_input_tokens);
    a.count(attr::REASONING_TOKENS, usage.reasoning_output_tokens);
    a.count(attr::AUDIO_INPUT_TOKENS, usage.audio_input_tokens);
    a.count(attr::IMAGE_INPUT_TOKENS, usage.image_input_tokens);
    a.count(attr::AUDIO_OUTPUT_TOKENS, usage.audio_output_tokens);
    a.seconds(attr::AUDIO_INPUT, usage.audio_ms.map(Duration::from_millis));
    a.fixed(attr::USAGE_SOURCE, Some(usage.source.as_str()));
    a.word(attr::USAGE_METHOD, usage.method.as_ref());
}

/// Only for the provider itself: a compatible server is not `openai`.
fn providers(a: &mut Attributes<'_, impl Sink>, r: &ExchangeRecord) {
    match r.provider() {
        Some("openai") => {}
        Some("azure.ai.inference" | "azure.ai.openai") => {
            return a.fixed(attr::AZURE_NAMESPACE, Some("Microsoft.CognitiveServices"));
        }
        _ => return,
    }
    match r.endpoint {
        Endpoint::Chat => a.fixed(attr::OPENAI_API_TYPE, Some("chat_completions")),
        Endpoint::Responses => a.fixed(attr::OPENAI_API_TYPE, Some("responses")),
        _ => {}
    }
    a.text(attr::OPENAI_REQUEST_TIER, r.request.service_tier.as_deref().filter(|tier| *tier != "auto"));
    a.text(attr::OPENAI_RESPONSE_TIER, r.service_tier.as_deref());
    a.text(attr::OPENAI_FINGERPRINT, r.system_fingerprint.as_deref());
}

fn exchange(a: &mut Attributes<'_, impl Sink>, r: &ExchangeRecord) {
    a.text(attr::EXCHANGE, Some(r.id.array_to_str(&mut [0; 26])));
    a.fixed(attr::ENDPOINT, Some(r.endpoint.as_str()));
    a.text(attr::KEY, r.caller.key.as_deref());
    a.text(attr::PROJECT, r.caller.project.as_deref());
    a.text(attr::USER, r.caller.user.as_deref());
    a.text(attr::TEMPLATE, r.caller.template.as_deref());
    a.text(attr::SESSION, r.caller.session.as_deref());
    a.text(attr::PRIORITY, r.caller.priority.as_deref());
    a.text(attr::REQUEST_ID, r.caller.request_id.as_deref());
    r.labels.iter().for_each(|label| a.to.own(label));
    a.int(attr::ATTEMPTS, Some(r.attempts.into()));
    a.fixed(attr::CATEGORY, Some(r.outcome.category.as_str()));
    a.word(attr::REASON, Some(&r.outcome.reason));
    a.fixed(attr::ENDING, Some(r.outcome.ending.as_str()));
    a.fixed(attr::FAULT, r.outcome.fault.map(limpid_core::Fault::as_str));
    a.fixed(attr::RETRYABLE, r.outcome.retryable.map(limpid_core::Retryable::as_str));
    limits(a, r);
    a.flag(attr::ANSWERED, r.answered_by_limpid);
    if r.refusal.verdict != Verdict::None {
        a.fixed(attr::REFUSAL, Some(r.refusal.verdict.as_str()));
        a.fixed(attr::REFUSAL_SOURCE, r.refusal.source);
        a.fixed(attr::REFUSAL_KIND, r.refusal.kind.map(limpid_core::RefusalKind::as_str));
    }
}

fn limits(a: &mut Attributes<'_, impl Sink>, r: &ExchangeRecord) {
    let Some(told) = r.rate_limits.as_deref() else { return };
    a.seconds(attr::RETRY_AFTER, told.retry_after);
    for (name, budget) in told.known() {
        let Some((_, [limit, remaining, reset])) = attr::RATE_LIMITS.iter().find(|(n, _)| *n == name) else { continue };
        a.count(limit, budget.limit);
        a.count(remaining, budget.remaining);
        a.seconds(reset, budget.reset);
    }
}

fn measured(a: &mut Attributes<'_, impl Sink>, r: &ExchangeRecord) {
    a.seconds(attr::QUEUE, r.timeline.queue());
    a.seconds(attr::TTFT, r.timeline.ttft());
    a.seconds(attr::TPOT, r.tpot());
    a.seconds(attr::STALL, r.timeline.stall);
    a.seconds(attr::READER_LAG, r.timeline.reader_lag);
    a.double(attr::OUTPUT_SPEED, r.output_tokens_per_s());
    if let Some(price) = &r.price {
        a.double(attr::PRICE_USD, Some(price.usd.as_usd()));
        a.fixed(attr::PRICE_SOURCE, Some(price.source.as_str()));
        a.flag(attr::PRICE_ESTIMATED, price.estimated);
        a.word(attr::PRICE_MATCHED, price.matched.as_ref());
        a.word(attr::PRICE_TABLE, price.table.as_ref());
        a.text(attr::PRICE_DISCOUNT, price.discount.map(|d| d.to_string()).as_deref());
    }
    a.fixed(attr::UNPRICED, r.unpriced);
    a.fixed(attr::UNESTIMATED, r.unestimated);
}
