//! Settlement of anything that the observers can say.
//!
//! Input: a byte each for ending, failure and status, two bytes of the request's length, the request's body, then an
//! input of the target `response`.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use limpid_core::{Category, Ending, PicoUsd, RelayFailure, Verdict};
use limpid_observe::RequestObserver;
use limpid_settle::{Evidence, Settler};

use super::response;

const STATUSES: [u16; 16] = [200, 201, 204, 302, 304, 400, 401, 403, 404, 413, 422, 429, 500, 503, 504, 529];

const PROVIDERS: [Option<&str>; 4] = [None, Some("openai"), Some("anthropic"), Some("vllm")];

/// Panics if an invariant does not hold.
pub fn check(input: &[u8]) {
    static SETTLER: OnceLock<Settler> = OnceLock::new();
    let [ending, failure, status, high, low, rest @ ..] = input else { return };
    let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
    let (asked, answered) = rest.split_at(length);
    let Some(case) = response::Case::of(answered) else { return };
    let mut request = RequestObserver::new(usize::MAX);
    request.feed(asked);
    let observation = case.observe([case.body]);
    let evidence = Evidence {
        endpoint: case.endpoint,
        status: (status & 0x80 == 0).then(|| STATUSES[usize::from(status & 15)]),
        ending: Ending::ALL[usize::from(ending & 3)],
        failure: (failure & 0x80 == 0).then(|| RelayFailure::ALL[usize::from(failure & 127) % RelayFailure::ALL.len()]),
        observation: &observation,
        request: request.facts(),
        upstream: None,
        provider: PROVIDERS[usize::from(ending >> 2 & 3)],
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(*status) * 15_000_000),
    };
    let settler = SETTLER.get_or_init(Settler::embedded);
    let settled = settler.settle(&evidence);
    assert_eq!(settled, settler.settle(&evidence), "the same evidence, the same verdict");
    let outcome = &settled.outcome;
    assert!(!outcome.reason.is_empty() && outcome.reason.len() <= 64, "the reason is {:?}", outcome.reason);
    assert_eq!(outcome.error_type().is_none(), outcome.category == Category::Ok);
    assert_eq!(outcome.ending, evidence.ending);
    assert_eq!(settled.usage, observation.usage, "usage passes as it is");
    assert!(settled.price.is_none() || settled.unpriced.is_none(), "priced or not");
    assert_eq!(settled.refusal.verdict == Verdict::None, settled.refusal.source.is_none());
    if let Some(price) = settled.price.as_ref().filter(|p| !p.parts.is_empty()) {
        let sum = price.parts.iter().fold(PicoUsd(0), |sum, part| sum.plus(part.usd));
        assert_eq!(price.usd, sum, "the parts sum to the total");
    }
    if observation.usage.is_none() && observation.reported_cost.is_none() {
        assert!(settled.price.is_none(), "a price of nothing");
    }
}
