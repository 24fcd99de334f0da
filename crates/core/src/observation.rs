//! What an observer saw in a response: facts, no judgement.

use std::time::Duration;

use crate::{GapHistogram, Opening, PicoUsd, RefusalKind, Tick, Usage};

/// The moments of a response's body. All are the stamp of the read that completed the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamMarks {
    /// The first body byte.
    pub first_byte: Option<Tick>,
    /// The first decoded event of any kind, comments excluded.
    pub first_event: Option<Tick>,
    /// The first event with generated output of any kind. Only for streams.
    pub first_token: Option<Tick>,
    /// The first visible text. Only for streams.
    pub first_content: Option<Tick>,
    /// The last event with generated output. Only for streams.
    pub last_token: Option<Tick>,
    /// The first error that the body told. Only for streams.
    pub error: Option<Tick>,
}

/// A choice's raw finish reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishReason {
    /// The choice's index.
    pub index: u32,
    /// As the backend wrote it, cut to 64 bytes.
    pub reason: Box<str>,
}

/// What an error's message tells beyond its code. Found while the message is at hand; the message itself may hold
/// pieces of a prompt and is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorHint {
    /// The prompt is longer than the model's context.
    ContextLength,
    /// No such model.
    ModelNotFound,
    /// The server has no capacity for now.
    Overloaded,
    /// The server's queue is full.
    QueueFull,
    /// The model is being loaded.
    Loading,
    /// Out of memory.
    OutOfMemory,
    /// The engine died.
    EngineDead,
    /// A content filter stopped it.
    ContentFilter,
    /// The rate limit on tokens.
    RateLimitTokens,
    /// The rate limit on requests.
    RateLimitRequests,
    /// Credit or budget is spent.
    Quota,
    /// The key is not valid.
    ApiKey,
}

/// An error that the backend told in a body: that of a 4xx or 5xx, or inside a 200.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReportedError {
    /// `error.type`, cut to 64 bytes.
    pub kind: Option<Box<str>>,
    /// `error.code` as text, cut to 64 bytes.
    pub code: Option<Box<str>>,
    /// `error.param`, cut to 64 bytes.
    pub param: Option<Box<str>>,
    /// What its message tells.
    pub hint: Option<ErrorHint>,
}

/// A structural sign of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusalSignal {
    /// `refusal_field`, `finish_reason`, `stop_reason`, `incomplete_reason`, `filter_result`, `error_code`.
    pub source: &'static str,
    /// Who refused.
    pub kind: RefusalKind,
}

/// Why an observer stopped looking. It latches on the first; the relay goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObserverFault {
    /// The copy could not be decompressed.
    Decompress,
    /// The decompressed copy grew past its limit.
    DecompressLimit,
    /// A content coding that limpid does not know.
    UnknownCoding,
    /// One event or the body was larger than the limit.
    TooLarge,
    /// An event or body that should be JSON is not.
    Json,
    /// The observer panicked; contained.
    Panic,
}

impl ObserverFault {
    /// The label of `limpid.observer.errors`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ObserverFault::Decompress => "decompress",
            ObserverFault::DecompressLimit => "decompress_limit",
            ObserverFault::UnknownCoding => "unknown_coding",
            ObserverFault::TooLarge => "too_large",
            ObserverFault::Json => "json",
            ObserverFault::Panic => "panic",
        }
    }
}

/// Everything that was seen of one response's body. It is valid at any moment: what was seen is in it at once, so an
/// exchange that breaks off keeps what it had.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// The body is a stream of events (SSE or NDJSON).
    pub streamed: bool,
    /// The moments.
    pub marks: StreamMarks,
    /// The longest gap between consecutive token events; absent below two.
    pub stall: Option<Duration>,
    /// All those gaps.
    pub gaps: GapHistogram,
    /// Events with data, `[DONE]` included; for NDJSON, lines. 0 for a body that is not a stream.
    pub events: u64,
    /// Events with generated output.
    pub token_events: u64,
    /// Tokens in the first token event, where logprobs or continuous usage tell it.
    pub first_event_tokens: Option<u64>,
    /// Reasoning output was streamed, so reasoning tokens are not hidden.
    pub reasoning_streamed: bool,
    /// The reply's `model`, cut to 256 bytes.
    pub model: Option<Box<str>>,
    /// The reply's `id`, cut to 256 bytes.
    pub response_id: Option<Box<str>>,
    /// The tier that served it.
    pub service_tier: Option<Box<str>>,
    /// The reply's `system_fingerprint`, cut to 64 bytes.
    pub system_fingerprint: Option<Box<str>>,
    /// The highest choice index seen, plus one.
    pub choices_seen: u32,
    /// Finish reasons, at most 128, in order of the choice's index.
    pub finish_reasons: Vec<FinishReason>,
    /// Token counts.
    pub usage: Option<Usage>,
    /// The provider's own price, where it tells one.
    pub reported_cost: Option<PicoUsd>,
    /// The dialect's end marker was seen (`[DONE]`, `message_stop`, `response.completed`, `"done":true`).
    pub terminal: bool,
    /// The first error told in the body.
    pub error: Option<ReportedError>,
    /// The first structural sign of a refusal.
    pub refusal: Option<RefusalSignal>,
    /// How the first choice's visible text begins. No reasoning, no refusal field, no tool's arguments; empty for a
    /// WebSocket session. For the verdict alone: no record has it.
    pub opening: Opening,
    /// Why the observer stopped looking, if it did.
    pub fault: Option<ObserverFault>,
}
