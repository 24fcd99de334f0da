//! The wire shapes, one file an API.
//!
//! Each turns a [`Reply`] into a [`Script`] (streamed) or a JSON text (whole), after the recordings and specifications
//! of the real servers. JSON that is made once a request goes through `serde_json`; token chunks are templates.

mod chat;
mod embeddings;
mod errors;
mod messages;
mod ollama;
mod responses;

use bytes::Bytes;
use serde_json::{Value, json};

pub(crate) use errors::{ErrorReply, error_of_fault, error_reply, models};

use crate::behaviour::{Behaviour, Finish, Output, UsageMode};
use crate::frames::Script;
use crate::request::{Api, Call, UsageAsked};
use crate::stats::EventKind;
use crate::words::{REFUSAL_TOKENS, Words};

/// What is to be said, before it takes a dialect's shape.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The request's number, in ids.
    pub(crate) id: u64,
    /// Unix seconds.
    pub(crate) created: u64,
    /// RFC 3339, for Ollama.
    pub(crate) created_at: String,
    pub(crate) model: String,
    /// A JSON string of the model's name, with its quotes.
    pub(crate) model_json: String,
    pub(crate) output: Output,
    pub(crate) finish: Finish,
    pub(crate) words: Words,
    pub(crate) tokens: u32,
    pub(crate) tokens_per_chunk: u32,
    /// Streamed reasoning; `reported_reasoning` may be more.
    pub(crate) reasoning: u32,
    pub(crate) reported_reasoning: u32,
    pub(crate) input: u32,
    pub(crate) cached: u32,
    pub(crate) usage: UsageShape,
    /// The member that pads a token event, with its comma; empty without padding.
    pub(crate) padding: String,
    pub(crate) base64: bool,
    pub(crate) inputs: u32,
}

/// Which token counts a stream shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsageShape {
    /// None.
    Absent,
    /// At the end; `nulls`: the other chunks say `"usage": null`.
    Last { nulls: bool },
    /// Cumulative on each chunk, and at the end.
    Each,
}

impl Reply {
    /// Settles what a call gets. Changes the schedule where the request limits it (`max_tokens`) or the dialect cannot
    /// stream a part of it, so that the two agree.
    pub(crate) fn settle(call: &Call, behaviour: &mut Behaviour, id: u64, now: std::time::SystemTime) -> Reply {
        let output = match behaviour.output {
            Output::ToolCall if !call.api.has_tools() => Output::Text,
            other => other,
        };
        let schedule = &mut behaviour.schedule;
        if !call.api.has_reasoning() {
            schedule.reasoning_tokens = 0;
        }
        match output {
            Output::Refusal | Output::RefusalText => schedule.tokens = schedule.tokens.min(REFUSAL_TOKENS),
            Output::ToolCall => schedule.tokens = schedule.tokens.max(2),
            Output::Text => {}
        }
        let wanted = schedule.reasoning_tokens.saturating_add(schedule.tokens);
        let allowed = call.max_tokens.unwrap_or(u32::MAX);
        schedule.reasoning_tokens = schedule.reasoning_tokens.min(allowed);
        schedule.tokens = schedule.tokens.min(allowed - schedule.reasoning_tokens);
        let finish = match behaviour.finish {
            Finish::Auto if wanted > allowed => Finish::Length,
            other => other,
        };
        let input = schedule.input_tokens.unwrap_or(call.prompt_words);
        let model = call.model.clone();
        Reply {
            id,
            created: now.duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            created_at: humantime::format_rfc3339_millis(now).to_string(),
            model_json: Value::from(model.as_str()).to_string(),
            model,
            output,
            finish,
            words: match output {
                Output::Text => Words::Prose,
                Output::ToolCall => Words::Arguments,
                Output::Refusal | Output::RefusalText => Words::Refusal,
            },
            tokens: schedule.tokens,
            tokens_per_chunk: schedule.tokens_per_chunk,
            reasoning: schedule.streamed_reasoning(),
            reported_reasoning: schedule.reasoning_tokens,
            input,
            cached: schedule.cached_input_tokens.min(input),
            usage: usage_shape(call, behaviour.usage),
            padding: match behaviour.padding as usize {
                0 => String::new(),
                bytes => format!(",\"obfuscation\":\"{}\"", "x".repeat(bytes)),
            },
            base64: call.base64,
            inputs: call.inputs,
        }
    }

    /// All output tokens.
    fn output_tokens(&self) -> u32 {
        self.tokens.saturating_add(self.reported_reasoning)
    }

    fn text(&self) -> String {
        self.words.text(self.tokens)
    }

    fn reasoning_text(&self) -> String {
        Words::Prose.text(self.reasoning)
    }

    fn has_usage(&self) -> bool {
        self.usage != UsageShape::Absent
    }

    /// The kind of the events that carry the output.
    fn kind(&self) -> EventKind {
        match self.output {
            Output::Text | Output::RefusalText => EventKind::Content,
            Output::Refusal => EventKind::Refusal,
            Output::ToolCall => EventKind::Tool,
        }
    }
}

fn usage_shape(call: &Call, mode: UsageMode) -> UsageShape {
    let must_ask = call.stream && matches!(call.api, Api::Chat | Api::Completions);
    match mode {
        UsageMode::Never => UsageShape::Absent,
        UsageMode::Continuous => UsageShape::Each,
        UsageMode::Always => UsageShape::Last { nulls: false },
        UsageMode::IfAsked if !must_ask => UsageShape::Last { nulls: false },
        UsageMode::IfAsked => match call.usage {
            UsageAsked::No => UsageShape::Absent,
            UsageAsked::Last => UsageShape::Last { nulls: true },
            UsageAsked::Each => UsageShape::Each,
        },
    }
}

/// The events of a streamed reply, and their content type.
pub(crate) fn stream(api: Api, reply: &Reply) -> (Script, &'static str) {
    const SSE: &str = "text/event-stream";
    match api {
        Api::Responses => (responses::stream(reply), SSE),
        Api::Messages => (messages::stream(reply), SSE),
        Api::OllamaChat | Api::OllamaGenerate => (ollama::stream(api, reply), "application/x-ndjson"),
        Api::Completions => (chat::completions_stream(reply), SSE),
        _ => (chat::stream(reply), SSE),
    }
}

/// A whole reply as JSON.
pub(crate) fn whole(api: Api, reply: &Reply) -> String {
    let value = match api {
        Api::Responses => responses::whole(reply),
        Api::Messages => messages::whole(reply),
        Api::OllamaChat | Api::OllamaGenerate => ollama::whole(api, reply),
        Api::Completions => chat::completions_whole(reply),
        Api::Embeddings => embeddings::whole(reply),
        _ => chat::whole(reply),
    };
    value.to_string()
}

/// `data: …` of a server-sent event without a name.
fn data(value: &Value) -> Bytes {
    format!("data: {value}\n\n").into()
}

/// A server-sent event named by its own `type`, as Responses and Anthropic do.
fn named(value: &Value) -> Bytes {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default()).into()
}

/// The junk event of the SSE dialects.
fn junk() -> Bytes {
    Bytes::from_static(b"data: {\"this is\": not JSON\n\n")
}

/// OpenAI's usage object of chat, completions and embeddings.
fn openai_usage(reply: &Reply) -> Value {
    let output = reply.output_tokens();
    json!({
        "prompt_tokens": reply.input,
        "completion_tokens": output,
        "total_tokens": u64::from(reply.input) + u64::from(output),
        "prompt_tokens_details": {"cached_tokens": reply.cached},
        "completion_tokens_details": {"reasoning_tokens": reply.reported_reasoning},
    })
}
