//! Content as it leaves: every API's shapes, every rule, every cut.

use std::borrow::Cow;
use std::sync::LazyLock;

use limpid_core::{Ending, Endpoint, FinishReason, ObserverFault, ReportedError, Spoken};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::unsettled;

const CANARIES: [(&str, &str); 35] = [
    ("my key is sk-proj-Ab12Cd34Ef56Gh78Ij90 ok", "sk-proj-Ab12Cd34Ef56Gh78Ij90"),
    ("sk-ant-api03-abcdefghijkl_mnop-QRS", "sk-ant-api03-abcdefghijkl_mnop-QRS"),
    ("ésk-abcdefghijklmnopqrstuv", "sk-abcdefghijklmnopqrstuv"),
    ("Authorization: Bearer abc123DEF456ghi789", "abc123DEF456ghi789"),
    ("bearer 0123456789abcdef", "0123456789abcdef"),
    ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl end", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
    ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
    ("xoxb-123456789012-abcdefghijkl", "xoxb-123456789012-abcdefghijkl"),
    ("hf_AbCdEfGhIjKlMnOpQrStUv", "hf_AbCdEfGhIjKlMnOpQrStUv"),
    ("AIzaSyA-1234567890abcdefghijklmnopqrstu", "AIzaSyA-1234567890abcdefghijklmnopqrstu"),
    ("password: hunter2hunter2", "hunter2hunter2"),
    ("the password is Tr0ub4dor&3!", "Tr0ub4dor&3"),
    (r#"{"api_key":"0badcafe0badcafe"}"#, "0badcafe0badcafe"),
    (r#"{\"client_secret\": \"0badcafe0badcafe\"}"#, "0badcafe0badcafe"),
    (r#"{"password": "correct horse battery"}"#, "correct horse battery"),
    (r#"{\"password\":\"correct horse\"}"#, "correct horse"),
    ("passwd='correct horse' next", "correct horse"),
    ("token=`abcd efgh`", "abcd"),
    ("postgres://app:s3cr3tpass@db:5432/x", "s3cr3tpass"),
    ("https://x.example/blob?sv=1&sig=AbC%2Fdef123456", "AbC%2Fdef123456"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n+def==\n-----END RSA PRIVATE KEY----- x", "MIIEabc\n+def=="),
    ("-----BEGIN PRIVATE KEY-----\nMIIEabc\n+def==", "MIIEabc\n+def=="),
    ("write to jane.doe+x@mail.example.org!", "jane.doe+x@mail.example.org"),
    ("jürgen@müller.example", "jürgen@müller.example"),
    ("card 4111 1111 1111 1111 exp 12/27", "4111 1111 1111 1111"),
    ("5555-5555-5555-4444", "5555-5555-5555-4444"),
    ("378282246310005", "378282246310005"),
    ("call +49 (0)30 1234567", "+49 (0)30 1234567"),
    ("call (555) 234-5678 now", "(555) 234-5678"),
    ("555-234-5678", "555-234-5678"),
    ("030 / 1234 5678", "030 / 1234 5678"),
    ("07911123456", "07911123456"),
];

const HARMLESS: [&str; 18] = [
    "What is the token count of this password-protected file?",
    "Bearer certificates and basic understanding of authorization",
    "The secret is patience. The key is to try.",
    "On 2026-11-22 at 10:30:00 we met 12 people; 01.02.2026 too.",
    "Version 1.2.3.4, 192.168.100.200, ids 1763841600123 and 1763841600123456789",
    "f(x) = 3.14159265358979 + 10 20 30 40 50",
    "commit 384d66161cb18704c729645fa8136a148df9571c",
    "550e8400-e29b-41d4-a716-446655440000",
    "risk-based task-oriented scikit-learn",
    "@mention and a@b",
    "https://example.org/path?q=search&page=2",
    "https://example.org:8080/a/b",
    "Das Wort ist lang. 日本語のテキスト。",
    "max_tokens: 4096, tokens = 12",
    "1,234,567,890 and 12 345 678",
    "monkey = banana; donkey: brown",
    "Sorry, the password is incorrect!",
    "0.0123456789 and 4.123456789012345 or 1,0301234567",
];

static ALL_RULES: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(&Builtin::ALL, &[]).unwrap());

fn all_rules() -> Redactor {
    ALL_RULES.clone()
}

#[test]
fn what_must_not_leave_is_found() {
    let rules = all_rules();
    for (text, secret) in CANARIES {
        let (clean, places) = rules.redact(text);
        assert!(!clean.contains(secret) && places >= 1, "{text} became {clean}");
    }
}

#[test]
fn what_is_harmless_stays() {
    let rules = all_rules();
    for text in HARMLESS {
        assert_eq!(rules.redact(text), (Cow::Borrowed(text), 0));
    }
}

#[test]
fn places_that_overlap_become_one_and_the_operators_words_are_literal() {
    let own = [
        OwnRule { pattern: r"EMP-\d+", replacement: "$0" },
        OwnRule { pattern: r"\d{3}-\d{2}", replacement: "#" },
        OwnRule { pattern: r"\b", replacement: "never" },
    ];
    let rules = Redactor::new(&[Builtin::Emails], &own).unwrap();
    assert_eq!(rules.redact("EMP-123-45 x EMP-7@a.example").0, "$0 x [email]");
    assert_eq!(rules.redact("EMP-123-45 x EMP-7@a.example").1, 2);
    assert_eq!(rules.redact("sk-abcdefghijklmnopqrstuvwx 4111111111111111").1, 0, "rules that are off find nothing");
}

#[test]
fn a_bad_rule_is_named() {
    let rule = |pattern| OwnRule { pattern, replacement: "" };
    let many: Vec<_> = (0..65).map(|_| rule("x")).collect();
    for (own, said) in [
        (&[rule("a"), rule("(")][..], "rule 2: it is no regular expression: unclosed group"),
        (&[rule("a*")], "rule 1: it matches even an empty text, and so every place"),
        (&[rule("(x{1000}){1000}")], "rule 1: it is too large a regular expression"),
        (&many, "rule 65: it is one too many: at most 64 can be set"),
    ] {
        assert_eq!(Redactor::new(&[], own).unwrap_err().to_string(), said);
    }
}

fn rules(limit: usize) -> ContentRules {
    ContentRules { input: Some(limit), output: Some(limit), redactor: all_rules() }
}

fn asked(endpoint: Endpoint, body: &Value, limit: usize) -> Content {
    let exchange = Unsettled { endpoint, ..unsettled() };
    let bytes = body.to_string();
    rules(limit).content(&exchange, Heard { request: Some(Ok(bytes.as_bytes())), reply: None })
}

fn parsed(text: Option<&String>) -> Value {
    text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

fn text(content: &str) -> Value {
    json!({"type": "text", "content": content})
}

#[test]
fn chat_and_ollama_requests_become_messages() {
    let body = json!({"model": "m", "stop": ["END", "sk-abcdefghijklmnopqrstuv"], "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "name": "Ann", "content": [{"type": "text", "text": "Look: a@b.example"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
        {"role": "assistant", "content": null, "reasoning_content": "Hm.", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"q\":\"x\",\"password\":\"p\",\"card\":4111111111111111}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "rainy"}]});
    let content = asked(Endpoint::Chat, &body, 4096);
    let want = json!([
        {"role": "system", "parts": [text("Be kind.")]},
        {"role": "user", "name": "Ann", "parts": [text("Look: [email]"), {"type": "limpid.omitted", "of": "image_url"}]},
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm."},
            {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"q": "x", "password": "[secret]", "card": "[card]"}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "rainy"}]}]);
    assert_eq!(parsed(content.input.as_ref()), want);
    assert_eq!(content.stop_sequences, ["END", "[secret]"]);
    assert_eq!((content.redactions, content.input_truncated, content.input_missing), (4, 0, None));
    assert_eq!(content.system, None, "in chat the instructions are a message");

    let ollama = json!({"model": "m", "options": {"stop": "X"}, "messages": [{"role": "user", "content": "Hi", "images": ["AAAA"]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}]});
    let content = asked(Endpoint::Generate, &ollama, 4096);
    let want = json!([{"role": "user", "parts": [text("Hi"), {"type": "limpid.omitted", "of": "image"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "arguments": {"a": 1}}]}]);
    assert_eq!((parsed(content.input.as_ref()), content.stop_sequences), (want, vec!["X".to_owned()]));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn the_other_apis_become_messages_too() {
    let call = json!({"type": "tool_call", "id": "t1", "name": "f", "arguments": {"a": 1}});
    for (endpoint, body, system, messages) in [
        (
            Endpoint::Messages,
            json!({"system": [{"type": "text", "text": "Be kind."}], "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "42"}]}]}]}),
            json!([text("Be kind.")]),
            json!([{"role": "user", "parts": [text("Hi")]},
                {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm"}, call]},
                {"role": "user", "parts": [{"type": "tool_call_response", "id": "t1", "response": [text("42")]}]}]),
        ),
        (
            Endpoint::Responses,
            json!({"instructions": "Be kind.", "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                {"type": "reasoning", "summary": [], "encrypted_content": "AAAA"},
                {"type": "function_call", "call_id": "t1", "name": "f", "arguments": "{\"a\":1}"},
                {"type": "function_call_output", "call_id": "t1", "output": "42"}]}),
            json!([text("Be kind.")]),
            json!([{"role": "user", "parts": [text("Hi")]},
                {"role": "assistant", "parts": [{"type": "limpid.omitted", "of": "reasoning"}]},
                {"role": "assistant", "parts": [call]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t1", "response": "42"}]}]),
        ),
        (Endpoint::Responses, json!({"input": "Hi"}), Value::Null, json!([{"role": "user", "parts": [text("Hi")]}])),
        (
            Endpoint::GenerateContent,
            json!({"systemInstruction": {"parts": [{"text": "Be kind."}]}, "generationConfig": {"stopSequences": ["X"]}, "contents": [
                {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}, "id": "t1"}}]},
                {"role": "function", "parts": [{"functionResponse": {"name": "f", "response": {"r": 42}}}]}]}),
            json!([text("Be kind.")]),
            json!([{"role": "user", "parts": [text("Hi"), {"type": "limpid.omitted", "of": "other"}]},
                {"role": "assistant", "parts": [call]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "response": {"r": 42}}]}]),
        ),
        (
            Endpoint::Completions,
            json!({"prompt": ["Once", "Twice"]}),
            Value::Null,
            json!([{"role": "user", "parts": [text("Once")]}, {"role": "user", "parts": [text("Twice")]}]),
        ),
        (
            Endpoint::Completions,
            json!({"prompt": [1, 2, 3]}),
            Value::Null,
            json!([{"role": "user", "parts": [{"type": "limpid.omitted", "of": "tokens"}]}]),
        ),
        (
            Endpoint::Generate,
            json!({"system": "Be kind.", "prompt": "Hi"}),
            json!([text("Be kind.")]),
            json!([{"role": "user", "parts": [text("Hi")]}]),
        ),
        (Endpoint::Generate, json!({"inputs": "Hi"}), Value::Null, json!([{"role": "user", "parts": [text("Hi")]}])),
    ] {
        let content = asked(endpoint, &body, 4096);
        assert_eq!(parsed(content.system.as_ref()), system, "{body}");
        assert_eq!(parsed(content.input.as_ref()), messages, "{body}");
        assert_eq!(content.input_truncated, 0, "{body}");
    }
}

#[test]
fn what_cannot_be_read_is_absent_with_the_reason() {
    let exchange = Unsettled { endpoint: Endpoint::Chat, ..unsettled() };
    let request = |request| rules(1000).content(&exchange, Heard { request: Some(request), reply: None });
    for (body, why) in [
        (Ok(&b"\x1f\x8b\x08compressed"[..]), "unreadable"),
        (Ok(b"{\"messages\":[{\"role\":\"user\",\"content\":\"sk-abcdefgh"), "unreadable"),
        (Ok(b"[1]"), "unreadable"),
        (Ok(b"{\"model\":\"m\"}"), "unreadable"),
        (Err(TextGone::TooLarge), "too_large"),
        (Err(TextGone::NoRoom), "no_room"),
    ] {
        let content = request(body);
        assert_eq!((content.input_missing, content.input), (Some(why), None));
    }
    let mut faulty = unsettled();
    faulty.observation.fault = Some(ObserverFault::UnknownCoding);
    let none = Heard { request: None, reply: None };
    assert_eq!(rules(1000).content(&faulty, none).output_missing, Some("unreadable"));
    assert_eq!(rules(1000).content(&exchange, none), Content::default(), "no reply came: nothing to miss");
    let unwanted = ContentRules { input: None, output: None, redactor: all_rules() };
    assert_eq!(unwanted.content(&faulty, Heard { request: None, reply: None }), Content::default());
    assert_eq!(rules(1).without(Missing::Shutdown).input_missing, Some("shutdown"));
}

fn said(pieces: &[(u32, Spoken, &str)]) -> Vec<u8> {
    pieces.iter().flat_map(|(choice, kind, inside)| [&kind.mark(*choice)[..], inside.as_bytes()].concat()).collect()
}

fn answered(pieces: &[(u32, Spoken, &str)], reasons: &[(u32, &str)], ending: Ending, limit: usize) -> Content {
    let mut exchange = Unsettled { endpoint: Endpoint::Chat, ending, ..unsettled() };
    exchange.observation.finish_reasons =
        reasons.iter().map(|(index, reason)| FinishReason { index: *index, reason: (*reason).into() }).collect();
    let said = said(pieces);
    rules(limit).content(&exchange, Heard { request: None, reply: Some(Ok(&said)) })
}

#[test]
fn a_reply_is_one_message_for_each_choice() {
    let content = answered(
        &[
            (1, Spoken::Text, "No."),
            (0, Spoken::Reasoning, "Hm"),
            (0, Spoken::Text, r"Yes\u2019s \ud83d\ude00 a@b.example"),
            (0, Spoken::Name, "f"),
            (0, Spoken::Arguments, r#"{\"a\":\"sk-abcdefghijklmnopqrstuv\"}"#),
            (0, Spoken::Name, "g"),
            (0, Spoken::Arguments, r#"{"b":1}"#),
            (0, Spoken::Name, "h"),
            (0, Spoken::Other, ""),
            (1, Spoken::Refusal, "I can't."),
            (1, Spoken::Arguments, "print(1)"),
        ],
        &[(0, "tool_calls"), (1, "stop")],
        Ending::End,
        4096,
    );
    let want = json!([
        {"role": "assistant", "finish_reason": "tool_calls", "parts": [{"type": "reasoning", "content": "Hm"},
            text("Yes’s 😀 [email]"),
            {"type": "tool_call", "name": "f", "arguments": {"a": "[secret]"}},
            {"type": "tool_call", "name": "g", "arguments": {"b": 1}},
            {"type": "tool_call", "name": "h"},
            {"type": "limpid.omitted", "of": "other"}]},
        {"role": "assistant", "finish_reason": "stop", "parts": [text("No."), {"type": "refusal", "content": "I can't."},
            {"type": "limpid.tool_input", "content": "print(1)"}]}]);
    assert_eq!(parsed(content.output.as_ref()), want);
    assert_eq!((content.redactions, content.output_truncated), (2, 0));
    assert_eq!(answered(&[], &[], Ending::End, 100).output, None);
}

#[test]
fn a_reply_that_was_cut_off_loses_what_may_be_half_a_secret() {
    let last = |text: &str, reasons: &[(u32, &str)], ending| {
        let content = answered(&[(0, Spoken::Text, text)], reasons, ending, 1000);
        let output = parsed(content.output.as_ref());
        (output[0]["parts"][0]["content"].as_str().unwrap().to_owned(), output[0]["finish_reason"].clone())
    };
    for (said, left) in [
        ("The key is sk-pro", "The key is"),
        ("Pay with 4111 1111 11", "Pay with"),
        ("Call +49 30 12", "Call"),
        ("Mail jürgen@mü", "Mail"),
        ("One word", "One"),
        ("Ends with a blank ", "Ends with a blank"),
        ("日本語 のテキスト", "日本語 のテキスト"),
        ("-----BEGIN PRIVATE KEY-----\\nMIIE\\nabc", "[secret]"),
    ] {
        for (reasons, ending) in
            [(&[(0, "length")][..], Ending::End), (&[], Ending::ClientGone), (&[(0, "stop")], Ending::UpstreamError)]
        {
            let (text, reason) = last(said, reasons, ending);
            assert_eq!(text, left, "{said}");
            assert_eq!(reason, json!(reasons.first().map_or("error", |(_, reason)| reason)));
        }
        assert!(last(said, &[(0, "stop")], Ending::End).0.len() >= left.len());
    }
    let call = [(0, Spoken::Name, "f"), (0, Spoken::Arguments, r#"{\"key\":\"sk-abc"#)];
    let content = answered(&call, &[], Ending::ClientGone, 1000);
    assert!(!content.output.unwrap().contains("sk-a"), "arguments too");
    let mut failed = Unsettled { endpoint: Endpoint::Chat, ..unsettled() };
    failed.observation.error = Some(ReportedError::default());
    failed.observation.finish_reasons = vec![FinishReason { index: 0, reason: "stop".into() }];
    let told = said(&[(0, Spoken::Text, "The key is sk-pro")]);
    let content = rules(1000).content(&failed, Heard { request: None, reply: Some(Ok(&told)) });
    assert!(!content.output.unwrap().contains("sk-"));
}

#[test]
fn the_newest_messages_fit_first_and_what_does_not_is_counted() {
    let old = "o".repeat(500);
    let body = json!({"messages": [{"role": "user", "content": old}, {"role": "assistant", "content": old}, {"role": "user", "content": "And now?"}]});
    let content = asked(Endpoint::Chat, &body, 400);
    let messages = parsed(content.input.as_ref());
    assert_eq!(messages.as_array().unwrap().len(), 2);
    assert_eq!(messages[1]["parts"][0]["content"], "And now?");
    let kept = messages[0]["parts"][0]["content"].as_str().unwrap().len() as u64;
    // The role's name is left out with the message too.
    assert_eq!(content.input_truncated, 1000 - kept + 4);
    let long = json!({"system": "s".repeat(1000), "messages": [{"role": "user", "content": "u".repeat(1000)}]});
    let content = asked(Endpoint::Messages, &long, 1000);
    let of = |text: &Option<String>| text.as_ref().unwrap().matches(['s', 'u']).count();
    assert!((440..=520).contains(&of(&content.system)), "{}", of(&content.system));
    assert!((380..=520).contains(&of(&content.input)), "{}", of(&content.input));
}

/// Pieces of at least `least` characters of `secret` in `told`.
fn leaks(told: &str, secret: &str, least: usize) -> bool {
    let chars: Vec<char> = secret.chars().collect();
    chars.windows(least.min(chars.len())).any(|piece| told.contains(&piece.iter().collect::<String>()))
}

proptest! {
    /// Whatever the limit, no part of a secret that is long enough to tell anything comes out, on either side.
    #[test]
    fn no_limit_cuts_a_secret_open(
        before in "[a-z ]{0,300}", which in 0..SECRETS.len(), after in "[a-z ]{0,300}", limit in 33usize..700, cut in 0usize..700,
    ) {
        let secret = SECRETS[which];
        let whole = format!("{before} {secret} {after}");
        let body = json!({"messages": [{"role": "user", "content": whole}, {"role": "tool", "content": {"nested": [whole]}}]});
        let content = asked(Endpoint::Chat, &body, limit);
        let told = format!("{:?}{:?}", content.input, content.system);
        prop_assert!(!leaks(&told, secret, 6), "{told}");
        prop_assert!(content.input.as_ref().map_or(0, String::len) <= limit * 2 + 200);

        // A reply that breaks off anywhere.
        let said: String = whole.chars().take(cut).collect();
        let content = answered(&[(0, Spoken::Text, &said)], &[], Ending::ClientGone, limit);
        let told = content.output.unwrap_or_default();
        prop_assert!(!leaks(&told, secret, 6), "{told}");
    }

    /// Any bytes are read or refused, and what comes out is JSON of the limit's size.
    #[test]
    fn any_request_and_reply_end_well(bytes in proptest::collection::vec(any::<u8>(), 0..400), body in "\\PC{0,200}", limit in 0usize..300) {
        for endpoint in [Endpoint::Chat, Endpoint::Responses, Endpoint::Messages, Endpoint::Generate, Endpoint::GenerateContent, Endpoint::Completions] {
            let exchange = Unsettled { endpoint, ..unsettled() };
            let request = json!({"messages": [body, {"role": body, "content": [body, {"type": body, "text": body}]}], "input": [{"type": body, "output": body}], "contents": [{"parts": body}], "prompt": body, "system": body}).to_string();
            let content = rules(limit).content(&exchange, Heard { request: Some(Ok(request.as_bytes())), reply: Some(Ok(&bytes)) });
            for text in [&content.input, &content.system, &content.output].into_iter().flatten() {
                prop_assert!(serde_json::from_str::<Value>(text).unwrap().is_array());
            }
            prop_assert_ne!(content.input_missing, Some("failed"));
            let _ = rules(limit).content(&exchange, Heard { request: Some(Ok(&bytes)), reply: None });
        }
    }
}

const SECRETS: [&str; 7] = [
    "sk-proj-Ab12Cd34Ef56Gh78Ij90Kl",
    "jane.doe@mail.example.org",
    "4111 1111 1111 1111",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "AKIAIOSFODNN7EXAMPLE",
    "+49 30 1234567",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
];
