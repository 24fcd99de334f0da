//! What of a request's body becomes input tokens.
//!
//! | API | counted |
//! |---|---|
//! | chat | for each message: what the template adds, role, name, text, tool calls (name and arguments); tools; a JSON schema that the reply must have; what the template adds once |
//! | Responses | `instructions`, `input` (a string, messages, calls and their outputs), tools; as chat |
//! | messages | `system`, messages with text, tool calls and their results; tools; as chat |
//! | completions, embeddings | `prompt`, `suffix`, `input`: text, or tokens, which are counted one by one |
//! | Ollama | as chat, or `system`, `prompt`, `suffix` and the length of `context` |
//!
//! What the template adds is the cookbook's for OpenAI's models, else the family's. The cost of tools is OpenAI's
//! cookbook's for its models (nested objects counted alike, which the cookbook leaves out); for others their JSON, which
//! is what chat templates write. An image, audio, a file, a tool that the provider runs, or a conversation that the
//! provider remembers cannot be counted: then there is no estimate of the input at all.

use limpid_core::Endpoint;
use serde_json::Value;

use super::Unestimated;
use super::family::{Family, Shares};

/// Nesting of a tool's parameters that is followed.
const DEEPEST: u32 = 16;

/// What a text comes to, as it is put together.
pub(super) struct Tally {
    pub(super) family: Family,
    /// Tokens of the encoding.
    text: u64,
    /// What templates add, in the family's own tokens.
    fixed: i64,
    shares: Shares,
}

type Counted = Result<(), Unestimated>;

impl Tally {
    pub(super) fn new(family: Family) -> Tally {
        Tally { family, text: 0, fixed: 0, shares: Shares::default() }
    }

    /// Adds a text.
    pub(super) fn text(&mut self, text: &str) -> Counted {
        self.shares.add(text);
        let tokens = self.family.encoding().count(text).ok_or(Unestimated::Failed)?;
        self.text = self.text.saturating_add(tokens);
        Ok(())
    }

    /// Adds tokens that are no text.
    pub(super) fn fixed(&mut self, tokens: i64) {
        self.fixed = self.fixed.saturating_add(tokens);
    }

    /// The factor that the text so far asks for.
    pub(super) fn factor(&self) -> f64 {
        self.family.factor(&self.shares)
    }

    /// The tokens.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a text of 2^52 tokens does not fit a machine"
    )]
    pub(super) fn tokens(&self) -> u64 {
        let text = (self.text as f64 * self.factor()).round() as u64;
        text.saturating_add_signed(self.fixed)
    }

    /// Adds all that the body of a request to this API says.
    pub(super) fn request(&mut self, endpoint: Endpoint, body: &Value) -> Counted {
        let has = |name: &str| body.get(name).is_some_and(|v| !v.is_null());
        if ["previous_response_id", "conversation", "prompt_cache_retrieval"].iter().any(|n| has(n)) {
            return Err(Unestimated::Hidden);
        }
        match endpoint {
            Endpoint::Completions => {
                self.raw(&body["prompt"])?;
                return self.value(&body["suffix"]);
            }
            Endpoint::Embeddings => return self.raw(&body["input"]),
            Endpoint::Generate if !has("messages") => return self.generate(body),
            Endpoint::Responses => {
                if body["prompt"].is_object() {
                    return Err(Unestimated::Hidden);
                }
                self.instructions(&body["instructions"])?;
                self.input(&body["input"])?;
                self.schema(&body["text"]["format"]["schema"])?;
            }
            _ => {
                self.instructions(&body["system"])?;
                for message in body["messages"].as_array().ok_or(Unestimated::Unreadable)? {
                    self.message(message)?;
                }
                self.schema(&body["response_format"]["json_schema"]["schema"])?;
                self.schema(&body["format"])?;
            }
        }
        self.fixed(signed(self.family.per_prompt));
        if !has_system(endpoint, body) {
            self.fixed(signed(self.family.without_system));
        }
        self.tools(body["tools"].as_array().or_else(|| body["functions"].as_array()))
    }

    /// A string or an array of them, of tokens, or of arrays of tokens. No template adds anything.
    fn raw(&mut self, value: &Value) -> Counted {
        match value {
            Value::String(text) => self.text(text),
            Value::Number(_) => {
                self.fixed(1);
                Ok(())
            }
            Value::Array(all) if !all.is_empty() => all.iter().try_for_each(|one| self.raw(one)),
            Value::Object(_) => Err(Unestimated::NotText),
            _ => Err(Unestimated::Unreadable),
        }
    }

    /// Ollama's `/api/generate`.
    fn generate(&mut self, body: &Value) -> Counted {
        if body["images"].as_array().is_some_and(|images| !images.is_empty()) {
            return Err(Unestimated::NotText);
        }
        self.raw(&body["prompt"])?;
        self.instructions(&body["system"])?;
        self.value(&body["suffix"])?;
        let before = body["context"].as_array().map_or(0, Vec::len);
        self.fixed(i64::try_from(before).unwrap_or(i64::MAX));
        if body["raw"] != Value::Bool(true) {
            self.fixed(signed(self.family.per_message + self.family.per_prompt) + 1);
        }
        Ok(())
    }

    /// A system prompt that stands beside the messages is one of them in the template.
    fn instructions(&mut self, value: &Value) -> Counted {
        if value.is_null() {
            return Ok(());
        }
        // The role's word is a token.
        self.fixed(signed(self.family.per_message) + 1);
        self.content(value)
    }

    fn input(&mut self, input: &Value) -> Counted {
        match input {
            Value::String(text) => {
                self.fixed(signed(self.family.per_message) + 1);
                self.text(text)
            }
            Value::Array(items) => items.iter().try_for_each(|item| self.item(item)),
            _ => Err(Unestimated::Unreadable),
        }
    }

    /// An item of Responses' `input`.
    fn item(&mut self, item: &Value) -> Counted {
        match item["type"].as_str() {
            None | Some("message") => self.message(item),
            Some("function_call" | "custom_tool_call") => {
                self.fixed(signed(self.family.per_message));
                self.call(item)
            }
            Some("function_call_output" | "custom_tool_call_output") => {
                self.fixed(signed(self.family.per_message) + 1);
                self.content(&item["output"])
            }
            // What the provider alone can read.
            Some("reasoning" | "item_reference" | "compaction") => Err(Unestimated::Hidden),
            Some(_) => Err(Unestimated::NotText),
        }
    }

    fn message(&mut self, message: &Value) -> Counted {
        if message["images"].as_array().is_some_and(|images| !images.is_empty()) || message["audio"].is_object() {
            return Err(Unestimated::NotText);
        }
        self.fixed(signed(self.family.per_message));
        self.value(&message["role"])?;
        if let Some(name) = message["name"].as_str() {
            self.fixed(signed(self.family.per_name));
            self.text(name)?;
        }
        self.content(&message["content"])?;
        self.value(&message["refusal"])?;
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let called = if call["custom"].is_object() { &call["custom"] } else { &call["function"] };
            self.call(called)?;
        }
        if message["function_call"].is_object() { self.call(&message["function_call"]) } else { Ok(()) }
    }

    /// A call's name and its arguments, a string or an object.
    fn call(&mut self, call: &Value) -> Counted {
        for part in ["name", "arguments", "input"] {
            match &call[part] {
                Value::Object(object) => self.text(&Value::Object(object.clone()).to_string())?,
                value => self.value(value)?,
            }
        }
        Ok(())
    }

    /// A string or a list of parts.
    fn content(&mut self, content: &Value) -> Counted {
        let Value::Array(parts) = content else { return self.value(content) };
        for part in parts {
            match part["type"].as_str() {
                _ if part.is_string() => self.value(part)?,
                Some("tool_use" | "server_tool_use") => self.call(part)?,
                Some("tool_result") => self.content(&part["content"])?,
                // Anthropic takes the thinking of earlier turns out.
                Some("thinking" | "redacted_thinking") => {}
                Some("refusal") => self.value(&part["refusal"])?,
                _ if part["text"].is_string() => self.value(&part["text"])?,
                _ => return Err(Unestimated::NotText),
            }
        }
        Ok(())
    }

    /// A string; nothing if it is absent.
    fn value(&mut self, value: &Value) -> Counted {
        match value {
            Value::String(text) => self.text(text),
            Value::Null => Ok(()),
            _ => Err(Unestimated::NotText),
        }
    }

    fn schema(&mut self, schema: &Value) -> Counted {
        if schema.is_object() { self.text(&schema.to_string()) } else { Ok(()) }
    }

    fn tools(&mut self, tools: Option<&Vec<Value>>) -> Counted {
        let tools = tools.map(Vec::as_slice).unwrap_or_default();
        if tools.is_empty() {
            return Ok(());
        }
        self.fixed(signed(self.family.per_tools));
        for tool in tools {
            let function = if tool["function"].is_object() { &tool["function"] } else { tool };
            if !function["name"].is_string() || function["parameters"].is_null() && function["input_schema"].is_null() {
                return Err(Unestimated::Hidden);
            }
            if self.family.is_openai() { self.openai_tool(function)? } else { self.text(&tool.to_string())? }
        }
        if self.family.is_openai() {
            self.fixed(12);
        }
        Ok(())
    }

    /// The cookbook's formula: 7 a function (10 with `cl100k_base`), 3 for its properties, 3 for each, and for an
    /// `enum` 3 an item less 3.
    fn openai_tool(&mut self, function: &Value) -> Counted {
        self.fixed(if self.family.encoding() == super::Encoding::O200k { 7 } else { 10 });
        self.line(&[function["name"].as_str(), described(function)])?;
        let parameters = &function["parameters"];
        let schema = if parameters.is_object() { parameters } else { &function["input_schema"] };
        self.properties(schema, 0)
    }

    fn properties(&mut self, schema: &Value, depth: u32) -> Counted {
        let Some(properties) = schema["properties"].as_object().filter(|p| !p.is_empty() && depth < DEEPEST) else {
            return Ok(());
        };
        self.fixed(3);
        for (name, property) in properties {
            self.fixed(3);
            if let Some(items) = property["enum"].as_array() {
                self.fixed(-3);
                for item in items {
                    self.fixed(3);
                    self.text(&item.as_str().map_or_else(|| item.to_string(), str::to_owned))?;
                }
            }
            self.line(&[Some(name), property["type"].as_str().or(Some("")), described(property)])?;
            self.properties(property, depth + 1)?;
            self.properties(&property["items"], depth + 1)?;
        }
        Ok(())
    }

    /// `name:type:description`.
    fn line(&mut self, parts: &[Option<&str>]) -> Counted {
        let parts: Vec<&str> = parts.iter().map(|part| part.unwrap_or_default()).collect();
        self.text(&parts.join(":"))
    }
}

/// Whether the conversation begins with a system prompt.
fn has_system(endpoint: Endpoint, body: &Value) -> bool {
    let messages = if endpoint == Endpoint::Responses { &body["input"] } else { &body["messages"] };
    let first = messages[0]["role"].as_str();
    matches!(first, Some("system" | "developer")) || !body["system"].is_null() || !body["instructions"].is_null()
}

/// The description without its full stop.
fn described(of: &Value) -> Option<&str> {
    of["description"].as_str().map(|text| text.strip_suffix('.').unwrap_or(text))
}

fn signed(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}
