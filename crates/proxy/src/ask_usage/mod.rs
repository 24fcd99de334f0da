//! Asking an upstream for its usage where the client does not, and taking the answer out again.
//!
//! Streams of chat and completions tell their tokens only when `stream_options.include_usage` is set, which most clients
//! do not do. An upstream with `ask_for_usage` gets it from limpid. It is the one exception from "no byte is changed",
//! hence an opt-in: [`request`] edits a body that goes up, [`events`] the events that come down, so that the client sees
//! what it would have seen. The observer looks at the upstream's bytes, before the second edit.
//!
//! The request's body is held until it is whole, for `stream` may stand at its end; one that is larger than the observer
//! may look at goes up as it came, unasked. A reply in a content coding cannot be edited. Servers practically never
//! compress events, but most clients would take them so, and limpid asks nonetheless: then the client sees the usage, and
//! the record says so.

mod edited;
mod events;
mod json;
mod request;

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::body::Body;
use limpid_core::{Endpoint, RelayFailure, UsageAsked};

pub(crate) use edited::Edited;
use events::UsageRemover;
use request::{Plan, plan};

use crate::request_body::{Broken, RequestBody, RequestTap, Whole};

/// Makes a request ask, if it is one that can. `most`: how much of it may be held, bytes. What became of it goes to the
/// body's tap.
pub(crate) async fn ask(
    request: &mut Request<RequestBody>,
    endpoint: Endpoint,
    most: usize,
) -> Result<(), RelayFailure> {
    if !matches!(endpoint, Endpoint::Chat | Endpoint::Completions) || request.body().is_end_stream() {
        return Ok(());
    }
    let became = if is_coded(request.headers()) {
        Some(UsageAsked::Encoded)
    } else {
        match request.body_mut().read_whole(most).await {
            Whole::Read(body) => put_in(request, &body),
            Whole::TooLarge => Some(UsageAsked::TooLarge),
            Whole::Broken => {
                let broken = request.body().tap().broken();
                return Err(broken.map_or(RelayFailure::RequestBody, Broken::failure));
            }
        }
    };
    let Some(became) = became else { return Ok(()) };
    if became != UsageAsked::Asked {
        tracing::debug!(why = became.as_str(), "the usage is not asked for");
    }
    request.body().tap().asked_for_usage(became);
    Ok(())
}

fn put_in(request: &mut Request<RequestBody>, body: &Bytes) -> Option<UsageAsked> {
    let (cut, insert) = match plan(body) {
        Plan::Ask { cut, insert } => (cut, insert),
        Plan::Nothing => return None,
        Plan::NotJson => return Some(UsageAsked::NotJson),
        Plan::Unclear => return Some(UsageAsked::Unclear),
    };
    let parts = [body.slice(..cut.start), Bytes::from_static(insert.as_bytes()), body.slice(cut.end..)];
    if let Some(length) = request.headers_mut().get_mut(CONTENT_LENGTH) {
        *length = HeaderValue::from(parts.iter().map(Bytes::len).sum::<usize>());
    }
    request.body_mut().replace(parts);
    Some(UsageAsked::Asked)
}

/// How the reply is edited: not at all, unless its request asked and it is a stream that can be read. A length that is
/// told of one would be wrong, and goes. `limit`: events above it pass unedited, bytes.
pub(crate) fn take_out(tap: &RequestTap, fields: &mut HeaderMap, limit: usize) -> Option<Edited> {
    if tap.usage_asked() != Some(UsageAsked::Asked) || !is_event_stream(fields) {
        return None;
    }
    if is_coded(fields) {
        tap.asked_for_usage(UsageAsked::LeftIn);
        return None;
    }
    if fields.contains_key(CONTENT_LENGTH) {
        // Removing from a map would shuffle the rest.
        let rest = fields.iter().filter(|(name, _)| *name != CONTENT_LENGTH);
        *fields = rest.map(|(name, value)| (name.clone(), value.clone())).collect();
    }
    Some(Edited::new(limit))
}

fn is_event_stream(fields: &HeaderMap) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    let label = fields.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    label.get(..EVENTS.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(EVENTS))
}

fn is_coded(fields: &HeaderMap) -> bool {
    let mut codings = fields.get_all(CONTENT_ENCODING).iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
    codings.any(|coding| !coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
}
