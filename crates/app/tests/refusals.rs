//! `limpid inspect` tells a suspected refusal from a certain one, in every API, and shows none of the text.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail it by panicking")]

use std::time::SystemTime;

use clap::Parser as _;
use limpid_app::cli::{Cli, Command};
use limpid_app::inspect_cmd;
use limpid_app::settings::Env;
use serde_json::{Value, json};

/// The refusal that the record of this body tells.
fn refusal(endpoint: &str, content_type: &str, body: &str) -> Value {
    let args = ["limpid", "inspect", "--endpoint", endpoint, "--content-type", content_type];
    let Command::Inspect(args) = Cli::try_parse_from(args).map(Cli::chosen).unwrap() else { panic!("not inspect") };
    let output = inspect_cmd::run(&args, &mut body.as_bytes(), Env::new(), SystemTime::UNIX_EPOCH);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    assert!(!output.stdout.contains("Xyzzy"), "the record shows the reply: {}", output.stdout);
    serde_json::from_str::<Value>(&output.stdout).unwrap()["refusal"].clone()
}

const SSE: &str = "text/event-stream";
const JSON: &str = "application/json";

#[test]
fn a_reply_that_reads_like_a_refusal_is_suspected_in_every_api() {
    let suspected = json!({"verdict": "suspected", "source": "text", "kind": "model"});
    for (endpoint, content_type, body) in [
        (
            "chat",
            SSE,
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
             data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"I\\u2019m sorry, but I ca\"}}]}\n\n\
             data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"n\\u2019t help with Xyzzy.\"}}]}\n\n\
             data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        ),
        ("chat", JSON, r#"{"choices":[{"message":{"content":"I can't help with Xyzzy."},"finish_reason":"stop"}]}"#),
        (
            "completions",
            JSON,
            r#"{"choices":[{"text":"\n\nI must decline to write about Xyzzy.","finish_reason":"stop"}]}"#,
        ),
        (
            "responses",
            SSE,
            "event: response.output_text.delta\n\
             data: {\"type\":\"response.output_text.delta\",\"delta\":\"I'm unable to assist with Xyzzy.\"}\n\n\
             event: response.completed\n\
             data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n",
        ),
        (
            "messages",
            JSON,
            r#"{"type":"message","content":[{"type":"thinking","thinking":"Hm."},
                {"type":"text","text":"I won't help with Xyzzy."}],"stop_reason":"end_turn"}"#,
        ),
        (
            "generate",
            "application/x-ndjson",
            "{\"response\":\"I can't assist \"}\n{\"response\":\"with Xyzzy.\",\"done\":true}\n",
        ),
    ] {
        assert_eq!(refusal(endpoint, content_type, body), suspected, "{endpoint} {content_type}");
    }
}

#[test]
fn structure_is_certain_and_answers_are_none() {
    let certain = json!({"verdict": "certain", "source": "stop_reason", "kind": "model"});
    let body = r#"{"content":[{"type":"text","text":"I can't help with Xyzzy."}],"stop_reason":"refusal"}"#;
    assert_eq!(refusal("messages", JSON, body), certain);
    let none = json!({"verdict": "none"});
    for message in [
        r#"{"content":"I can't wait to tell you of Xyzzy!"}"#,
        r#"{"content":"{\"Xyzzy\": \"I can't help with that\"}"}"#,
        r#"{"content":"","tool_calls":[{"function":{"name":"f","arguments":"I can't help with Xyzzy"}}]}"#,
        r#"{"content":null,"reasoning_content":"I can't help with Xyzzy."}"#,
        r#"{"content":"<think>I can't help with Xyzzy.</think>Paris."}"#,
    ] {
        let body = format!(r#"{{"choices":[{{"message":{message},"finish_reason":"stop"}}]}}"#);
        assert_eq!(refusal("chat", JSON, &body), none, "{message}");
    }
}
