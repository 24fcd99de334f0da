//! Audio, images, embeddings, rerank and moderations.

use limpid_core::{Endpoint, Source, Usage};

use crate::support::{body, observe, reasons, stream, token_marks};

#[test]
fn a_streamed_transcription_is_read_whole() {
    // OpenAI, gpt-4o-transcribe.
    let seen = stream(
        Endpoint::Audio,
        &[
            r#"{"type":"transcript.text.delta","delta":"I","logprobs":[]}"#,
            r#"{"type":"transcript.text.delta","delta":" see"}"#,
            r#"{"type":"transcript.text.segment","id":"s","text":"I see","speaker":"A","start":0.0,"end":1.0}"#,
            r#"{"type":"transcript.text.done","text":"I see","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":3,"total_tokens":17}}"#,
        ],
    );
    assert!(seen.terminal && seen.streamed);
    assert_eq!((seen.events, seen.token_events, seen.choices_seen), (4, 2, 1));
    assert_eq!((token_marks(&seen), seen.opening.as_str()), ([Some(0), Some(0), Some(1)], "I see"));
    let usage = seen.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.audio_input_tokens, usage.output_tokens), (Some(14), Some(10), Some(3)));
}

#[test]
fn vllm_streams_a_transcription_as_chat() {
    // vLLM 0.33, `/v1/audio/transcriptions` with `stream=true`.
    let seen = stream(
        Endpoint::Audio,
        &[
            r#"{"id":"trsc-1","object":"transcription.chunk","created":1,"model":"w","choices":[{"delta":{"content":" I"},"finish_reason":null,"stop_reason":null}]}"#,
            r#"{"id":"trsc-1","object":"transcription.chunk","created":1,"model":"w","choices":[{"delta":{"content":" see"},"finish_reason":"stop","stop_reason":null}]}"#,
            r#"{"id":"trsc-1","object":"transcription.chunk","created":1,"model":"w","choices":[],"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}}"#,
            "[DONE]",
        ],
    );
    assert!(seen.terminal);
    assert_eq!((seen.token_events, seen.model.as_deref()), (2, Some("w")));
    assert_eq!(reasons(&seen), [(0, "stop")]);
    assert_eq!(seen.usage.unwrap().output_tokens, Some(2));
}

#[test]
fn streamed_speech_is_sound_without_text() {
    let seen = stream(
        Endpoint::Audio,
        &[
            r#"{"type":"speech.audio.delta","audio":"UklGRg=="}"#,
            r#"{"type":"speech.audio.delta","audio":"AAAA"}"#,
            r#"{"type":"speech.audio.done","usage":{"input_tokens":14,"output_tokens":101,"total_tokens":115}}"#,
        ],
    );
    assert!(seen.terminal);
    assert_eq!(token_marks(&seen), [Some(0), None, Some(1)]);
    assert_eq!(seen.usage.unwrap().output_tokens, Some(101));
    let broken = stream(Endpoint::Audio, &[r#"{"type":"error","error":{"type":"server_error","message":"x"}}"#]);
    assert_eq!(broken.error.unwrap().kind.as_deref(), Some("server_error"));
    // Sound alone is not looked at.
    let sound = observe(Endpoint::Audio, 200, "audio/mpeg", "ID3\"{");
    assert_eq!((sound.streamed, sound.usage, sound.fault), (false, None, None));
}

#[test]
fn a_transcription_tells_tokens_or_its_length() {
    let usage = |text: &str| body(Endpoint::Audio, text).usage;
    let length = |ms| Some(Usage { audio_ms: Some(ms), ..Usage::empty(Source::Reported) });
    let tokens =
        usage(r#"{"text":"x","usage":{"type":"tokens","input_tokens":14,"output_tokens":3,"total_tokens":17}}"#);
    assert_eq!(tokens.unwrap().input_tokens, Some(14));
    assert_eq!(usage(r#"{"text":"x","usage":{"type":"duration","seconds":9}}"#), length(9_000));
    // whisper-1, verbose_json: what is billed wins over what was heard.
    let verbose = r#"{"task":"transcribe","language":"english","duration":8.470000267028809,"text":"x","segments":[]"#;
    assert_eq!(usage(&format!("{verbose},\"usage\":{{\"type\":\"duration\",\"seconds\":9}}}}")), length(9_000));
    assert_eq!(usage(&format!("{verbose}}}")), length(8_470));
    assert_eq!(usage(r#"{"text":"x","duration":"8.47"}"#), length(8_470));
    for nothing in [r#"{"text":"x"}"#, r#"{"text":"x","duration":-1}"#, r#"{"text":"x","duration":1e300}"#] {
        assert_eq!(usage(nothing), None, "{nothing}");
    }
}

#[test]
fn sketches_of_an_image_are_events_and_no_tokens() {
    let sketch = format!(
        r#"{{"type":"image_generation.partial_image","b64_json":"{}","partial_image_index":0}}"#,
        "iVBOR/+=".repeat(300_000)
    );
    let done = format!(
        r#"{{"type":"image_generation.completed","b64_json":"{}","usage":{{"total_tokens":1100,"input_tokens":44,"output_tokens":1056,"input_tokens_details":{{"text_tokens":24,"image_tokens":20}}}}}}"#,
        "iVBOR/+=".repeat(300_000)
    );
    let seen = stream(Endpoint::Images, &[&sketch, &done]);
    assert_eq!((seen.events, seen.token_events, seen.terminal, seen.fault), (2, 0, true, None));
    let usage = seen.usage.unwrap();
    assert_eq!((usage.image_input_tokens, usage.output_tokens), (Some(20), Some(1056)));
    assert_eq!(seen.marks.first_event.map(|t| t.0), Some(0));
    let cut = stream(Endpoint::Images, &[&sketch]);
    assert_eq!((cut.terminal, cut.choices_seen, cut.usage), (false, 1, None));
    let failed = stream(Endpoint::Images, &[r#"{"type":"error","error":{"code":"moderation_blocked","message":"x"}}"#]);
    assert_eq!(failed.error.unwrap().code.as_deref(), Some("moderation_blocked"));
}

#[test]
fn an_image_larger_than_the_limit_leaves_its_usage() {
    let text = format!(
        r#"{{"created":1,"data":[{{"b64_json":"{}"}}],"usage":{{"input_tokens":3,"output_tokens":9,"total_tokens":12}}}}"#,
        "A".repeat(9 << 20)
    );
    let seen = body(Endpoint::Images, &text);
    assert_eq!((seen.fault, seen.usage.unwrap().output_tokens), (None, Some(9)));
}

#[test]
fn scores_and_embeddings_have_input_alone() {
    for (endpoint, text, want) in [
        // Ollama 0.13, `/api/embed` and the older `/api/embeddings`.
        (
            Endpoint::Embeddings,
            r#"{"model":"m","embeddings":[[0.1]],"total_duration":1,"prompt_eval_count":8}"#,
            Some(8),
        ),
        (Endpoint::Embeddings, r#"{"embedding":[0.1,0.2]}"#, None),
        // Cohere v2 `/embed`; Text Embeddings Inference.
        (
            Endpoint::Embeddings,
            r#"{"id":"e","embeddings":{"float":[[0.1]]},"meta":{"billed_units":{"input_tokens":2}}}"#,
            Some(2),
        ),
        (Endpoint::Embeddings, "[[0.1,0.2]]", None),
        // Cohere v2 `/rerank` bills searches; v1 may tell tokens too.
        (
            Endpoint::Rerank,
            r#"{"results":[{"index":0,"relevance_score":0.9}],"id":"r","meta":{"billed_units":{"search_units":1}}}"#,
            None,
        ),
        (
            Endpoint::Rerank,
            r#"{"results":[],"meta":{"billed_units":{"search_units":1},"tokens":{"input_tokens":5}}}"#,
            Some(5),
        ),
        // Jina; vLLM 0.33 `/rerank` and `/score`; TEI's bare array.
        (Endpoint::Rerank, r#"{"model":"jina","object":"list","usage":{"total_tokens":815},"results":[]}"#, Some(815)),
        (
            Endpoint::Rerank,
            r#"{"id":"rerank-1","model":"m","usage":{"prompt_tokens":56,"total_tokens":56},"results":[]}"#,
            Some(56),
        ),
        (
            Endpoint::Rerank,
            r#"{"id":"score-1","object":"list","model":"m","data":[{"index":0,"object":"score","score":1}],"usage":{"prompt_tokens":4,"total_tokens":4,"completion_tokens":0}}"#,
            Some(4),
        ),
        (Endpoint::Rerank, r#"[{"index":0,"score":0.9}]"#, None),
        // Mistral counts moderations, OpenAI does not.
        (
            Endpoint::Moderations,
            r#"{"id":"mod","model":"m","usage":{"prompt_tokens":7,"total_tokens":7,"completion_tokens":0},"results":[]}"#,
            Some(7),
        ),
        (Endpoint::Moderations, r#"{"id":"modr-1","model":"omni","results":[{"flagged":true}]}"#, None),
    ] {
        let seen = body(endpoint, text);
        assert_eq!((seen.usage.and_then(|u| u.input_tokens), seen.fault), (want, None), "{text}");
        assert_eq!((seen.refusal, seen.error), (None, None), "{text}");
    }
    let named = body(Endpoint::Moderations, r#"{"id":"modr-1","model":"omni","results":[{"flagged":true}]}"#);
    assert_eq!((named.model.as_deref(), named.response_id.as_deref()), (Some("omni"), Some("modr-1")));
}
