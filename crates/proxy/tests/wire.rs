//! Where requests begin in a connection's bytes, and which of them tells its length in two ways: generated connections,
//! against what is known of them, against a plain reading, and against hyper.

#![expect(clippy::unwrap_used, reason = "a test fails by panics")]

#[expect(unreachable_pub, reason = "the fuzz crate's module, where it is public")]
#[path = "../../../fuzz/src/wire.rs"]
mod wire;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Response;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A request that hyper accepts.
#[derive(Debug, Clone)]
struct Message {
    raw: Vec<u8>,
    ambiguous: bool,
}

/// Bytes that are likely to look like something else.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let like = select(vec![
        &b"GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
        b"\r\n0\r\n\r\n",
        b"\r\n",
        b"Content-Length: 1\r\n",
        b"",
    ]);
    (vec(any::<u8>(), 0..40), like, vec(any::<u8>(), 0..5)).prop_map(|(a, b, c)| [&a, b, &c].concat())
}

fn line() -> impl Strategy<Value = String> {
    select(vec![
        "Host: x",
        "Connection: keep-alive",
        "Cookie: Content-Length: 3",
        "Content-Length2: 3",
        "Content-Lengt: 3",
        "content-type:application/json",
        "Transfer-Encodings: chunked",
        "TE: trailers",
        "X:",
        "t: c",
        "Trailer: Content-Length",
    ])
    .prop_map(str::to_owned)
}

fn length(n: usize) -> impl Strategy<Value = String> {
    (
        select(vec!["Content-Length", "content-length", "CONTENT-Length"]),
        select(vec!["", " ", "\t "]),
        0..3_usize,
        select(vec!["", " ", " \t"]),
    )
        .prop_map(move |(name, before, zeros, after)| format!("{name}:{before}{}{n}{after}", "0".repeat(zeros)))
}

fn coding() -> impl Strategy<Value = String> {
    select(vec!["Transfer-Encoding: chunked", "transfer-encoding:CHUNKED", "Transfer-encoding:\tx, chunked "])
        .prop_map(str::to_owned)
}

/// A body in chunks, with extensions and trailers.
fn chunked(body: &[u8], size: usize, more: bool) -> Vec<u8> {
    let mut raw = Vec::new();
    for part in body.chunks(size) {
        let extension = if more { " ;a=\"b\"; Content-Length: 3" } else { "" };
        raw.extend(format!("{:x}{extension}\r\n", part.len()).bytes());
        raw.extend([part, b"\r\n"].concat());
    }
    raw.extend(if more { &b"000\r\nContent-Length: 3\r\nX-A: 1\r\n\r\n"[..] } else { b"0\r\n\r\n" });
    raw
}

fn message() -> impl Strategy<Value = Message> {
    let kind = prop_oneof![6 => 0..3_u8, 1 => 3..6_u8];
    (vec(line(), 0..5), body(), kind, 1..50_usize, any::<bool>(), any::<bool>(), any::<prop::sample::Index>())
        .prop_flat_map(|(lines, body, kind, size, more, bare, at)| {
            let n = body.len();
            (length(n), length(n), coding(), Just((lines, body, kind, size, more, bare, at)))
        })
        .prop_map(|(length, again, coding, (mut lines, body, kind, size, more, bare, at))| {
            let framing = match kind {
                0 => vec![],
                1 => vec![length],
                2 => vec![coding],
                3 => vec![length, again],
                4 => vec![length, coding],
                _ => vec![coding, length],
            };
            let at = at.index(lines.len() + 1);
            lines.splice(at..at, framing);
            let end = if bare { "\n" } else { "\r\n" };
            let head = lines.iter().flat_map(|line| [line.as_str(), end]).collect::<String>();
            let before = if more { "\r\n\n" } else { "" };
            let mut raw = format!("{before}POST /Content-Length:3 HTTP/1.1{end}{head}{end}").into_bytes();
            match kind {
                0 => {}
                1 | 3 => raw.extend(body),
                _ => raw.extend(chunked(&body, size, more)),
            }
            Message { raw, ambiguous: kind > 2 }
        })
}

/// How many requests hyper makes of these bytes.
async fn hypers(bytes: Vec<u8>) -> u64 {
    let (client, server) = tokio::io::duplex(1 << 20);
    let calls = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&calls);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            drop(request.into_body().collect().await);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let serving =
        hyper::server::conn::http1::Builder::new().half_close(true).serve_connection(TokioIo::new(server), service);
    let (mut from, mut to) = tokio::io::split(client);
    let talking = async {
        let _gone = to.write_all(&bytes).await;
        let _gone = to.shutdown().await;
        let mut answers = Vec::new();
        from.read_to_end(&mut answers).await.unwrap();
    };
    let _how = tokio::join!(serving, talking);
    calls.load(Ordering::Relaxed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn sound_ones_are_sound_and_the_first_ambiguous_one_is_told(messages in vec(message(), 1..6), split in 0..60_u8) {
        let raw: Vec<u8> = messages.iter().flat_map(|m| m.raw.clone()).collect();
        wire::check(&[&[split], &raw[..]].concat());
        let (ended, ambiguous) = wire::read(raw.chunks(usize::from(split) + 1)).ended();
        let first = messages.iter().position(|m| m.ambiguous).map(|at| at as u64 + 1);
        prop_assert_eq!((ended, ambiguous), (first.unwrap_or(messages.len() as u64), first.is_some()));
        // hyper closes behind a length beside chunks, but goes on behind a doubled length.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let calls = runtime.block_on(hypers(raw));
        prop_assert!(calls >= ended, "hyper: {}, {}", calls, ended);
    }

    #[test]
    fn any_change_of_a_byte_keeps_the_invariants(
        messages in vec(message(), 1..4),
        split in any::<u8>(),
        changes in vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), select(&b"\r\n :0;,cC\t"[..])]), 0..4),
    ) {
        let mut raw: Vec<u8> = messages.iter().flat_map(|m| m.raw.clone()).collect();
        for (at, byte) in changes {
            let at = at.index(raw.len());
            raw[at] = byte;
        }
        wire::check(&[&[split], &raw[..]].concat());
        // Of what hyper calls the service for, none is missed: the numbers are the same on both sides.
        let (ended, ambiguous) = wire::read([&raw[..]]).ended();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let calls = runtime.block_on(hypers(raw));
        prop_assert!(ambiguous || ended >= calls, "hyper: {}, {}", calls, ended);
    }

    #[test]
    fn any_bytes_keep_the_invariants(bytes in vec(any::<u8>(), 0..300)) {
        wire::check(&bytes);
    }
}
