//! OpenAI Responses.

use limpid_core::{Endpoint, ErrorHint, RefusalKind};

use crate::support::{body, reasons, stream, token_marks};

fn delta(kind: &str) -> String {
    format!(r#"{{"type":"response.{kind}.delta","item_id":"i","output_index":0,"delta":"x","sequence_number":4}}"#)
}

#[test]
fn a_stream_is_read_whole() {
    let seen = stream(
        Endpoint::Responses,
        &[
            r#"{"type":"response.created","response":{"id":"resp_1","model":"gpt","status":"in_progress","service_tier":"auto","usage":null}}"#,
            r#"{"type":"response.output_item.added","item":{"type":"reasoning","summary":[]}}"#,
            &delta("reasoning_summary_text"),
            r#"{"type":"response.output_text.delta","delta":""}"#,
            &delta("output_text"),
            r#"{"type":"response.output_text.done","text":"x"}"#,
            r#"{"type":"response.completed","response":{"id":"resp_1","model":"gpt","status":"completed","service_tier":"default","output":[{"type":"message","content":[{"type":"output_text","text":"\"type\":\"refusal\""}]}],
                "usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":3},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":16}}}"#,
        ],
    );
    assert!(seen.terminal && !seen.reasoning_streamed);
    assert_eq!((seen.events, seen.token_events, seen.refusal), (7, 2, None));
    assert_eq!(token_marks(&seen), [Some(2), Some(4), Some(4)]);
    assert_eq!((seen.model.as_deref(), seen.response_id.as_deref()), (Some("gpt"), Some("resp_1")));
    assert_eq!(seen.service_tier.as_deref(), Some("default"));
    assert_eq!(reasons(&seen), [(0, "completed")]);
    let usage = seen.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.cached_input_tokens), (Some(9), Some(3)));
    assert_eq!((usage.output_tokens, usage.reasoning_output_tokens), (Some(7), Some(5)));
}

#[test]
fn every_kind_of_delta_is_a_token() {
    for kind in [
        "output_text",
        "refusal",
        "reasoning_text",
        "reasoning_summary_text",
        "function_call_arguments",
        "custom_tool_call_input",
        "mcp_call_arguments",
        "code_interpreter_call_code",
        "audio",
        "audio.transcript",
    ] {
        let seen = stream(Endpoint::Responses, &[&delta(kind)]);
        assert_eq!(seen.token_events, 1, "{kind}");
        assert_eq!(seen.marks.first_content.is_some(), matches!(kind, "output_text" | "refusal"), "{kind}");
        assert_eq!(seen.reasoning_streamed, kind == "reasoning_text", "{kind}");
        assert_eq!(seen.refusal.is_some(), kind == "refusal", "{kind}");
    }
}

#[test]
fn a_calls_name_is_a_token_and_other_items_are_none() {
    let added = |item: &str| {
        stream(Endpoint::Responses, &[&format!(r#"{{"type":"response.output_item.added","item":{item}}}"#)])
            .token_events
    };
    assert_eq!(added(r#"{"type":"function_call","name":"f","arguments":""}"#), 1);
    assert_eq!(added(r#"{"type":"function_call","name":""}"#), 0);
    assert_eq!(added(r#"{"type":"web_search_call","id":"w"}"#), 0);
    assert_eq!(added(r#"{"type":"message","content":[]}"#), 0);
}

#[test]
fn an_incomplete_response_says_why_whatever_its_events_name() {
    for kind in ["completed", "incomplete"] {
        let end = |details: &str| {
            stream(
                Endpoint::Responses,
                &[&format!(
                    r#"{{"type":"response.{kind}","response":{{"status":"incomplete","incomplete_details":{details}}}}}"#
                )],
            )
        };
        let seen = end(r#"{"reason":"max_output_tokens"}"#);
        assert!(seen.terminal && seen.refusal.is_none());
        assert_eq!(reasons(&seen), [(0, "max_output_tokens")]);
        assert_eq!(reasons(&end("null")), [(0, "incomplete")]);
        let filtered = end(r#"{"reason":"content_filter"}"#).refusal.unwrap();
        assert_eq!((filtered.source, filtered.kind), ("incomplete_reason", RefusalKind::Filter));
    }
}

#[test]
fn a_failure_is_told_inside_the_response_or_flat() {
    let failed = stream(
        Endpoint::Responses,
        &[
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"invalid_prompt","message":"x"}}}"#,
        ],
    );
    assert_eq!(reasons(&failed), [(0, "failed")]);
    let error = failed.error.unwrap();
    assert_eq!((error.code.as_deref(), error.hint), (Some("invalid_prompt"), Some(ErrorHint::ContentFilter)));
    assert_eq!(failed.refusal.map(|r| r.source), Some("error_code"));

    let flat = stream(
        Endpoint::Responses,
        &[r#"{"type":"error","code":"rate_limit_exceeded","message":"x","param":"p","sequence_number":3}"#],
    );
    let error = flat.error.unwrap();
    assert_eq!(
        (error.kind, error.code.as_deref(), error.param.as_deref()),
        (None, Some("rate_limit_exceeded"), Some("p"))
    );
    assert!(!flat.terminal);
}

#[test]
fn a_response_that_is_not_streamed_is_read() {
    let seen = body(
        Endpoint::Responses,
        r#"{"id":"r","model":"m","status":"completed","error":null,"incomplete_details":null,"output":[{"type":"message","content":[{"type":"refusal","refusal":"No"}]}],"usage":{"input_tokens":1,"output_tokens":2}}"#,
    );
    assert_eq!(reasons(&seen), [(0, "completed")]);
    assert_eq!((seen.streamed, seen.terminal, seen.token_events), (false, false, 0));
    assert_eq!(seen.refusal.map(|r| r.source), Some("refusal_field"));
    assert_eq!(seen.usage.unwrap().output_tokens, Some(2));
    let failed = body(Endpoint::Responses, r#"{"error":{"message":"x","code":"server_error"}}"#);
    assert_eq!(failed.error.unwrap().code.as_deref(), Some("server_error"));
}
