//! OpenAI's chat completions and (legacy) completions.
//!
//! Chat streams begin with a role chunk, end with a finish chunk that has an empty delta, then the usage chunk with
//! `choices: []`, then `[DONE]`. Reasoning is `delta.reasoning_content` (DeepSeek, SGLang, llama.cpp). The tool's name
//! comes in an event of its own before the arguments, as vLLM sends it. An error inside the stream is an object with
//! `error`, followed by `[DONE]`, as vLLM and SGLang send it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Reply, UsageShape, data, junk, openai_usage};
use crate::behaviour::{Finish, Output};
use crate::frames::{Phase, Piece, Script, Template};
use crate::stats::EventKind;
use crate::words::Words;

const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

fn finish_reason(reply: &Reply) -> &'static str {
    match reply.finish {
        Finish::Length => "length",
        Finish::ContentFilter => "content_filter",
        Finish::Auto if reply.output == Output::ToolCall => "tool_calls",
        Finish::Auto | Finish::Stop => "stop",
    }
}

/// What every chunk of a stream has in common, and how it is spelt around a choice.
struct Chunks<'a> {
    reply: &'a Reply,
    head: String,
}

impl Chunks<'_> {
    fn chat(reply: &Reply) -> Chunks<'_> {
        let (id, created, model) = (reply.id, reply.created, &reply.model_json);
        let head = format!(
            "{{\"id\":\"chatcmpl-sim{id:08x}\",\"object\":\"chat.completion.chunk\",\"created\":{created},\
             \"model\":{model},\"system_fingerprint\":\"fp_sim\",\"choices\":["
        );
        Chunks { reply, head }
    }

    fn completions(reply: &Reply) -> Chunks<'_> {
        let (id, created, model) = (reply.id, reply.created, &reply.model_json);
        let head = format!(
            "{{\"id\":\"cmpl-sim{id:08x}\",\"object\":\"text_completion\",\"created\":{created},\
             \"model\":{model},\"system_fingerprint\":\"fp_sim\",\"choices\":["
        );
        Chunks { reply, head }
    }

    /// A token chunk: `before` and `after` are the choice's JSON around the text.
    fn token(&self, before: &str, after: &str) -> Template {
        let chunk = Template::default().fixed(format!("data: {}{before}", self.head)).piece(Piece::Text);
        let padding = &self.reply.padding;
        match self.reply.usage {
            UsageShape::Absent | UsageShape::Last { nulls: false } => chunk.fixed(format!("{after}]{padding}}}\n\n")),
            UsageShape::Last { nulls: true } => chunk.fixed(format!("{after}],\"usage\":null{padding}}}\n\n")),
            UsageShape::Each => {
                let input = self.reply.input;
                chunk
                    .fixed(format!("{after}]{padding},\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":"))
                    .piece(Piece::Tokens(0))
                    .fixed(",\"total_tokens\":")
                    .piece(Piece::Tokens(u64::from(input)))
                    .fixed("}}\n\n")
            }
        }
    }

    /// Any other chunk with one choice; `tokens`: all so far.
    fn event(&self, choice: &Value, tokens: u32) -> Bytes {
        let usage = match self.reply.usage {
            UsageShape::Absent | UsageShape::Last { nulls: false } => String::new(),
            UsageShape::Last { nulls: true } => ",\"usage\":null".to_owned(),
            UsageShape::Each => {
                let (input, total) = (self.reply.input, u64::from(self.reply.input) + u64::from(tokens));
                format!(
                    ",\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{tokens},\"total_tokens\":{total}}}"
                )
            }
        };
        format!("data: {}{choice}]{usage}}}\n\n", self.head).into()
    }

    fn tail(&self, finish_choice: &Value) -> Vec<Bytes> {
        let mut tail = vec![self.event(finish_choice, self.reply.output_tokens())];
        if self.reply.has_usage() {
            tail.push(format!("data: {}],\"usage\":{}}}\n\n", self.head, openai_usage(self.reply)).into());
        }
        tail.push(DONE);
        tail
    }
}

fn error_events() -> Vec<Bytes> {
    let error = json!({"error": {
        "message": "The engine failed while generating.", "type": "InternalServerError", "param": null, "code": 500,
    }});
    vec![data(&error), DONE]
}

/// A chat stream.
pub(super) fn stream(reply: &Reply) -> Script {
    let chunks = Chunks::chat(reply);
    let choice =
        |delta: Value, finish: Value| json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
    let delta = |member: &str| {
        chunks.token(
            &format!("{{\"index\":0,\"delta\":{{\"{member}\":\""),
            "\"},\"logprobs\":null,\"finish_reason\":null}",
        )
    };
    let role = json!({"role": "assistant", "content": ""});
    let (opens, chunk) = match reply.output {
        Output::ToolCall => {
            let call = json!({"index": 0, "id": format!("call_sim{:08x}", reply.id), "type": "function",
                              "function": {"name": "look_up", "arguments": ""}});
            let name = chunks.event(&choice(json!({"tool_calls": [call]}), Value::Null), reply.reasoning);
            let arguments = chunks.token(
                "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"",
                "\"}}]},\"logprobs\":null,\"finish_reason\":null}",
            );
            (vec![(EventKind::Tool, name)], arguments)
        }
        Output::Refusal => (Vec::new(), delta("refusal")),
        Output::Text | Output::RefusalText => (Vec::new(), delta("content")),
    };
    let phase = |kind, tokens, words, opens, chunk| Phase { opens, kind, tokens, words, chunk, closes: Vec::new() };
    let reasoning = delta("reasoning_content");
    Script {
        preamble: vec![chunks.event(&choice(role, Value::Null), 0)],
        phases: vec![
            phase(EventKind::Reasoning, reply.reasoning, Words::Prose, Vec::new(), reasoning),
            phase(reply.kind(), reply.tokens, reply.words, opens, chunk),
        ],
        tail: chunks.tail(&choice(json!({}), finish_reason(reply).into())),
        error: error_events(),
        junk: junk(),
    }
}

/// A chat reply in one piece.
pub(super) fn whole(reply: &Reply) -> Value {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    match reply.output {
        Output::Text | Output::RefusalText => message["content"] = reply.text().into(),
        Output::Refusal => message["refusal"] = reply.text().into(),
        Output::ToolCall => {
            message["tool_calls"] = json!([{"id": format!("call_sim{:08x}", reply.id), "type": "function",
                                            "function": {"name": "look_up", "arguments": reply.text()}}]);
        }
    }
    if reply.reasoning > 0 {
        message["reasoning_content"] = reply.reasoning_text().into();
    }
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(reply)});
    wrapped(reply, "chatcmpl", "chat.completion", &choice)
}

/// A completions stream. It has no role chunk; the finish reason comes with an empty text.
pub(super) fn completions_stream(reply: &Reply) -> Script {
    let chunks = Chunks::completions(reply);
    let chunk = chunks.token("{\"index\":0,\"text\":\"", "\",\"logprobs\":null,\"finish_reason\":null}");
    let finish = json!({"index": 0, "text": "", "logprobs": null, "finish_reason": finish_reason(reply)});
    let phase = Phase {
        opens: Vec::new(),
        kind: EventKind::Content,
        tokens: reply.tokens,
        words: reply.words,
        chunk,
        closes: Vec::new(),
    };
    let tail = chunks.tail(&finish);
    Script { preamble: Vec::new(), phases: vec![phase], tail, error: error_events(), junk: junk() }
}

/// A completions reply in one piece.
pub(super) fn completions_whole(reply: &Reply) -> Value {
    let choice = json!({"index": 0, "text": reply.text(), "logprobs": null, "finish_reason": finish_reason(reply)});
    wrapped(reply, "cmpl", "text_completion", &choice)
}

fn wrapped(reply: &Reply, prefix: &str, object: &str, choice: &Value) -> Value {
    let mut whole = json!({
        "id": format!("{prefix}-sim{:08x}", reply.id),
        "object": object,
        "created": reply.created,
        "model": reply.model,
        "choices": [choice],
        "system_fingerprint": "fp_sim",
    });
    if reply.has_usage() {
        whole["usage"] = openai_usage(reply);
    }
    whole
}
