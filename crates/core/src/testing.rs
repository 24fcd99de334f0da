//! A record for this crate's own tests.

use std::time::SystemTime;

use crate::{
    ByteCounts, Caller, Category, Ending, Endpoint, ExchangeId, ExchangeRecord, ModelNames, Outcome, Refusal,
    RequestFacts, Tick, Timeline,
};

/// A chat exchange that the client left after 1.5 ms, of which nothing else is known.
pub(crate) fn record() -> ExchangeRecord {
    ExchangeRecord {
        id: ExchangeId::from_parts(1, 2),
        started_at: SystemTime::UNIX_EPOCH,
        endpoint: Endpoint::Chat,
        method: "GET".into(),
        path: "/".into(),
        status: None,
        answered_by_limpid: false,
        stream: false,
        upstream: None,
        model: ModelNames::default(),
        caller: Caller::default(),
        labels: Vec::new(),
        request: RequestFacts::default(),
        trace_id: 1,
        span_id: 2,
        outcome: Outcome::new(Category::Cancelled, "client_gone", Ending::ClientGone),
        refusal: Refusal::NONE,
        timeline: Timeline { ended: Tick(1_500_000), ..Timeline::default() },
        events: None,
        token_events: None,
        first_event_tokens: None,
        reasoning_streamed: false,
        response_id: None,
        service_tier: None,
        system_fingerprint: None,
        finish_reasons: Vec::new(),
        rate_limits: None,
        usage: None,
        unestimated: None,
        price: None,
        unpriced: None,
        attempts: 0,
        bytes: ByteCounts::default(),
        observer_fault: None,
        content: crate::ContentSlot::default(),
    }
}
