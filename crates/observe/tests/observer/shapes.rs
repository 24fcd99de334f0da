//! Whole chat streams in the shape of each server that has one of its own, hand-written after the versions named.

use limpid_core::{Endpoint, PicoUsd, RefusalKind, Source};

use crate::support::{JSON, SSE, observe, reasons, stream, token_marks};

fn raw(text: &str) -> limpid_core::Observation {
    observe(Endpoint::Chat, 200, SSE, text)
}

#[test]
fn openai_obfuscates_and_names_its_tier() {
    // OpenAI, autumn 2026: role-only first chunk, `obfuscation`, `usage: null`, a refusal in deltas.
    let seen = stream(
        Endpoint::Chat,
        &[
            r#"{"id":"c","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","service_tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"Zk1"}"#,
            r#"{"id":"c","model":"gpt-4o-2024-08-06","service_tier":"default","choices":[{"index":0,"delta":{"refusal":"I'm"},"logprobs":{"content":null,"refusal":[{"token":"I'm"}]},"finish_reason":null}],"usage":null,"obfuscation":"wXq8"}"#,
            r#"{"id":"c","model":"gpt-4o-2024-08-06","service_tier":"flex","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null,"obfuscation":""}"#,
            r#"{"id":"c","model":"gpt-4o-2024-08-06","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,"completion_tokens_details":{"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"obfuscation":"a"}"#,
            "[DONE]",
        ],
    );
    assert_eq!((token_marks(&seen), seen.first_event_tokens), ([Some(1), Some(1), Some(1)], Some(1)));
    assert_eq!(seen.service_tier.as_deref(), Some("flex"));
    assert_eq!(seen.refusal.map(|r| (r.source, r.kind)), Some(("refusal_field", RefusalKind::Model)));
    assert!(seen.terminal && seen.opening.is_empty());
}

#[test]
fn azure_begins_and_goes_on_with_frames_of_its_filter() {
    // Azure OpenAI 2024-10-21 with the asynchronous filter: annotations come in frames without a delta.
    let seen = stream(
        Endpoint::Chat,
        &[
            r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"violence":{"filtered":false,"severity":"safe"}}}]}"#,
            r#"{"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"id":"c","model":"gpt-4o"}"#,
            r#"{"choices":[{"content_filter_results":{},"delta":{"content":"Hi"},"finish_reason":null,"index":0}],"id":"c","model":"gpt-4o"}"#,
            r#"{"choices":[{"content_filter_offsets":{"check_offset":44,"start_offset":44,"end_offset":46},"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"finish_reason":null,"index":0}],"id":"","model":"","object":""}"#,
            r#"{"choices":[{"content_filter_offsets":{"check_offset":46},"content_filter_results":{"self_harm":{"filtered":true,"severity":"medium"}},"finish_reason":"content_filter","index":0}],"id":"","model":"","object":""}"#,
            "[DONE]",
        ],
    );
    assert_eq!((token_marks(&seen), seen.token_events), ([Some(2), Some(2), Some(2)], 1));
    assert_eq!((seen.model.as_deref(), seen.response_id.as_deref()), (Some("gpt-4o"), Some("c")));
    assert_eq!(seen.refusal.map(|r| (r.source, r.kind)), Some(("filter_result", RefusalKind::Filter)));
    assert_eq!(reasons(&seen), [(0, "content_filter")]);
}

#[test]
fn openrouter_comments_while_it_waits_and_tells_the_cost() {
    let seen = raw(concat!(
        ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n",
        "data: {\"id\":\"gen-1\",\"provider\":\"P\",\"model\":\"a/m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"reasoning\":\"Hm\",\"reasoning_details\":[{}]}}]}\n\n",
        "data: {\"id\":\"gen-1\",\"model\":\"a/m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":\"stop\",\"native_finish_reason\":\"STOP\"}]}\n\n",
        "data: {\"id\":\"gen-1\",\"model\":\"a/m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"cost\":0.00042,\"is_byok\":false,\"cost_details\":{\"upstream_inference_cost\":null}}}\n\n",
        "data: [DONE]\n\n",
    ));
    assert_eq!((seen.events, seen.token_events, seen.reasoning_streamed), (4, 2, true));
    assert_eq!((seen.reported_cost, seen.opening.as_str()), (Some(PicoUsd(420_000_000)), "Hi"));
    // An error after the start comes on a chunk of a 200.
    let failed = raw(
        "data: {\"id\":\"gen-1\",\"provider\":\"P\",\"error\":{\"code\":\"server_error\",\"message\":\"Provider disconnected\"},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n",
    );
    assert_eq!(failed.error.and_then(|e| e.code).as_deref(), Some("server_error"));
}

#[test]
fn deepseek_keeps_alive_with_comments_and_blank_lines() {
    let seen = raw(concat!(
        ": keep-alive\n\n",
        "data: {\"id\":\"d\",\"model\":\"deepseek-reasoner\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"\"}}]}\n\n",
        ": keep-alive\n\n",
        "data: {\"id\":\"d\",\"model\":\"deepseek-reasoner\",\"choices\":[{\"index\":0,\"delta\":{\"content\":null,\"reasoning_content\":\"So\"}}]}\n\n",
        "data: {\"id\":\"d\",\"model\":\"deepseek-reasoner\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\",\"reasoning_content\":null},\"finish_reason\":\"insufficient_system_resource\"}],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":5,\"prompt_cache_hit_tokens\":6,\"prompt_cache_miss_tokens\":2,\"completion_tokens_details\":{\"reasoning_tokens\":4}}}\n\n",
        "data: [DONE]\n\n",
    ));
    assert_eq!((seen.events, seen.token_events, seen.reasoning_streamed, seen.fault), (4, 2, true, None));
    assert_eq!(seen.usage.as_ref().and_then(|u| u.cached_input_tokens), Some(6));
    let body = "\n\n\n\n{\"id\":\"d\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}";
    let whole = observe(Endpoint::Chat, 200, JSON, body);
    assert_eq!((whole.fault, whole.opening.as_str()), (None, "Hi"));
}

#[test]
fn groq_has_its_usage_in_a_member_of_its_own() {
    let seen = stream(
        Endpoint::Chat,
        &[
            r#"{"id":"g","model":"l","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"x_groq":{"id":"req_1"}}"#,
            r#"{"id":"g","model":"l","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}"#,
            r#"{"id":"g","model":"l","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"req_1","usage":{"queue_time":0.01,"prompt_tokens":11,"prompt_time":0.001,"completion_tokens":2,"completion_time":0.002,"total_tokens":13,"total_time":0.003}}}"#,
            "[DONE]",
        ],
    );
    assert_eq!((token_marks(&seen), seen.error.as_ref()), ([Some(1), Some(1), Some(1)], None));
    assert_eq!(seen.usage.unwrap().output_tokens, Some(2));
}

#[test]
fn gemini_compatible_counts_on_every_chunk_and_the_last_one_counts() {
    let chunk = |text: &str, n: u64, finish: &str| {
        format!(
            r#"{{"id":"x","model":"gemini-2.5-flash","object":"chat.completion.chunk","choices":[{{"index":0,"delta":{{"role":"assistant","content":"{text}"}}{finish}}}],"usage":{{"prompt_tokens":4,"completion_tokens":{n},"total_tokens":90}}}}"#
        )
    };
    let (a, b, c) = (chunk("One", 1, ""), chunk(", two", 3, ""), chunk("", 5, r#","finish_reason":"stop""#));
    let seen = stream(Endpoint::Chat, &[&a, &b, &c, "[DONE]"]);
    assert_eq!((seen.token_events, seen.first_event_tokens), (2, Some(1)));
    assert_eq!(seen.usage.unwrap().output_tokens, Some(5));
}

#[test]
fn vllm_counts_on_and_tells_its_own_times() {
    // vLLM 0.33: continuous_usage_stats, `--enable-per-request-metrics`, n = 2 interleaved in the second part.
    let seen = stream(
        Endpoint::Chat,
        &[
            r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":7,"total_tokens":7,"completion_tokens":0}}"#,
            r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"reasoning":"Hm"},"finish_reason":null}],"usage":{"prompt_tokens":7,"total_tokens":10,"completion_tokens":3}}"#,
            r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":7,"total_tokens":11,"completion_tokens":4}}"#,
            r#"{"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":7,"total_tokens":11,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":0}},"metrics":{"time_to_first_token_ms":12.5,"queue_time_ms":0.1,"generation_time_ms":30.0,"mean_itl_ms":10.0,"tokens_per_second":100.0}}"#,
            "[DONE]",
        ],
    );
    assert_eq!((token_marks(&seen), seen.first_event_tokens), ([Some(1), None, Some(2)], Some(3)));
    let usage = seen.usage.unwrap();
    assert_eq!((usage.output_tokens, usage.cached_input_tokens, usage.source), (Some(4), Some(0), Source::Reported));
}

#[test]
fn llama_cpp_tells_its_progress_before_any_token() {
    // llama.cpp, autumn 2026: `return_progress`, comment pings, role with `content: null` beside the first token.
    let seen = raw(concat!(
        "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}],\"id\":\"c\",\"model\":\"m\",\"prompt_progress\":{\"total\":40,\"cache\":0,\"processed\":20,\"time_ms\":9}}\n\n",
        ":\n\n",
        "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"content\":\"Hi\"}}],\"id\":\"c\",\"model\":\"m\",\"timings\":{\"cache_n\":0,\"prompt_n\":40,\"prompt_ms\":20.0,\"predicted_n\":1,\"predicted_ms\":1.0}}\n\n",
        "data: {\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"delta\":{}}],\"id\":\"c\",\"model\":\"m\",\"timings\":{\"cache_n\":0,\"prompt_n\":40,\"predicted_n\":3,\"predicted_ms\":9.0,\"predicted_per_token_ms\":3.0}}\n\n",
        "data: [DONE]\n\n",
    ));
    assert_eq!((seen.events, seen.token_events, seen.first_event_tokens), (4, 1, Some(1)));
    let usage = seen.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.source), (Some(40), Some(3), Source::Exact));
}

#[test]
fn sglang_adds_chunks_of_its_own_and_wraps_its_errors_in_a_stream() {
    // SGLang 0.5.23.
    let seen = stream(
        Endpoint::Chat,
        &[
            r#"{"id":"s","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}"#,
            r#"{"id":"s","model":"m","choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":"Hm","tool_calls":null},"finish_reason":null}],"usage":null}"#,
            r#"{"id":"s","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop","matched_stop":2}],"usage":null}"#,
            r#"{"id":"s","model":"m","choices":[],"sglext":{"cached_tokens_details":{"device":0}}}"#,
            r#"{"id":"s","model":"m","choices":[],"usage":{"prompt_tokens":5,"total_tokens":9,"completion_tokens":4,"prompt_tokens_details":null,"reasoning_tokens":3}}"#,
            "[DONE]",
        ],
    );
    assert_eq!((seen.events, seen.token_events, seen.reasoning_streamed), (6, 1, true));
    assert_eq!(seen.usage.unwrap().reasoning_output_tokens, Some(3));
    let failed = stream(
        Endpoint::Chat,
        &[
            r#"{"error":{"object":"error","message":"The request queue is full.","type":"abort","param":null,"code":503}}"#,
            "[DONE]",
        ],
    );
    assert_eq!(failed.error.and_then(|e| e.hint), Some(limpid_core::ErrorHint::QueueFull));
    let flat = observe(
        Endpoint::Chat,
        200,
        JSON,
        r#"{"object":"error","message":"x","type":"BadRequestError","param":null,"code":400}"#,
    );
    assert_eq!(flat.error.and_then(|e| e.code).as_deref(), Some("400"));
}

#[test]
fn mistral_says_error_as_a_finish_and_transformers_never_says_done() {
    let mistral = stream(
        Endpoint::Chat,
        &[
            r#"{"id":"m","model":"mistral-small","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#,
        ],
    );
    assert_eq!(reasons(&mistral), [(0, "error")]);
    // transformers serve 5.19: usage on the finish chunk, no `[DONE]`.
    let transformers = stream(
        Endpoint::Chat,
        &[
            r#"{"id":"t","model":"m","choices":[{"index":0,"delta":{"role":"assistant"}}]}"#,
            r#"{"id":"t","model":"m","choices":[{"index":0,"delta":{"content":"Hi"}}]}"#,
            r#"{"id":"t","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
        ],
    );
    assert!(!transformers.terminal);
    assert_eq!((reasons(&transformers), transformers.token_events), (vec![(0, "stop")], 1));
}

#[test]
fn anthropic_refuses_with_details_after_thinking() {
    let seen = observe(
        Endpoint::Messages,
        200,
        SSE,
        concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"claude\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"Hm\"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"Ep\"}}\n\n",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\",\"stop_details\":{\"type\":\"refusal\",\"category\":\"cyber\",\"explanation\":\"x\"}},\"usage\":{\"output_tokens\":2}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ),
    );
    assert_eq!((seen.events, seen.token_events, seen.terminal), (6, 1, true));
    assert_eq!(seen.refusal.map(|r| (r.source, r.kind)), Some(("stop_reason", RefusalKind::Model)));
}
