//! What is kept of a reply for counting its tokens: all that was generated, in every API, streamed or not.

use limpid_core::{Endpoint, KeptText, Spoken, TextBudget, TextGone, Tick};

use crate::support::{JSON, NDJSON, SSE, observer};

/// The text that is kept of a body, pieces parted by `|`.
fn kept(endpoint: Endpoint, content_type: &str, body: &str) -> Result<String, TextGone> {
    let mut o = observer(endpoint, 200, content_type);
    o.keep_text(KeptText::new(200, &TextBudget::new(4096)));
    o.on_bytes(body.as_bytes(), Tick(1));
    o.finish(Tick(2));
    let text = o.take_text().ok_or(TextGone::NotKept)?;
    text.get().map(|bytes| String::from_utf8_lossy(bytes).replace('\0', "|"))
}

fn sse(events: &[&str]) -> String {
    events.iter().flat_map(|data| ["data: ", data, "\n\n"]).collect()
}

#[test]
fn all_that_was_generated_is_kept() {
    let chat = sse(&[
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"reasoning":"Hm, ","reasoning_content":"Hm, "}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"reasoning_content":"well."}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"Yes"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"\n\u00e9"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}}]}"#,
    ]);
    let message = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Yes","tool_calls":[{"function":
        {"name":"f","arguments":{"a":1}}}]}},{"index":1,"message":{"content":"No"}}]}"#;
    let messages = sse(&[
        r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Yes"}}"#,
        r#"{"type":"content_block_delta","delta":{"type":"signature_delta","signature":"xyz"}}"#,
        r#"{"type":"content_block_start","content_block":{"type":"tool_use","name":"f","input":{}}}"#,
        r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
        r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
    ]);
    let responses = sse(&[
        r#"{"type":"response.reasoning_summary_text.delta","delta":"Summary"}"#,
        r#"{"type":"response.output_text.delta","delta":"Yes"}"#,
        r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"f"}}"#,
        r#"{"type":"response.function_call_arguments.delta","delta":"{}"}"#,
        r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":
            [{"type":"output_text","text":"Yes"}]}]}}"#,
    ]
    .map(|e| e.replace('\n', " "))
    .each_ref()
    .map(String::as_str));
    let ollama = "{\"message\":{\"content\":\"Yes\"},\"done\":false}\n{\"message\":{\"content\":\"\",\"tool_calls\":\
        [{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]},\"done\":true}\n";
    for (endpoint, content_type, body, want) in [
        (Endpoint::Chat, SSE, &*chat, r"Hm, well.|Yes\n\u00e9|f|{}"),
        (Endpoint::Chat, JSON, message, r#"Yes|f|{"a":1}|No"#),
        (
            Endpoint::Completions,
            SSE,
            &sse(&[r#"{"choices":[{"text":" a"}]}"#, r#"{"choices":[{"text":" b"}]}"#]),
            " a b",
        ),
        (Endpoint::Messages, SSE, &messages, r#"Yes|f|{\"a\":1}"#),
        (
            Endpoint::Messages,
            JSON,
            r#"{"content":[{"type":"text","text":"Yes"},{"type":"thinking","thinking":"Hm"}]}"#,
            "Yes|Hm",
        ),
        (Endpoint::Responses, SSE, &responses, "Yes|f|{}"),
        (
            Endpoint::Responses,
            JSON,
            r#"{"status":"completed","output":[{"type":"message","content":[{"text":"Yes"}]}]}"#,
            "Yes",
        ),
        (Endpoint::Generate, NDJSON, ollama, r#"Yes|f|{"a":1}"#),
    ] {
        assert_eq!(kept(endpoint, content_type, body).as_deref(), Ok(want), "{endpoint} {content_type}");
    }
}

#[test]
fn what_is_of_no_use_is_given_up() {
    let long = sse(&[r#"{"choices":[{"index":0,"delta":{"content":"0123456789"}}]}"#].repeat(21));
    assert_eq!(kept(Endpoint::Chat, SSE, &long), Err(TextGone::TooLarge));
    let audio = sse(&[
        r#"{"choices":[{"index":0,"delta":{"content":"Yes"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"audio":{"data":"AAAA"}}}]}"#,
    ]);
    assert_eq!(kept(Endpoint::Chat, SSE, &audio), Err(TextGone::NotText));
    let told = sse(&[
        r#"{"choices":[{"index":0,"delta":{"content":"Yes"}}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    ]);
    assert_eq!(kept(Endpoint::Chat, SSE, &told), Err(TextGone::NotKept), "the usage is told");
    assert_eq!(kept(Endpoint::Chat, SSE, "data: {\n\n"), Err(TextGone::NotKept), "after a fault nothing is estimated");
}

/// What is kept for the content of a body: `choice kind inside`, pieces parted by `|`.
fn content(endpoint: Endpoint, content_type: &str, body: &str) -> Result<String, TextGone> {
    let mut o = observer(endpoint, 200, content_type);
    o.keep_content(KeptText::new(400, &TextBudget::new(4096)));
    o.on_bytes(body.as_bytes(), Tick(1));
    o.finish(Tick(2));
    let text = o.take_content().ok_or(TextGone::NotKept)?;
    let pieces = Spoken::pieces(text.get()?)
        .map(|(choice, kind, inside)| format!("{choice} {kind:?} {}", String::from_utf8_lossy(inside)));
    Ok(pieces.collect::<Vec<_>>().join("|"))
}

#[test]
fn content_says_what_each_piece_is_and_outlives_the_usage() {
    let chat = sse(&[
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hm."}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"No"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"Y"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"es"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"refusal":"I can't"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"name":"g","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"audio":{"data":"AAAA"}}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"audio":{"data":"BBBB"}}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    ]);
    let want = "0 Reasoning Hm.|1 Text No|0 Text Yes|0 Refusal I can't|0 Name f|0 Arguments {\\\"a\\\":1}|0 Name g|0 Arguments {}|0 Other ";
    assert_eq!(content(Endpoint::Chat, SSE, &chat).as_deref(), Ok(want));
    let body = r#"{"status":"completed","output":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"Hm"}]},
        {"type":"message","content":[{"type":"output_text","text":"Yes"},{"type":"refusal","refusal":"no"}]},
        {"type":"function_call","name":"f","arguments":"{}"}]}"#;
    let want = "0 Reasoning Hm|0 Text Yes|0 Refusal no|0 Name f|0 Arguments {}";
    assert_eq!(content(Endpoint::Responses, JSON, body).as_deref(), Ok(want));
    let gemini = r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"functionCall":{"name":"f"}},{"text":"b"}]}}]}"#;
    assert_eq!(content(Endpoint::GenerateContent, JSON, gemini).as_deref(), Ok("0 Text a|0 Other |0 Text b"));
}

#[test]
fn content_that_is_not_whole_is_none() {
    let long = sse(&[r#"{"choices":[{"index":0,"delta":{"content":"0123456789"}}]}"#].repeat(41));
    assert_eq!(content(Endpoint::Chat, SSE, &long), Err(TextGone::TooLarge));
    assert_eq!(content(Endpoint::Chat, SSE, "data: {\n\n"), Err(TextGone::NotKept), "after a fault");
    assert_eq!(content(Endpoint::Chat, "text/plain", "hello").as_deref(), Ok(""), "nothing is read of it");
}
