use super::*;

fn facts(body: &str) -> RequestFacts {
    let mut whole = RequestObserver::new(1 << 20);
    whole.feed(body.as_bytes());
    let mut bytewise = RequestObserver::new(1 << 20);
    for byte in body.as_bytes() {
        bytewise.feed(&[*byte]);
    }
    assert_eq!(whole.facts(), bytewise.facts());
    whole.facts().clone()
}

#[test]
fn all_members_are_found_wherever_they_stand() {
    let got = facts(
        r#" {"messages":[{"role":"user","content":"say \"model\": \"x\"","model":"no"}],"stream":true,
        "stream_options":{"x":{"include_usage":false},"include_usage":true},"max_completion_tokens":128,"n":2,
        "temperature":0.5,"top_p":1,"top_k":40,"frequency_penalty":-0.5,"presence_penalty":1e-1,"seed":-7,
        "service_tier":"flex","reasoning":{"effort":"high","summary":null},"previous_response_id":"resp_1",
        "metadata":{"effort":"no"},"tools":[{"effort":"no"},["model"]],"model":"gpt-4o"}"#,
    );
    let want = RequestFacts {
        model: Some("gpt-4o".into()),
        stream: Some(true),
        include_usage: Some(true),
        max_tokens: Some(128),
        choices: Some(2),
        temperature: Some(0.5),
        top_p: Some(1.0),
        top_k: Some(40.0),
        frequency_penalty: Some(-0.5),
        presence_penalty: Some(0.1),
        seed: Some(-7),
        service_tier: Some("flex".into()),
        reasoning_effort: Some("high".into()),
        conversation_id: Some("resp_1".into()),
        usage_asked: None,
    };
    assert_eq!(got, want);
}

#[test]
fn other_types_and_nested_namesakes_are_absent() {
    let got = facts(
        r#"{"model":{"model":"no"},"stream":"yes","n":"3","conversation":{"id":"c"},"max_tokens":null,
        "stream_options":[{"include_usage":true}],"reasoning":"effort","seed":1.5,"a":[{"model":"no"}]}"#,
    );
    assert_eq!(got, RequestFacts::default());
}

#[test]
fn escapes_in_names_and_values_are_undone() {
    let got = facts(r#"{"mod\u0065l":"a\"b\\\u00e9\ud83d\ude42"}"#);
    assert_eq!(got.model.as_deref(), Some("a\"b\\é🙂"));
}

#[test]
fn a_name_that_stands_twice_counts_as_backends_read_it() {
    assert_eq!(facts(r#"{"model":"a","model":"b"}"#).model.as_deref(), Some("b"));
}

#[test]
fn a_long_name_is_cut_on_a_character() {
    let got = facts(&format!(r#"{{"model":"x{}"}}"#, "é".repeat(3000)));
    assert_eq!(got.model.as_deref().map(str::len), Some(255));
    let got = facts(&format!(r#"{{"model":"{}"}}"#, r"\u00e9".repeat(3000)));
    assert_eq!(got.model.as_deref().map(str::len), Some(256));
}

#[test]
fn the_model_is_settled_when_seen_or_out_of_reach() {
    let settled = |limit, body: &[u8]| {
        let mut o = RequestObserver::new(limit);
        o.feed(body);
        (o.model_settled(), o.facts().model.is_some())
    };
    assert_eq!(settled(99, br#"{"model":"m","#), (true, true));
    assert_eq!(settled(99, br#"{"x":{"model":"m"}"#), (false, false));
    assert_eq!(settled(99, br#"{"x":1}"#), (true, false));
    assert_eq!(settled(8, br#"{"model":"m"}"#), (true, false));
    assert_eq!(settled(0, b""), (true, false));
    for no_object in [&b"[1]"[..], b"\x1f\x8b\x08", b"--boundary", b"\xEF\xBBx"] {
        assert_eq!(settled(99, no_object), (true, false), "{no_object:?}");
    }
    assert_eq!(settled(99, b"\xEF\xBB\xBF {\"model\":\"m\""), (true, true));
}

#[test]
fn what_stands_behind_the_object_or_the_limit_is_not_looked_at() {
    let mut o = RequestObserver::new(13);
    o.feed(br#"{"model":"m"}{"model":"n"}"#);
    assert_eq!(o.facts().model.as_deref(), Some("m"));
    o.feed(br#"{"model":"o"}"#);
    assert_eq!(o.facts().model.as_deref(), Some("m"));
}
