//! Random messages: whatever is sent in one direction is what is seen at the other end.

use std::collections::HashSet;

use limpid_testkit::{RawClient, RawServer, Step};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::common::{Rig, SOON, chunk, text};

/// Fields that have a meaning for framing, for the hop or for limpid; and those of the test itself.
const MEANT: [&str; 11] = [
    "connection",
    "content-length",
    "transfer-encoding",
    "host",
    "te",
    "upgrade",
    "keep-alive",
    "expect",
    "trailer",
    "proxy-connection",
    "date",
];

/// Names and values, and the place of the framing among them.
#[derive(Debug, Clone)]
struct Fields(Vec<(String, Vec<u8>)>, Index);

fn fields() -> impl Strategy<Value = Fields> {
    let name = "[A-Za-z!#$%&'*+.^_`|~0-9-]{1,20}".prop_filter("has a meaning", |n| {
        let n = n.to_ascii_lowercase();
        !MEANT.contains(&n.as_str()) && !n.starts_with("x-limpid-")
    });
    // Visible ASCII and obs-text, blanks and tabs within.
    let byte = prop_oneof![0x21..=0x7e_u8, 0x80..=0xff_u8];
    let inner = prop_oneof![4 => byte.clone(), 1 => Just(b' '), 1 => Just(b'\t')];
    let value = (prop::option::of(byte.clone()), prop::collection::vec(inner, 0..30), prop::option::of(byte)).prop_map(
        |(first, inner, last)| match (first, last) {
            (Some(first), Some(last)) => [&[first], &inner[..], &[last]].concat(),
            (Some(only), None) | (None, Some(only)) => vec![only],
            (None, None) => Vec::new(),
        },
    );
    (prop::collection::vec((name, value), 0..12), any::<Index>()).prop_map(|(fields, place)| {
        // Repeated names are moved together on the way, which HTTP gives no meaning to; here each stands once.
        let mut seen = HashSet::new();
        let once = fields.into_iter().filter(|(name, _)| seen.insert(name.to_ascii_lowercase())).collect();
        Fields(once, place)
    })
}

/// A path and query of the characters that a URI may have, and of those that clients send all the same.
fn target() -> impl Strategy<Value = String> {
    "/[A-Za-z0-9/._~!$&'()*+,;=:@%\"{}|^\\\\\u{e9}\u{4e2d}-]{0,30}(\\?[A-Za-z0-9/._~!$&'()*+,;=:@%?{}|^`-]{0,30})?"
}

#[derive(Debug, Clone)]
enum Framed {
    None,
    Length(Vec<u8>),
    Chunks(Vec<Vec<u8>>),
}

fn body() -> impl Strategy<Value = Framed> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..2000);
    prop_oneof![
        Just(Framed::None),
        prop::collection::vec(any::<u8>(), 0..4000).prop_map(Framed::Length),
        prop::collection::vec(bytes(), 0..8).prop_map(Framed::Chunks),
    ]
}

/// A message whose framing stands at any place among its fields. Before an empty value a blank may stand or not.
fn message(first_lines: &[u8], Fields(fields, place): &Fields, body: &Framed) -> Vec<u8> {
    let mut out = first_lines.to_vec();
    let mut fields = fields.clone();
    let framing = match body {
        Framed::None => None,
        Framed::Length(data) => Some(("Content-LENGTH".to_owned(), data.len().to_string().into_bytes())),
        Framed::Chunks(_) => Some(("transfer-Encoding".to_owned(), b"chunked".to_vec())),
    };
    if let Some(framing) = framing {
        fields.insert(place.index(fields.len() + 1), framing);
    }
    for (name, value) in &fields {
        let blank = if value.is_empty() && place.index(2) == 0 { "" } else { " " };
        out.extend_from_slice(&[name.as_bytes(), b":", blank.as_bytes(), value, b"\r\n"].concat());
    }
    out.extend_from_slice(b"\r\n");
    match body {
        Framed::None => {}
        Framed::Length(data) => out.extend_from_slice(data),
        Framed::Chunks(chunks) => {
            out.extend(chunks.iter().flat_map(|c| chunk(c)));
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }
    out
}

/// Chunks may be cut anew where the reads fall; all else must be the same.
fn same(sent: &[u8], got: &[u8], body: &Framed) -> bool {
    match body {
        Framed::None | Framed::Length(_) => sent == got,
        Framed::Chunks(chunks) => {
            let at = |message: &[u8]| message.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
            sent[..at(sent)] == got[..at(got)] && unchunk(&got[at(got)..]).is_some_and(|b| b == chunks.concat())
        }
    }
}

fn unchunk(mut framed: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let at = framed.windows(2).position(|w| w == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&framed[..at]).ok()?, 16).ok()?;
        body.extend_from_slice(framed.get(at + 2..at + 2 + size)?);
        framed = framed.get(at + 4 + size..)?;
        if size == 0 {
            return framed.is_empty().then_some(body);
        }
    }
}

/// One exchange: the bytes that the upstream saw and those that the client got. `cuts` splits the client's writes.
async fn through(sent: &[u8], reply: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<u8>, String) {
    let script = vec![Step::ReadRequest, Step::send(reply), Step::ReadToEnd];
    let server = RawServer::start(script).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = RawClient::connect(rig.addr).await.unwrap();
    let mut rest = sent;
    for cut in cuts {
        let (now, later) = rest.split_at((*cut).min(rest.len()));
        let _refused = client.send(now).await;
        tokio::task::yield_now().await;
        rest = later;
    }
    let _refused = client.send(rest).await;
    let got = client.read_reply(SOON).await;
    let seen = server.requests().pop().unwrap_or_default();
    (seen, got.raw, server.addr().to_string())
}

#[test]
fn random_messages_pass_unchanged() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let cuts = prop::collection::vec(1..600_usize, 0..5);
    let strategy = (target(), fields(), body(), fields(), body(), cuts, "[ -~]{0,20}");
    runner
        .run(&strategy, |(target, up, up_body, down, down_body, cuts, reason)| {
            // A reply without any framing ends with its connection, which makes it chunked: another test's matter.
            let down_body = if matches!(down_body, Framed::None) { Framed::Length(Vec::new()) } else { down_body };
            let sent = message(format!("POST {target} HTTP/1.1\r\nHost: limpid.test\r\n").as_bytes(), &up, &up_body);
            let reply = message(format!("HTTP/1.1 200 {reason}\r\n").as_bytes(), &down, &down_body);
            let (seen, got, host) = runtime.block_on(through(&sent, &reply, &cuts));
            let line = format!("POST {target} HTTP/1.1\r\nHost: {host}\r\n");
            let expected = message(line.as_bytes(), &up, &up_body);
            prop_assert!(same(&expected, &seen, &up_body), "sent {}\nseen {}", text(&expected), text(&seen));
            prop_assert!(same(&reply, &got, &down_body), "sent {}\ngot  {}", text(&reply), text(&got));
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_comparison_itself_can_fail() {
    let framed = |parts: &[&str]| {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".as_bytes().to_vec();
        parts.iter().fold(head, |all, part| [all, chunk(part.as_bytes())].concat())
    };
    let body = Framed::Chunks(vec![b"ab".to_vec()]);
    assert!(same(&framed(&["ab", ""]), &framed(&["a", "b", ""]), &body));
    for wrong in [&["ab"][..], &["ax", ""], &["a", ""], &["abc", ""]] {
        assert!(!same(&framed(&["ab", ""]), &framed(wrong), &body), "{wrong:?}");
    }
}
