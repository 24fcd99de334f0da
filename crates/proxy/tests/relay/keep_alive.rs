//! Connections that are kept, and the ways in which keeping them goes wrong. A request is sent again only if no byte of it
//! was written.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use limpid_core::{Category, Clock, Ending};
use limpid_testkit::sim::{SimConfig, SimServer};
use limpid_testkit::{RawServer, Step, request};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::common::{
    CHAT, DONE, EVENT, LAST_CHUNK, Rig, SOON, SSE_HEAD, always, chat, chunk, outcome, streaming, upstream, whole,
};

fn short(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn stream() -> Vec<u8> {
    [SSE_HEAD, &chunk(EVENT), &chunk(DONE), LAST_CHUNK].concat()
}

/// After a reply whose length was not announced the server may be about to close, so its connection is not lent before it
/// has had the time.
#[tokio::test]
async fn a_connection_rests_after_a_stream() {
    let server = RawServer::start(always(stream())).await.unwrap();
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let own = clock.clone();
    let rig = Rig::with(vec![upstream("only", &server.url())], |config| config.clock = own).await;
    for connections in 1..=3 {
        assert!(whole(&rig.ask(&streaming()).await));
        assert_eq!(server.seen().len(), connections, "the others rest");
    }
    clock.advance(Duration::from_millis(249));
    assert!(whole(&rig.ask(&streaming()).await));
    assert_eq!(server.seen().len(), 4);
    clock.advance(Duration::from_millis(1));
    assert!(whole(&rig.ask(&streaming()).await));
    assert_eq!((server.seen().len(), server.requests().len()), (4, 5), "rested, and used again");
}

#[tokio::test]
async fn a_server_that_says_close_is_believed() {
    let reply = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(reply), Step::ReadToEnd]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    for _ in 0..20 {
        client.send(&chat("{}")).await.unwrap();
        let got = client.read_reply(SOON).await;
        assert_eq!((got.status, got.text().as_str(), got.header("connection")), (200, "ok", None));
    }
    assert_eq!((server.seen().len(), server.requests().len()), (20, 20));
    server.until(SOON, |seen| seen.iter().all(|s| s.peer_closed)).await.unwrap();
}

/// What llama.cpp's server does: says keep-alive, streams, closes.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_after_each_stream_costs_nothing() {
    // Not at once: the next request is there before the close, as it is with the real server.
    let script = vec![Step::ReadRequest, Step::send(stream()), Step::Sleep(Duration::from_millis(1)), Step::Close];
    let server = RawServer::start(script).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    for n in 0..200 {
        client.send(&streaming()).await.unwrap();
        let reply = client.read_reply(SOON).await;
        assert!(whole(&reply) && reply.status == 200, "request {n}: {} {:?}", reply.status, reply.end);
    }
    let records = rig.records(200).await;
    assert!(records.iter().all(|r| r.outcome.category == Category::Ok && r.attempts == 1));
    assert_eq!(server.requests().len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulators_closing_costs_nothing_either() {
    let sim = SimServer::start(SimConfig::default()).await.unwrap();
    let rig = Rig::to(sim.addr()).await;
    let mut client = rig.client().await;
    let body = r#"{"model":"m","stream":true,"messages":[],
        "sim":{"ttft_ms":0,"gap_ms":0,"tokens":3,"close_after_reply":true}}"#;
    for n in 0..200 {
        client.send(&chat(body)).await.unwrap();
        let reply = client.read_reply(SOON).await;
        assert!(whole(&reply) && reply.status == 200, "request {n}: {} {:?}", reply.status, reply.end);
    }
    assert!(rig.records(200).await.iter().all(|r| r.outcome.category == Category::Ok));
    assert_eq!(sim.stats().requests(), 200);
}

#[tokio::test]
async fn a_good_connection_is_used_again() {
    let server = RawServer::start(always(short("ok"))).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    for _ in 0..20 {
        assert_eq!(rig.ask(&chat("{}")).await.text(), "ok");
    }
    assert_eq!((server.seen().len(), server.requests().len()), (1, 20));
    let records = rig.records(20).await;
    assert!(records[0].timeline.connect.is_some());
    assert!(records[1..].iter().all(|r| r.timeline.connect.is_none()), "no connect time for a kept connection");
}

/// The connection died while it was idle: nothing was written on it, so the request goes out anew.
#[tokio::test]
async fn a_connection_that_closed_while_idle_is_replaced() {
    let scripts = vec![vec![Step::ReadRequest, Step::send(short("one"))], always(short("two"))];
    let server = RawServer::start_each(scripts).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    for expected in ["one", "two", "two"] {
        client.send(&chat("{}")).await.unwrap();
        let reply = client.read_reply(SOON).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, expected));
    }
    assert_eq!(server.requests().len(), 3);
    assert_eq!(server.seen().iter().map(|s| s.requests.len()).collect::<Vec<_>>(), [1, 2]);
}

/// The same 200 times, with the server's close in flight while the next request comes: either side may win the race. If
/// the request had begun to be written when the close arrived, a 502 is right and it was not sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_races_a_request_never_sends_it_twice() {
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(short("ok"))]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    let mut answered = 0;
    for _ in 0..200 {
        client.send(&chat("{}")).await.unwrap();
        let reply = client.read_reply(SOON).await;
        match (reply.status, reply.header("x-limpid-error")) {
            (200, None) => answered += 1,
            (502, Some("reset_before_headers")) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.requests().len(), answered, "each served request was seen once, no other at all");
    rig.records(200).await;
}

/// Inference is neither free nor idempotent: what a server has read is not sent again, however it ends.
#[tokio::test]
async fn a_request_that_was_read_is_never_sent_again() {
    for last in [Step::Close, Step::Reset] {
        let first = vec![Step::ReadRequest, Step::send(short("one")), Step::ReadRequest, last];
        let server = RawServer::start_each(vec![first, always(short("again"))]).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let mut client = rig.client().await;
        client.send(&chat("{}")).await.unwrap();
        assert_eq!(client.read_reply(SOON).await.text(), "one");
        client.send(&chat(r#"{"model":"second"}"#)).await.unwrap();
        let reply = client.read_reply(SOON).await;
        assert_eq!((reply.status, reply.header("x-limpid-error")), (502, Some("reset_before_headers")));
        let seen = server.requests();
        let second = seen.iter().filter(|r| r.windows(6).any(|w| w == b"second")).count();
        assert_eq!((second, seen.len()), (1, 2));
        let records = rig.records(2).await;
        assert_eq!(outcome(&records[1]), (Category::Network, "reset_before_headers", Ending::UpstreamError));
        assert_eq!((records[1].attempts, records[1].timeline.connect), (1, None));
    }
}

/// An upstream may answer before it has read the request. Its connection is busy with the rest of the upload, and must
/// not be lent to anybody else: they would wait for a client that has no hurry.
#[tokio::test]
async fn a_connection_with_an_unfinished_upload_is_not_lent() {
    let early = vec![Step::ReadHead, Step::send(short("early")), Step::ReadToEnd];
    let server = RawServer::start_each(vec![early, always(short("own"))]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut slow = rig.client().await;
    slow.send(&request("POST", CHAT, &[("Content-Length", "1000")], b"")).await.unwrap();
    slow.send(b"{").await.unwrap();
    assert_eq!(slow.read_reply(SOON).await.text(), "early");
    let other = timeout(Duration::from_secs(5), rig.ask(&chat("{}"))).await;
    assert_eq!(other.expect("an answer while the first client still uploads").text(), "own");
}

/// A kept connection on which the server says something unasked cannot be trusted with another request.
#[tokio::test]
async fn bytes_that_nobody_asked_for_never_become_somebodys_reply() {
    let go = Arc::new(Notify::new());
    let stray = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";
    let first = vec![Step::ReadRequest, Step::send([short("one"), stray.to_owned()].concat()), Step::ReadToEnd];
    let later = vec![
        Step::ReadRequest,
        Step::send(short("two")),
        Step::Wait(Arc::clone(&go)),
        Step::send(stray),
        Step::ReadToEnd,
    ];
    let server = RawServer::start_each(vec![first, later, always(short("three"))]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    assert_eq!(rig.ask(&chat("{}")).await.text(), "one");
    assert_eq!(rig.ask(&chat("{}")).await.text(), "two");
    go.notify_one();
    server.until(SOON, |seen| seen[1].peer_closed).await.unwrap();
    assert_eq!(rig.ask(&chat("{}")).await.text(), "three");
}

#[tokio::test]
async fn kept_connections_grow_old_and_few() {
    let server = RawServer::start(always(short("ok"))).await.unwrap();
    let mut only = upstream("only", &server.url());
    only.pool_idle_timeout = Duration::from_millis(50);
    let rig = Rig::with(vec![only], |_| {}).await;
    assert_eq!(rig.ask(&chat("{}")).await.text(), "ok");
    // Nobody asks any more, and it is closed all the same.
    server.until(SOON, |seen| seen[0].peer_closed).await.unwrap();

    let mut only = upstream("only", &server.url());
    only.max_idle_connections = 0;
    let rig = Rig::with(vec![only], |_| {}).await;
    assert_eq!(rig.ask(&chat("{}")).await.text(), "ok");
    server.until(SOON, |seen| seen[1].peer_closed).await.unwrap();
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let scripts = vec![Step::ReadRequest, Step::send(short("first")), Step::ReadRequest, Step::send(short("second"))];
    let server = RawServer::start(scripts).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(&[chat("{}"), chat("{}")].concat()).await.unwrap();
    assert_eq!(client.read_reply(SOON).await.text(), "first");
    assert!(["first", "second"].contains(&client.read_reply(SOON).await.text().as_str()));
    rig.records(2).await;
}

/// The server tells how long it keeps an unused connection, and for how many requests: a request that meets its close is
/// lost.
#[tokio::test]
async fn what_a_server_tells_of_keeping_connections_is_honoured() {
    for (told, waits_ms, connections) in [
        ("timeout=5", [3999, 3999, 3999], 1),
        ("timeout=5", [4000, 0, 3999], 2),
        ("timeout=1, max=100", [499, 500, 499], 2),
        ("timeout=0", [0, 0, 0], 4),
        ("max=2", [0, 0, 0], 2),
        ("max=0", [0, 0, 0], 4),
        ("timeout=600", [59_999, 60_000, 0], 2),
    ] {
        let reply = format!("HTTP/1.1 200 OK\r\nKeep-Alive: {told}\r\nContent-Length: 2\r\n\r\nok");
        let server = RawServer::start(always(reply)).await.unwrap();
        let clock = Clock::manual(SystemTime::UNIX_EPOCH);
        let own = clock.clone();
        let rig = Rig::with(vec![upstream("only", &server.url())], |config| config.clock = own).await;
        assert_eq!(rig.ask(&chat("{}")).await.header("keep-alive"), None, "it is the hop's own");
        for wait in waits_ms {
            clock.advance(Duration::from_millis(wait));
            assert_eq!(rig.ask(&chat("{}")).await.text(), "ok");
        }
        assert_eq!(server.seen().len(), connections, "{told} {waits_ms:?}");
    }
}
