//! OpenAI's Responses.
//!
//! Every event has a `sequence_number`. Reasoning is an item of its own, streamed as vLLM 0.32 does
//! (`response.reasoning_text.delta`). The terminal event carries the whole response with its usage:
//! `response.completed`, or `response.incomplete` with a reason. An error inside the stream is the flat `error` event.
//! There is no `[DONE]`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Reply, junk, named};
use crate::behaviour::{Finish, Output};
use crate::frames::{Phase, Piece, Script, Template};
use crate::stats::EventKind;
use crate::words::Words;

/// Numbers the events as they are made.
struct Sequence(u64);

impl Sequence {
    fn event(&mut self, mut value: Value) -> Bytes {
        value["sequence_number"] = self.0.into();
        self.0 += 1;
        named(&value)
    }

    /// The template of `chunks` token events.
    fn deltas(&mut self, kind: &str, place: &str, padding: &str, chunks: u32) -> Template {
        let template = Template::default()
            .fixed(format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{place},\"delta\":\""))
            .piece(Piece::Text)
            .fixed(format!("\"{padding},\"sequence_number\":"))
            .piece(Piece::Index(self.0))
            .fixed("}\n\n");
        self.0 += u64::from(chunks);
        template
    }
}

fn status(reply: &Reply) -> (&'static str, Value) {
    match reply.finish {
        Finish::Length => ("incomplete", json!({"reason": "max_output_tokens"})),
        Finish::ContentFilter => ("incomplete", json!({"reason": "content_filter"})),
        Finish::Auto | Finish::Stop => ("completed", Value::Null),
    }
}

fn usage(reply: &Reply) -> Value {
    let output = reply.output_tokens();
    json!({
        "input_tokens": reply.input,
        "input_tokens_details": {"cached_tokens": reply.cached},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reply.reported_reasoning},
        "total_tokens": u64::from(reply.input) + u64::from(output),
    })
}

fn response(reply: &Reply, status: &str, incomplete: &Value, output: &[Value], usage: &Value) -> Value {
    json!({
        "id": format!("resp_sim{:08x}", reply.id), "object": "response", "created_at": reply.created,
        "status": status, "error": null, "incomplete_details": incomplete, "model": reply.model,
        "output": output, "parallel_tool_calls": true, "service_tier": "default", "usage": usage, "metadata": {},
    })
}

/// The finished items of the output.
fn items(reply: &Reply) -> Vec<Value> {
    let mut items = Vec::with_capacity(2);
    if reply.reasoning > 0 {
        items.push(reasoning_item(reply, true));
    }
    if reply.tokens > 0 {
        items.push(output_item(reply, true));
    }
    items
}

fn reasoning_item(reply: &Reply, whole: bool) -> Value {
    let content = if whole { json!([reasoning_part(&reply.reasoning_text())]) } else { json!([]) };
    json!({"id": format!("rs_sim{:08x}", reply.id), "type": "reasoning", "summary": [], "content": content})
}

fn reasoning_part(text: &str) -> Value {
    json!({"type": "reasoning_text", "text": text})
}

fn output_item(reply: &Reply, whole: bool) -> Value {
    let status = match (whole, status(reply).0) {
        (false, _) => "in_progress",
        (true, status) => status,
    };
    if reply.output == Output::ToolCall {
        let arguments = if whole { reply.text() } else { String::new() };
        return json!({"id": item_id(reply), "type": "function_call", "status": status, "name": "look_up",
                      "call_id": format!("call_sim{:08x}", reply.id), "arguments": arguments});
    }
    let content = if whole { json!([content_part(reply, &reply.text())]) } else { json!([]) };
    json!({"id": item_id(reply), "type": "message", "status": status, "role": "assistant", "content": content})
}

fn content_part(reply: &Reply, text: &str) -> Value {
    if reply.output == Output::Refusal {
        json!({"type": "refusal", "refusal": text})
    } else {
        json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
    }
}

fn item_id(reply: &Reply) -> String {
    let prefix = if reply.output == Output::ToolCall { "fc" } else { "msg" };
    format!("{prefix}_sim{:08x}", reply.id)
}

fn reasoning_phase(reply: &Reply, sequence: &mut Sequence, chunks: u32) -> Phase {
    let id = format!("rs_sim{:08x}", reply.id);
    let text = reply.reasoning_text();
    let at = |kind: &str| json!({"type": kind, "item_id": id, "output_index": 0, "content_index": 0});
    let with = |mut event: Value, member: &str, value: Value| {
        event[member] = value;
        event
    };
    let added = json!({"type": "response.output_item.added", "output_index": 0, "item": reasoning_item(reply, false)});
    let part_added = with(at("response.content_part.added"), "part", reasoning_part(""));
    let opens = vec![(EventKind::Structure, sequence.event(added)), (EventKind::Structure, sequence.event(part_added))];
    let place = format!("\"item_id\":\"{id}\",\"output_index\":0,\"content_index\":0");
    let chunk = sequence.deltas("response.reasoning_text.delta", &place, &reply.padding, chunks);
    let done = json!({"type": "response.output_item.done", "output_index": 0, "item": reasoning_item(reply, true)});
    let closes = vec![
        sequence.event(with(at("response.reasoning_text.done"), "text", text.clone().into())),
        sequence.event(with(at("response.content_part.done"), "part", reasoning_part(&text))),
        sequence.event(done),
    ];
    Phase { opens, kind: EventKind::Reasoning, tokens: reply.reasoning, words: Words::Prose, chunk, closes }
}

fn output_phase(reply: &Reply, sequence: &mut Sequence, chunks: u32) -> Phase {
    let (id, index) = (item_id(reply), u32::from(reply.reasoning > 0));
    let text = reply.text();
    let tool = reply.output == Output::ToolCall;
    let event = |kind: &str, member: &str, value: Value| {
        let mut event = json!({"type": kind, "item_id": id, "output_index": index});
        if !tool {
            event["content_index"] = 0.into();
        }
        event[member] = value;
        event
    };
    let item = |kind: &str, whole| json!({"type": kind, "output_index": index, "item": output_item(reply, whole)});
    // The name of a tool is output; an empty message is not.
    let opening = if tool { EventKind::Tool } else { EventKind::Structure };
    let mut opens = vec![(opening, sequence.event(item("response.output_item.added", false)))];
    let (delta, done, member) = match reply.output {
        Output::ToolCall => {
            ("response.function_call_arguments.delta", "response.function_call_arguments.done", "arguments")
        }
        Output::Refusal => ("response.refusal.delta", "response.refusal.done", "refusal"),
        Output::Text | Output::RefusalText => ("response.output_text.delta", "response.output_text.done", "text"),
    };
    let mut place = format!("\"item_id\":\"{id}\",\"output_index\":{index}");
    if !tool {
        let part = content_part(reply, "");
        let added = event("response.content_part.added", "part", part);
        opens.push((EventKind::Structure, sequence.event(added)));
        place.push_str(",\"content_index\":0");
    }
    let chunk = sequence.deltas(delta, &place, &reply.padding, chunks);
    let mut closes = vec![sequence.event(event(done, member, text.clone().into()))];
    if !tool {
        closes.push(sequence.event(event("response.content_part.done", "part", content_part(reply, &text))));
    }
    closes.push(sequence.event(item("response.output_item.done", true)));
    Phase { opens, kind: reply.kind(), tokens: reply.tokens, words: reply.words, chunk, closes }
}

/// A stream. `per_chunk`: tokens in a chunk, for the numbering.
pub(super) fn stream(reply: &Reply) -> Script {
    let mut sequence = Sequence(0);
    let per_chunk = reply.tokens_per_chunk.max(1);
    let begun = response(reply, "in_progress", &Value::Null, &[], &Value::Null);
    let preamble = ["response.created", "response.in_progress"]
        .map(|kind| sequence.event(json!({"type": kind, "response": begun})))
        .to_vec();
    let mut phases = Vec::with_capacity(2);
    if reply.reasoning > 0 {
        phases.push(reasoning_phase(reply, &mut sequence, reply.reasoning.div_ceil(per_chunk)));
    }
    if reply.tokens > 0 {
        phases.push(output_phase(reply, &mut sequence, reply.tokens.div_ceil(per_chunk)));
    }
    let (status, _) = status(reply);
    let end = json!({"type": format!("response.{status}"), "response": whole(reply)});
    let error = json!({"type": "error", "code": "server_error", "param": null,
                       "message": "The server had an error while processing your request."});
    Script { preamble, phases, tail: vec![sequence.event(end)], error: vec![sequence.event(error)], junk: junk() }
}

/// A reply in one piece.
pub(super) fn whole(reply: &Reply) -> Value {
    let (status, incomplete) = status(reply);
    let usage = if reply.has_usage() { usage(reply) } else { Value::Null };
    response(reply, status, &incomplete, &items(reply), &usage)
}
