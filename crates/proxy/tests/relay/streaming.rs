//! What has come goes on at once, in both directions: nothing waits for what follows it.

use std::io::Write as _;
use std::sync::Arc;

use limpid_core::{Category, Ending};
use limpid_testkit::{RawServer, Step, request};
use tokio::sync::Notify;

use crate::common::{
    CHAT, DONE, EVENT, LAST_CHUNK, Rig, SOON, SSE_HEAD, Sponge, chunk, outcome, split, streaming, text,
};

#[tokio::test]
async fn the_head_goes_on_before_any_byte_of_the_body() {
    for head in
        [SSE_HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-A: until the end\r\n\r\n"]
    {
        let go = Arc::new(Notify::new());
        let script = vec![Step::ReadRequest, Step::send(head), Step::Wait(Arc::clone(&go))];
        let server = RawServer::start(script).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let mut client = rig.client().await;
        client.send(&streaming()).await.unwrap();
        let got = client.read_until(b"\r\n\r\n", SOON).await.unwrap();
        assert!(text(&got).starts_with(&text(&head[..head.len() - 4])), "{}", text(&got));
        go.notify_one();
    }
}

#[tokio::test]
async fn an_event_goes_on_before_the_next_is_sent() {
    let go = Arc::new(Notify::new());
    let wait = || Step::Wait(Arc::clone(&go));
    let script = vec![
        Step::ReadRequest,
        Step::send([SSE_HEAD, &chunk(EVENT)].concat()),
        wait(),
        Step::send(chunk(EVENT)),
        wait(),
        // Half an event: limpid has no opinion on where events end.
        Step::send(chunk(&DONE[..20])),
        wait(),
        Step::send([chunk(&DONE[20..]), LAST_CHUNK.to_vec()].concat()),
        Step::ReadToEnd,
    ];
    let server = RawServer::start(script).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(&streaming()).await.unwrap();
    client.read_until(b"\r\n\r\n", SOON).await.unwrap();
    for part in [EVENT, EVENT, &DONE[..20], &DONE[20..]] {
        let framed = chunk(part);
        let got = client.read_until(&framed, SOON).await.unwrap();
        assert_eq!(text(&got), text(&framed));
        go.notify_one();
    }
    assert_eq!(client.read_until(LAST_CHUNK, SOON).await.unwrap(), LAST_CHUNK);
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Ok, "stop", Ending::End));
    assert_eq!((record.events, record.token_events), (Some(4), Some(2)));
}

/// Plays pieces of a body in lock-step: the upstream writes one only when the client has the one before. What had been
/// gathered, or waited for the next, would never come. Each must come alone, as a chunk of its own.
async fn lock_step(head: &[u8], pieces: &[Vec<u8>], end: &[u8], framed: bool) -> Rig {
    let go = Arc::new(Notify::new());
    let mut script = vec![Step::ReadRequest, Step::send(head)];
    for piece in pieces {
        script.push(Step::send(if framed { chunk(piece) } else { piece.clone() }));
        script.push(Step::Wait(Arc::clone(&go)));
    }
    script.extend([Step::send(end), Step::Close]);
    let server = RawServer::start(script).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(&streaming()).await.unwrap();
    client.read_until(b"\r\n\r\n", SOON).await.unwrap();
    for (number, piece) in pieces.iter().enumerate() {
        let got = client.read_until(&chunk(piece), SOON).await;
        assert_eq!(text(&got.unwrap_or_default()), text(&chunk(piece)), "event {number}");
        go.notify_one();
    }
    assert_eq!(client.read_until(LAST_CHUNK, SOON).await.unwrap(), LAST_CHUNK);
    rig
}

/// Events as the upstream sends them; the last is the end of the stream.
pub(crate) fn events(n: usize) -> Vec<Vec<u8>> {
    let token =
        |n| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{n} \"}}}}]}}\n\n").into_bytes();
    (0..n).map(token).chain([DONE.to_vec()]).collect()
}

/// Each event in gzip, flushed behind it, and what ends the coding.
fn gzipped(events: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut pieces = Vec::new();
    for event in events {
        encoder.write_all(event).unwrap();
        encoder.flush().unwrap();
        pieces.push(std::mem::take(encoder.get_mut()));
    }
    pieces.push(encoder.finish().unwrap());
    pieces
}

#[tokio::test]
async fn events_come_one_by_one_however_they_are_framed() {
    const TOKENS: usize = 40;
    let plain = events(TOKENS);
    let packed = gzipped(&plain);
    let head =
        |fields: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{fields}\r\n").into_bytes();
    let fields = "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n";
    let rigs = [
        ("chunks", lock_step(SSE_HEAD, &plain, LAST_CHUNK, true).await),
        ("gzip", lock_step(&head(fields), &packed, LAST_CHUNK, true).await),
        ("up to the connection's end", lock_step(&head(""), &plain, b"", false).await),
        (
            "HTTP/1.0",
            lock_step(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", &plain, b"", false).await,
        ),
    ];
    for (case, rig) in rigs {
        let record = rig.record().await;
        assert_eq!(outcome(&record), (Category::Ok, "stop", Ending::End), "{case}");
        assert_eq!(record.token_events, Some(TOKENS as u64), "{case}");
    }
}

#[tokio::test]
async fn an_upload_is_streamed_and_not_held() {
    const SIZE: usize = 5 << 20;
    const FIRST: usize = 64 << 10;
    let body: Vec<u8> = (0..=250).cycle().take(SIZE).collect();
    let sent = request("POST", "/v1/files", &[("Content-Length", &SIZE.to_string())], b"");
    let head_length = sent.len();
    let mut upstream = Sponge::start(SIZE).await;
    let rig = Rig::to(upstream.addr).await;
    let mut client = rig.client().await;
    client.send(&sent).await.unwrap();
    upstream.until(|got| got.ends_with(b"\r\n\r\n")).await;
    client.send(&body[..FIRST]).await.unwrap();
    // All of the first part is upstream before the second is even sent.
    let got = upstream.until(|got| got.len() >= head_length && split(got).1.len() >= FIRST).await;
    assert!(split(&got).1 == body[..FIRST]);
    client.send(&body[FIRST..]).await.unwrap();
    assert_eq!(client.read_reply(SOON).await.text(), "ok");
    let got = upstream.until(|got| split(got).1.len() >= SIZE).await;
    assert!(split(&got).1 == body, "the same bytes");
    assert_eq!(rig.record().await.bytes.request, SIZE as u64);
}

#[tokio::test]
async fn a_chunked_upload_is_streamed_too() {
    let mut upstream = Sponge::start(usize::MAX).await;
    let rig = Rig::to(upstream.addr).await;
    let mut client = rig.client().await;
    client.send(&request("POST", CHAT, &[("Transfer-Encoding", "chunked")], b"")).await.unwrap();
    for part in [&b"{\"model\""[..], b":\"m\"}"] {
        client.send(&chunk(part)).await.unwrap();
        let framed = chunk(part);
        upstream.until(|got| got.ends_with(&framed)).await;
    }
    client.send(LAST_CHUNK).await.unwrap();
    upstream.until(|got| got.ends_with(LAST_CHUNK)).await;
    drop(client);
    assert_eq!(rig.record().await.model.requested.as_deref(), Some("m"));
}
