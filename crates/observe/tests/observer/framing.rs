//! What a response's head says of its body, labels that lie, limits, compressed copies.

use std::io::Write;

use limpid_core::{Endpoint, Observation, ObserverFault, Tick};
use limpid_observe::{Limits, ResponseHead, ResponseObserver};

use crate::support::{JSON, NDJSON, SSE, body, observe, observer, stream};

const CHUNK: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";

#[test]
fn the_label_alone_says_what_is_a_stream() {
    let streamed = |label: &str| observe(Endpoint::Chat, 200, label, "").streamed;
    for label in [SSE, "TEXT/EVENT-STREAM", " text/event-stream ;x=y", NDJSON, "application/jsonl"] {
        assert!(streamed(label), "{label}");
    }
    for label in [JSON, "text/plain", "", "application/problem+json"] {
        assert!(!streamed(label), "{label}");
    }
}

#[test]
fn a_label_that_lies_is_a_fault() {
    let json = "{\"choices\":[],\"usage\":{\"prompt_tokens\":1}}";
    let mut fed = observer(Endpoint::Chat, 200, SSE);
    fed.on_bytes(json.as_bytes(), Tick(0));
    fed.finish(Tick(1));
    assert_eq!((fed.observation().fault, fed.observation().events), (Some(ObserverFault::Json), 0));
    let seen = observe(Endpoint::Chat, 200, JSON, CHUNK);
    assert_eq!((seen.fault, seen.token_events, seen.streamed), (Some(ObserverFault::Json), 0, false));
}

#[test]
fn an_opaque_body_marks_its_first_byte_alone() {
    for (endpoint, label) in [(Endpoint::Audio, "audio/mpeg"), (Endpoint::Chat, "text/plain"), (Endpoint::Files, JSON)]
    {
        let seen = observe(endpoint, 200, label, CHUNK);
        let want = Observation { marks: seen.marks, ..Observation::default() };
        assert_eq!(seen, want);
        assert_eq!((seen.marks.first_byte, seen.marks.first_event), (Some(Tick(1)), None));
    }
}

#[test]
fn other_endpoints_are_read_in_the_common_shape() {
    let seen = body(
        Endpoint::Embeddings,
        "\u{FEFF}{\"model\":\"e\",\"data\":[{\"embedding\":[0.1]}],\"usage\":{\"prompt_tokens\":2,\"total_tokens\":2}}",
    );
    assert_eq!((seen.model.as_deref(), seen.usage.unwrap().input_tokens), (Some("e"), Some(2)));
    let rerank = body(Endpoint::Rerank, r#"{"model":"r","results":[],"usage":{"total_tokens":7}}"#).usage.unwrap();
    assert_eq!((rerank.input_tokens, rerank.output_tokens), (Some(7), None));
    let image = body(Endpoint::Images, r#"{"data":[],"usage":{"input_tokens":3,"output_tokens":9,"total_tokens":12}}"#);
    assert_eq!(image.usage.unwrap().output_tokens, Some(9));
    assert_eq!(body(Endpoint::Other, r#"{"usage":{"total_tokens":7},"model":null}"#).usage, None);
    assert!(body(Endpoint::Other, r#"{"error":{"code":"c"}}"#).error.is_some());
}

#[test]
fn events_of_an_endpoint_without_a_dialect_are_counted_and_not_read() {
    let seen = stream(Endpoint::Other, &["{\"model\":\"m\"}", "no json", "[DONE]"]);
    assert_eq!((seen.events, seen.token_events, seen.model, seen.fault), (3, 0, None, None));
    assert!(seen.streamed && !seen.terminal);
}

#[test]
fn an_empty_body_is_no_fault_and_ends_once() {
    for label in [SSE, JSON, NDJSON] {
        let mut o = observer(Endpoint::Chat, 200, label);
        o.on_bytes(b"", Tick(0));
        o.finish(Tick(1));
        o.on_bytes(CHUNK.as_bytes(), Tick(2));
        o.finish(Tick(3));
        let seen = o.into_observation();
        assert_eq!((seen.fault, seen.events), (None, 0));
    }
}

#[test]
fn what_is_above_a_limit_is_too_large_and_what_was_seen_stays() {
    let limits = Limits { event_bytes: 64, body_bytes: 64, ..Limits::default() };
    let see = |label: &str, text: &str| {
        let head =
            ResponseHead { endpoint: Endpoint::Chat, status: 200, content_type: Some(label), content_encoding: None };
        let mut o = ResponseObserver::new(&head, limits);
        o.on_bytes(text.as_bytes(), Tick(0));
        o.finish(Tick(1));
        o.into_observation()
    };
    let long = format!("{CHUNK}data: {{\"x\":\"{}\"}}\n\n{CHUNK}", "y".repeat(64));
    let seen = see(SSE, &long);
    assert_eq!((seen.fault, seen.token_events), (Some(ObserverFault::TooLarge), 1));
    assert_eq!(see(NDJSON, &long.replace("data: ", "")).fault, Some(ObserverFault::TooLarge));
    assert_eq!(see(JSON, &long).fault, Some(ObserverFault::TooLarge));
}

#[test]
fn a_compressed_stream_is_seen_through_its_coding() {
    let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    let mut ends = vec![];
    for event in [CHUNK, CHUNK, "data: [DONE]\n\n"] {
        gzip.write_all(event.as_bytes()).unwrap();
        gzip.flush().unwrap();
        ends.push(gzip.get_ref().len());
    }
    let sent = gzip.finish().unwrap();
    let head = |encoding| ResponseHead {
        endpoint: Endpoint::Chat,
        status: 200,
        content_type: Some(SSE),
        content_encoding: Some(encoding),
    };
    let mut o = ResponseObserver::new(&head("gzip"), Limits::default());
    let mut from = 0;
    for (index, to) in ends.into_iter().enumerate() {
        o.on_bytes(&sent[from..to], Tick(index as u64));
        assert_eq!(o.observation().events, index as u64 + 1);
        from = to;
    }
    assert_eq!(o.observation().marks.last_token, Some(Tick(1)));
    assert!(o.observation().terminal);

    let mut o = ResponseObserver::new(&head("compress"), Limits::default());
    o.on_bytes(&sent, Tick(5));
    assert_eq!(o.observation().fault, Some(ObserverFault::UnknownCoding));
    assert_eq!((o.observation().marks.first_byte, o.observation().streamed), (Some(Tick(5)), true));
    let mut o = ResponseObserver::new(&head("gzip"), Limits::default());
    o.on_bytes(CHUNK.as_bytes(), Tick(0));
    assert_eq!(o.observation().fault, Some(ObserverFault::Decompress));
}

#[test]
fn an_observer_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<ResponseObserver>();
    is_send::<limpid_observe::RequestObserver>();
}
