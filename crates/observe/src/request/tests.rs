use limpid_core::OutputType;

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
        "conversation":"conv_1","response_format":{"type":"json_schema","json_schema":{"type":"text"}},
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
        conversation_id: Some("conv_1".into()),
        previous_response_id: Some("resp_1".into()),
        output_type: Some(OutputType::Json),
        ..RequestFacts::default()
    };
    assert_eq!(got, want);
}

#[test]
fn the_parameters_of_other_apis_are_found_where_they_stand() {
    let ollama = facts(
        r#"{"model":"m","format":{"type":"object","properties":{"seed":{"type":"text"}}},"messages":[{"options":{"seed":9}}],
        "options":{"num_predict":7,"seed":3,"stop":["x"],"top_k":20,"nested":{"seed":4}}}"#,
    );
    assert_eq!((ollama.max_tokens, ollama.seed, ollama.top_k), (Some(7), Some(3), Some(20.0)));
    assert_eq!(ollama.output_type, Some(OutputType::Json));
    let gemini = facts(
        r#"{"contents":[{"parts":[{"text":"topK"}]}],"generationConfig":{"topP":0.5,"topK":40,"candidateCount":2,
        "maxOutputTokens":64,"responseMimeType":"text/plain","stopSequences":["seed"]}}"#,
    );
    assert_eq!((gemini.top_p, gemini.top_k, gemini.choices), (Some(0.5), Some(40.0), Some(2)));
    assert_eq!((gemini.max_tokens, gemini.output_type), (Some(64), Some(OutputType::Text)));
    let tgi = facts(r#"{"inputs":"a","parameters":{"max_new_tokens":5,"temperature":0.1}}"#);
    assert_eq!((tgi.max_tokens, tgi.temperature), (Some(5), Some(0.1)));
}

#[test]
fn what_is_to_come_back() {
    let of = |body: &str| facts(body).output_type;
    assert_eq!(
        of(r#"{"text":{"verbosity":"low","format":{"name":"x","type":"json_schema"}}}"#),
        Some(OutputType::Json)
    );
    assert_eq!(of(r#"{"text":{"format":{"type":"text"},"type":"json"}}"#), Some(OutputType::Text));
    assert_eq!(of(r#"{"format":"json"}"#), Some(OutputType::Json));
    assert_eq!(of(r#"{"response_format":"b64_json"}"#), None);
    assert_eq!(of(r#"{"text":"a prompt","type":"json","input":{"format":{"type":"json"}}}"#), None);
    assert_eq!(of(r#"{"response_format":[{"type":"text"}],"text":{"format":["json"]}}"#), None);
    let formats = |body: &str| facts(body).encoding_formats.join(",");
    assert_eq!(formats(r#"{"encoding_format":"base64","dimensions":256}"#), "base64");
    assert_eq!(formats(r#"{"embedding_types":["float",1,["x"],{"y":"z"},"int8"],"input":["a"]}"#), "float,int8");
    assert_eq!(formats(r#"{"embedding_types":["float"],"encoding_format":"base64"}"#), "base64");
    assert_eq!(formats(r#"{"encoding_format":{"x":"y"},"input":["a","b"]}"#), "");
    assert_eq!(facts(r#"{"output_dimension":256}"#).dimensions, Some(256));
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

#[test]
fn members_of_metadata_become_labels_where_the_settings_ask() {
    let wanted: Arc<[MetadataLabel]> =
        Arc::new([("template_id".into(), "template_id".into()), ("tier \u{e9}".into(), "tier".into())]);
    let of = |body: &str| {
        let mut all = Vec::new();
        for cut in 0..=body.len() {
            let mut o = RequestObserver::with_metadata(1 << 20, Arc::clone(&wanted));
            o.feed(&body.as_bytes()[..cut]);
            o.feed(&body.as_bytes()[cut..]);
            let labels = o.facts().metadata.iter().map(|l| format!("{}={}", l.name, l.value));
            all.push(labels.collect::<Vec<_>>().join(" "));
        }
        all.dedup();
        assert_eq!(all.len(), 1, "where it is cut does not matter");
        all.remove(0)
    };
    assert_eq!(
        of(r#"{"metadata":{"a":"b","template_id":"greet<1>","tier \u00e9":7,"x":{"template_id":"no"}}}"#),
        "template_id=greet_1_ tier=7"
    );
    assert_eq!(
        of(
            r#"{"template_id":"no","meta":{"template_id":"no"},"metadata":["template_id"],"options":{"metadata":{"template_id":"no"}}}"#
        ),
        ""
    );
    assert_eq!(
        of(r#"{"metadata":{"template_id":"a"},"model":"m","metadata":{"template_id":"b","template_id":"c"}}"#),
        "template_id=c"
    );
    assert_eq!(of(r#"{"metadata":{"template_id":"a","template_id":null}}"#), "");
    assert_eq!(of(r#"{"metadata":{"template_id":["a"]}}"#), "");
    assert_eq!(
        of(&format!(r#"{{"metadata":{{"template_id":"{}"}}}}"#, "y".repeat(200))).len(),
        "template_id=".len() + 64
    );
    assert_eq!(facts(r#"{"metadata":{"template_id":"a"}}"#).metadata, [], "unasked");
}
