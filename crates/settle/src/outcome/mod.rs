//! How an exchange ended: one category and one reason.
//!
//! What was told decides in this order; the first that applies wins.
//!
//! | # | what | category / reason |
//! |---|---|---|
//! | 1 | limpid refused, failed, or the client's body broke ([`RelayFailure`]) | its own |
//! | 2 | an error told in the body, whatever the status and the ending | below |
//! | 3 | a status of 400 or more | below |
//! | 4 | another [`RelayFailure`]: connect, timeouts, `cut_off` | its own |
//! | 5 | the upstream broke off, without a failure | `network/reset_before_headers` before a head, else `stream_error/cut_off` |
//! | 6 | the client left, or limpid was shut down, before the reply was complete | `cancelled/client_gone`, `cancelled/shutdown` |
//! | 7 | no status at all | `internal/internal` |
//! | 8 | 1xx, 3xx | `ok/switching`, `ok/redirect` |
//! | 9 | a 2xx whose body should be JSON and is not | `upstream_error/malformed_body` |
//! | 10 | a stream of a generating API, or of audio or images once it began, that ended without a finish | `stream_error/truncated` |
//! | 11 | a finish reason `error`, `failed`; `abort`, `aborted`, `cancelled` | `stream_error/in_stream_error`; `stream_error/aborted` |
//! | 12 | any other 2xx | `ok/<finish reason>`, `ok/end` without one, `ok/ok` where there is nothing to finish |
//!
//! An error in the body is told by its **code** where that decides alone, then by its message's **hint**, then by the
//! status. 429 and 400 are ambiguous: `insufficient_quota` is no rate limit, an overloaded TGI says 429, and a content
//! filter says 400. A hint, which is read out of a message, has no say about a 401 or 402, and does not make a 429 a fault
//! of the request. A 200 can be a failure: there a `code` that is a number stands for the status, and what the server
//! itself got wrong is a `stream_error`, because a 200 was sent.
//!
//! | code or hint | category / reason |
//! |---|---|
//! | context length | `client_request/context_length` |
//! | model unknown; a 404 about the parameter `model` | `client_request/model_not_found` |
//! | credit or budget spent | `quota/insufficient_quota` |
//! | rate limit | `rate_limit/rate_limit`, `…_tokens`, `…_requests` |
//! | overloaded; queue full | `overloaded/overloaded`, `overloaded/queue_full` |
//! | loading; gateway timeout | `unavailable/loading`, `unavailable/gateway_timeout` |
//! | out of memory; engine dead | `upstream_error/out_of_memory`, `upstream_error/engine_dead` |
//! | key, permission | `auth/invalid_api_key`, `auth/permission` |
//! | content filter or policy | `policy/content_filter` |
//!
//! | status | category / reason |
//! |---|---|
//! | 401; 403 | `auth/invalid_api_key`; `auth/permission` |
//! | 402 | `quota/insufficient_quota` |
//! | 404, 410; 405; 408; 409; 413, 431 | `client_request/` `not_found`; `method_not_allowed`; `request_timeout`; `conflict`; `too_large` |
//! | 429 | `rate_limit/rate_limit` |
//! | 424, other 4xx | `upstream_error/server_error` (TGI's failed generation); `client_request/invalid_request` |
//! | 501; other 5xx | `upstream_error/not_supported`; `upstream_error/server_error` |
//! | 502, 520–523, 525–527, 530; 504, 524; 503 | `unavailable/` `bad_gateway`; `gateway_timeout`; `unavailable` |
//! | 529 | `overloaded/overloaded` |
//!
//! `[DONE]` is no proof of success: an error told before it wins. Nor is it needed: a finish for every choice will do. A
//! client that leaves after the finish got everything, so that is `ok`; the record's ending still says `client_gone`.

mod blame;
mod codes;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use limpid_core::{Category, Ending, Endpoint, Observation, ObserverFault, Outcome, RelayFailure, ReportedError};

use crate::Evidence;

pub(crate) use codes::is_filter;

/// A category and its reason.
type Class = (Category, &'static str);

/// How far a reply came, as far as it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The end marker was seen, or a finish for each choice.
    Complete,
    /// Neither.
    Running,
}

impl Progress {
    pub(crate) fn of(e: &Evidence<'_>) -> Progress {
        if e.observation.terminal || finished(e.observation) { Progress::Complete } else { Progress::Running }
    }
}

/// At most so many finish reasons are kept.
const MAX_CHOICES: u32 = 128;

/// Whether each choice that was seen has a finish reason, and there is one at all.
fn finished(seen: &Observation) -> bool {
    let has = |index| seen.finish_reasons.iter().any(|f| f.index == index);
    !seen.finish_reasons.is_empty() && (0..seen.choices_seen.min(MAX_CHOICES)).all(has)
}

/// How the exchange ended.
pub(crate) fn settle(e: &Evidence<'_>) -> Outcome {
    match failed(e) {
        Some((category, reason)) => of((category, Cow::Borrowed(reason)), e.ending),
        None => of((Category::Ok, good_reason(e)), e.ending),
    }
}

/// The outcome of this class, with whose fault it is and whether to try again.
pub(crate) fn of((category, reason): (Category, Cow<'static, str>), ending: Ending) -> Outcome {
    let blame = blame::of(category, &reason);
    Outcome { category, ending, fault: blame.map(|b| b.0), retryable: blame.map(|b| b.1), reason }
}

fn failed(e: &Evidence<'_>) -> Option<Class> {
    let relay = e.failure.map(|f| (f.category(), f.reason()));
    if relay.is_some_and(|(category, _)| {
        matches!(category, Category::Rejected | Category::Internal | Category::ClientRequest)
    }) {
        return relay;
    }
    told(e).or(relay).or_else(|| broken_off(e)).or_else(|| not_whole(e))
}

/// What the upstream itself told: in the body, else by the status.
fn told(e: &Evidence<'_>) -> Option<Class> {
    let status = e.status.filter(|s| *s >= 400);
    match (&e.observation.error, status) {
        (Some(error), Some(status)) => Some(explained(error, status).unwrap_or_else(|| by_status(status))),
        (None, Some(status)) => Some(by_status(status)),
        (Some(error), None) => Some(inside_success(error)),
        (None, None) => None,
    }
}

fn explained(error: &ReportedError, status: u16) -> Option<Class> {
    let hint = error.hint.filter(|hint| codes::hint_holds(*hint, status));
    if let Some(class) = codes::class(error).or_else(|| hint.map(codes::hinted)) {
        return Some(class);
    }
    let about_model = status == 404 && error.param.as_deref() == Some("model");
    about_model.then_some((Category::ClientRequest, "model_not_found"))
}

/// An error in a reply that began as a success.
fn inside_success(error: &ReportedError) -> Class {
    let status = codes::status(error);
    let class = explained(error, status.unwrap_or(200)).or(status.map(by_status));
    match class {
        Some((Category::UpstreamError, "server_error")) | None => (Category::StreamError, "in_stream_error"),
        Some((Category::UpstreamError, reason)) => (Category::StreamError, reason),
        Some(class) => class,
    }
}

/// The status alone; 400 and above.
fn by_status(status: u16) -> Class {
    match status {
        401 => (Category::Auth, "invalid_api_key"),
        402 => (Category::Quota, "insufficient_quota"),
        403 => (Category::Auth, "permission"),
        404 | 410 => (Category::ClientRequest, "not_found"),
        405 => (Category::ClientRequest, "method_not_allowed"),
        408 => (Category::ClientRequest, "request_timeout"),
        409 => (Category::ClientRequest, "conflict"),
        413 | 431 => (Category::ClientRequest, "too_large"),
        424 | 500 => (Category::UpstreamError, "server_error"),
        429 => (Category::RateLimit, "rate_limit"),
        ..=499 => (Category::ClientRequest, "invalid_request"),
        501 => (Category::UpstreamError, "not_supported"),
        502 | 520..=523 | 525..=527 | 530 => (Category::Unavailable, "bad_gateway"),
        503 => (Category::Unavailable, "unavailable"),
        504 | 524 => (Category::Unavailable, "gateway_timeout"),
        529 => (Category::Overloaded, "overloaded"),
        _ => (Category::UpstreamError, "server_error"),
    }
}

/// The exchange did not reach its end, and no one told why.
fn broken_off(e: &Evidence<'_>) -> Option<Class> {
    let failure = |f: RelayFailure| Some((f.category(), f.reason()));
    let complete = e.status.is_some() && Progress::of(e) == Progress::Complete;
    match e.ending {
        Ending::UpstreamError if e.status.is_none() => failure(RelayFailure::ResetBeforeHeaders),
        Ending::UpstreamError => failure(RelayFailure::BodyCutOff),
        Ending::ClientGone if !complete => Some((Category::Cancelled, "client_gone")),
        Ending::Shutdown if !complete => Some((Category::Cancelled, "shutdown")),
        Ending::End if e.status.is_none() => failure(RelayFailure::Internal),
        Ending::End | Ending::ClientGone | Ending::Shutdown => None,
    }
}

/// The exchange came to its end with a 1xx to 3xx, but the reply is not what was asked for.
fn not_whole(e: &Evidence<'_>) -> Option<Class> {
    let seen = e.observation;
    // Servers stream sound and images in ways of their own; one that was understood tells its end.
    let understood = matches!(e.endpoint, Endpoint::Audio | Endpoint::Images) && seen.choices_seen > 0;
    if !(e.endpoint.generates_text() || understood) || !is_2xx(e.status) {
        return None;
    }
    if seen.fault == Some(ObserverFault::Json) && !seen.streamed {
        return Some((Category::UpstreamError, "malformed_body"));
    }
    // What an observer that stopped looking did not see proves nothing.
    if seen.streamed && seen.fault.is_none() && Progress::of(e) == Progress::Running {
        return Some((Category::StreamError, "truncated"));
    }
    match first_finish(seen)?.as_ref() {
        "error" | "failed" => Some((Category::StreamError, "in_stream_error")),
        "abort" | "aborted" | "cancelled" => Some((Category::StreamError, "aborted")),
        _ => None,
    }
}

fn is_2xx(status: Option<u16>) -> bool {
    status.is_some_and(|s| (200..300).contains(&s))
}

fn good_reason(e: &Evidence<'_>) -> Cow<'static, str> {
    match e.status {
        Some(..200) => Cow::Borrowed("switching"),
        Some(300..) => Cow::Borrowed("redirect"),
        _ if e.endpoint.generates_text() => first_finish(e.observation).unwrap_or(Cow::Borrowed("end")),
        _ => first_finish(e.observation).unwrap_or(Cow::Borrowed("ok")),
    }
}

/// The first choice's finish reason in lower case, if it could be an identifier: at most 64 bytes of `[a-z0-9_-]`.
fn first_finish(seen: &Observation) -> Option<Cow<'static, str>> {
    const COMMON: &[&str] = &[
        "stop",
        "length",
        "tool_calls",
        "end_turn",
        "tool_use",
        "max_tokens",
        "completed",
        "stop_sequence",
        "content_filter",
        "max_output_tokens",
        "function_call",
        "refusal",
        "error",
        "abort",
    ];
    let reason = &*seen.finish_reasons.iter().min_by_key(|f| f.index)?.reason;
    let same = COMMON.iter().find(|c| **c == reason);
    if let Some(common) = same.or_else(|| COMMON.iter().find(|c| c.eq_ignore_ascii_case(reason))) {
        return Some(Cow::Borrowed(common));
    }
    let plausible = !reason.is_empty()
        && reason.len() <= 64
        && reason.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    plausible.then(|| Cow::Owned(reason.to_ascii_lowercase()))
}
