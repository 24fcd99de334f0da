//! What a request asks for: the API by its path, and the few members of the body that matter here.

use std::borrow::Cow;

use http::Method;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::overrides::Overrides;

/// The calls that the simulator answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Chat,
    Completions,
    Responses,
    Messages,
    Embeddings,
    OllamaChat,
    OllamaGenerate,
    Models,
    Health,
    Stats,
}

impl Api {
    /// The API of a path, by its ending; so Azure's and other prefixes work as well.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Api> {
        const POST: [(&str, Api); 7] = [
            ("/chat/completions", Api::Chat),
            ("/completions", Api::Completions),
            ("/responses", Api::Responses),
            ("/messages", Api::Messages),
            ("/embeddings", Api::Embeddings),
            ("/api/chat", Api::OllamaChat),
            ("/api/generate", Api::OllamaGenerate),
        ];
        const GET: [(&str, Api); 3] = [("/models", Api::Models), ("/health", Api::Health), ("/sim/stats", Api::Stats)];
        let known: &[(&str, Api)] = match *method {
            Method::POST => &POST,
            Method::GET => &GET,
            _ => return None,
        };
        known.iter().find(|(ending, _)| path.ends_with(ending)).map(|(_, api)| *api)
    }

    /// Whether replies are streamed unless the request says otherwise.
    fn streams_by_default(self) -> bool {
        matches!(self, Api::OllamaChat | Api::OllamaGenerate)
    }

    /// Whether the dialect can stream reasoning.
    pub(crate) fn has_reasoning(self) -> bool {
        !matches!(self, Api::Completions | Api::Embeddings)
    }

    /// Whether the dialect has tool calls that are streamed.
    pub(crate) fn has_tools(self) -> bool {
        matches!(self, Api::Chat | Api::Responses | Api::Messages)
    }
}

/// The parsed body. Members that are not listed are ignored, as servers do.
#[derive(Debug, Default, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    max_output_tokens: Option<u32>,
    encoding_format: Option<Cow<'a, str>>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    sim: Option<Overrides>,
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
    #[serde(default)]
    continuous_usage_stats: bool,
}

/// What `stream_options` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsageAsked {
    /// Nothing.
    No,
    /// `include_usage`.
    Last,
    /// `continuous_usage_stats` as well.
    Each,
}

/// A request, understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) api: Api,
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) usage: UsageAsked,
    pub(crate) max_tokens: Option<u32>,
    /// Embeddings: vectors as base64.
    pub(crate) base64: bool,
    /// Words of the prompt.
    pub(crate) prompt_words: u32,
    /// Embeddings: how many inputs there are.
    pub(crate) inputs: u32,
    pub(crate) overrides: Option<Overrides>,
}

impl Call {
    /// Reads a body; the error is for the client.
    pub(crate) fn parse(api: Api, body: &[u8]) -> Result<Call, String> {
        let body: Body<'_> = serde_json::from_slice(body).map_err(|e| format!("The request body is not valid: {e}"))?;
        let prompts = [body.messages, body.input, body.prompt, body.system];
        let words = prompts.iter().flatten().map(|p| count_words(p)).sum::<usize>();
        let options = body.stream_options.unwrap_or_default();
        Ok(Call {
            api,
            model: body.model.unwrap_or(Cow::Borrowed("sim")).into_owned(),
            stream: body.stream.unwrap_or(api.streams_by_default()) && api != Api::Embeddings,
            usage: match (options.include_usage, options.continuous_usage_stats) {
                (false, _) => UsageAsked::No,
                (true, false) => UsageAsked::Last,
                (true, true) => UsageAsked::Each,
            },
            max_tokens: body.max_completion_tokens.or(body.max_output_tokens).or(body.max_tokens),
            base64: body.encoding_format.as_deref() == Some("base64"),
            prompt_words: u32::try_from(words).unwrap_or(u32::MAX),
            inputs: body.input.map_or(1, count_inputs),
            overrides: body.sim,
        })
    }
}

fn count_words(prompt: &RawValue) -> usize {
    // A plain string without escapes needs no parsing: long prompts of the load benchmark are that.
    let text = prompt.get();
    if text.starts_with('"') && !text.contains('\\') {
        return text.trim_matches('"').split_ascii_whitespace().count();
    }
    serde_json::from_str(text).map_or(0, |value| words_in(&value))
}

/// Words of all texts; roles, types, ids and image URLs are none.
fn words_in(value: &Value) -> usize {
    match value {
        Value::String(text) => text.split_whitespace().count(),
        Value::Array(items) => items.iter().map(words_in).sum(),
        Value::Object(members) => {
            let texts = ["content", "text", "thinking", "arguments", "output"];
            members.iter().filter(|(k, _)| texts.contains(&k.as_str())).map(|(_, v)| words_in(v)).sum()
        }
        _ => 0,
    }
}

fn count_inputs(input: &RawValue) -> u32 {
    let inputs = serde_json::from_str::<Vec<&RawValue>>(input.get()).map_or(1, |items| items.len());
    u32::try_from(inputs.clamp(1, 2_048)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_by_their_endings() {
        for (path, api) in [
            ("/v1/chat/completions", Some(Api::Chat)),
            ("/openai/deployments/x/chat/completions", Some(Api::Chat)),
            ("/v1/completions", Some(Api::Completions)),
            ("/v1/messages", Some(Api::Messages)),
            ("/api/chat", Some(Api::OllamaChat)),
            ("/v1/models", None),
        ] {
            assert_eq!(Api::of(&Method::POST, path), api, "{path}");
        }
        assert_eq!(Api::of(&Method::GET, "/v1/models"), Some(Api::Models));
    }

    #[test]
    fn words_of_the_prompt_are_counted_and_nothing_else() {
        let call = |body: &str| Call::parse(Api::Chat, body.as_bytes()).unwrap();
        let chat = call(
            r#"{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":
               [{"type":"text","text":"three plain words"},{"type":"image_url","image_url":{"url":"a b c"}}]}]}"#,
        );
        assert_eq!(chat.prompt_words, 5);
        assert_eq!(call(r#"{"prompt":"one two"}"#).prompt_words, 2);
        assert_eq!(call(r#"{"prompt":"one\ntwo\tthree"}"#).prompt_words, 3);
        let inputs = Call::parse(Api::Embeddings, br#"{"input":["a b","c"],"stream":true}"#).unwrap();
        assert_eq!((inputs.prompt_words, inputs.inputs, inputs.stream), (3, 2, false));
    }

    #[test]
    fn streaming_defaults_follow_the_api() {
        assert!(Call::parse(Api::OllamaChat, b"{}").unwrap().stream);
        assert!(!Call::parse(Api::Chat, b"{}").unwrap().stream);
        assert!(Call::parse(Api::Chat, br#"{"sim":{"nope":1}}"#).unwrap_err().contains("nope"));
    }
}
