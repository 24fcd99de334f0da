//! What is billed beside tokens, and what the provider says that it charged.

use limpid_core::{Endpoint, PicoUsd};

use crate::support::{body, stream};

#[test]
fn web_searches_are_counted() {
    let messages = stream(
        Endpoint::Messages,
        &[
            r#"{"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":5,"server_tool_use":{"web_search_requests":0}}}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7,"server_tool_use":{"web_search_requests":2}}}"#,
        ],
    );
    assert_eq!(messages.usage.unwrap().web_searches, Some(2), "cumulative");
    let output = r#"[{"type":"web_search_call","action":{"type":"search","query":"q"}},{"type":"web_search_call","action":{"type":"open_page"}},
        {"type":"web_search_call"},{"type":"message","content":[]}]"#;
    let response = |output: &str| {
        format!(
            r#"{{"id":"r","model":"g","status":"completed","output":{output},"usage":{{"input_tokens":1,"output_tokens":2}}}}"#
        )
    };
    let whole = body(Endpoint::Responses, &response(output));
    assert_eq!(whole.usage.unwrap().web_searches, Some(2), "opening a page is no search");
    assert_eq!(body(Endpoint::Responses, &response("[]")).usage.unwrap().web_searches, None);
    let many = format!("[{}]", vec![r#"{"type":"web_search_call"}"#; 200].join(","));
    assert_eq!(body(Endpoint::Responses, &response(&many)).usage.unwrap().web_searches, None, "not all are looked at");
}

#[test]
fn the_length_of_audio_is_a_count_without_tokens() {
    for (usage, ms) in [
        (r#"{"type":"duration","seconds":3}"#, Some(3_000)),
        (r#"{"type":"duration","seconds":12.3456}"#, Some(12_346)),
        (r#"{"prompt_audio_seconds":203,"prompt_tokens":4,"completion_tokens":9,"total_tokens":13}"#, Some(203_000)),
        (r#"{"seconds":-1,"prompt_tokens":4}"#, None),
        (r#"{"seconds":1e9,"prompt_tokens":4}"#, None),
    ] {
        let seen = body(Endpoint::Audio, &format!(r#"{{"text":"hello","usage":{usage}}}"#));
        assert_eq!(seen.usage.unwrap().audio_ms, ms, "{usage}");
    }
}

#[test]
fn reasoning_that_the_output_leaves_out_is_added() {
    for (total, output) in [(35, 25), (20, 10), (30, 10)] {
        let usage = format!(
            r#"{{"prompt_tokens":10,"completion_tokens":10,"total_tokens":{total},"completion_tokens_details":{{"reasoning_tokens":15}}}}"#
        );
        let seen = body(Endpoint::Chat, &format!(r#"{{"id":"c","model":"grok","choices":[],"usage":{usage}}}"#));
        let usage = seen.usage.unwrap();
        assert_eq!((usage.output_tokens, usage.reasoning_output_tokens), (Some(output), Some(15)), "{total}");
    }
}

#[test]
fn with_a_key_of_ones_own_the_fee_is_not_the_price() {
    let told = |more: &str| {
        let text = format!(
            r#"{{"id":"c","model":"m","choices":[],"usage":{{"prompt_tokens":1,"completion_tokens":1,"cost":0.01{more}}}}}"#
        );
        body(Endpoint::Chat, &text).reported_cost
    };
    let cent = PicoUsd(PicoUsd::DOLLAR / 100);
    assert_eq!(told(""), Some(cent));
    assert_eq!(told(r#","is_byok":false,"cost_details":{"upstream_inference_cost":0.2}"#), Some(cent));
    let both = told(r#","is_byok":true,"cost_details":{"upstream_inference_cost":0.2}"#);
    assert_eq!(both, Some(PicoUsd(21 * cent.0)));
    assert_eq!(
        told(r#","is_byok":true,"cost_details":{"upstream_inference_cost":null}"#),
        None,
        "half a price is none"
    );
}
