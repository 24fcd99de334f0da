//! What the tests share: a response in, an observation out.

use limpid_core::{Endpoint, Observation, Tick};
use limpid_observe::{Limits, ResponseHead, ResponseObserver};

pub(crate) const SSE: &str = "text/event-stream; charset=utf-8";
pub(crate) const JSON: &str = "application/json";
pub(crate) const NDJSON: &str = "application/x-ndjson";

pub(crate) fn observer(endpoint: Endpoint, status: u16, content_type: &str) -> ResponseObserver {
    let head = ResponseHead { endpoint, status, content_type: Some(content_type), content_encoding: None };
    ResponseObserver::new(&head, Limits::default())
}

/// The whole body in one read.
pub(crate) fn observe(endpoint: Endpoint, status: u16, content_type: &str, body: &str) -> Observation {
    let mut o = observer(endpoint, status, content_type);
    o.on_bytes(body.as_bytes(), Tick(1));
    o.finish(Tick(2));
    o.into_observation()
}

/// An event stream of these data lines, one read each; the tick is the event's index.
pub(crate) fn stream(endpoint: Endpoint, events: &[&str]) -> Observation {
    let mut o = observer(endpoint, 200, SSE);
    for (index, data) in events.iter().enumerate() {
        o.on_bytes(format!("data: {}\n\n", data.replace('\n', " ")).as_bytes(), Tick(index as u64));
    }
    o.finish(Tick(events.len() as u64));
    o.into_observation()
}

/// A 200 that is one JSON value.
pub(crate) fn body(endpoint: Endpoint, body: &str) -> Observation {
    observe(endpoint, 200, JSON, body)
}

pub(crate) fn reasons(seen: &Observation) -> Vec<(u32, &str)> {
    seen.finish_reasons.iter().map(|f| (f.index, &*f.reason)).collect()
}

/// First token, first content, last token.
pub(crate) fn token_marks(seen: &Observation) -> [Option<u64>; 3] {
    let m = seen.marks;
    [m.first_token, m.first_content, m.last_token].map(|t| t.map(|t| t.0))
}
