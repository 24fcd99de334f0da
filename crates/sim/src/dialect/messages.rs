//! Anthropic's messages.
//!
//! `input_tokens` leaves the cached ones out, which stand in `cache_read_input_tokens`. The usage of `message_delta`
//! is cumulative. Reasoning is a `thinking` block before the text, closed by a signature. A refusal is text with
//! `stop_reason: refusal`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Reply, junk, named};
use crate::behaviour::{Finish, Output};
use crate::frames::{Phase, Piece, Script, Template};
use crate::stats::EventKind;
use crate::words::Words;

const SIGNATURE: &str = "c2ltdWxhdGVk";

fn stop_reason(reply: &Reply) -> &'static str {
    match reply.finish {
        Finish::Length => "max_tokens",
        Finish::ContentFilter => "refusal",
        Finish::Stop => "end_turn",
        Finish::Auto => match reply.output {
            Output::ToolCall => "tool_use",
            Output::Refusal => "refusal",
            Output::Text | Output::RefusalText => "end_turn",
        },
    }
}

fn stop_details(reply: &Reply) -> Value {
    match stop_reason(reply) {
        "refusal" => json!({"type": "refusal", "category": null, "explanation": null}),
        _ => Value::Null,
    }
}

fn usage(reply: &Reply, output: u32) -> Value {
    json!({
        "input_tokens": reply.input - reply.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": reply.cached,
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn message(reply: &Reply, content: &Value) -> Value {
    json!({
        "id": format!("msg_sim{:08x}", reply.id), "type": "message", "role": "assistant", "model": reply.model,
        "content": content, "stop_reason": null, "stop_sequence": null,
    })
}

fn tool_block(reply: &Reply, input: &Value) -> Value {
    json!({"type": "tool_use", "id": format!("toolu_sim{:08x}", reply.id), "name": "look_up", "input": input})
}

/// A token event; `delta` and `member` name it.
fn delta(block: u32, delta: &str, member: &str) -> Template {
    Template::default()
        .fixed(format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{block},\
             \"delta\":{{\"type\":\"{delta}\",\"{member}\":\""
        ))
        .piece(Piece::Text)
        .fixed("\"}}\n\n")
}

/// A block: its start event (of `kind`, for a tool's name is output), its deltas, its stop.
fn block(index: u32, start: &Value, kind: EventKind, rest: Phase) -> Phase {
    let start = named(&json!({"type": "content_block_start", "index": index, "content_block": start}));
    let mut closes = rest.closes;
    closes.push(named(&json!({"type": "content_block_stop", "index": index})));
    Phase { opens: vec![(kind, start)], closes, ..rest }
}

fn phases(reply: &Reply) -> Vec<Phase> {
    let mut phases = Vec::with_capacity(2);
    if reply.reasoning > 0 {
        let signature = json!({"type": "content_block_delta", "index": 0,
                               "delta": {"type": "signature_delta", "signature": SIGNATURE}});
        let thinking = Phase {
            opens: Vec::new(),
            kind: EventKind::Reasoning,
            tokens: reply.reasoning,
            words: Words::Prose,
            chunk: delta(0, "thinking_delta", "thinking"),
            closes: vec![named(&signature)],
        };
        let start = json!({"type": "thinking", "thinking": "", "signature": ""});
        phases.push(block(0, &start, EventKind::Structure, thinking));
    }
    if reply.tokens > 0 {
        let index = u32::from(reply.reasoning > 0);
        let (start, kind, chunk) = match reply.output {
            Output::ToolCall => {
                (tool_block(reply, &json!({})), EventKind::Tool, delta(index, "input_json_delta", "partial_json"))
            }
            _ => (json!({"type": "text", "text": ""}), EventKind::Structure, delta(index, "text_delta", "text")),
        };
        let output_kind = if kind == EventKind::Tool { kind } else { EventKind::Content };
        let rest = Phase {
            opens: Vec::new(),
            kind: output_kind,
            tokens: reply.tokens,
            words: reply.words,
            chunk,
            closes: Vec::new(),
        };
        phases.push(block(index, &start, kind, rest));
    }
    phases
}

/// A stream.
pub(super) fn stream(reply: &Reply) -> Script {
    let mut start = json!({"type": "message_start", "message": message(reply, &json!([]))});
    let mut end = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(reply), "stop_sequence": null, "stop_details": stop_details(reply)},
    });
    if reply.has_usage() {
        // Real streams begin with 1 output token, which message_delta then replaces.
        start["message"]["usage"] = usage(reply, 1);
        end["usage"] = usage(reply, reply.output_tokens());
    }
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    Script {
        preamble: vec![named(&start), ping()],
        phases: phases(reply),
        tail: vec![named(&end), named(&json!({"type": "message_stop"}))],
        error: vec![named(&error)],
        junk: junk(),
    }
}

fn ping() -> Bytes {
    named(&json!({"type": "ping"}))
}

/// A reply in one piece.
pub(super) fn whole(reply: &Reply) -> Value {
    let mut content = Vec::new();
    if reply.reasoning > 0 {
        content.push(json!({"type": "thinking", "thinking": reply.reasoning_text(), "signature": SIGNATURE}));
    }
    if reply.tokens > 0 {
        content.push(match reply.output {
            Output::ToolCall => tool_block(reply, &serde_json::from_str(&reply.text()).unwrap_or_else(|_| json!({}))),
            _ => json!({"type": "text", "text": reply.text()}),
        });
    }
    let mut whole = message(reply, &content.into());
    whole["stop_reason"] = stop_reason(reply).into();
    whole["stop_details"] = stop_details(reply);
    if reply.has_usage() {
        whole["usage"] = usage(reply, reply.output_tokens());
    }
    whole
}
