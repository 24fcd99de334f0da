//! The native APIs of Gemini, TGI and SGLang, in hand-written streams of their shapes.

use limpid_core::{Endpoint, Observation, RefusalKind, Source, Tick, Usage};

use crate::support::{JSON, SSE, body, observe, observer, reasons, stream, token_marks};

/// Gemini API v1beta, `gemini-2.5-flash` with thoughts asked for.
const GEMINI: [&str; 4] = [
    r#"{"candidates":[{"content":{"parts":[{"text":"**Counting**","thought":true}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":12,"totalTokenCount":52,"promptTokensDetails":[{"modality":"TEXT","tokenCount":8},{"modality":"IMAGE","tokenCount":4}],"thoughtsTokenCount":40},"modelVersion":"gemini-2.5-flash","responseId":"r1"}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"One, "}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":12,"candidatesTokenCount":2,"totalTokenCount":114,"thoughtsTokenCount":100},"modelVersion":"gemini-2.5-flash","responseId":"r1"}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"two."},{"functionCall":{"name":"f","args":{}}}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":12,"candidatesTokenCount":5,"totalTokenCount":117,"thoughtsTokenCount":100}}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"EpQB"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":12,"candidatesTokenCount":7,"toolUsePromptTokenCount":3,"totalTokenCount":122,"cachedContentTokenCount":4,"thoughtsTokenCount":100,"promptTokensDetails":[{"modality":"TEXT","tokenCount":8},{"modality":"IMAGE","tokenCount":4}]}}"#,
];

fn gemini_usage() -> Usage {
    Usage {
        input_tokens: Some(15),
        output_tokens: Some(107),
        cached_input_tokens: Some(4),
        image_input_tokens: Some(4),
        reasoning_output_tokens: Some(100),
        ..Usage::empty(Source::Reported)
    }
}

fn check_gemini(seen: &Observation) {
    assert!(seen.streamed && !seen.reasoning_streamed && !seen.terminal);
    assert_eq!((seen.events, seen.token_events, seen.choices_seen), (4, 3, 1));
    assert_eq!((seen.model.as_deref(), seen.response_id.as_deref()), (Some("gemini-2.5-flash"), Some("r1")));
    assert_eq!(reasons(seen), [(0, "STOP")]);
    assert_eq!(seen.opening.as_str(), "One, two.");
    assert_eq!(seen.usage, Some(gemini_usage()));
    assert_eq!((&seen.error, seen.refusal, seen.fault), (&None, None, None));
}

#[test]
fn gemini_streams_events_with_counts_from_the_beginning() {
    let seen = stream(Endpoint::GenerateContent, &GEMINI);
    check_gemini(&seen);
    assert_eq!(token_marks(&seen), [Some(0), Some(1), Some(2)]);
}

#[test]
fn gemini_streams_one_array_where_events_are_not_asked_for() {
    let array = format!("[{}\n]\n", GEMINI.join("\n,\r\n"));
    for piece in [1, 7, 100, 100_000] {
        let mut o = observer(Endpoint::GenerateContent, 200, "application/json; charset=UTF-8");
        for (at, bytes) in array.as_bytes().chunks(piece).enumerate() {
            o.on_bytes(bytes, Tick(at as u64));
        }
        o.finish(Tick(u64::MAX));
        check_gemini(o.observation());
    }
    // An element is told when what is behind it has come: the first token is there before the reply is.
    let mut o = observer(Endpoint::GenerateContent, 200, JSON);
    o.on_bytes(format!("[{}", GEMINI[0]).as_bytes(), Tick(1));
    assert_eq!(o.observation().marks.first_token, None);
    o.on_bytes(b"\n,", Tick(2));
    assert_eq!(o.observation().marks.first_token, Some(Tick(2)));
    // What was cut in an element keeps what came before.
    o.on_bytes(&GEMINI[1].as_bytes()[..50], Tick(3));
    o.finish(Tick(4));
    assert_eq!((o.observation().events, o.observation().fault), (1, None));
}

#[test]
fn gemini_not_streamed_is_read() {
    let seen = body(Endpoint::GenerateContent, GEMINI[3]);
    assert_eq!((seen.streamed, seen.token_events, seen.events), (false, 0, 0));
    assert_eq!(seen.usage, Some(gemini_usage()));
    assert_eq!(reasons(&seen), [(0, "STOP")]);
}

#[test]
fn gemini_filters_are_refusals() {
    let refused = |text: &str| {
        let seen = stream(Endpoint::GenerateContent, &[text]);
        assert_eq!(body(Endpoint::GenerateContent, text).refusal, seen.refusal);
        (seen.refusal.map(|r| (r.source, r.kind)), reasons(&seen).first().map(|(_, reason)| (*reason).to_owned()))
    };
    let blocked = refused(
        r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}}"#,
    );
    assert_eq!(blocked, (Some(("block_reason", RefusalKind::Filter)), Some("PROHIBITED_CONTENT".into())));
    for (reason, filter) in [("SAFETY", true), ("RECITATION", true), ("MAX_TOKENS", false), ("LANGUAGE", false)] {
        let (refusal, _) = refused(&format!(r#"{{"candidates":[{{"finishReason":"{reason}","index":0}}]}}"#));
        assert_eq!(refusal, filter.then_some(("finish_reason", RefusalKind::Filter)), "{reason}");
    }
    let ratings =
        r#"{"promptFeedback":{"safetyRatings":[{"category":"HARM_CATEGORY_HATE_SPEECH","probability":"NEGLIGIBLE"}]}}"#;
    assert_eq!(refused(ratings), (None, None));
}

#[test]
fn gemini_errors_come_in_a_stream_and_in_an_array() {
    let error =
        r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#;
    for seen in [
        stream(Endpoint::GenerateContent, &[GEMINI[0], error]),
        observe(Endpoint::GenerateContent, 200, JSON, &format!("[{},{error}]", GEMINI[0])),
        observe(Endpoint::GenerateContent, 503, JSON, &format!("[{error}]")),
        observe(Endpoint::GenerateContent, 503, JSON, error),
    ] {
        let told = seen.error.unwrap();
        assert_eq!((told.kind.as_deref(), told.code.as_deref()), (Some("UNAVAILABLE"), Some("503")));
        assert_eq!(told.hint, Some(limpid_core::ErrorHint::Overloaded));
    }
}

#[test]
fn images_in_a_reply_do_not_cost_its_usage() {
    let image = "iVBOR/".repeat(700_000);
    let chunk = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{image}"}}}}]}},"finishReason":"STOP"}}],"usageMetadata":{{"promptTokenCount":3,"candidatesTokenCount":1290}}}}"#
    );
    for seen in [stream(Endpoint::GenerateContent, &[&chunk]), body(Endpoint::GenerateContent, &chunk)] {
        assert_eq!((seen.fault, seen.usage.unwrap().output_tokens), (None, Some(1290)));
    }
}

#[test]
fn tgi_streams_a_token_an_event() {
    // TGI 3.3, `/generate_stream`.
    let seen = stream(
        Endpoint::Generate,
        &[
            r#"{"index":1,"token":{"id":5,"text":" Hi","logprob":-0.1,"special":false},"generated_text":null,"details":null}"#,
            r#"{"index":2,"token":{"id":6,"text":"!","logprob":-0.1,"special":false},"generated_text":null,"details":null}"#,
            r#"{"index":3,"token":{"id":2,"text":"</s>","logprob":-0.2,"special":true},"generated_text":" Hi!","details":{"finish_reason":"eos_token","generated_tokens":3,"seed":null,"input_length":17}}"#,
        ],
    );
    assert!(seen.terminal && seen.streamed);
    assert_eq!((seen.events, seen.token_events, seen.first_event_tokens), (3, 3, Some(1)));
    assert_eq!(token_marks(&seen), [Some(0), Some(0), Some(2)]);
    assert_eq!((reasons(&seen), seen.opening.as_str()), (vec![(0, "eos_token")], "Hi!"));
    let usage = seen.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(17), Some(3)));
}

#[test]
fn tgi_tells_errors_in_a_stream_and_in_a_body() {
    let token =
        r#"{"index":1,"token":{"id":5,"text":"a","logprob":0,"special":false},"generated_text":null,"details":null}"#;
    let error =
        r#"{"error":"Request failed during generation: Server error: CUDA out of memory","error_type":"generation"}"#;
    let plain = format!("data:{token}\n\ndata:{error}\n\n");
    let named = format!("data:{token}\n\nevent:error\ndata:{error}\n\n");
    for text in [plain, named] {
        let seen = observe(Endpoint::Generate, 200, SSE, &text);
        let told = seen.error.unwrap();
        assert_eq!((told.kind.as_deref(), told.hint), (Some("generation"), Some(limpid_core::ErrorHint::OutOfMemory)));
        assert!(!seen.terminal);
    }
    // Refused before the first token.
    let seen = stream(Endpoint::Generate, &[r#"{"error":"Model is overloaded","error_type":"overloaded"}"#]);
    assert_eq!(seen.error.unwrap().kind.as_deref(), Some("overloaded"));
}

#[test]
fn tgi_not_streamed_is_an_object_or_one_in_an_array() {
    let one = r#"{"generated_text":"Hi","details":{"finish_reason":"length","generated_tokens":20,"seed":1,"prefill":[{"id":1,"text":"a","logprob":null},{"id":2,"text":"b","logprob":-1}],"tokens":[]}}"#;
    for text in [one.to_owned(), format!("[{one}]")] {
        let seen = body(Endpoint::Generate, &text);
        assert_eq!((reasons(&seen), seen.opening.as_str()), (vec![(0, "length")], "Hi"));
        let usage = seen.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (Some(2), Some(20)));
    }
    let bare = body(Endpoint::Generate, r#"{"generated_text":"Hi"}"#);
    assert_eq!((bare.usage, bare.finish_reasons.len(), bare.fault), (None, 0, None));
    let unasked = r#"{"generated_text":"Hi","details":{"finish_reason":"length","generated_tokens":20,"prefill":[]}}"#;
    assert_eq!(body(Endpoint::Generate, unasked).usage.unwrap().input_tokens, None);
}

#[test]
fn sglang_repeats_its_text_and_counts_up() {
    // SGLang 0.5, `/generate` with `stream: true`.
    let event = |text: &str, finish: &str, n: u64| {
        format!(
            r#"{{"text":"{text}","output_ids":[1],"meta_info":{{"id":"s1","finish_reason":{finish},"prompt_tokens":6,"completion_tokens":{n},"cached_tokens":1}}}}"#
        )
    };
    let events = [event(" a", "null", 2), event(" a", "null", 2), event(" a b", r#"{"type":"stop","matched":2}"#, 4)];
    let seen = stream(Endpoint::Generate, &[&events[0], &events[1], &events[2], "[DONE]"]);
    assert!(seen.terminal);
    assert_eq!((seen.events, seen.token_events, seen.first_event_tokens), (4, 2, Some(2)));
    assert_eq!((seen.response_id.as_deref(), seen.opening.as_str()), (Some("s1"), "a b"));
    assert_eq!(reasons(&seen), [(0, "stop")]);
    let usage = seen.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.cached_input_tokens), (Some(6), Some(4), Some(1)));
    let whole = body(Endpoint::Generate, &events[2]);
    assert_eq!((whole.usage.unwrap().output_tokens, whole.opening.as_str()), (Some(4), "a b"));
}
