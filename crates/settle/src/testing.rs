//! Evidence for tests.

use std::time::{Duration, SystemTime};

use limpid_core::{ByteCounts, Caller, Ending, Endpoint, ExchangeId, Observation, RequestFacts, Timeline};

use crate::{Evidence, Unsettled};

static NOTHING_ASKED: std::sync::LazyLock<RequestFacts> = std::sync::LazyLock::new(RequestFacts::default);

/// A chat call with a 200 that ended as announced, on 2026-11-22 at noon.
pub(crate) fn evidence(observation: &Observation) -> Evidence<'_> {
    Evidence {
        endpoint: Endpoint::Chat,
        status: Some(200),
        ending: Ending::End,
        failure: None,
        observation,
        request: &NOTHING_ASKED,
        upstream: None,
        provider: None,
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_800),
    }
}

/// The same, not judged yet; nothing was seen of its reply.
pub(crate) fn unsettled() -> Unsettled {
    Unsettled {
        id: ExchangeId::from_parts(1, 2),
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_800),
        endpoint: Endpoint::Chat,
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        status: Some(200),
        answered_by_limpid: false,
        upstream: None,
        caller: Caller::default(),
        labels: Vec::new(),
        request: RequestFacts::default(),
        trace_id: 1,
        span_id: 2,
        attempts: 1,
        bytes: ByteCounts::default(),
        timeline: Timeline::default(),
        ending: Ending::End,
        failure: None,
        labelled_stream: false,
        answered: true,
        rate_limits: None,
        observation: Observation::default(),
        unestimated: None,
    }
}
