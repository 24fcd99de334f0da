//! Ollama's native API.

use limpid_core::{Endpoint, Observation, ObserverFault, Tick};

use crate::support::{NDJSON, body, observer, reasons, token_marks};

fn lines(lines: &[&str]) -> Observation {
    let mut o = observer(Endpoint::Generate, 200, NDJSON);
    for (index, line) in lines.iter().enumerate() {
        o.on_bytes(format!("{line}\n").as_bytes(), Tick(index as u64));
    }
    o.finish(Tick(lines.len() as u64));
    o.into_observation()
}

#[test]
fn a_stream_is_read_whole() {
    let seen = lines(&[
        r#"{"model":"l","message":{"role":"assistant","content":"","thinking":"Hm"},"done":false}"#,
        r#"{"model":"l","message":{"role":"assistant","content":""},"done":false}"#,
        "",
        r#"{"model":"l","message":{"role":"assistant","content":"Hi"},"done":false}"#,
        r#"{"model":"l","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}"#,
        r#"{"model":"l","message":{"role":"assistant","content":"","tool_calls":[]},"done":true,"done_reason":"stop","prompt_eval_count":5,"eval_count":7,"eval_duration":1}"#,
    ]);
    assert!(seen.streamed && seen.terminal && seen.reasoning_streamed);
    assert_eq!((seen.events, seen.token_events), (5, 3));
    assert_eq!(token_marks(&seen), [Some(0), Some(3), Some(4)]);
    assert_eq!(reasons(&seen), [(0, "stop")]);
    let usage = seen.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(5), Some(7)));
}

#[test]
fn a_fully_cached_prompt_has_no_count() {
    let seen = lines(&[r#"{"model":"l","response":"x","done":true,"eval_count":1}"#]);
    assert_eq!(seen.usage.unwrap().input_tokens, None);
    assert_eq!(seen.token_events, 1);
}

#[test]
fn an_error_in_mid_stream_is_a_text() {
    let seen = lines(&[r#"{"model":"l","response":"x","done":false}"#, r#"{"error":"an error was encountered"}"#]);
    assert!(seen.error.is_some() && !seen.terminal);
}

#[test]
fn one_reply_is_one_value() {
    let seen = body(
        Endpoint::Generate,
        r#"{"model":"l","response":"x","done":true,"done_reason":"length","prompt_eval_count":0,"eval_count":0}"#,
    );
    assert_eq!((seen.streamed, seen.terminal, seen.token_events), (false, false, 0));
    assert_eq!(reasons(&seen), [(0, "length")]);
    assert_eq!(seen.usage.unwrap().output_tokens, Some(0));
}

#[test]
fn a_line_that_is_no_json_latches_and_a_cut_one_does_not() {
    assert_eq!(lines(&["data: {}"]).fault, Some(ObserverFault::Json));
    let mut o = observer(Endpoint::Generate, 200, NDJSON);
    o.on_bytes(br#"{"model":"l","done":true}"#, Tick(0));
    o.finish(Tick(1));
    assert!(o.observation().terminal);
    let mut o = observer(Endpoint::Generate, 200, NDJSON);
    o.on_bytes(br#"{"model":"l","do"#, Tick(0));
    o.finish(Tick(1));
    assert_eq!((o.observation().events, o.observation().fault), (0, None));
}
