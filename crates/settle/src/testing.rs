//! Evidence for tests.

use std::time::{Duration, SystemTime};

use limpid_core::{Ending, Endpoint, Observation, RequestFacts};

use crate::Evidence;

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
