//! Any bytes, cut anywhere, give the observation of the whole, and nothing panics.

use limpid_core::{Endpoint, Observation, Tick};
use limpid_observe::{Limits, RequestObserver, ResponseHead, ResponseObserver};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Pieces that make half-sensible bodies.
const PIECES: &[&str] = &[
    "data: ",
    "event: error",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    ": c\n",
    "\u{FEFF}",
    "[DONE]",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u00e9",
    "null",
    "true",
    "-1.5e3",
    "18446744073709551616",
    "\"id\"",
    "\"model\":\"m\"",
    "\"choices\":[",
    "{\"index\":0,\"delta\":{\"content\":\"x\"}}",
    "\"delta\":{\"role\":\"assistant\"}",
    "\"usage\":{\"prompt_tokens\":1}",
    "\"type\":\"content_block_delta\"",
    "\"type\":\"response.completed\"",
    "\"error\":\"x\"",
    "\"stream\":true",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\"},\"usage\":{\"output_tokens\":3}}\n\n",
    "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"x\"},\"usage\":{\"output_tokens\":3}}}\n\n",
    "{\"model\":\"l\",\"message\":{\"content\":\"x\"},\"done\":true,\"eval_count\":2}\n",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => select(PIECES).prop_map(|p| p.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut from = 0;
    cuts.into_iter().chain([bytes.len()]).map(|to| &bytes[std::mem::replace(&mut from, to)..to]).collect()
}

fn observe<'a>(head: &ResponseHead<'_>, pieces: impl IntoIterator<Item = &'a [u8]>) -> Observation {
    let limits = Limits { event_bytes: 200, body_bytes: 400, ..Limits::default() };
    let mut o = ResponseObserver::new(head, limits);
    for piece in pieces {
        o.on_bytes(piece, Tick(7));
    }
    o.finish(Tick(7));
    o.into_observation()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

    #[test]
    fn a_response_is_observed_the_same_however_it_is_cut(
        body in bytes(),
        cuts in proptest::collection::vec(any::<Index>(), 0..8),
        endpoint in select(Endpoint::ALL),
        status in select(&[200u16, 400, 503][..]),
        content_type in select(&["text/event-stream", "application/json", "application/x-ndjson", "text/plain"][..]),
    ) {
        let head = ResponseHead { endpoint, status, content_type: Some(content_type), content_encoding: None };
        let whole = observe(&head, [&*body]);
        prop_assert_eq!(&observe(&head, pieces(&body, &cuts)), &whole);
        prop_assert_eq!(&observe(&head, body.chunks(1)), &whole);
    }

    #[test]
    fn a_compressed_response_survives_anything(
        body in bytes(),
        encoding in select(&["gzip", "deflate", "br", "zstd", "identity", "x"][..]),
        content_type in select(&["text/event-stream", "application/json"][..]),
    ) {
        let head = ResponseHead {
            endpoint: Endpoint::Chat,
            status: 200,
            content_type: Some(content_type),
            content_encoding: Some(encoding),
        };
        observe(&head, [&*body]);
        observe(&head, body.chunks(1));
    }

    #[test]
    fn a_request_is_observed_the_same_however_it_is_cut(
        body in bytes(),
        limit in 0usize..400,
        cuts in proptest::collection::vec(any::<Index>(), 0..8),
        object in any::<bool>(),
    ) {
        let body = if object { [b"{\"a\":1,", &*body].concat() } else { body };
        let see = |pieces: Vec<&[u8]>| {
            let mut o = RequestObserver::new(limit);
            for piece in pieces {
                o.feed(piece);
            }
            (o.facts().clone(), o.model_settled())
        };
        let whole = see(vec![&*body]);
        prop_assert_eq!(see(pieces(&body, &cuts)), whole.clone());
        prop_assert_eq!(see(body.chunks(1).collect()), whole);
    }

    #[test]
    fn facts_of_a_valid_request_are_those_of_a_parser(
        pad in "[a-z\"\\\\é{}\\[\\]:,]{0,40}",
        model in "[a-zA-Z0-9/:._é\"\\\\-]{1,60}",
        stream in any::<bool>(),
        max_tokens in any::<u64>(),
        temperature in -2.0f64..2.0,
        order in Just(vec![0usize, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let members = [
            format!("\"messages\":[{{\"model\":{0},\"content\":{0}}}]", serde_json::to_string(&pad).unwrap()),
            format!("\"model\" : {}", serde_json::to_string(&model).unwrap()),
            format!("\"stream\":{stream}"),
            format!("\"max_tokens\":{max_tokens}"),
            format!("\"temperature\": {temperature:?}"),
        ];
        let body = format!("{{{}}}", order.iter().map(|i| members[*i].as_str()).collect::<Vec<_>>().join(", "));
        let mut o = RequestObserver::new(1 << 20);
        o.feed(body.as_bytes());
        let facts = o.facts();
        prop_assert_eq!(facts.model.as_deref(), Some(&*model));
        prop_assert_eq!((facts.stream, facts.max_tokens), (Some(stream), Some(max_tokens)));
        prop_assert_eq!(facts.temperature, Some(temperature));
    }
}
