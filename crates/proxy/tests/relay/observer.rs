//! Replies that the observer cannot read: the client gets each byte all the same, and the record says what is missing.

use limpid_core::{Category, Ending, ObserverFault};
use limpid_testkit::RawServer;
use limpid_testkit::sim::{SimConfig, SimServer};

use crate::common::{DONE, EVENT, LAST_CHUNK, Rig, SOON, always, chunk, split, streaming, upstream, whole};

const SSE: &str = "text/event-stream";
const JSON: &str = "application/json";

struct Case {
    name: &'static str,
    content_type: &'static str,
    coding: &'static str,
    body: Vec<u8>,
    fault: Option<ObserverFault>,
}

fn case(
    name: &'static str,
    content_type: &'static str,
    coding: &'static str,
    body: impl Into<Vec<u8>>,
    fault: impl Into<Option<ObserverFault>>,
) -> Case {
    Case { name, content_type, coding, body: body.into(), fault: fault.into() }
}

fn cases() -> Vec<Case> {
    let good = [EVENT, DONE].concat();
    let oversized = [b"data: {\"x\":\"", &vec![b'y'; 70_000][..], b"\"}\n\n", &good].concat();
    let noise: Vec<u8> = (0..50_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let gzip_head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
    vec![
        case("an oversized event", SSE, "", oversized, ObserverFault::TooLarge),
        case(
            "a line without an end",
            SSE,
            "",
            [b"data: ".as_slice(), &vec![b'x'; 1 << 20]].concat(),
            ObserverFault::TooLarge,
        ),
        case(
            "an oversized body",
            JSON,
            "",
            [b"[\"", &vec![b'x'; 300_000][..], b"\"]"].concat(),
            ObserverFault::TooLarge,
        ),
        case("gzip that is none", SSE, "gzip", good.clone(), ObserverFault::Decompress),
        case("gzip that breaks", SSE, "gzip", [&gzip_head[..], &[0xff; 100]].concat(), ObserverFault::Decompress),
        case("an unknown coding", SSE, "rot13", good.clone(), ObserverFault::UnknownCoding),
        case("two codings", SSE, "gzip, br", noise.clone(), ObserverFault::UnknownCoding),
        case("events labelled json", JSON, "", good.clone(), ObserverFault::Json),
        case("html labelled json", JSON, "", "<html>", ObserverFault::Json),
        case("events that are not json", SSE, "", [b"data: {oops\n\n".as_slice(), &good].concat(), ObserverFault::Json),
        case(
            "invalid utf-8 in a string",
            SSE,
            "",
            [b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\xc3\"}}]}\n\n".as_slice(), &good].concat(),
            None,
        ),
        case("noise as events", SSE, "", noise.clone(), None),
        case("noise without a label", "application/octet-stream", "", noise, None),
        case("nothing", SSE, "", "", None),
        case("nothing, compressed", SSE, "gzip", "", None),
    ]
}

#[tokio::test]
async fn every_byte_passes_and_the_fault_is_told() {
    for Case { name, content_type, coding, body, fault } in cases() {
        let coding_line = if coding.is_empty() { String::new() } else { format!("Content-Encoding: {coding}\r\n") };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{coding_line}");
        let sized = [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
        let framed: Vec<u8> = body.chunks(1000.max(body.len() / 50)).flat_map(chunk).collect();
        let chunked = [format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes(), &framed, LAST_CHUNK].concat();
        for reply in [sized, chunked] {
            let server = RawServer::start(always(&reply)).await.unwrap();
            let rig = Rig::with(vec![upstream("only", &server.url())], |config| {
                config.observe.limits.event_bytes = 64 << 10;
                config.observe.limits.body_bytes = 256 << 10;
            })
            .await;
            let mut client = rig.client().await;
            // Twice: the connections of both sides must be good afterwards.
            for _ in 0..2 {
                client.send(&streaming()).await.unwrap();
                let got = client.read_reply(SOON).await;
                assert!(whole(&got), "{name}: {:?}", got.end);
                // A chunk may be cut anew where a read falls.
                assert!(got.body == body && split(&got.raw).0 == split(&reply).0, "{name}: not the same bytes");
            }
            for record in rig.records(2).await {
                assert_eq!(record.observer_fault, fault, "{name}");
                assert_eq!((record.status, record.outcome.ending), (Some(200), Ending::End), "{name}");
                assert_eq!(record.bytes.response, body.len() as u64, "{name}");
                assert!(!matches!(record.outcome.category, Category::Internal | Category::Network), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn what_was_seen_before_the_fault_stays() {
    let body = [EVENT, EVENT, b"data: {oops\n\n", EVENT].concat();
    let reply =
        [format!("HTTP/1.1 200 OK\r\nContent-Type: {SSE}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), &body]
            .concat();
    let server = RawServer::start(always(&reply)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    assert!(rig.ask(&streaming()).await.raw == reply);
    let record = rig.record().await;
    assert_eq!((record.observer_fault, record.token_events), (Some(ObserverFault::Json), Some(2)));
    assert!(record.timeline.ttft().is_some() && record.usage.is_none());
}

#[tokio::test]
async fn a_compressed_stream_is_read_and_passes_compressed() {
    let sim = SimServer::start(SimConfig::default()).await.unwrap();
    let rig = Rig::to(sim.addr()).await;
    let body = r#"{"model":"m","stream":true,"messages":[],
        "sim":{"ttft_ms":1,"gap_ms":1,"tokens":20,"coding":"gzip","usage":"always"}}"#;
    let request = limpid_testkit::request("POST", crate::common::CHAT, &[("Accept-Encoding", "gzip")], body.as_bytes());
    let got = rig.ask(&request).await;
    assert!(whole(&got) && got.body.starts_with(b"\x1f\x8b") && got.header("content-encoding") == Some("gzip"));
    let record = rig.record().await;
    assert_eq!((record.observer_fault, record.token_events), (None, Some(20)));
    assert_eq!(record.usage.as_ref().unwrap().output_tokens, Some(20));
    assert_eq!(record.bytes.response, got.body.len() as u64);
}

#[tokio::test]
async fn nothing_is_looked_at_where_observing_is_off() {
    let reply = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        &chunk(EVENT)[..],
        &chunk(DONE),
        LAST_CHUNK,
    ]
    .concat();
    let server = RawServer::start(always(&reply)).await.unwrap();
    let rig = Rig::with(vec![upstream("only", &server.url())], |config| config.observe.enabled = false).await;
    assert!(rig.ask(&streaming()).await.raw == reply);
    let record = rig.record().await;
    assert_eq!((record.usage.as_ref(), record.events, record.timeline.ttft()), (None, None, None));
    assert_eq!(record.model.requested, None);
    assert!(record.stream && record.timeline.first_byte().is_some());
    assert_eq!(record.bytes.response, (EVENT.len() + DONE.len()) as u64);
}
