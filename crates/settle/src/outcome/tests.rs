use limpid_core::{ErrorHint, FinishReason, ReportedError};

use super::*;
use crate::testing::evidence;

fn seen() -> Observation {
    Observation::default()
}

/// A stream of one choice that ended with a finish.
fn stream(finish: &str) -> Observation {
    let finish_reasons = vec![FinishReason { index: 0, reason: finish.into() }];
    Observation { streamed: true, choices_seen: 1, token_events: 3, finish_reasons, ..seen() }
}

/// A stream of one choice without a finish.
fn cut_stream() -> Observation {
    Observation { streamed: true, choices_seen: 1, token_events: 3, ..seen() }
}

fn error(kind: &str, code: &str, param: &str, hint: Option<ErrorHint>) -> ReportedError {
    let text = |t: &str| (!t.is_empty()).then(|| t.into());
    ReportedError { kind: text(kind), code: text(code), param: text(param), hint }
}

fn verdict(e: &Evidence<'_>) -> String {
    let outcome = settle(e);
    assert_eq!(outcome.ending, e.ending, "the ending is what the relay saw");
    format!("{}/{}", outcome.category, outcome.reason)
}

#[test]
fn a_status_alone_decides_where_the_body_is_silent() {
    for (status, expected) in [
        (101, "ok/switching"),
        (304, "ok/redirect"),
        (400, "client_request/invalid_request"),
        (401, "auth/invalid_api_key"),
        (402, "quota/insufficient_quota"),
        (403, "auth/permission"),
        (404, "client_request/not_found"),
        (405, "client_request/method_not_allowed"),
        (408, "client_request/request_timeout"),
        (409, "client_request/conflict"),
        (410, "client_request/not_found"),
        (413, "client_request/too_large"),
        (418, "client_request/invalid_request"),
        (422, "client_request/invalid_request"),
        (424, "upstream_error/server_error"),
        (429, "rate_limit/rate_limit"),
        (431, "client_request/too_large"),
        (500, "upstream_error/server_error"),
        (501, "upstream_error/not_supported"),
        (502, "unavailable/bad_gateway"),
        (503, "unavailable/unavailable"),
        (504, "unavailable/gateway_timeout"),
        (520, "unavailable/bad_gateway"),
        (524, "unavailable/gateway_timeout"),
        (529, "overloaded/overloaded"),
        (599, "upstream_error/server_error"),
        (999, "upstream_error/server_error"),
    ] {
        let seen = seen();
        for ending in Ending::ALL {
            // However it ended: who got a head with an error knows how it went.
            if *ending == Ending::End || status >= 400 {
                let e = Evidence { status: Some(status), ending: *ending, ..evidence(&seen) };
                assert_eq!(verdict(&e), expected, "{status} {ending}");
            }
        }
    }
}

#[test]
fn the_code_goes_before_the_hint_and_the_hint_before_the_status() {
    use ErrorHint::*;
    for (status, kind, code, param, hint, expected) in [
        // OpenAI
        (400, "invalid_request_error", "context_length_exceeded", "messages", None, "client_request/context_length"),
        (401, "invalid_request_error", "invalid_api_key", "", None, "auth/invalid_api_key"),
        (401, "invalid_request_error", "", "", None, "auth/invalid_api_key"),
        (404, "invalid_request_error", "model_not_found", "", None, "client_request/model_not_found"),
        (404, "invalid_request_error", "", "", None, "client_request/not_found"),
        (429, "insufficient_quota", "insufficient_quota", "", None, "quota/insufficient_quota"),
        (429, "insufficient_quota", "credit_balance_exhausted", "", None, "quota/insufficient_quota"),
        (429, "tokens", "rate_limit_exceeded", "", None, "rate_limit/rate_limit_tokens"),
        (429, "requests", "rate_limit_exceeded", "", None, "rate_limit/rate_limit_requests"),
        (429, "rate_limit_error", "", "", Some(RateLimitTokens), "rate_limit/rate_limit_tokens"),
        (400, "invalid_request_error", "invalid_prompt", "", None, "policy/content_filter"),
        // Azure
        (400, "", "content_filter", "prompt", None, "policy/content_filter"),
        (404, "", "DeploymentNotFound", "", None, "client_request/model_not_found"),
        // Anthropic
        (404, "not_found_error", "", "", Some(ModelNotFound), "client_request/model_not_found"),
        (404, "not_found_error", "", "", None, "client_request/not_found"),
        (413, "request_too_large", "", "", None, "client_request/too_large"),
        (529, "overloaded_error", "", "", None, "overloaded/overloaded"),
        (500, "api_error", "", "", None, "upstream_error/server_error"),
        (403, "permission_error", "", "", None, "auth/permission"),
        // vLLM, SGLang, llama.cpp, TGI
        (400, "BadRequestError", "400", "", Some(ContextLength), "client_request/context_length"),
        (404, "NotFoundError", "404", "model", None, "client_request/model_not_found"),
        (500, "InternalServerError", "500", "", Some(EngineDead), "upstream_error/engine_dead"),
        (500, "InternalServerError", "500", "", Some(OutOfMemory), "upstream_error/out_of_memory"),
        (503, "", "503", "", Some(QueueFull), "overloaded/queue_full"),
        (503, "unavailable_error", "503", "", Some(Loading), "unavailable/loading"),
        (503, "unavailable_error", "503", "", None, "unavailable/unavailable"),
        (400, "exceed_context_size_error", "400", "", None, "client_request/context_length"),
        (429, "overloaded", "", "", None, "overloaded/overloaded"),
        // A message that mentions something in passing.
        (401, "", "", "", Some(ModelNotFound), "auth/invalid_api_key"),
        (402, "", "", "", Some(RateLimitTokens), "quota/insufficient_quota"),
        (429, "rate_limit_error", "", "", Some(ContextLength), "rate_limit/rate_limit"),
        (429, "", "", "", Some(ContextLength), "rate_limit/rate_limit"),
        (429, "", "", "", Some(QueueFull), "overloaded/queue_full"),
        // The code wins over a hint that says something else.
        (429, "", "insufficient_quota", "", Some(RateLimitRequests), "quota/insufficient_quota"),
    ] {
        let seen = Observation { error: Some(error(kind, code, param, hint)), ..seen() };
        let e = Evidence { status: Some(status), ..evidence(&seen) };
        assert_eq!(verdict(&e), expected, "{status} {kind} {code} {hint:?}");
    }
}

#[test]
fn a_200_can_be_a_failure() {
    use ErrorHint::*;
    for (kind, code, hint, expected) in [
        ("", "", None, "stream_error/in_stream_error"),
        ("InternalServerError", "500", None, "stream_error/in_stream_error"),
        ("InternalServerError", "500", Some(EngineDead), "stream_error/engine_dead"),
        ("server_error", "", Some(OutOfMemory), "stream_error/out_of_memory"),
        ("overloaded_error", "", None, "overloaded/overloaded"),
        ("", "429", None, "rate_limit/rate_limit"),
        ("", "502", None, "unavailable/bad_gateway"),
        ("", "insufficient_quota", None, "quota/insufficient_quota"),
        ("", "content_filter", None, "policy/content_filter"),
        ("", "200", None, "stream_error/in_stream_error"),
        ("", "70000", None, "stream_error/in_stream_error"),
    ] {
        for ending in Ending::ALL {
            // With `[DONE]` after it, with a finish, and however it ended.
            let seen = Observation { terminal: true, error: Some(error(kind, code, "", hint)), ..stream("stop") };
            let e = Evidence { ending: *ending, ..evidence(&seen) };
            assert_eq!(verdict(&e), expected, "{kind} {code} {hint:?} {ending}");
        }
    }
}

#[test]
fn a_good_reply_is_named_by_its_first_finish() {
    for (finish, expected) in [
        ("stop", "ok/stop"),
        ("STOP", "ok/stop"),
        ("end_turn", "ok/end_turn"),
        ("Some-New_Reason2", "ok/some-new_reason2"),
        ("content_filter", "ok/content_filter"),
        ("not an identifier", "ok/end"),
        ("", "ok/end"),
        ("größe", "ok/end"),
        (&"x".repeat(65), "ok/end"),
        ("error", "stream_error/in_stream_error"),
        ("failed", "stream_error/in_stream_error"),
        ("abort", "stream_error/aborted"),
        ("cancelled", "stream_error/aborted"),
    ] {
        assert_eq!(verdict(&evidence(&stream(finish))), expected, "{finish}");
    }
    let finish = |index, reason: &str| FinishReason { index, reason: reason.into() };
    let two = Observation { finish_reasons: vec![finish(1, "length"), finish(0, "stop")], choices_seen: 2, ..seen() };
    assert_eq!(verdict(&evidence(&two)), "ok/stop");
}

#[test]
fn a_reply_without_a_finish_is_ok_where_none_is_due() {
    let none = seen();
    for (endpoint, expected) in [
        (Endpoint::Chat, "ok/end"),
        (Endpoint::Responses, "ok/end"),
        (Endpoint::Embeddings, "ok/ok"),
        (Endpoint::Models, "ok/ok"),
        (Endpoint::Other, "ok/ok"),
    ] {
        assert_eq!(verdict(&Evidence { endpoint, ..evidence(&none) }), expected, "{endpoint}");
    }
    // Sound and images are streamed in ways of their own; what was understood and has no end is cut.
    let unknown = Observation { streamed: true, ..seen() };
    let ended = Observation { terminal: true, ..cut_stream() };
    for endpoint in [Endpoint::Audio, Endpoint::Images] {
        for (seen, expected) in [(&unknown, "ok/ok"), (&ended, "ok/ok"), (&cut_stream(), "stream_error/truncated")] {
            assert_eq!(verdict(&Evidence { endpoint, ..evidence(seen) }), expected, "{endpoint}");
        }
    }
}

#[test]
fn a_clean_end_without_a_finish_is_truncated() {
    assert_eq!(verdict(&evidence(&cut_stream())), "stream_error/truncated");
    let empty = Observation { streamed: true, ..seen() };
    assert_eq!(verdict(&evidence(&empty)), "stream_error/truncated");
    let one_of_two = Observation { choices_seen: 2, ..stream("stop") };
    assert_eq!(verdict(&evidence(&one_of_two)), "stream_error/truncated");
    // The end marker will do, and so will a finish without it.
    let terminal = Observation { terminal: true, ..cut_stream() };
    assert_eq!(verdict(&evidence(&terminal)), "ok/end");
    assert_eq!(verdict(&evidence(&stream("stop"))), "ok/stop");
    // What was not looked at proves nothing.
    let blind = Observation { fault: Some(ObserverFault::Decompress), ..cut_stream() };
    assert_eq!(verdict(&evidence(&blind)), "ok/end");
}

#[test]
fn a_reply_that_is_no_json_is_malformed() {
    let garbled = Observation { fault: Some(ObserverFault::Json), ..seen() };
    assert_eq!(verdict(&evidence(&garbled)), "upstream_error/malformed_body");
    assert_eq!(verdict(&Evidence { endpoint: Endpoint::Audio, ..evidence(&garbled) }), "ok/ok");
}

#[test]
fn who_broke_off_is_named_unless_the_reply_was_complete() {
    use Ending::*;
    let (none, cut, whole) = (seen(), cut_stream(), stream("stop"));
    let terminal = Observation { terminal: true, ..cut_stream() };
    let two_asked = Observation { choices_seen: 2, ..stream("stop") };
    for (ending, status, seen, expected) in [
        (ClientGone, None, &none, "cancelled/client_gone"),
        (ClientGone, Some(200), &none, "cancelled/client_gone"),
        (ClientGone, Some(200), &cut, "cancelled/client_gone"),
        (ClientGone, Some(200), &two_asked, "cancelled/client_gone"),
        (ClientGone, Some(200), &whole, "ok/stop"),
        (ClientGone, Some(200), &terminal, "ok/end"),
        (ClientGone, Some(429), &none, "rate_limit/rate_limit"),
        (Shutdown, None, &none, "cancelled/shutdown"),
        (Shutdown, Some(200), &cut, "cancelled/shutdown"),
        (Shutdown, Some(200), &whole, "ok/stop"),
        (UpstreamError, None, &none, "network/reset_before_headers"),
        (UpstreamError, Some(200), &none, "stream_error/cut_off"),
        (UpstreamError, Some(200), &cut, "stream_error/cut_off"),
        // An end without the last chunk is a cut, even after the finish.
        (UpstreamError, Some(200), &whole, "stream_error/cut_off"),
        (End, None, &none, "internal/internal"),
    ] {
        assert_eq!(verdict(&Evidence { status, ending, ..evidence(seen) }), expected, "{ending} {status:?}");
    }
}

#[test]
fn what_limpid_saw_goes_by_its_own_name() {
    let (none, cut) = (seen(), cut_stream());
    let told = Observation { error: Some(error("overloaded_error", "", "", None)), ..cut_stream() };
    for (failure, status, seen, expected) in [
        (RelayFailure::NoRoute, None, &none, "rejected/no_route"),
        (RelayFailure::Draining, None, &none, "rejected/draining"),
        (RelayFailure::ConnectRefused, None, &none, "network/connect_refused"),
        (RelayFailure::ConnectTimeout, None, &none, "timeout/connect_timeout"),
        (RelayFailure::HeadersTimeout, None, &none, "timeout/headers_timeout"),
        (RelayFailure::FirstTokenTimeout, Some(200), &none, "timeout/first_token_timeout"),
        (RelayFailure::IdleTimeout, Some(200), &cut, "timeout/idle_timeout"),
        (RelayFailure::BodyCutOff, Some(200), &cut, "stream_error/cut_off"),
        (RelayFailure::BodyCutOff, Some(503), &none, "unavailable/unavailable"),
        (RelayFailure::BodyCutOff, Some(200), &told, "overloaded/overloaded"),
        (RelayFailure::RequestBody, Some(400), &none, "client_request/request_body"),
        (RelayFailure::Internal, Some(200), &told, "internal/internal"),
    ] {
        let e = Evidence { failure: Some(failure), ending: Ending::UpstreamError, status, ..evidence(seen) };
        assert_eq!(verdict(&e), expected, "{failure:?} {status:?}");
    }
}
