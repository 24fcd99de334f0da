//! What a request asks, as messages.
//!
//! | API | instructions | messages |
//! |---|---|---|
//! | chat | – (they are messages) | `messages` |
//! | Responses | `instructions` | `input`: a string, messages, calls and their outputs |
//! | messages | `system` | `messages` |
//! | completions | – | each `prompt`, as the user's |
//! | Ollama, TGI, SGLang | `system` | `messages`, or `prompt`, `inputs`, `text` |
//! | Gemini | `systemInstruction` | `contents` |
//!
//! Where not all fits, the newest messages are kept, for they are what the answer answers; the instructions may take half.

use limpid_core::Endpoint;
use serde_json::{Value, json};

use super::pen::{Pen, omitted, part};

/// Stop sequences: the most that are told.
const MOST_STOPS: usize = 16;

/// What was read of a body.
pub(super) struct Read {
    pub(super) system: Option<Vec<Value>>,
    pub(super) messages: Option<Vec<Value>>,
    pub(super) stop_sequences: Vec<String>,
}

/// A message before it is written: whose it is, and where its parts come from.
struct Draft<'v> {
    role: &'v str,
    name: Option<&'v str>,
    source: Source<'v>,
}

/// Where parts come from.
enum Source<'v> {
    /// A string or a list of parts.
    Content(&'v Value),
    /// A chat message: content, calls and the rest.
    Chat(&'v Value),
    /// An item of Responses.
    Item(&'v Value),
    /// Gemini's parts.
    Gemini(&'v Value),
}

/// `None` if it is not a request of this kind.
pub(super) fn read(pen: &mut Pen<'_>, endpoint: Endpoint, body: &Value) -> Option<Read> {
    body.as_object()?;
    let system = ["system", "instructions", "systemInstruction", "system_instruction"];
    let system = system.iter().map(|name| &body[*name]).find(|value| !value.is_null() && endpoint != Endpoint::Chat);
    let drafts = drafts(endpoint, body);
    if drafts.is_empty() && system.is_none() {
        return None;
    }
    let system = system.map(|value| {
        pen.half(|pen| match &value["parts"] {
            Value::Null => parts(pen, value),
            of_gemini => gemini(pen, of_gemini),
        })
    });
    let messages = newest_first(pen, &drafts);
    Some(Read {
        system: system.filter(|parts| !parts.is_empty()),
        messages: (!messages.is_empty()).then_some(messages),
        stop_sequences: stop_sequences(pen, body),
    })
}

fn newest_first(pen: &mut Pen<'_>, drafts: &[Draft<'_>]) -> Vec<Value> {
    let mut messages = Vec::new();
    for draft in drafts.iter().rev() {
        if !pen.begin() {
            let (Source::Content(v) | Source::Chat(v) | Source::Item(v) | Source::Gemini(v)) = draft.source;
            pen.leave_out(v);
            continue;
        }
        let mut message = json!({"role": pen.name(draft.role)});
        if let Some(name) = draft.name {
            message["name"] = json!(pen.name(name));
        }
        message["parts"] = Value::Array(match draft.source {
            Source::Content(content) => parts(pen, content),
            Source::Chat(message) => chat(pen, message),
            Source::Item(item) => one_part(pen, item).into_iter().collect(),
            Source::Gemini(parts) => gemini(pen, parts),
        });
        messages.push(message);
    }
    messages.reverse();
    messages
}

fn drafts(endpoint: Endpoint, body: &Value) -> Vec<Draft<'_>> {
    let user = |value| Draft { role: "user", name: None, source: Source::Content(value) };
    if let Some(messages) = body["messages"].as_array() {
        return messages.iter().filter_map(chat_draft).collect();
    }
    match endpoint {
        Endpoint::Responses => match &body["input"] {
            Value::Array(items) => items.iter().map(item_draft).collect(),
            Value::String(_) => vec![user(&body["input"])],
            _ => Vec::new(),
        },
        Endpoint::GenerateContent => match &body["contents"] {
            Value::Array(contents) => contents.iter().map(gemini_draft).collect(),
            one @ Value::Object(_) => vec![gemini_draft(one)],
            _ => Vec::new(),
        },
        Endpoint::Completions | Endpoint::Generate => {
            let prompt = ["prompt", "inputs", "text"].iter().map(|name| &body[*name]).find(|value| !value.is_null());
            match prompt {
                Some(Value::Array(prompts)) if prompts.iter().all(Value::is_string) => {
                    prompts.iter().map(user).collect()
                }
                Some(prompt) => vec![user(prompt)],
                None => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

fn chat_draft(message: &Value) -> Option<Draft<'_>> {
    message.as_object()?;
    Some(Draft {
        role: message["role"].as_str().unwrap_or("user"),
        name: message["name"].as_str(),
        source: Source::Chat(message),
    })
}

fn item_draft(item: &Value) -> Draft<'_> {
    let role = match item["type"].as_str() {
        _ if item["role"].is_string() => item["role"].as_str().unwrap_or("user"),
        Some(kind) if kind.ends_with("_output") => "tool",
        Some(_) => "assistant",
        None => "user",
    };
    let is_message = matches!(item["type"].as_str(), None | Some("message"));
    let source = if is_message { Source::Content(&item["content"]) } else { Source::Item(item) };
    Draft { role, name: None, source }
}

fn gemini_draft(content: &Value) -> Draft<'_> {
    let role = match content["role"].as_str() {
        Some("model") => "assistant",
        Some("function") => "tool",
        Some(role) => role,
        None => "user",
    };
    Draft { role, name: None, source: Source::Gemini(&content["parts"]) }
}

/// The parts of a chat message, Ollama's too.
fn chat(pen: &mut Pen<'_>, message: &Value) -> Vec<Value> {
    if message["role"] == "tool" || message["role"] == "function" {
        let response = message["content"].is_array().then(|| Value::Array(parts(pen, &message["content"])));
        let response = response.unwrap_or_else(|| pen.value(&message["content"]));
        let mut part = json!({"type": "tool_call_response", "response": response});
        if let Some(id) = message["tool_call_id"].as_str() {
            part["id"] = json!(pen.name(id));
        }
        return vec![part];
    }
    let mut all = Vec::new();
    let reasoning = ["reasoning_content", "reasoning", "thinking"].iter().find_map(|name| message[*name].as_str());
    for (kind, text) in [("reasoning", reasoning), ("refusal", message["refusal"].as_str())] {
        if let Some(text) = text.filter(|text| !text.is_empty() && pen.begin()) {
            all.push(part(kind, pen.text(text)));
        }
    }
    all.extend(parts(pen, &message["content"]));
    let images = message["images"].as_array().map_or(0, Vec::len);
    all.extend((0..images).filter(|_| pen.begin()).map(|_| omitted("image")).collect::<Vec<_>>());
    for called in message["tool_calls"].as_array().into_iter().flatten() {
        let function = if called["custom"].is_object() { &called["custom"] } else { &called["function"] };
        all.extend(call(pen, called["id"].as_str(), function));
    }
    if message["function_call"].is_object() {
        all.extend(call(pen, None, &message["function_call"]));
    }
    all
}

/// A string, or a list of parts.
fn parts(pen: &mut Pen<'_>, content: &Value) -> Vec<Value> {
    match content {
        Value::Null => Vec::new(),
        // A prompt of tokens.
        Value::Array(all) if !all.is_empty() && !all.iter().any(|one| one.is_string() || one.is_object()) => {
            vec![omitted("tokens")]
        }
        Value::Array(all) => all.iter().filter_map(|one| one_part(pen, one)).collect(),
        one => one_part(pen, one).into_iter().collect(),
    }
}

/// `None` where there is no room.
fn one_part(pen: &mut Pen<'_>, value: &Value) -> Option<Value> {
    if matches!(value, Value::String(text) if text.is_empty()) {
        return None;
    }
    let kind = value["type"].as_str().unwrap_or_default();
    if matches!(
        kind,
        "tool_use" | "server_tool_use" | "mcp_tool_use" | "function_call" | "custom_tool_call" | "mcp_call"
    ) {
        let id = value["call_id"].as_str().or(value["id"].as_str());
        return call(pen, id, value);
    }
    if !pen.begin() {
        pen.leave_out(value);
        return None;
    }
    let said = |name: &str| value[name].as_str().filter(|text| !text.is_empty());
    Some(match (value, kind) {
        (Value::String(text), _) => part("text", pen.text(text)),
        (_, "tool_result" | "function_call_output" | "custom_tool_call_output") => {
            let answer = if value["content"].is_null() { &value["output"] } else { &value["content"] };
            let response = answer.is_array().then(|| Value::Array(parts(pen, answer)));
            let mut part =
                json!({"type": "tool_call_response", "response": response.unwrap_or_else(|| pen.value(answer))});
            if let Some(id) = said("tool_use_id").or(said("call_id")) {
                part["id"] = json!(pen.name(id));
            }
            part
        }
        (_, "thinking" | "reasoning") => match said("thinking").or(said("text")) {
            Some(text) => part("reasoning", pen.text(text)),
            None => omitted(kind),
        },
        (_, "refusal") => part("refusal", pen.text(said("refusal").unwrap_or_default())),
        _ => match said("text").filter(|_| matches!(kind, "" | "text" | "input_text" | "output_text" | "summary_text"))
        {
            Some(text) => part("text", pen.text(text)),
            None => omitted(kind),
        },
    })
}

/// A call of a tool: its arguments are a string of JSON, or an object.
fn call(pen: &mut Pen<'_>, id: Option<&str>, function: &Value) -> Option<Value> {
    if !pen.begin() {
        pen.leave_out(function);
        return None;
    }
    let mut part = json!({"type": "tool_call", "name": pen.name(function["name"].as_str().unwrap_or_default())});
    if let Some(id) = id {
        part["id"] = json!(pen.name(id));
    }
    let arguments = ["arguments", "input", "args"].iter().map(|name| &function[*name]).find(|value| !value.is_null());
    match arguments {
        Some(Value::String(text)) => part["arguments"] = pen.arguments(text, false),
        Some(value) => part["arguments"] = pen.value(value),
        None => {}
    }
    Some(part)
}

fn gemini(pen: &mut Pen<'_>, parts: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    let one = [parts.clone()];
    let list = parts.as_array().map_or(if parts.is_object() { &one[..] } else { &[] }, Vec::as_slice);
    for value in list {
        let of = |camel: &str, snake: &str| {
            let found = if value[camel].is_null() { &value[snake] } else { &value[camel] };
            found.is_object().then_some(found)
        };
        if let Some(function) = of("functionCall", "function_call") {
            all.extend(call(pen, function["id"].as_str(), function));
            continue;
        }
        if !pen.begin() {
            pen.leave_out(value);
            continue;
        }
        all.push(if let Some(function) = of("functionResponse", "function_response") {
            json!({"type": "tool_call_response", "response": pen.value(&function["response"])})
        } else if let Some(text) = value["text"].as_str() {
            part(if value["thought"] == true { "reasoning" } else { "text" }, pen.text(text))
        } else {
            omitted("other")
        });
    }
    all
}

/// `stop` of OpenAI and Ollama's `options`, `stop_sequences` of Anthropic, `stopSequences` of Gemini, `stop` of TGI's
/// `parameters` and SGLang's `sampling_params`.
fn stop_sequences(pen: &mut Pen<'_>, body: &Value) -> Vec<String> {
    let holders = ["options", "parameters", "generationConfig", "generation_config", "sampling_params"];
    let holders = std::iter::once(body).chain(holders.iter().map(|name| &body[*name]));
    let names = ["stop", "stop_sequences", "stopSequences"];
    let found = holders.flat_map(|holder| names.iter().map(move |name| &holder[*name])).find(|value| !value.is_null());
    match found {
        Some(Value::String(one)) => vec![pen.name(one)],
        Some(Value::Array(all)) => {
            all.iter().filter_map(Value::as_str).take(MOST_STOPS).map(|one| pen.name(one)).collect()
        }
        _ => Vec::new(),
    }
}
