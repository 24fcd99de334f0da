//! Who asks, and what they ask for.

use crate::endpoint::named_enum;
use crate::{OwnLabel, UsageAsked};

/// Who is asking. Every member is absent unless a request or the settings name it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Caller {
    /// The API key's configured name, or `k-` and a short keyed hash of it; never the key.
    pub key: Option<Box<str>>,
    /// `x-limpid-project`, or the project configured for the key.
    pub project: Option<Box<str>>,
    /// `x-limpid-user`.
    pub user: Option<Box<str>>,
    /// `x-limpid-template`: the prompt template's name.
    pub template: Option<Box<str>>,
    /// `x-limpid-session`.
    pub session: Option<Box<str>>,
    /// `x-limpid-priority`.
    pub priority: Option<Box<str>>,
    /// The client's own `x-request-id`.
    pub request_id: Option<Box<str>>,
    /// The client's trace, from `traceparent`.
    pub trace: Option<TraceParent>,
    /// The client's `tracestate`, at most 512 bytes; only beside `trace`.
    pub trace_state: Option<Box<str>>,
}

/// A W3C trace context (Trace Context, level 1) as it came with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// 16 bytes, not all zero.
    pub trace_id: u128,
    /// 8 bytes, not all zero: the caller's span.
    pub span_id: u64,
    /// Bit 0 of the flags.
    pub sampled: bool,
}

/// Whether a new trace belongs to this share of all, 0 to 1. Told from the id alone, as OpenTelemetry's `TraceIdRatioBased`
/// does, so that whoever has the same share decides alike.
pub fn in_share(trace_id: u128, share: f64) -> bool {
    /// As many as the values of 63 bits.
    const ALL: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the lower half; saturates")]
    let (place, bound) = ((trace_id as u64) >> 1, (share.max(0.0) * ALL) as u64);
    share >= 1.0 || place < bound
}

/// The model's names: what was asked for and what answered. They differ for aliases and dated versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelNames {
    /// The request's `model`.
    pub requested: Option<Box<str>>,
    /// The reply's `model`.
    pub responded: Option<Box<str>>,
}

impl ModelNames {
    /// The name for labels: what was requested, else what responded.
    pub fn name(&self) -> Option<&str> {
        self.requested.as_deref().or(self.responded.as_deref())
    }
}

named_enum! {
    /// What a request wants back: `gen_ai.output.type`.
    OutputType {
        /// Plain text.
        Text = "text",
        /// A JSON object, with or without a schema.
        Json = "json",
        /// An image.
        Image = "image",
        /// Speech.
        Speech = "speech",
    }
}

named_enum! {
    /// Why no route has a request by its model, where routes ask for one.
    RouteFallback {
        /// It names a model that no route has.
        NotListed = "not_listed",
        /// It names none, or none that can be read.
        NotTold = "not_told",
        /// None stands in what may be read ahead.
        TooFar = "too_far",
        /// What all requests together may hold ahead was spent.
        NoRoom = "no_room",
        /// It names two that differ.
        Unclear = "unclear",
    }
}

/// What the observed part of a request's body says. A member is `None` when it is not there, or stands behind the part
/// that was looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestFacts {
    /// The model that is asked for: in the path or the query where its API has it there, else the body's `model`.
    pub model: Option<Box<str>>,
    /// `stream`.
    pub stream: Option<bool>,
    /// `stream_options.include_usage`.
    pub include_usage: Option<bool>,
    /// `max_tokens`, `max_completion_tokens` or `max_output_tokens`, tokens.
    pub max_tokens: Option<u64>,
    /// `n`: how many choices are asked for.
    pub choices: Option<u64>,
    /// `temperature`.
    pub temperature: Option<f64>,
    /// `top_p`.
    pub top_p: Option<f64>,
    /// `top_k`.
    pub top_k: Option<f64>,
    /// `frequency_penalty`.
    pub frequency_penalty: Option<f64>,
    /// `presence_penalty`.
    pub presence_penalty: Option<f64>,
    /// `seed`.
    pub seed: Option<i64>,
    /// `service_tier`.
    pub service_tier: Option<Box<str>>,
    /// `reasoning_effort`, or `reasoning.effort`.
    pub reasoning_effort: Option<Box<str>>,
    /// `conversation`: the conversation's id, where it is a plain string.
    pub conversation_id: Option<Box<str>>,
    /// `previous_response_id`. It names a reply, not a conversation: each call of a conversation has another one.
    pub previous_response_id: Option<Box<str>>,
    /// What is to come back, where the body says so (`response_format`, `text.format`, `format`).
    pub output_type: Option<OutputType>,
    /// `encoding_format`, or the strings of `encoding_format`, `embedding_types`; at most 8, each cut to 64 bytes.
    pub encoding_formats: Vec<Box<str>>,
    /// `dimensions` or `output_dimension` of embeddings.
    pub dimensions: Option<u64>,
    /// Members of `metadata` that the settings make labels of. The record has them among its labels, not here.
    pub metadata: Vec<OwnLabel>,
    /// What limpid made of an upstream's `ask_for_usage`. Absent where the setting is off, no stream of chat or completions
    /// is asked for, or the client says itself whether it wants its usage.
    pub usage_asked: Option<UsageAsked>,
    /// Why it went to the upstream for all models, or nowhere, though others ask for models. Absent where a route has its model,
    /// none asks, or requests of its kind name none.
    pub route_fallback: Option<RouteFallback>,
}
