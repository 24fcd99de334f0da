//! OpenAI's own figures: the cookbook's examples (<https://github.com/openai/openai-cookbook>,
//! `How_to_count_tokens_with_tiktoken.ipynb`, counted there by the API) and those of the API reference.

use limpid_core::{Ending, Observation, PriceSource, ReportedError, RequestFacts};
use serde_json::json;

use super::*;
use crate::Settler;
use crate::testing::unsettled;

fn input_of(model: &str, endpoint: Endpoint, body: &Value) -> Result<u64, Unestimated> {
    input(Family::of([model]), endpoint, Ok(body)).map(|e| e.tokens)
}

fn jargon() -> Value {
    let turn = |name: &str, content: &str| json!({"role": "system", "name": name, "content": content});
    json!({"messages": [
        {"role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
        turn("example_user", "New synergies will help drive top-line growth."),
        turn("example_assistant", "Things working well together will increase revenue."),
        turn("example_user", "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."),
        turn("example_assistant", "Let's talk later when we're less busy about how to do better."),
        {"role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client deliverable."},
    ]})
}

fn weather() -> Value {
    json!({
        "messages": [
            {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
            {"role": "user", "content": "What's the weather like in San Francisco?"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "parameters": {"type": "object", "required": ["location"], "properties": {
                "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                "unit": {"type": "string", "description": "The unit of temperature to return", "enum": ["celsius", "fahrenheit"]},
            }},
        }}],
    })
}

#[test]
fn chat_requests_come_to_what_openai_counted() {
    for (model, body, tokens) in [
        ("gpt-3.5-turbo", jargon(), 129),
        ("gpt-4", jargon(), 129),
        ("gpt-4o", jargon(), 124),
        ("gpt-4o-mini", jargon(), 124),
        ("gpt-3.5-turbo", weather(), 105),
        ("gpt-4", weather(), 105),
        ("gpt-4o", weather(), 101),
        ("gpt-4o-mini", weather(), 101),
    ] {
        assert_eq!(input_of(model, Endpoint::Chat, &body), Ok(tokens), "{model}");
    }
    // The API reference's first example says 19 prompt tokens.
    let hello = json!({"messages": [{"role": "developer", "content": "You are a helpful assistant."}, {"role": "user", "content": "Hello!"}]});
    assert_eq!(input_of("gpt-4.1", Endpoint::Chat, &hello), Ok(19));
}

#[test]
fn each_api_counts_the_same_conversation_alike() {
    let model = "gpt-4o";
    let chat =
        json!({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there"}]});
    let parts = json!({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hello there"}]}]});
    let responses = json!({"instructions": "Be brief.", "input": "Hello there"});
    let items = json!({"instructions": "Be brief.", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello there"}]}]});
    let messages = json!({"system": [{"type": "text", "text": "Be brief."}], "messages": [{"role": "user", "content": "Hello there"}]});
    let tokens = input_of(model, Endpoint::Chat, &chat);
    assert_eq!(tokens, Ok(3 * 3 + 2 + 3 + 2));
    for (endpoint, body) in [
        (Endpoint::Chat, parts),
        (Endpoint::Responses, responses),
        (Endpoint::Responses, items),
        (Endpoint::Messages, messages.clone()),
        (Endpoint::Generate, chat.clone()),
    ] {
        assert_eq!(input_of(model, endpoint, &body), tokens, "{endpoint} {body}");
    }
    for (endpoint, body, tokens) in [
        (Endpoint::Embeddings, json!({"input": "Hello there"}), 2),
        (Endpoint::Embeddings, json!({"input": ["Hello there", "Hello"]}), 3),
        (Endpoint::Embeddings, json!({"input": [[1, 2, 3], [4]]}), 4),
        (Endpoint::Completions, json!({"prompt": [15339, 1917]}), 2),
        (Endpoint::Generate, json!({"prompt": "Hello there", "raw": true, "context": [1, 2, 3]}), 5),
    ] {
        assert_eq!(input_of(model, endpoint, &body), Ok(tokens), "{endpoint} {body}");
    }
}

#[test]
fn what_text_does_not_tell_is_absent() {
    let user = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let image =
        json!([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:"}}]);
    for (endpoint, body, why) in [
        (Endpoint::Chat, user(image), Unestimated::NotText),
        (Endpoint::Chat, user(json!([{"type": "input_audio", "input_audio": {}}])), Unestimated::NotText),
        (Endpoint::Messages, user(json!([{"type": "image", "source": {}}])), Unestimated::NotText),
        (Endpoint::Chat, json!({"prompt": "no messages"}), Unestimated::Unreadable),
        (Endpoint::Responses, json!({"input": "And then?", "previous_response_id": "resp_1"}), Unestimated::Hidden),
        (Endpoint::Responses, json!({"input": "Hi", "tools": [{"type": "web_search"}]}), Unestimated::Hidden),
        (Endpoint::Responses, json!({"input": [{"type": "reasoning", "encrypted_content": "x"}]}), Unestimated::Hidden),
        (Endpoint::Generate, json!({"prompt": "Hi", "images": ["x"]}), Unestimated::NotText),
    ] {
        assert_eq!(input_of("gpt-4o", endpoint, &body), Err(why), "{endpoint} {body}");
    }
}

#[test]
fn a_reply_is_counted_unescaped_and_by_pieces() {
    let tokens = |reply: &[u8]| output(Family::of(["gpt-4o"]), reply).map(|e| e.tokens);
    assert_eq!(tokens(b"tiktoken is great!"), Ok(6));
    assert_eq!(tokens(b"tiktoken is\\u0020great!"), Ok(6), "an escape is a character");
    assert_eq!(tokens(b"tiktoken is great!\0get_weather\0{\\\"a\\\":1}"), Ok(6 + 2 + 5));
    assert!(tokens(b"half an emoji \\ud83d").is_ok());
    assert!(tokens(&[0xff, b'\\']).is_ok());
    assert_eq!(tokens(b""), Err(Unestimated::NoOutput));
}

fn chat(model: &str) -> Unsettled {
    Unsettled {
        request: RequestFacts { model: Some(model.into()), ..RequestFacts::default() },
        ending: Ending::ClientGone,
        labelled_stream: true,
        observation: Observation { streamed: true, token_events: 3, ..Observation::default() },
        ..unsettled()
    }
}

const TEXTS: Texts<'static> = Texts {
    request: Ok(br#"{"messages":[{"role":"user","content":"Hello there"}]}"#),
    reply: Ok(b"tiktoken is great!"),
};

#[test]
fn an_aborted_stream_has_an_estimate_of_both_sides_and_an_estimated_price() {
    let mut exchange = chat("gpt-4o");
    assert!(exchange.lacks_tokens());
    exchange.estimate(&TEXTS);
    let usage = exchange.observation.usage.clone().unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(9), Some(6)));
    assert_eq!((usage.source, usage.input_source, usage.output_source), (Source::Estimated, None, None));
    assert_eq!(usage.method.as_deref(), Some("tiktoken:o200k_base"));
    assert_eq!(exchange.unestimated, None);
    let record = Settler::embedded().record(exchange);
    let price = record.price.unwrap();
    assert!(price.estimated);
    assert_eq!((price.source, price.label()), (PriceSource::Catalogue, "estimated"));
}

#[test]
fn what_was_reported_stays_and_keeps_its_provenance() {
    let mut exchange = chat("claude-3-5-haiku-latest");
    exchange.observation.usage =
        Some(Usage { input_tokens: Some(700), cached_input_tokens: Some(600), ..Usage::empty(Source::Reported) });
    exchange.estimate(&TEXTS);
    let usage = exchange.observation.usage.clone().unwrap();
    assert_eq!((usage.input_tokens, usage.cached_input_tokens, usage.output_tokens), (Some(700), Some(600), Some(6)));
    assert_eq!((usage.source_of_input(), usage.source_of_output()), (Source::Reported, Source::Estimated));
    assert_eq!(usage.method.as_deref(), Some("o200k_base*1.07:claude"));

    let told = Usage { input_tokens: Some(7), output_tokens: Some(8), ..Usage::empty(Source::Reported) };
    exchange.observation.usage = Some(told.clone());
    assert!(!exchange.lacks_tokens());
    exchange.estimate(&TEXTS);
    assert_eq!(exchange.observation.usage, Some(told));
}

#[test]
fn a_side_that_cannot_be_counted_is_absent_with_its_reason() {
    for (model, texts, input, output, why) in [
        ("gpt-5-mini", TEXTS, Some(9), None, "hidden"),
        ("gpt-4o", Texts { request: Err(TextGone::TooLarge), ..TEXTS }, None, Some(6), "too_large"),
        ("gpt-4o", Texts { reply: Err(TextGone::NoRoom), ..TEXTS }, Some(9), None, "no_room"),
        ("gpt-4o", Texts { request: Ok(b"\x1f\x8b"), ..TEXTS }, None, Some(6), "unreadable"),
        ("gpt-4o", Texts { reply: Ok(b""), ..TEXTS }, Some(9), None, "no_output"),
    ] {
        let mut exchange = chat(model);
        exchange.estimate(&texts);
        let usage = exchange.observation.usage.as_ref().unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens, exchange.unestimated), (input, output, Some(why)));
    }
    let mut exchange = chat("gpt-4o");
    exchange.estimate(&Texts { request: Err(TextGone::NotKept), reply: Err(TextGone::NotKept) });
    assert_eq!((exchange.observation.usage, exchange.unestimated), (None, Some("not_kept")));
}

#[test]
fn failures_and_other_apis_lack_nothing() {
    let mut exchange = chat("gpt-4o");
    exchange.status = Some(429);
    assert!(!exchange.lacks_tokens());
    exchange = chat("gpt-4o");
    exchange.endpoint = Endpoint::Models;
    assert!(!exchange.lacks_tokens());
    exchange = chat("gpt-4o");
    exchange.observation.error = Some(ReportedError::default());
    assert!(exchange.lacks_tokens(), "an error after three tokens");
    exchange.observation.token_events = 0;
    assert!(!exchange.lacks_tokens());
    exchange = chat("text-embedding-3-small");
    exchange.endpoint = Endpoint::Embeddings;
    exchange.observation.usage = Some(Usage { input_tokens: Some(2), ..Usage::empty(Source::Reported) });
    assert!(!exchange.lacks_tokens(), "an embedding has no output");
}
