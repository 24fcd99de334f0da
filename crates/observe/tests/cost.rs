//! What an upstream, or a client, may make the observers spend: shapes that grow, each read whole and in pieces. Sixteen
//! times as much costs sixteen times as much; see `fuzz/src/cost.rs`.

#![expect(clippy::panic, reason = "a test fails by panics")]

#[expect(unreachable_pub, reason = "the fuzz crate's module, where it is public")]
#[path = "../../../fuzz/src/cost.rs"]
mod cost;

use cost::{Shape, cases, in_proportion};
use limpid_core::{Endpoint, Tick};
use limpid_observe::{Limits, RequestObserver, ResponseHead, ResponseObserver};
use proptest::prelude::*;

fn observe(endpoint: Endpoint, status: u16, kind: &str, coding: Option<&str>, piece: usize, body: &[u8]) {
    let head = ResponseHead { endpoint, status, content_type: Some(kind), content_encoding: coding };
    let mut observer = ResponseObserver::new(&head, Limits::default());
    for part in body.chunks(piece) {
        observer.on_bytes(part, Tick(7));
    }
    observer.finish(Tick(8));
}

/// Each endpoint has a dialect; those that matter here.
fn endpoints() -> impl Iterator<Item = Endpoint> {
    Endpoint::ALL.iter().copied()
}

/// JSON that is odd in one place, many times over: what an object or an array may hold without end.
fn json() -> Vec<(Shape, &'static str)> {
    let one = |begin, pump, end, what| (Shape::new(begin, pump, end), what);
    let many = |begin, pump, end, what| (Shape::numbered(begin, pump, end), what);
    vec![
        one("", "[", "", "open arrays"),
        one("", "{\"a\":", "", "open objects"),
        one("", "{\"choices\":[", "", "open choices"),
        one("{\"choices\":[", "[", "", "arrays in choices"),
        one("{\"usage\":", "{\"usage\":", "", "open usages"),
        one("{\"error\":", "{\"error\":", "", "open errors"),
        one("{\"error\":\"", "{\\\"error\\\":", "\"}", "errors in strings"),
        one("", " ", "", "blanks"),
        one("{", " \n\r\t", "}", "blanks in an object"),
        one("{\"model\":\"", "\\u00e9", "\"}", "escapes"),
        one("{\"model\":\"", "\\\\", "\"}", "backslashes"),
        one("{\"model\":\"", "\\", "\"}", "backslashes that escape each other"),
        one("{\"model\":\"", "\\ud83d\\ude00", "\"}", "surrogates"),
        one("{\"model\":\"", "\u{e9}", "\"}", "text beyond ASCII"),
        one("{\"a\":[", "\"", "]}", "quotes"),
        one("{\"a\":", "9", "}", "digits"),
        one("{\"usage\":{\"prompt_tokens\":1", "0", "}}", "a long number"),
        one("{\"usage\":{\"cost\":0.", "9", "e1}}", "a long fraction"),
        one("{", "\"model\":\"x\",", "\"a\":1}", "a member again and again"),
        one("{", "\"usage\":{\"prompt_tokens\":1},", "\"a\":1}", "usage again and again"),
        one("{", "\"usage\":null,", "\"a\":1}", "no usage again and again"),
        many("{", "\"n#\":1,", "\"a\":1}", "members"),
        many(
            "{\"choices\":[",
            "{\"index\":#,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"r#\"},",
            "{}]}",
            "choices",
        ),
        many(
            "{\"choices\":[",
            "{\"index\":#,\"message\":{\"content\":\"a\",\"tool_calls\":[{\"index\":#}]}},",
            "{}]}",
            "messages",
        ),
        many(
            "{\"choices\":[{\"delta\":{\"tool_calls\":[",
            "{\"index\":#,\"function\":{\"name\":\"f#\"}},",
            "{}]}}]}",
            "tool calls",
        ),
        many(
            "{\"output\":[",
            "{\"id\":\"#\",\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"a\"}]},",
            "{}]}",
            "outputs",
        ),
        many("{\"content\":[", "{\"type\":\"text\",\"text\":\"#\"},", "{}]}", "contents"),
        many(
            "{\"candidates\":[",
            "{\"index\":#,\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"R#\"},",
            "{}]}",
            "candidates",
        ),
        many("{\"error\":{\"message\":\"", "error # of code # ", "\"}}", "a long message of an error"),
        many("{\"data\":[", "{\"index\":#,\"embedding\":[0.1]},", "{}]}", "embeddings"),
        many("{\"detail\":[", "{\"loc\":[\"body\",#],\"msg\":\"m\",\"type\":\"t\"},", "{}]}", "details of an error"),
    ]
}

#[test]
fn json_costs_what_its_length_does() {
    for (shape, what) in json() {
        for endpoint in endpoints() {
            for status in [200, 500] {
                for piece in [usize::MAX, 100] {
                    let name = format!("{what}, {endpoint}, {status}, by {piece}");
                    in_proportion(&name, &shape, |body| {
                        observe(endpoint, status, "application/json", None, piece, body);
                    });
                }
            }
        }
    }
}

/// The same as one event, and as the head of ever further ones.
#[test]
fn events_cost_what_their_length_does() {
    for (json, what) in json() {
        for endpoint in endpoints() {
            let event = |kind: &str, shape: &Shape, piece: usize| {
                let name = format!("{what}, {endpoint}, {kind}, by {piece}");
                in_proportion(&name, shape, |body| observe(endpoint, 200, kind, None, piece, body));
            };
            let of = |begin: &str, end: &str| Shape {
                begin: [begin.as_bytes(), &json.begin].concat(),
                pump: json.pump.clone(),
                end: [&json.end, end.as_bytes()].concat(),
            };
            event("text/event-stream", &of("data: ", "\n\n"), usize::MAX);
            event("application/x-ndjson", &of("", "\n"), 100);
            let again = Shape::new("", &format!("data: {}\n\n", String::from_utf8_lossy(&json.of(100))), "");
            event("text/event-stream", &again, 30);
        }
    }
}

#[test]
fn lines_and_frames_cost_what_their_length_does() {
    let one = |begin, pump, end| Shape::new(begin, pump, end);
    for (kind, status, shape) in [
        ("text/event-stream", 200, one("", "\n", "")),
        ("text/event-stream", 200, one("", "\r", "")),
        ("text/event-stream", 200, one("", ":\n", "")),
        ("text/event-stream", 200, one(":", ":", "\n")),
        ("text/event-stream", 200, one("", "data:\n", "\n")),
        ("text/event-stream", 200, one("", "data\n", "\n")),
        ("text/event-stream", 200, one("", "data:\n\n", "")),
        ("text/event-stream", 200, one("", "data: {}\n\n", "")),
        ("text/event-stream", 200, one("", "data: [DONE]\n\n", "")),
        ("text/event-stream", 200, one("", "event: error\n", "\n")),
        ("text/event-stream", 200, one("data: {\n", "data: \"a\":1,\n", "data: \"b\":1}\n\n")),
        ("text/event-stream", 200, one("", "\u{feff}", "")),
        ("text/event-stream", 200, one("", "x\n", "")),
        ("text/event-stream", 500, one("", " ", "")),
        ("application/x-ndjson", 200, one("", "\n", "")),
        ("application/x-ndjson", 200, one("", "{}\n", "")),
        ("application/x-ndjson", 200, one("", " \n", "")),
        ("text/plain", 500, one("", "error: code 500 ", "")),
        ("text/html", 500, one("", "<p>", "")),
        ("application/json", 200, one("", "{}", "")),
        ("application/json", 200, one("[", "{},", "")),
        ("application/json", 200, one("[", ",", "")),
        ("x", 101, one("", "\u{1}\0", "")),
    ] {
        for endpoint in endpoints() {
            for piece in [usize::MAX, 1] {
                let name = format!("{:?}, {endpoint}, {kind}, by {piece}", shape.pump);
                in_proportion(&name, &shape, |body| observe(endpoint, status, kind, None, piece, body));
            }
        }
    }
    for pump in [&b"\x81\x00"[..], b"\x89\x00", b"\x82\x00", b"\x81\x02{}", b"\x81\x7e\x00\x02{}", b"\x81\x80mask"] {
        let shape = Shape { begin: Vec::new(), pump: vec![pump.to_vec()], end: Vec::new() };
        let fragments = Shape {
            begin: b"\x01\x01{".to_vec(),
            pump: vec![b"\x00\x01 \x89\x00".to_vec()],
            end: b"\x80\x01}".to_vec(),
        };
        for shape in [shape, fragments] {
            let name = format!("frames {:?}", shape.pump);
            in_proportion(&name, &shape, |body| observe(Endpoint::Realtime, 101, "", None, 1, body));
        }
    }
}

#[test]
fn requests_cost_what_their_length_does() {
    let one = |begin, pump, end| Shape::new(begin, pump, end);
    let more = [
        one("{\"metadata\":{", "\"a\":1,", "}}"),
        one("{\"response_format\":", "{\"type\":", ""),
        one("{\"encoding_formats\":[", "\"float\",", "]}"),
        one("{\"model\":\"", "\\\"", "\"}"),
        one("{\"messages\":[", "{\"role\":\"user\",\"content\":\"a\"},", "]}"),
        one("\u{feff}", " ", "{"),
        one("{", ",", "}"),
        one("{", ":", "}"),
        one("{", "}", ""),
    ];
    for shape in json().into_iter().map(|(shape, _)| shape).chain(more) {
        for piece in [usize::MAX, 100, 1] {
            let name = format!("{:?}.. by {piece}", String::from_utf8_lossy(&shape.of(60)));
            in_proportion(&name, &shape, |body| {
                let mut observer = RequestObserver::new(usize::MAX);
                body.chunks(piece).for_each(|part| observer.feed(part));
            });
        }
    }
}

/// A compressed copy costs what it decodes to, and what that may be is bounded by what came: many small members, blocks and
/// frames that hold nothing, and bombs.
#[test]
fn codings_cost_what_their_length_does() {
    let gzip = {
        use std::io::Write;
        let mut all = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        all.write_all(b"").unwrap();
        all.finish().unwrap()
    };
    let shape = |begin: &[u8], pump: &[u8]| Shape { begin: begin.to_vec(), pump: vec![pump.to_vec()], end: Vec::new() };
    for (coding, shape) in [
        ("gzip", shape(b"", &gzip)),
        // Empty stored blocks.
        ("gzip", shape(&gzip[..10], b"\x00\x00\x00\xff\xff")),
        ("deflate", shape(b"\x78\x9c", b"\x00\x00\x00\xff\xff")),
        // Empty frames, and frames to be skipped.
        ("zstd", shape(b"", b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00")),
        ("zstd", shape(b"", b"\x50\x2a\x4d\x18\x00\x00\x00\x00")),
        ("zstd", shape(b"\x28\xb5\x2f\xfd\x00\x58", b"\x00\x00\x00")),
        // Empty metablocks.
        ("br", shape(b"\x0b", b"\x06")),
        ("br", shape(b"", b"\x06")),
    ] {
        for piece in [usize::MAX, 1] {
            let name = format!("{coding} {:?} by {piece}", shape.pump);
            in_proportion(&name, &shape, |body| {
                observe(Endpoint::Chat, 200, "text/event-stream", Some(coding), piece, body);
            });
            let (large, most) = (shape.of(64 << 10), std::time::Duration::from_millis(60));
            let cost =
                || cost::spent(|| observe(Endpoint::Chat, 200, "text/event-stream", Some(coding), piece, &large));
            let least = (0..5).map(|_| cost()).min().unwrap();
            assert!(least < most, "{name}: {least:?} for 64 KiB");
        }
    }
}

const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ",",
    ":",
    " ",
    "\n",
    "\r",
    "0",
    "-1.5e9",
    "null",
    "true",
    "data: ",
    "event: error\n",
    ": \n",
    "\n\n",
    "\"model\":",
    "\"choices\":[",
    "\"delta\":{",
    "\"content\":\"",
    "\"usage\":{",
    "\"error\":",
    "\\u00e9",
    "\\ud83d",
    "\u{e9}",
    "\u{2028}",
    "{\"index\":0,",
    "\"message\":{",
    "\"type\":\"",
    "\"output\":[",
    "[DONE]",
    "a",
];

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(TOKENS), 0..6).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// Whatever is said again and again.
    #[test]
    fn anything_said_again_costs_what_its_length_does(
        begin in text(),
        pump in text().prop_filter("something", |pump| !pump.is_empty()),
        end in text(),
        endpoint in proptest::sample::select(Endpoint::ALL),
        kind in proptest::sample::select(&["text/event-stream", "application/json", "application/x-ndjson"][..]),
        status in proptest::sample::select(&[200_u16, 500][..]),
        piece in proptest::sample::select(&[usize::MAX, 100, 1][..]),
    ) {
        let shape = Shape::new(&begin, &pump, &end);
        let name = format!("{begin:?} {pump:?}* {end:?}, {endpoint}, {kind}, {status}, by {piece}");
        in_proportion(&name, &shape, |body| observe(endpoint, status, kind, None, piece, body));
        in_proportion(&name, &shape, |body| {
            let mut observer = RequestObserver::new(usize::MAX);
            body.chunks(piece).for_each(|part| observer.feed(part));
        });
    }
}
