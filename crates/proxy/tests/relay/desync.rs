//! Another opinion on request smuggling: what `http_desync_guardian` (AWS) calls ambiguous or severe.
//!
//! Whatever is sent, no head that an upstream gets may be of those two classes: such a request is refused, or goes up in
//! one reading. One thing is excepted: a length or chunks on a GET or HEAD. APIs do that, and limpid relays any method
//! with any body; the framing that goes up is one all the same.

use http_desync_guardian::request_analyzer::HttpRequestData;
use http_desync_guardian::{ClassificationReason as Reason, RequestSafetyTier as Tier};
use limpid_testkit::RawServer;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::common::{Rig, SOON, always, text};
use crate::framing::{BAD_FIELDS, BAD_LINES, OK, REFUSED, SOUND};

/// Sound, and the end of its connection.
const LAST: &[u8] = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Heads that are generated.
const GENERATED: usize = 600;

/// Whether two servers could read this head differently.
fn is_ambiguous(head: &[u8]) -> Option<Reason> {
    let verdict = HttpRequestData::analyze_raw_request(head);
    let excepted = [Reason::UndefinedContentLengthSemantics, Reason::UndefinedTransferEncodingSemantics];
    (verdict.tier >= Tier::Ambiguous && !excepted.contains(&verdict.reason)).then_some(verdict.reason)
}

/// A message's head with its empty line.
fn head(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|w| w == b"\r\n\r\n").map_or(message.len(), |at| at + 4);
    &message[..end]
}

/// Sends it with a sound request behind; whether its own head was answered well.
async fn passes(rig: &Rig, raw: &[u8]) -> bool {
    let mut stream = TcpStream::connect(rig.addr).await.unwrap();
    // limpid may close before all is written.
    let _closed = stream.write_all(&[raw, LAST].concat()).await;
    let mut got = Vec::new();
    let reading = async { while stream.read_buf(&mut got).await.is_ok_and(|n| n > 0) {} };
    assert!(timeout(SOON, reading).await.is_ok(), "still open after {}", text(raw));
    got.starts_with(b"HTTP/1.1 200 ")
}

fn attacks() -> Vec<Vec<u8>> {
    let fields = BAD_FIELDS.iter().chain(REFUSED);
    let heads = fields.map(|(_, lines, body)| format!("POST /v1/x HTTP/1.1\r\n{lines}\r\n{body}").into_bytes());
    let lines = BAD_LINES.iter().map(|(_, raw)| raw.as_bytes().to_vec());
    heads.chain(lines).chain(SOUND.iter().map(|raw| raw.as_bytes().to_vec())).collect()
}

/// Heads with odd lengths and codings, most of them no good.
fn odd() -> impl Strategy<Value = Vec<u8>> {
    let name = select(vec![
        "Content-Length",
        "content-length",
        "Content_Length",
        "CONTENT-LENGTH",
        "Content-Length ",
        " Content-Length",
        "Transfer-Encoding",
        "transfer-encoding",
        "Transfer_Encoding",
        "Transfer-Encoding\t",
        "Transfer.Encoding",
        "\x0bTransfer-Encoding",
        "Connection",
        "Host",
        "X-A",
        "",
    ]);
    let colon = select(vec![":", ": ", ":\t", ":  ", " : ", ":\x0b", ""]);
    let value = select(vec![
        "3",
        "0",
        "13",
        "+3",
        "-3",
        "3, 3",
        "3,4",
        "0003",
        "0x3",
        "3 4",
        "3\r",
        "\"3\"",
        "chunked",
        "Chunked",
        "chunked ",
        "x, chunked",
        "chunked, x",
        "identity",
        "chunked, identity",
        "chunked;a",
        "\x00chunked",
        "x",
        "\u{e9}",
        "",
    ]);
    let end =
        prop_oneof![12 => Just("\r\n"), 2 => Just("\n"), 1 => select(vec!["\r", "\n\r", "\r\r\n", "\r\n ", "\r\n\t"])];
    let line = (name, colon, value, end).prop_map(|(name, colon, value, end)| format!("{name}{colon}{value}{end}"));
    let first = select(vec!["POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n", "POST / HTTP/1.0\r\n", "PUT /a?b HTTP/1.1\n"]);
    let lines = proptest::collection::vec(line, 1..4);
    (first, lines, any::<bool>()).prop_map(|(first, lines, host)| {
        let host = if host { "Host: x\r\n" } else { "" };
        format!("{first}{host}{}\r\n3\r\nabc\r\n0\r\n\r\n", lines.concat()).into_bytes()
    })
}

#[tokio::test]
async fn nothing_that_could_be_read_in_two_ways_goes_up() {
    let server = RawServer::start(always(OK)).await.unwrap();
    // Some heads do not end.
    let header_timeout = std::time::Duration::from_millis(500);
    let upstreams = vec![crate::common::upstream("only", &server.url())];
    let rig = Rig::with(upstreams, |config| config.server.header_timeout = header_timeout).await;
    let mut runner = TestRunner::deterministic();
    let generated = (0..GENERATED).map(|_| odd().new_tree(&mut runner).unwrap().current());
    let (mut bad, mut good, mut put_right) = (0, 0, 0);
    for raw in attacks().into_iter().chain(generated) {
        let before = server.requests().len();
        let passed = passes(&rig, &raw).await;
        let up = server.requests().split_off(before);
        for message in &up {
            let verdict = is_ambiguous(head(message));
            assert_eq!(verdict, None, "{} went up as {}", text(&raw), text(message));
        }
        assert!(!up.iter().any(|m| m.windows(8).any(|w| w == b"smuggled")), "{}", text(&raw));
        match (is_ambiguous(head(&raw)), passed) {
            (Some(_), false) => bad += 1,
            (None, true) => good += 1,
            (Some(_), true) => put_right += 1,
            (None, false) => {}
        }
    }
    // Or the test would prove nothing.
    assert!(bad > GENERATED / 4 && good > 10, "{bad} bad, {good} good, {put_right} put right");
}
