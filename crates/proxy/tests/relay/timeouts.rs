//! An upstream that is silent for too long. The limits are short and real; which one ran out is told by the record.

use std::sync::Arc;
use std::time::Duration;

use limpid_core::{Category, Ending, ExchangeRecord};
use limpid_proxy::{Timeouts, UpstreamConfig};
use limpid_testkit::{RawServer, ReplyEnd, Step, request};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::common::{CHAT, DONE, EVENT, LAST_CHUNK, Rig, SOON, SSE_HEAD, chunk, outcome, streaming, upstream, whole};

const SHORT: Duration = Duration::from_millis(120);
/// A limit that must not run out: what holds it off comes every twentieth of it, for one and a half of it, so only a
/// machine that stands still for the better part of a second could let it.
const AMPLE: Duration = Duration::from_secs(1);
const OFTEN: u32 = 30;

async fn rig(server: &RawServer, timeouts: Timeouts) -> Rig {
    let mut only = upstream("only", &server.url());
    only.timeouts = timeouts;
    Rig::with(vec![only], |_| {}).await
}

fn timed_out(record: &ExchangeRecord, reason: &str) {
    assert_eq!(outcome(record), (Category::Timeout, reason, Ending::UpstreamError));
}

/// A script that goes on only when the test is over.
fn silent_after(bytes: &[u8]) -> Vec<Step> {
    vec![Step::ReadRequest, Step::send(bytes), Step::Wait(Arc::new(Notify::new()))]
}

#[tokio::test]
async fn a_head_that_does_not_come_is_a_504() {
    let server = RawServer::start(vec![Step::ReadRequest, Step::ReadToEnd]).await.unwrap();
    let rig = rig(&server, Timeouts { headers: Some(SHORT), ..Timeouts::default() }).await;
    let reply = rig.ask(&streaming()).await;
    assert_eq!((reply.status, reply.header("x-limpid-error")), (504, Some("headers_timeout")));
    assert!(reply.text().contains("limpid_timeout"), "{}", reply.text());
    timed_out(&rig.record().await, "headers_timeout");
    server.until(SOON, |seen| seen.iter().all(|s| s.peer_closed)).await.unwrap();
}

/// The limit counts from the last byte of the request: a slow upload is not the upstream's silence.
#[tokio::test]
async fn an_upload_that_goes_on_holds_the_limit_off() {
    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(reply)]).await.unwrap();
    let rig = rig(&server, Timeouts { headers: Some(AMPLE), ..Timeouts::default() }).await;
    let mut client = rig.client().await;
    client.send(&request("POST", CHAT, &[("Content-Length", &OFTEN.to_string())], b"")).await.unwrap();
    for _ in 0..OFTEN {
        tokio::time::sleep(AMPLE / 20).await;
        client.send(b" ").await.unwrap();
    }
    let reply = client.read_reply(SOON).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok"));
}

#[tokio::test]
async fn a_first_token_that_does_not_come_breaks_the_stream_off() {
    // Comments and the role are bytes, but no tokens.
    let role = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let begun = [SSE_HEAD, &chunk(b": ping\n\n"), &chunk(role)].concat();
    let server = RawServer::start(silent_after(&begun)).await.unwrap();
    let rig = rig(&server, Timeouts { first_token: Some(AMPLE), ..Timeouts::default() }).await;
    let reply = rig.ask(&streaming()).await;
    assert_eq!(reply.status, 200);
    assert_ne!(reply.end, ReplyEnd::Complete);
    assert_eq!(reply.body, [&b": ping\n\n"[..], role].concat());
    timed_out(&rig.record().await, "first_token_timeout");
}

#[tokio::test]
async fn before_the_head_the_first_token_is_awaited_only_of_streams() {
    let server = RawServer::start(vec![Step::ReadRequest, Step::ReadToEnd]).await.unwrap();
    let rig = rig(&server, Timeouts { first_token: Some(SHORT), ..Timeouts::default() }).await;
    let reply = rig.ask(&streaming()).await;
    assert_eq!((reply.status, reply.header("x-limpid-error")), (504, Some("first_token_timeout")));
    timed_out(&rig.record().await, "first_token_timeout");
}

#[tokio::test]
async fn a_first_token_in_time_ends_that_limit() {
    let go_on = Arc::new(Notify::new());
    let script = vec![
        Step::ReadRequest,
        Step::send([SSE_HEAD, &chunk(EVENT)].concat()),
        Step::Wait(Arc::clone(&go_on)),
        Step::send([chunk(DONE), LAST_CHUNK.to_vec()].concat()),
    ];
    let server = RawServer::start(script).await.unwrap();
    let rig = rig(&server, Timeouts { first_token: Some(AMPLE), ..Timeouts::default() }).await;
    let mut client = rig.client().await;
    client.send(&streaming()).await.unwrap();
    client.read_until(EVENT, SOON).await.unwrap();
    tokio::time::sleep(AMPLE + SHORT).await;
    go_on.notify_one();
    assert!(client.read_until(b"[DONE]\n\n\r\n0\r\n\r\n", SOON).await.is_ok());
    assert_eq!(rig.record().await.outcome.category, Category::Ok);
}

#[tokio::test]
async fn a_body_that_falls_silent_breaks_off() {
    let server = RawServer::start(silent_after(&[SSE_HEAD, &chunk(EVENT)].concat())).await.unwrap();
    let rig = rig(&server, Timeouts { idle: Some(SHORT), ..Timeouts::default() }).await;
    let reply = rig.ask(&streaming()).await;
    assert_ne!(reply.end, ReplyEnd::Complete);
    assert_eq!(reply.body, EVENT);
    let record = rig.record().await;
    timed_out(&record, "idle_timeout");
    assert_eq!(record.token_events, Some(1));
}

/// Any byte holds the idle limit off, a comment too, and there is no limit on the total.
#[tokio::test]
async fn bytes_now_and_then_hold_the_idle_limit_off() {
    let mut script = vec![Step::ReadRequest, Step::send(SSE_HEAD)];
    for _ in 0..OFTEN {
        script.extend([Step::Sleep(AMPLE / 20), Step::send(chunk(b": ping\n\n"))]);
    }
    script.push(Step::send([chunk(EVENT), chunk(DONE), LAST_CHUNK.to_vec()].concat()));
    let server = RawServer::start(script).await.unwrap();
    let rig = rig(&server, Timeouts { idle: Some(AMPLE), ..Timeouts::default() }).await;
    assert!(whole(&rig.ask(&streaming()).await));
    assert_eq!(rig.record().await.outcome.category, Category::Ok);
}

/// A listener that takes no further connection: its backlog is full, and it accepts none.
async fn full() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = timeout(4 * SHORT, TcpStream::connect(addr)).await {
        waiting.push(connected.unwrap());
        assert!(waiting.len() < 100, "its backlog has no end");
    }
    (listener, waiting)
}

async fn connect_times_out(mut only: UpstreamConfig) {
    only.connect_timeout = SHORT;
    let rig = Rig::with(vec![only], |_| {}).await;
    let reply = rig.ask(&streaming()).await;
    assert_eq!((reply.status, reply.header("x-limpid-error")), (504, Some("connect_timeout")));
    let record = rig.record().await;
    timed_out(&record, "connect_timeout");
    assert_eq!((record.timeline.sent, record.attempts), (None, 0), "nothing was sent");
}

#[tokio::test]
async fn a_connection_that_does_not_come_up_is_a_504() {
    let (listener, _waiting) = full().await;
    let url = format!("http://{}", listener.local_addr().unwrap());
    connect_times_out(upstream("only", &url)).await;
    // A client that has waited for so long meets the same limit anew.
    let rig = Rig::with(vec![UpstreamConfig { connect_timeout: SHORT, ..upstream("only", &url) }], |_| {}).await;
    assert_eq!(rig.ask(&streaming()).await.status, 504);
    assert_eq!(rig.ask(&streaming()).await.status, 504);
    assert_eq!(rig.records(2).await.len(), 2);
}

/// TCP is up at once, but the TLS handshake is never answered.
#[tokio::test]
async fn the_limit_on_connecting_covers_tls() {
    let server = RawServer::start(vec![Step::ReadToEnd]).await.unwrap();
    connect_times_out(upstream("only", &format!("https://{}", server.addr()))).await;
    server.until(SOON, |seen| seen.iter().all(|s| s.peer_closed)).await.unwrap();
}
