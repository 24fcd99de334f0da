//! The request's observer. Input: two bytes of the limit (0xFFFF: none), one of the split, the body. The body is read as JSON, and
//! as each form in each coding: most are damaged, and all are read alike however they are cut.

use std::sync::Arc;

use limpid_core::RequestFacts;
use limpid_observe::{RequestHead, RequestObserver};

const TYPES: [&str; 3] = ["application/json", "multipart/form-data; boundary=b", "application/x-www-form-urlencoded"];
const CODINGS: [Option<&str>; 5] = [None, Some("gzip"), Some("deflate"), Some("br"), Some("zstd")];

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
    for content_type in TYPES {
        for content_encoding in CODINGS {
            let head = RequestHead { content_type: Some(content_type), content_encoding };
            let whole = of_form(limit, &head, [body]);
            bounds(&whole.0);
            assert_eq!(of_form(limit, &head, body.chunks(1)), whole, "depends on the cuts: {head:?}");
            assert_eq!(
                of_form(limit, &head, body.chunks(usize::from(*split) + 1)),
                whole,
                "depends on the cuts: {head:?}"
            );
        }
    }
}

fn of_form<'p>(
    limit: usize,
    head: &RequestHead<'_>,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (RequestFacts, bool) {
    let mut observer = RequestObserver::for_request(limit, Arc::default(), head);
    for piece in pieces {
        observer.feed(piece);
        assert!(observer.held_bytes() <= (17 << 20), "holds {} bytes", observer.held_bytes());
    }
    observer.finish();
    assert_eq!(observer.held_bytes(), 0, "nothing is held at the end");
    (observer.facts().clone(), observer.has_two_models())
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
