//! How a reply begins: the first choice's visible text, in every API, streamed or not.

use limpid_core::{Endpoint, Opening, Tick};
use limpid_observe::{Limits, ResponseHead, ResponseObserver};

use crate::support::{JSON, NDJSON, body, observe, observer, stream};

const WANT: &str = "I\u{2019}m sorry,\nno.";

/// The API, and a stream's events.
const STREAMS: [(Endpoint, &[&str]); 6] = [
    (
        Endpoint::Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"Hm, I cannot."}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"reasoning":"Hm, I cannot."}}]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"Another choice"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"  I\u2019m sor"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"ry,\nno."}}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
            "[DONE]",
        ],
    ),
    (
        Endpoint::Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"I\u2019m sorry,\nno."}]}}]}"#,
        ],
    ),
    (
        Endpoint::Completions,
        &[
            r#"{"choices":[{"index":0,"text":"\n I’m"}]}"#,
            r#"{"choices":[{"index":1,"text":"Yes"},{"index":0,"text":" sorry,\nno."}]}"#,
        ],
    ),
    (
        Endpoint::Responses,
        &[
            r#"{"type":"response.reasoning_text.delta","delta":"Hm"}"#,
            r#"{"type":"response.output_text.delta","delta":"I’m sorry,"}"#,
            r#"{"type":"response.function_call_arguments.delta","delta":"{}"}"#,
            r#"{"type":"response.output_text.delta","delta":"\nno."}"#,
            r#"{"type":"response.output_text.done","text":"I’m sorry,\nno."}"#,
            r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message",
                "content":[{"type":"output_text","text":"I’m sorry,\nno."}]}]}}"#,
        ],
    ),
    (
        Endpoint::Responses,
        &[r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message",
                "content":[{"type":"output_text","text":"I’m sorry,\nno."}]}]}}"#],
    ),
    (
        Endpoint::Messages,
        &[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"Hm"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"I’m "}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"sorry,\nno."}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
        ],
    ),
];

#[test]
fn streams_say_it_piece_by_piece() {
    for (endpoint, events) in STREAMS {
        let seen = stream(endpoint, events);
        assert_eq!((seen.opening.as_str(), seen.fault), (WANT, None), "{endpoint}");
    }
    let lines = "{\"message\":{\"thinking\":\"Hm\",\"content\":\"\"}}\n{\"message\":{\"content\":\"I’m \"}}\n\
                 {\"response\":\"sorry,\\n\"}\n{\"response\":\"no.\",\"done\":true}\n";
    assert_eq!(observe(Endpoint::Generate, 200, NDJSON, lines).opening.as_str(), WANT);
}

#[test]
fn bodies_say_it_at_once() {
    for (endpoint, text) in [
        (
            Endpoint::Chat,
            r#"{"choices":[{"index":1,"message":{"content":"Yes"}},{"index":0,"message":{"role":"assistant",
                "reasoning_content":"Hm","content":"I\u2019m sorry,\nno."}}]}"#,
        ),
        (
            Endpoint::Chat,
            r#"{"choices":[{"message":{"content":[{"type":"thinking","text":"Hm"},{"type":"text","text":"I’m sorry,\nno."}]}}]}"#,
        ),
        (Endpoint::Completions, r#"{"choices":[{"text":"I’m sorry,\nno."},{"index":1,"text":"Yes"}]}"#),
        (
            Endpoint::Responses,
            r#"{"status":"completed","output":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"Hm"}]},
                {"type":"function_call","name":"f"},
                {"type":"message","content":[{"type":"output_text","text":"I’m sorry,\nno."}]}]}"#,
        ),
        (
            Endpoint::Messages,
            r#"{"content":[{"type":"thinking","thinking":"Hm"},{"type":"tool_use","name":"f","input":{}},
                {"type":"text","text":"I’m sorry,\nno."}],"stop_reason":"end_turn"}"#,
        ),
        (Endpoint::Generate, r#"{"message":{"content":"I’m sorry,\nno.","thinking":"Hm"},"done":true}"#),
        (Endpoint::Generate, r#"{"response":"I’m sorry,\nno.","done":true}"#),
    ] {
        let seen = body(endpoint, text);
        assert_eq!((seen.opening.as_str(), seen.fault), (WANT, None), "{endpoint}: {text}");
    }
}

#[test]
fn what_is_no_visible_text_is_left_out() {
    for (endpoint, text) in [
        (Endpoint::Chat, r#"{"choices":[{"message":{"content":null,"refusal":"I can't."}}]}"#),
        (
            Endpoint::Chat,
            r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":"I can't."}}]}}]}"#,
        ),
        (Endpoint::Chat, r#"{"choices":[{"message":{"content":7}}]}"#),
        (Endpoint::Messages, r#"{"content":"I can't.","model":"m"}"#),
        (Endpoint::Messages, r#"{"content":[7],"model":"m"}"#),
        (
            Endpoint::Responses,
            r#"{"status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"No"}]}]}"#,
        ),
        (Endpoint::Embeddings, r#"{"data":[{"text":"I can't."}]}"#),
    ] {
        let seen = body(endpoint, text);
        assert_eq!((seen.opening.as_str(), seen.fault), ("", None), "{text}");
    }
    let error = observe(Endpoint::Chat, 400, "application/json", r#"{"error":{"message":"I can't."}}"#);
    assert!(error.opening.is_empty(), "an error's message is no reply");
}

#[test]
fn a_long_reply_leaves_its_beginning() {
    let mut seen = observer(Endpoint::Chat, 200, "text/event-stream");
    for n in 0..1000 {
        seen.on_bytes(b"data: {\"choices\":[{\"delta\":{\"content\":\"\\u20ac abc\"}}]}\n\n", Tick(n));
    }
    let opening = seen.into_observation().opening;
    assert!(opening.is_full());
    assert_eq!(opening.as_str(), "€ abc".repeat(172).get(..Opening::BYTES).unwrap());
}

#[test]
fn a_session_has_none() {
    let head = ResponseHead { endpoint: Endpoint::Responses, status: 101, content_type: None, content_encoding: None };
    let mut o = ResponseObserver::new(&head, Limits::default());
    let text = br#"{"type":"response.output_text.delta","delta":"I can't."}"#;
    o.on_bytes(&[&[0x81, u8::try_from(text.len()).unwrap()], &text[..]].concat(), Tick(0));
    assert_eq!((o.observation().events, o.observation().opening.as_str()), (1, ""));
}

/// A text before a call goes on to serve; the finish reason of Responses does not tell it.
#[test]
fn responses_that_end_in_a_call_say_nothing() {
    const CALL: &str = r#"{"type":"function_call","name":"look","arguments":"{}"}"#;
    const MESSAGE: &str = r#"{"type":"message","content":[{"type":"output_text","text":"I’m sorry,\nno."}]}"#;
    for (output, want) in [
        (format!("{MESSAGE},{CALL}"), ""),
        (format!("{CALL},{MESSAGE}"), WANT),
        (MESSAGE.to_owned(), WANT),
        (CALL.to_owned(), ""),
    ] {
        let response = format!(r#"{{"status":"completed","output":[{output}]}}"#);
        assert_eq!(observe(Endpoint::Responses, 200, JSON, &response).opening.as_str(), want, "{output}");
        let said = r#"{"type":"response.output_text.delta","delta":"I’m sorry,\nno."}"#;
        let end = format!(r#"{{"type":"response.completed","response":{response}}}"#);
        let told = if output == CALL { vec![&*end] } else { vec![said, &end] };
        assert_eq!(stream(Endpoint::Responses, &told).opening.as_str(), want, "{output}");
    }
}
