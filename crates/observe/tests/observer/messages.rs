//! Anthropic messages.

use limpid_core::{Endpoint, RefusalKind, Usage};

use crate::support::{body, reasons, stream, token_marks};

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":30,"cache_read_input_tokens":200,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1,"service_tier":"standard"}}}"#;

fn counts(usage: &Usage) -> [Option<u64>; 5] {
    [
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_input_tokens,
        usage.cache_write_1h_input_tokens,
        usage.output_tokens,
    ]
}

#[test]
fn a_stream_is_read_whole_and_its_cumulative_usage_replaces() {
    let seen = stream(
        Endpoint::Messages,
        &[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"abc"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hi"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"cited_text":"x"}}}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            r#"{"type":"something_new","index":2}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":15}}"#,
            r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":20}}"#,
            r#"{"type":"message_stop"}"#,
        ],
    );
    assert_eq!((seen.events, seen.token_events, seen.choices_seen), (16, 4, 1));
    assert_eq!(token_marks(&seen), [Some(3), Some(7), Some(11)]);
    assert!(seen.terminal && seen.reasoning_streamed);
    assert_eq!((seen.model.as_deref(), seen.response_id.as_deref()), (Some("claude"), Some("msg_1")));
    assert_eq!(seen.service_tier.as_deref(), Some("standard"));
    assert_eq!(reasons(&seen), [(0, "tool_use")]);
    assert_eq!(counts(seen.usage.as_ref().unwrap()), [Some(240), Some(200), Some(30), Some(20), Some(20)]);
    assert_eq!((seen.error, seen.refusal, seen.fault), (None, None, None));
}

#[test]
fn a_stream_cut_early_has_only_its_input() {
    let seen = stream(Endpoint::Messages, &[START]);
    assert_eq!(counts(seen.usage.as_ref().unwrap()), [Some(240), Some(200), Some(30), Some(20), None]);
    assert!(!seen.terminal);
}

#[test]
fn vllm_moves_cached_tokens_from_the_input_in_its_last_usage() {
    let seen = stream(
        Endpoint::Messages,
        &[
            r#"{"type":"message_start","message":{"id":"m","model":"m","usage":{"input_tokens":417,"output_tokens":0}}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":33,"output_tokens":8,"cache_creation_input_tokens":0,"cache_read_input_tokens":384}}"#,
        ],
    );
    assert_eq!(counts(seen.usage.as_ref().unwrap()), [Some(417), Some(384), Some(0), None, Some(8)]);
}

#[test]
fn redacted_thinking_and_tool_results_are_no_tokens_but_server_tools_are() {
    let start = |block: &str| {
        stream(Endpoint::Messages, &[&format!(r#"{{"type":"content_block_start","index":0,"content_block":{block}}}"#)])
            .token_events
    };
    assert_eq!(start(r#"{"type":"redacted_thinking","data":"abc"}"#), 0);
    assert_eq!(start(r#"{"type":"web_search_tool_result","content":[]}"#), 0);
    assert_eq!(start(r#"{"type":"server_tool_use","id":"s","name":"web_search"}"#), 1);
    assert_eq!(start(r#"{"type":"text","text":"x"}"#), 1);
}

#[test]
fn a_refusal_is_a_stop_reason_of_the_model() {
    let seen = stream(
        Endpoint::Messages,
        &[
            r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"type":"refusal"}},"usage":{"output_tokens":2}}"#,
        ],
    );
    let signal = seen.refusal.unwrap();
    assert_eq!((signal.source, signal.kind), ("stop_reason", RefusalKind::Model));
    assert_eq!(reasons(&seen), [(0, "refusal")]);
    let whole = body(Endpoint::Messages, r#"{"type":"message","model":"m","stop_reason":"refusal"}"#);
    assert_eq!(whole.refusal, Some(signal));
}

#[test]
fn errors_in_a_stream_come_in_two_shapes() {
    let kind = |event: &str| {
        let seen = stream(Endpoint::Messages, &[START, event]);
        assert!(!seen.terminal);
        seen.error.unwrap().kind.unwrap()
    };
    assert_eq!(
        &*kind(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
        "overloaded_error"
    );
    assert_eq!(&*kind(r#"{"error":{"type":"InternalServerError","message":"x","code":500}}"#), "InternalServerError");
}

#[test]
fn a_reply_that_is_not_streamed_is_read() {
    let seen = body(
        Endpoint::Messages,
        r#"{"id":"msg","type":"message","model":"m","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}"#,
    );
    assert_eq!(counts(seen.usage.as_ref().unwrap()), [Some(1), None, None, None, Some(2)]);
    assert_eq!(seen.model.as_deref(), Some("m"));
    assert_eq!(seen.finish_reasons.first().map(|f| &*f.reason), Some("end_turn"));
}
