//! Errors in every known shape, and what their words tell.

use limpid_core::{Endpoint, ErrorHint, Observation, ObserverFault, ReportedError};

use crate::support::{JSON, SSE, body, observe, stream};

fn failed(status: u16, text: &str) -> Observation {
    observe(Endpoint::Chat, status, JSON, text)
}

fn told(text: &str) -> (Option<String>, Option<String>, Option<String>) {
    let error = failed(400, text).error.unwrap_or(ReportedError { kind: Some("NONE".into()), ..Default::default() });
    (error.kind.map(Into::into), error.code.map(Into::into), error.param.map(Into::into))
}

fn words(kind: &str, code: &str, param: &str) -> (Option<String>, Option<String>, Option<String>) {
    let word = |w: &str| (!w.is_empty()).then(|| w.to_owned());
    (word(kind), word(code), word(param))
}

#[test]
fn every_shape_gives_its_kind_code_and_param() {
    for (text, want) in [
        (r#"{"error":{"message":"x","type":"t","param":"p","code":"c"}}"#, words("t", "c", "p")),
        (r#"{"error":{"code":400,"message":"x","type":"t"}}"#, words("t", "400", "")),
        (r#"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#, words("rate_limit_error", "", "")),
        (r#"{"error":"x","error_type":"overloaded"}"#, words("overloaded", "", "")),
        (r#"{"error":"Unauthorized"}"#, words("", "", "")),
        (r#"{"object":"error","message":"x","type":"t","param":null,"code":400}"#, words("t", "400", "")),
        (r#"{"error":{"message":"x","http_status_code":429}}"#, words("", "429", "")),
        (r#"{"detail":"Method Not Allowed"}"#, words("", "", "")),
        (r#"{"detail":[{"loc":["body"],"msg":"x","type":"missing"}]}"#, words("", "", "")),
        (r#"{"message":"x"}"#, words("", "", "")),
        (
            r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"x"}}]"#,
            words("RESOURCE_EXHAUSTED", "429", ""),
        ),
    ] {
        assert_eq!(told(text), want, "{text}");
    }
}

#[test]
fn a_body_that_tells_nothing_is_no_error() {
    for text in ["{}", "[]", "null", r#"{"error":null}"#, r#"{"ok":true}"#, "[[{}]]", ""] {
        let seen = failed(500, text);
        assert_eq!((seen.error, seen.fault), (None, None), "{text}");
    }
    assert_eq!(failed(500, "{").fault, Some(ObserverFault::Json));
    assert_eq!(failed(500, "[1").fault, Some(ObserverFault::Json));
}

#[test]
fn messages_tell_hints_and_are_not_kept() {
    use ErrorHint::*;
    for (message, want) in [
        ("This model's maximum context length is 1024 tokens. However", Some(ContextLength)),
        ("request (1531 tokens) exceeds the available context size (1024 tokens)", Some(ContextLength)),
        ("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 1", Some(ContextLength)),
        ("prompt is too long: 200001 tokens > 200000 maximum", Some(ContextLength)),
        ("The model `x` does not exist. Valid aliases: y.", Some(ModelNotFound)),
        ("model 'x' not found", Some(ModelNotFound)),
        ("model: claude-x", Some(ModelNotFound)),
        ("The request queue is full.", Some(QueueFull)),
        ("server busy, please try again.  maximum pending requests exceeded", Some(QueueFull)),
        ("Loading model", Some(Loading)),
        ("CUDA out of memory. Tried to allocate", Some(OutOfMemory)),
        ("model requires more system memory (9.0 GiB) than is available (4.0 GiB)", Some(OutOfMemory)),
        ("EngineCore encountered an issue. See stack trace (above) for the root cause.", Some(EngineDead)),
        ("The prompt triggered Azure OpenAI's content management policy.", Some(ContentFilter)),
        ("Rate limit reached for gpt-4o on tokens per min (TPM): Limit 1", Some(RateLimitTokens)),
        ("Rate limit reached for gpt-4o on requests per min (RPM): Limit 1", Some(RateLimitRequests)),
        ("File Not Found", None),
        ("temperature must be non-negative", None),
    ] {
        let seen = failed(400, &format!(r#"{{"error":{{"message":"{message}"}}}}"#));
        assert_eq!(seen.error, Some(ReportedError { hint: want, ..ReportedError::default() }), "{message}");
        assert_eq!(seen.refusal, None, "{message}");
    }
}

#[test]
fn codes_beat_messages_and_a_filters_code_is_a_refusal() {
    let seen = failed(400, r#"{"error":{"code":"context_length_exceeded","message":"out of memory"}}"#);
    assert_eq!(seen.error.unwrap().hint, Some(ErrorHint::ContextLength));
    for text in [
        r#"{"error":{"code":"content_filter","message":"x"}}"#,
        r#"{"error":{"code":null,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
    ] {
        let seen = failed(400, text);
        assert_eq!(seen.refusal.map(|r| r.source), Some("error_code"), "{text}");
    }
}

#[test]
fn errors_inside_a_200_are_told() {
    let wrapped = r#"{"error":{"message":"EngineCore encountered an issue.","type":"InternalServerError","code":500}}"#;
    let seen = stream(Endpoint::Chat, &[wrapped, "[DONE]"]);
    assert!(seen.terminal);
    assert_eq!(seen.error.unwrap().hint, Some(ErrorHint::EngineDead));
    for event in [
        r#"{"object":"error","message":"x","type":"t","code":500}"#,
        r#"{"error":"text"}"#,
        r#"{"id":"g","choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502,"message":"x"}}"#,
        r#"{"choices":[],"x_groq":{"id":"r","error":"over capacity"}}"#,
    ] {
        assert!(stream(Endpoint::Chat, &[event]).error.is_some(), "{event}");
    }
    for event in [r#"{"error":null}"#, r#"{"error":""}"#, r#"{"error":{}}"#, r#"{"error":false}"#] {
        assert_eq!(stream(Endpoint::Chat, &[event]).error, None, "{event}");
    }
    assert!(body(Endpoint::Chat, wrapped).error.is_some());
    let named = observe(Endpoint::Chat, 200, SSE, "event: error\ndata: {\"message\":\"x\",\"code\":\"c\"}\n\n");
    assert_eq!(named.error.unwrap().code.as_deref(), Some("c"));
}

#[test]
fn the_first_error_stays() {
    let seen = stream(Endpoint::Chat, &[r#"{"error":{"code":"a"}}"#, r#"{"error":{"code":"b"}}"#]);
    assert_eq!(seen.error.unwrap().code.as_deref(), Some("a"));
}

#[test]
fn error_statuses_are_read_whatever_their_label() {
    let json = r#"{"error":{"message":"Loading model","code":503}}"#;
    for label in [SSE, "text/plain", "", "application/octet-stream"] {
        let seen = observe(Endpoint::Chat, 503, label, json);
        assert_eq!(seen.error.and_then(|e| e.hint), Some(ErrorHint::Loading), "{label}");
        assert!(!seen.streamed && seen.fault.is_none(), "{label}");
    }
    let plain = |text: &str| observe(Endpoint::Chat, 503, "text/html", text);
    assert_eq!(plain("The request queue is full.").error.unwrap().hint, Some(ErrorHint::QueueFull));
    for text in ["upstream connect error", "<html>502 Bad Gateway</html>", "{no json", &"x".repeat(1 << 20)] {
        let seen = plain(text);
        assert_eq!((seen.error, seen.fault), (None, None));
    }
    let streamed = observe(Endpoint::Chat, 500, SSE, &format!("data: {json}\n\n"));
    assert!(streamed.streamed && streamed.error.is_some());
}
