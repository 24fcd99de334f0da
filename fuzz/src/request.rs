//! The request's observer. Input: two bytes of the limit (0xFFFF: none), one of the split, the body.

use limpid_core::RequestFacts;
use limpid_observe::RequestObserver;

/// Panics if an invariant does not hold.
pub fn check(input: &[u8]) {
    let [high, low, split, body @ ..] = input else { return };
    let limit = match u16::from_be_bytes([*high, *low]) {
        u16::MAX => usize::MAX,
        limit => usize::from(limit),
    };
    let whole = observe(limit, [body]);
    bounds(&whole.0);
    assert_eq!(observe(limit, body.chunks(1)), whole, "depends on the cuts");
    assert_eq!(observe(limit, body.chunks(usize::from(*split) + 1)), whole, "depends on the cuts");
    // What stands behind the limit is not looked at.
    let seen = body.get(..limit.min(body.len())).unwrap_or(body);
    assert_eq!(observe(limit, [seen]), whole, "looks behind the limit");
    if limit <= body.len() {
        assert!(whole.1, "the model is settled at the limit");
    }
}

fn observe<'p>(limit: usize, pieces: impl IntoIterator<Item = &'p [u8]>) -> (RequestFacts, bool) {
    let mut observer = RequestObserver::new(limit);
    let mut settled = None;
    for piece in pieces {
        observer.feed(piece);
        if observer.model_settled() && observer.facts().model.is_none() {
            settled = Some(());
        }
        // Settled without a model: there will be none.
        assert!(settled.is_none() || observer.facts().model.is_none(), "a model after there was to be none");
    }
    (observer.facts().clone(), observer.model_settled())
}

fn bounds(facts: &RequestFacts) {
    for name in [&facts.model, &facts.service_tier, &facts.reasoning_effort, &facts.conversation_id] {
        let length = name.as_deref().map_or(0, str::len);
        assert!(length <= 256, "a name of {length} bytes");
        assert!(name.as_deref() != Some(""), "empty, not absent");
    }
    let numbers = [facts.temperature, facts.top_p, facts.top_k, facts.frequency_penalty, facts.presence_penalty];
    assert!(numbers.into_iter().flatten().all(f64::is_finite), "a number that is none");
}
