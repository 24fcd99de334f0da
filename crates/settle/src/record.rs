//! A finished exchange and its verdict become the one record: the only place that assembles it, for the proxy and for
//! `limpid inspect` alike.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use limpid_core::{
    ByteCounts, Caller, Category, ContentSlot, Ending, Endpoint, ExchangeId, ExchangeRecord, ModelNames, Observation,
    OwnLabel, RateLimits, Refusal, RelayFailure, RequestFacts, Timeline, UpstreamInfo,
};

use crate::{Evidence, Settled, Settler};

/// An exchange that has ended and is not judged yet. The members are those of [`ExchangeRecord`], but for the last seven.
#[derive(Debug)]
#[expect(missing_docs, reason = "the members that are also the record's are documented there")]
pub struct Unsettled {
    pub id: ExchangeId,
    pub started_at: SystemTime,
    pub endpoint: Endpoint,
    pub method: Box<str>,
    pub path: Box<str>,
    pub status: Option<u16>,
    pub answered_by_limpid: bool,
    pub upstream: Option<Arc<UpstreamInfo>>,
    pub caller: Caller,
    pub labels: Vec<OwnLabel>,
    pub request: RequestFacts,
    pub trace_id: u128,
    pub span_id: u64,
    pub attempts: u32,
    pub bytes: ByteCounts,
    /// What the relay marked; the observation's marks are added to it.
    pub timeline: Timeline,
    /// How the body, or the wait for it, ended.
    pub ending: Ending,
    /// What limpid itself saw go wrong.
    pub failure: Option<RelayFailure>,
    /// The response came, and says that it is an event stream; for exchanges that were not observed.
    pub labelled_stream: bool,
    /// A response head came.
    pub answered: bool,
    /// What the response's head tells of limits.
    pub rate_limits: Option<Box<RateLimits>>,
    /// What was seen of the reply; the default if there was none.
    pub observation: Observation,
    /// Why token counts were not estimated; a fixed reason.
    pub unestimated: Option<&'static str>,
}

impl Settler {
    /// The record. A panic in the verdict is contained: then it says so and has no tokens and no price.
    pub fn record(&self, exchange: Unsettled) -> ExchangeRecord {
        let settled = catch_unwind(AssertUnwindSafe(|| self.settle(&exchange.evidence())));
        let settled = settled.unwrap_or_else(|_panic| unsettled(exchange.ending));
        exchange.with(settled)
    }
}

fn unsettled(ending: Ending) -> Settled {
    let outcome = crate::outcome::of((Category::Internal, "settlement_panic".into()), ending);
    Settled { outcome, refusal: Refusal::NONE, usage: None, price: None, unpriced: None }
}

impl Unsettled {
    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            endpoint: self.endpoint,
            status: self.status.filter(|_| !self.answered_by_limpid),
            ending: self.ending,
            failure: self.failure,
            observation: &self.observation,
            request: &self.request,
            upstream: self.upstream.as_deref().map(|u| &*u.name),
            provider: self.upstream.as_deref().map(|u| &*u.provider),
            started_at: self.started_at,
        }
    }

    fn with(self, settled: Settled) -> ExchangeRecord {
        let seen = self.observation;
        let mut timeline = self.timeline;
        // Marked by the relay too, which sees bytes that nobody observes.
        let first_byte = timeline.marks.first_byte.or(seen.marks.first_byte);
        timeline.observe(&seen);
        timeline.marks.first_byte = first_byte;
        ExchangeRecord {
            id: self.id,
            started_at: self.started_at,
            endpoint: self.endpoint,
            method: self.method,
            path: self.path,
            status: self.status,
            answered_by_limpid: self.answered_by_limpid,
            stream: if self.answered {
                seen.streamed || self.labelled_stream
            } else {
                self.request.stream.unwrap_or(false)
            },
            upstream: self.upstream,
            model: ModelNames { requested: self.request.model.clone(), responded: seen.model },
            caller: self.caller,
            labels: self.labels,
            request: self.request,
            trace_id: self.trace_id,
            span_id: self.span_id,
            outcome: settled.outcome,
            refusal: settled.refusal,
            timeline,
            events: seen.streamed.then_some(seen.events),
            token_events: (seen.streamed && self.endpoint.streams_tokens()).then_some(seen.token_events),
            first_event_tokens: seen.first_event_tokens,
            reasoning_streamed: seen.reasoning_streamed,
            response_id: seen.response_id,
            service_tier: seen.service_tier,
            system_fingerprint: seen.system_fingerprint,
            finish_reasons: seen.finish_reasons,
            rate_limits: self.rate_limits,
            usage: settled.usage,
            unestimated: self.unestimated,
            price: settled.price,
            unpriced: settled.unpriced,
            attempts: self.attempts,
            bytes: self.bytes,
            observer_fault: seen.fault,
            content: ContentSlot::default(),
        }
    }
}
