//! limpid's vocabulary: the finished exchange and every number in it.
//!
//! One exchange (a request and what became of it) ends as one [`ExchangeRecord`], on every ending. All other rooms
//! speak in these types: `observe` fills an [`Observation`], `settle` judges it, `proxy` submits the record through
//! [`ExchangeSink`], `telemetry` and `insight` consume it. Hence no I/O here, no runtime, and nothing that can fail.
//!
//! Two rules hold throughout. A number that is not known is `None`, never 0 and never a substitute. Time is a
//! [`Tick`] of an injected [`Clock`], so a test decides what the clock says.

mod batch_queue;
mod caller;
mod clock;
mod content;
mod endpoint;
mod failure;
mod fingerprint;
mod gaps;
mod handover;
mod hosts;
mod kept_text;
mod labels;
mod money;
mod observation;
mod opening;
mod outcome;
mod price;
mod rate_limit;
mod record;
mod record_json;
mod spoken;
#[cfg(test)]
mod testing;
mod timeline;
mod usage;

pub use batch_queue::{BatchQueue, Batching, NotTaken};
pub use caller::{Caller, ModelNames, OutputType, RequestFacts, RouteFallback, TraceParent, in_share};
pub use clock::{Clock, Tick};
pub use content::{Content, ContentSlot};
pub use endpoint::Endpoint;
pub use failure::{RelayFailure, Shortage, TlsFault};
pub use fingerprint::{BuildFingerprint, Fingerprint};
pub use gaps::GapHistogram;
pub use handover::{ExchangeSink, Handover, HandoverCounts, RecordConsumer, Unreadable};
pub use hosts::Hosts;
pub use kept_text::{KeptText, TextBudget, TextGone};
pub use labels::OwnLabel;
pub use money::{Discount, PicoUsd};
pub use observation::{ErrorHint, FinishReason, Observation, ObserverFault, RefusalSignal, ReportedError, StreamMarks};
pub use opening::Opening;
pub use outcome::{Category, Ending, Fault, Outcome, Refusal, RefusalKind, Retryable, Verdict};
pub use price::{Price, PricePart, PriceSource};
pub use rate_limit::{RateLimit, RateLimits};
pub use record::{ByteCounts, ExchangeId, ExchangeRecord, UpstreamInfo};
pub use spoken::Spoken;
pub use timeline::{Timeline, Unsent};
pub use usage::{InputTokensBand, Source, Usage, UsageAsked};
