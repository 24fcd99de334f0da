//! The one record that every surface reads.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{
    Caller, ContentSlot, Endpoint, FinishReason, InputTokensBand, ModelNames, ObserverFault, Outcome, OwnLabel, Price,
    RateLimits, Refusal, RequestFacts, Timeline, Usage,
};

/// A ULID: 26 characters that sort by the time of arrival.
pub type ExchangeId = ulid::Ulid;

/// The upstream that served, or should have served, an exchange. Shared by all its exchanges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamInfo {
    /// Its name in the settings.
    pub name: Arc<str>,
    /// `gen_ai.provider.name`: `vllm`, `openai`, `anthropic`, …
    pub provider: Arc<str>,
    /// Its configured region.
    pub region: Option<Arc<str>>,
    /// The host of its URL: `server.address`.
    pub address: Arc<str>,
    /// The port of its URL, explicit or by scheme: `server.port`.
    pub port: u16,
}

/// Bytes of the bodies as they passed, content codings kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct ByteCounts {
    /// Of the request's body.
    pub request: u64,
    /// Of the response's body.
    pub response: u64,
}

/// A finished exchange. Serializes to the exchange log's JSON (see `record_json`).
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeRecord {
    /// Its id.
    pub id: ExchangeId,
    /// The wall time of its arrival.
    pub started_at: SystemTime,
    /// The kind of API.
    pub endpoint: Endpoint,
    /// The HTTP method.
    pub method: Box<str>,
    /// The path, without its query.
    pub path: Box<str>,
    /// The status that the client got; absent when it left before one.
    pub status: Option<u16>,
    /// Whether limpid itself wrote the response.
    pub answered_by_limpid: bool,
    /// Whether the response is a stream of events; if none came, whether one was asked for.
    pub stream: bool,
    /// The upstream; absent where none was chosen.
    pub upstream: Option<Arc<UpstreamInfo>>,
    /// The model's names.
    pub model: ModelNames,
    /// Who asked.
    pub caller: Caller,
    /// The operator's own labels that have a value here, by name; at most [`OwnLabel::MOST`].
    pub labels: Vec<OwnLabel>,
    /// What was asked, as far as seen.
    pub request: RequestFacts,
    /// The span of this exchange: the client's trace id, or a new one; and a new span id.
    pub trace_id: u128,
    /// See `trace_id`.
    pub span_id: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the model refused.
    pub refusal: Refusal,
    /// When what happened.
    pub timeline: Timeline,
    /// Events with data; absent unless the response was a stream.
    pub events: Option<u64>,
    /// Events with generated output; likewise, and absent for endpoints whose events are not read.
    pub token_events: Option<u64>,
    /// Tokens in the first token event, where known.
    pub first_event_tokens: Option<u64>,
    /// Whether reasoning was streamed (else its tokens are hidden).
    pub reasoning_streamed: bool,
    /// The reply's id.
    pub response_id: Option<Box<str>>,
    /// The tier that served it.
    pub service_tier: Option<Box<str>>,
    /// The reply's `system_fingerprint`: which configuration of the backend answered.
    pub system_fingerprint: Option<Box<str>>,
    /// Raw finish reasons by choice.
    pub finish_reasons: Vec<FinishReason>,
    /// What the response's head tells of limits.
    pub rate_limits: Option<Box<RateLimits>>,
    /// Token counts.
    pub usage: Option<Usage>,
    /// Why token counts that the reply left out were not estimated: a fixed reason such as `too_large`.
    pub unestimated: Option<&'static str>,
    /// The price; absent if unknown.
    pub price: Option<Price>,
    /// Why there is no price although there was usage: a fixed reason such as `unknown_model`.
    pub unpriced: Option<&'static str>,
    /// How often the request was sent; 0 if it never was.
    pub attempts: u32,
    /// Bytes of the bodies.
    pub bytes: ByteCounts,
    /// Why the observer stopped looking, if it did.
    pub observer_fault: Option<ObserverFault>,
    /// What was captured of prompt and reply, for the spans alone: no other surface reads it. Empty unless asked for.
    pub content: ContentSlot,
}

impl ExchangeRecord {
    /// Output tokens that were streamed: the total less hidden reasoning.
    pub fn streamed_tokens(&self) -> Option<u64> {
        let usage = self.usage.as_ref()?;
        let hidden = if self.reasoning_streamed { 0 } else { usage.reasoning_output_tokens.unwrap_or(0) };
        usage.output_tokens.map(|all| all.saturating_sub(hidden))
    }

    /// Time per output token; see [`Timeline::tpot`]. The first event counts as one token unless the reply tells more.
    pub fn tpot(&self) -> Option<Duration> {
        self.timeline.tpot(self.streamed_tokens()?, self.first_event_tokens.unwrap_or(1))
    }

    /// Streamed output tokens per second from the first token to the last; absent where no time passed.
    pub fn output_tokens_per_s(&self) -> Option<f64> {
        let seconds = self.timeline.generating()?.as_secs_f64();
        let tokens = self.streamed_tokens()?;
        (seconds > 0.0).then(|| tokens as f64 / seconds)
    }

    /// The band of the prompt's length; absent where the input tokens are unknown.
    pub fn input_tokens_band(&self) -> Option<InputTokensBand> {
        self.usage.as_ref()?.input_tokens.map(InputTokensBand::of)
    }

    /// The provider's name; absent without an upstream.
    pub fn provider(&self) -> Option<&str> {
        self.upstream.as_deref().map(|u| &*u.provider)
    }
}
