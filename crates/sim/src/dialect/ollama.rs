//! Ollama's native `/api/chat` and `/api/generate`: a JSON object a line, the last with `"done": true` and the counts.
//!
//! Reasoning is `message.thinking` (chat) or `thinking` (generate). An error inside the stream is a line with `error`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Reply;
use crate::behaviour::Finish;
use crate::frames::{Phase, Piece, Script, Template};
use crate::request::Api;
use crate::stats::EventKind;
use crate::words::Words;

fn done_reason(reply: &Reply) -> &'static str {
    if reply.finish == Finish::Length { "length" } else { "stop" }
}

fn with_counts(reply: &Reply, mut last: Value) -> Value {
    last["done"] = true.into();
    last["done_reason"] = done_reason(reply).into();
    if reply.has_usage() {
        last["prompt_eval_count"] = reply.input.into();
        last["eval_count"] = reply.output_tokens().into();
    }
    last
}

fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}

fn output(api: Api, reply: &Reply, text: &str) -> Value {
    let mut whole = json!({"model": reply.model, "created_at": reply.created_at});
    if api == Api::OllamaChat {
        whole["message"] = json!({"role": "assistant", "content": text});
    } else {
        whole["response"] = text.into();
    }
    whole
}

/// A stream of lines.
pub(super) fn stream(api: Api, reply: &Reply) -> Script {
    let head = format!("{{\"model\":{},\"created_at\":\"{}\",", reply.model_json, reply.created_at);
    let chunk = |before: &str, after: &str| {
        Template::default()
            .fixed(format!("{head}{before}"))
            .piece(Piece::Text)
            .fixed(format!("{after},\"done\":false}}\n"))
    };
    let (thinking, content) = if api == Api::OllamaChat {
        let message = "\"message\":{\"role\":\"assistant\",\"content\":\"";
        (chunk(&format!("{message}\",\"thinking\":\""), "\"}"), chunk(message, "\"}"))
    } else {
        (chunk("\"response\":\"\",\"thinking\":\"", "\""), chunk("\"response\":\"", "\""))
    };
    let phase =
        |kind, tokens, words, chunk| Phase { opens: Vec::new(), kind, tokens, words, chunk, closes: Vec::new() };
    Script {
        preamble: Vec::new(),
        phases: vec![
            phase(EventKind::Reasoning, reply.reasoning, Words::Prose, thinking),
            phase(EventKind::Content, reply.tokens, reply.words, content),
        ],
        tail: vec![line(&with_counts(reply, output(api, reply, "")))],
        error: vec![line(&json!({"error": "an error was encountered while running the model"}))],
        junk: Bytes::from_static(b"{\"this is\": not JSON\n"),
    }
}

/// A reply in one piece.
pub(super) fn whole(api: Api, reply: &Reply) -> Value {
    let mut whole = output(api, reply, &reply.text());
    if reply.reasoning > 0 {
        let place = if api == Api::OllamaChat { &mut whole["message"] } else { &mut whole };
        place["thinking"] = reply.reasoning_text().into();
    }
    with_counts(reply, whole)
}
