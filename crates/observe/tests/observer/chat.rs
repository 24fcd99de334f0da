//! OpenAI chat and completions, streamed and not, in the shapes of the servers that speak them.

use crate::support::{body, observe, reasons, stream, token_marks};
use limpid_core::{Endpoint, ObserverFault, PicoUsd, RefusalKind, RefusalSignal, Source, Usage};

fn chat(deltas: &[&str]) -> limpid_core::Observation {
    let events: Vec<_> = deltas.iter().map(|d| format!(r#"{{"choices":[{{"index":0,"delta":{d}}}]}}"#)).collect();
    stream(Endpoint::Chat, &events.iter().map(String::as_str).collect::<Vec<_>>())
}

fn refusal(source: &'static str, kind: RefusalKind) -> RefusalSignal {
    RefusalSignal { source, kind }
}

#[test]
fn an_openai_stream_is_read_whole() {
    let seen = stream(
        Endpoint::Chat,
        &[
            r#"{"id":"c1","model":"gpt-4o","service_tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
            r#"{"id":"c1","model":"gpt-4o","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}"#,
            r#"{"id":"c1","model":"gpt-4o","choices":[{"index":0,"delta":{"content":"!"},"finish_reason":null}],"usage":null}"#,
            r#"{"id":"c1","model":"gpt-4o","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
            r#"{"id":"c1","model":"gpt-4o","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"cost":0.00123,
               "prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":2,"audio_tokens":1,"image_tokens":3},
               "completion_tokens_details":{"reasoning_tokens":7,"audio_tokens":5}}}"#,
            "[DONE]",
        ],
    );
    assert!(seen.streamed && seen.terminal);
    assert_eq!((seen.events, seen.token_events, seen.choices_seen), (6, 2, 1));
    assert_eq!(token_marks(&seen), [Some(1), Some(1), Some(2)]);
    assert_eq!((seen.model.as_deref(), seen.response_id.as_deref()), (Some("gpt-4o"), Some("c1")));
    assert_eq!(seen.service_tier.as_deref(), Some("default"));
    assert_eq!(reasons(&seen), [(0, "stop")]);
    assert_eq!(seen.reported_cost, Some(PicoUsd(1_230_000_000)));
    let want = Usage {
        input_tokens: Some(9),
        output_tokens: Some(12),
        cached_input_tokens: Some(4),
        cache_write_input_tokens: Some(2),
        audio_input_tokens: Some(1),
        image_input_tokens: Some(3),
        reasoning_output_tokens: Some(7),
        audio_output_tokens: Some(5),
        ..Usage::empty(Source::Reported)
    };
    assert_eq!(seen.usage, Some(want));
    assert_eq!((seen.error, seen.refusal, seen.fault, seen.first_event_tokens), (None, None, None, None));
    assert!(!seen.reasoning_streamed);
}

#[test]
fn each_kind_of_output_is_a_token_and_text_alone_is_content() {
    for (delta, content, reasoning) in [
        (r#"{"content":"x"}"#, true, false),
        (r#"{"content":"\n"}"#, true, false),
        (r#"{"refusal":"I can't"}"#, true, false),
        (r#"{"content":null,"reasoning":"x"}"#, false, true),
        (r#"{"content":"","reasoning_content":"x"}"#, false, true),
        (r#"{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":""}}]}"#, false, false),
        (r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#, false, false),
        (r#"{"tool_calls":[{"index":0,"type":"custom","custom":{"input":"x"}}]}"#, false, false),
        (r#"{"function_call":{"name":"f"}}"#, false, false),
        (r#"{"audio":{"data":"UklG"}}"#, false, false),
        (r#"{"audio":{"transcript":"a"}}"#, false, false),
        (r#"{"content":[{"type":"text","text":"x"}]}"#, true, false),
        (r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"x"}]}]}"#, false, true),
    ] {
        let seen = chat(&[delta]);
        assert_eq!((seen.token_events, seen.fault), (1, None), "{delta}");
        assert_eq!(seen.marks.first_content.is_some(), content, "{delta}");
        assert_eq!(seen.reasoning_streamed, reasoning, "{delta}");
    }
}

#[test]
fn what_is_no_output_is_no_token() {
    for delta in [
        r#"{"role":"assistant","content":""}"#,
        r#"{"role":"assistant","content":null}"#,
        r#"{"content":""}"#,
        r#"{"content":null}"#,
        r#"{"reasoning":"","reasoning_content":null}"#,
        r#"{"tool_calls":[{"index":0,"id":"1","function":{"name":"","arguments":""}}]}"#,
        r#"{"tool_calls":null,"audio":{"id":"a"},"function_call":null}"#,
        "{}",
        "null",
    ] {
        let seen = chat(&[delta]);
        assert_eq!((seen.events, seen.token_events, seen.fault), (1, 0, None), "{delta}");
    }
}

#[test]
fn an_empty_content_counts_behind_its_choices_role_and_without_one() {
    let role = r#"{"role":"assistant","content":""}"#;
    assert_eq!(chat(&[role, r#"{"content":""}"#]).token_events, 1);
    assert_eq!(chat(&[role, r#"{"role":null,"content":""}"#]).token_events, 1);
    assert_eq!(chat(&[role, role]).token_events, 0);
    assert_eq!(chat(&[r#"{"content":""}"#, role]).token_events, 0);
    // Another choice's role does not help; a progress chunk is none.
    let other = [
        r#"{"choices":[{"index":1,"delta":{"role":"assistant"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":""}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":""}}],"prompt_progress":{"total":1}}"#,
        r#"{"choices":[{"index":4000000000,"delta":{"content":""}}]}"#,
    ];
    assert_eq!(stream(Endpoint::Chat, &other).token_events, 0);
}

#[test]
fn the_first_events_tokens_come_from_lists_or_running_counts() {
    let first = |event: &str| stream(Endpoint::Chat, &[event]).first_event_tokens;
    let with = |member: &str| first(&format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"x"}},{member}}}]}}"#));
    assert_eq!(with(r#""logprobs":{"content":[{"token":"a"},{"token":"b"}],"refusal":null}"#), Some(2));
    assert_eq!(with(r#""logprobs":{"content":null,"refusal":[{}]}"#), Some(1));
    assert_eq!(with(r#""token_ids":[1,2,3]"#), Some(3));
    assert_eq!(with(r#""logprobs":null"#), None);
    let counted = r#"{"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":5,"completion_tokens":4}}"#;
    assert_eq!(first(counted), Some(4));
    assert_eq!(first(r#"{"choices":[{"delta":{"content":"x"}}],"timings":{"predicted_n":2}}"#), Some(2));
    // A later event's list is not the first's.
    let later = [r#"{"choices":[{"delta":{"content":"x"}}]}"#, counted];
    assert_eq!(stream(Endpoint::Chat, &later).first_event_tokens, None);
}

#[test]
fn choices_interleave_and_reasons_stand_in_their_order() {
    let seen = stream(
        Endpoint::Chat,
        &[
            r#"{"choices":[{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"content":"a"}}]}"#,
            r#"{"choices":[{"index":2,"delta":{},"finish_reason":"length"}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"index":2,"delta":{},"finish_reason":"tool_calls"}]}"#,
        ],
    );
    assert_eq!((seen.token_events, seen.choices_seen), (1, 3));
    assert_eq!(reasons(&seen), [(0, "stop"), (2, "tool_calls")]);
}

#[test]
fn one_choices_count_is_not_the_total_of_several() {
    let running = |index, n| {
        format!(
            r#"{{"choices":[{{"index":{index},"delta":{{"content":"x"}}}}],"usage":{{"prompt_tokens":3,"completion_tokens":{n}}}}}"#
        )
    };
    let (a, b) = (running(0, 1), running(1, 1));
    assert_eq!(stream(Endpoint::Chat, &[&a]).usage.unwrap().output_tokens, Some(1));
    assert_eq!(stream(Endpoint::Chat, &[&a, &b]).usage, None);
    let total = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    assert_eq!(stream(Endpoint::Chat, &[&a, &b, total]).usage.unwrap().output_tokens, Some(2));
}

#[test]
fn llama_cpps_timings_stand_in_for_usage_and_yield_to_it() {
    let timings = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"timings":{"cache_n":24,"prompt_n":12,"predicted_n":4}}"#;
    let exact = Usage {
        input_tokens: Some(36),
        cached_input_tokens: Some(24),
        output_tokens: Some(4),
        ..Usage::empty(Source::Exact)
    };
    assert_eq!(stream(Endpoint::Chat, &[timings]).usage, Some(exact));
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":36,"completion_tokens":5}}"#;
    for events in [[timings, usage], [usage, timings]] {
        let got = stream(Endpoint::Chat, &events).usage.unwrap();
        assert_eq!((got.output_tokens, got.source), (Some(5), Source::Reported));
    }
}

#[test]
fn usage_is_read_in_other_spellings() {
    let usage = |text: &str| body(Endpoint::Chat, &format!(r#"{{"usage":{text}}}"#)).usage;
    let sglang =
        usage(r#"{"prompt_tokens":3,"completion_tokens":9.0,"reasoning_tokens":5,"prompt_tokens_details":null}"#);
    assert_eq!(sglang.as_ref().and_then(|u| u.reasoning_output_tokens), Some(5));
    assert_eq!(sglang.and_then(|u| u.output_tokens), Some(9));
    let deepseek = usage(r#"{"prompt_tokens":8,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":2}"#).unwrap();
    assert_eq!((deepseek.cached_input_tokens, deepseek.output_tokens), (Some(6), None));
    for nothing in
        ["null", "{}", r#"{"prompt_tokens":null}"#, r#"{"prompt_tokens":-1}"#, r#"{"prompt_tokens":1.5}"#, "7"]
    {
        assert_eq!(usage(nothing), None, "{nothing}");
    }
    let groq = r#"{"choices":[],"x_groq":{"id":"r","usage":{"prompt_tokens":1,"completion_tokens":2}}}"#;
    assert_eq!(stream(Endpoint::Chat, &[groq]).usage.unwrap().output_tokens, Some(2));
}

#[test]
fn azure_frames_name_nothing_and_filters_are_refusals() {
    let prompt = r#"{"id":"","model":"","choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":true}}}]}"#;
    let named =
        r#"{"id":"c","model":"gpt-4o","choices":[{"index":0,"delta":{"content":"x"},"content_filter_results":{}}]}"#;
    let seen = stream(Endpoint::Chat, &[prompt, named]);
    assert_eq!((seen.model.as_deref(), seen.response_id.as_deref(), seen.refusal), (Some("gpt-4o"), Some("c"), None));
    assert_eq!(token_marks(&seen)[0], Some(1));
    let hit = |results: &str| {
        stream(
            Endpoint::Chat,
            &[&format!(r#"{{"choices":[{{"index":0,"delta":{{}},"content_filter_results":{results}}}]}}"#)],
        )
        .refusal
    };
    let filter = Some(refusal("filter_result", RefusalKind::Filter));
    assert_eq!(hit(r#"{"hate":{"filtered":true,"severity":"high"}}"#), filter);
    assert_eq!(hit(r#"{"custom_blocklists":{"details":[{"id":"b","filtered":true}]}}"#), filter);
    assert_eq!(hit(r#"{"error":{"code":"content_filter_error","message":"The contents are not filtered"}}"#), None);
    assert_eq!(hit(r#"{"protected_material_text":{"detected":true,"filtered":false}}"#), None);
}

#[test]
fn refusals_have_their_source_and_kind() {
    let finish = |reason: &str| {
        stream(Endpoint::Chat, &[&format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#)])
            .refusal
    };
    assert_eq!(finish("content_filter"), Some(refusal("finish_reason", RefusalKind::Filter)));
    assert_eq!(finish("stop"), None);
    assert_eq!(chat(&[r#"{"refusal":"No."}"#]).refusal, Some(refusal("refusal_field", RefusalKind::Model)));
    assert_eq!(chat(&[r#"{"refusal":null}"#, r#"{"refusal":""}"#]).refusal, None);
    let whole = body(
        Endpoint::Chat,
        r#"{"choices":[{"index":0,"message":{"content":null,"refusal":"No."},"finish_reason":"stop"}]}"#,
    );
    assert_eq!(whole.refusal, Some(refusal("refusal_field", RefusalKind::Model)));
}

#[test]
fn a_reply_that_is_not_streamed_has_facts_and_no_marks() {
    let seen = body(
        Endpoint::Chat,
        "\n\n{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"content\":\"x\",\"reasoning\":\"y\"},\
         \"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n",
    );
    assert!(!seen.streamed && !seen.terminal && !seen.reasoning_streamed);
    assert_eq!((seen.events, seen.token_events, seen.stall), (0, 0, None));
    assert_eq!(token_marks(&seen), [None; 3]);
    assert_eq!((seen.marks.first_byte.is_some(), seen.marks.first_event), (true, None));
    assert_eq!((seen.model.as_deref(), seen.choices_seen), (Some("m"), 1));
    assert_eq!(seen.usage.unwrap().output_tokens, Some(2));
}

#[test]
fn completions_count_text_and_their_own_logprobs() {
    let seen = stream(
        Endpoint::Completions,
        &[
            r#"{"id":"c","model":"m","choices":[{"index":0,"text":"","finish_reason":null}]}"#,
            r#"{"id":"c","model":"m","choices":[{"index":0,"text":" a","logprobs":{"tokens":[" ","a"],"token_logprobs":[0,0]}}]}"#,
            r#"{"id":"c","model":"m","choices":[{"index":0,"text":"b","finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":3}}"#,
            "[DONE]",
        ],
    );
    assert_eq!(token_marks(&seen), [Some(1), Some(1), Some(2)]);
    assert_eq!((seen.first_event_tokens, seen.terminal), (Some(2), true));
    assert_eq!(reasons(&seen), [(0, "length")]);
    assert_eq!(seen.usage.unwrap().output_tokens, Some(3));
}

#[test]
fn broken_json_latches_and_leaves_everything_as_it_was() {
    let good = r#"{"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let bad = r#"{"model":"m","choices":[{"index":5,"delta":{"content":"a"},"finish_reason":"stop"}],}"#;
    let before = stream(Endpoint::Chat, &[good]);
    let mut after = stream(Endpoint::Chat, &[good, bad, good, "[DONE]"]);
    assert_eq!(after.fault.take(), Some(ObserverFault::Json));
    assert_eq!(after, before);
}

#[test]
fn json_of_another_shape_is_an_event_that_tells_nothing() {
    for odd in [
        "null",
        "1",
        r#""x""#,
        "[]",
        r#"{"choices":{}}"#,
        r#"{"choices":[1]}"#,
        r#"{"model":{}}"#,
        r#"{"id":1,"id":2}"#,
    ] {
        let seen = stream(Endpoint::Chat, &[odd]);
        assert_eq!((seen.events, seen.token_events, seen.fault, seen.model), (1, 0, None, None), "{odd}");
    }
}

#[test]
fn strings_are_cut_on_a_character() {
    let long = "é".repeat(300);
    let event = format!(
        r#"{{"id":"x{long}","model":"{long}","choices":[{{"index":0,"delta":{{}},"finish_reason":"x{long}"}}]}}"#
    );
    let seen = stream(Endpoint::Chat, &[&event]);
    assert_eq!(seen.model.as_deref().map(str::len), Some(256));
    assert_eq!(seen.response_id.as_deref().map(str::len), Some(255));
    assert_eq!(seen.finish_reasons.first().map(|f| f.reason.len()), Some(63));
    let many: Vec<_> =
        (0..200).map(|i| format!(r#"{{"choices":[{{"index":{i},"delta":{{}},"finish_reason":"stop"}}]}}"#)).collect();
    let seen = stream(Endpoint::Chat, &many.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((seen.finish_reasons.len(), seen.choices_seen), (128, 200));
}

#[test]
fn a_last_event_without_its_blank_line_counts_if_it_is_whole() {
    let seen =
        |tail: &str| observe(Endpoint::Chat, 200, crate::support::SSE, &format!("data: {{\"choices\":[]}}\n\n{tail}"));
    assert!(seen("data: [DONE]").terminal);
    assert!(seen("data: [DONE]\n").terminal);
    assert_eq!(seen("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}").token_events, 1);
    let cut = seen("data: {\"choices\":[{\"delta\":{\"cont");
    assert_eq!((cut.events, cut.fault), (1, None));
}

#[test]
fn invalid_utf_8_inside_a_string_spoils_nothing() {
    let mut o = crate::support::observer(Endpoint::Chat, 200, crate::support::SSE);
    o.on_bytes(b"data: {\"choices\":[{\"delta\":{\"content\":\"\xFF\"}}]}\n\n", limpid_core::Tick(1));
    assert_eq!((o.observation().token_events, o.observation().fault), (1, None));
}
