//! The raw server and client against each other.

use std::sync::Arc;
use std::time::Duration;

use limpid_testkit::{RawClient, RawServer, ReplyEnd, Step, exchange, request};
use tokio::sync::Notify;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn bytes_arrive_as_they_were_sent() {
    let script = vec![
        Step::ReadRequest,
        Step::send("HTTP/1.1 200 OK\r\nX-One: 1\r\nx-two: 2\r\nContent-Length: 2\r\n\r\nhi"),
        Step::Repeat,
    ];
    let server = RawServer::start(script).await.unwrap();
    let mut client = RawClient::connect(server.addr()).await.unwrap();
    let sent = request("POST", "/p?q=1", &[("X-Odd-CASE", "v")], b"body");
    for _ in 0..2 {
        client.send(&sent).await.unwrap();
        let reply = client.read_reply(SOON).await;
        assert_eq!((reply.end, reply.status, &reply.body[..]), (ReplyEnd::Complete, 200, &b"hi"[..]));
        assert_eq!(reply.headers[1], ("x-two".to_owned(), "2".to_owned()));
        assert_eq!(reply.header("X-ONE"), Some("1"));
        assert!(reply.raw.starts_with(b"HTTP/1.1 200 OK\r\nX-One: 1"));
    }
    assert_eq!(server.requests(), [sent.clone(), sent]);
    drop(client);
    server.until(SOON, |seen| seen[0].peer_closed).await.unwrap();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn each_part_is_stamped_when_it_was_read() {
    let go = Arc::new(Notify::new());
    let script = vec![
        Step::ReadHead,
        Step::send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        Step::send("3\r\none\r\n"),
        Step::Wait(Arc::clone(&go)),
        Step::send("3\r\ntwo\r\n0\r\n\r\n"),
        Step::ReadToEnd,
    ];
    let server = RawServer::start(script).await.unwrap();
    let mut client = RawClient::connect(server.addr()).await.unwrap();
    client.send(&request("GET", "/", &[], b"")).await.unwrap();
    let start = client.read_until(b"one\r\n", SOON).await.unwrap();
    assert!(start.ends_with(b"3\r\none\r\n"));
    go.notify_one();
    assert_eq!(client.read_until(b"0\r\n\r\n", SOON).await.unwrap(), b"3\r\ntwo\r\n0\r\n\r\n");

    let reading = tokio::spawn(async move { exchange(server.addr(), &request("GET", "/", &[], b""), SOON).await });
    go.notify_one();
    let reply = reading.await.unwrap().unwrap();
    assert_eq!((&reply.body[..], &reply.chunks[..]), (&b"onetwo"[..], &[3, 3][..]));
    assert!(reply.read_at(0) <= reply.read_at(5) && reply.read_at(5).is_some());
    assert_eq!(reply.read_at(6), None);
}

#[tokio::test]
async fn endings_are_told_apart() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour";
    let script = |last| vec![Step::ReadRequest, Step::send(head), last];
    let scripts = vec![
        script(Step::Close),
        script(Step::Reset),
        script(Step::ReadToEnd),
        vec![Step::ReadRequest, Step::send("HTTP/1.1 200 OK\r\n\r\nall of it")],
        vec![Step::ReadRequest, Step::send("garbage\r\n\r\n"), Step::ReadToEnd],
        vec![Step::ReadRequest],
    ];
    let server = RawServer::start_each(scripts).await.unwrap();
    let get = request("GET", "/", &[], b"");
    let mut ends = Vec::new();
    for n in 0..6 {
        let limit = if n == 2 { Duration::from_millis(50) } else { SOON };
        let reply = exchange(server.addr(), &get, limit).await.unwrap();
        ends.push((reply.end, reply.text()));
    }
    let bodies = ["four", ends[1].1.as_str(), "four", "all of it", "", ""].map(str::to_owned);
    let expected: Vec<_> =
        [ReplyEnd::Eof, ReplyEnd::Reset, ReplyEnd::Timeout, ReplyEnd::Complete, ReplyEnd::Malformed, ReplyEnd::Eof]
            .into_iter()
            .zip(bodies)
            .collect();
    assert_eq!(ends, expected);
}

#[tokio::test]
async fn interim_responses_are_skipped_and_head_has_no_body() {
    let script = vec![
        Step::ReadRequest,
        Step::send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        Step::Repeat,
    ];
    let server = RawServer::start(script).await.unwrap();
    let mut client = RawClient::connect(server.addr()).await.unwrap();
    client.send(&request("HEAD", "/", &[], b"")).await.unwrap();
    let reply = client.read_head_reply(SOON).await;
    assert_eq!((reply.end, reply.status), (ReplyEnd::Complete, 200));
}

#[tokio::test]
async fn the_simulator_reads_the_same_from_outside() {
    let sim = limpid_testkit::sim::SimServer::start(limpid_testkit::sim::SimConfig::default()).await.unwrap();
    let body = br#"{"model":"m","stream":true,"messages":[],"sim":{"ttft_ms":1,"gap_ms":1,"tokens":20}}"#;
    let mut client = RawClient::connect(sim.addr()).await.unwrap();
    for _ in 0..2 {
        client.send(&request("POST", "/v1/chat/completions", &[], body)).await.unwrap();
        let reply = client.read_reply(SOON).await;
        assert_eq!((reply.end, reply.status), (ReplyEnd::Complete, 200));
        // Each event is a chunk of its own: role, 20 tokens, finish, [DONE].
        assert_eq!(reply.chunks.len(), 23);
        assert!(reply.body.ends_with(b"data: [DONE]\n\n"));
    }
    assert_eq!((sim.stats().connections(), sim.stats().completed()), (1, 2));
    client
        .send(&request("POST", "/v1/chat/completions", &[], br#"{"stream":true,"sim":{"fault":"cut_off:3"}}"#))
        .await
        .unwrap();
    assert_eq!(client.read_reply(SOON).await.end, ReplyEnd::Eof);
    let health = exchange(sim.addr(), &request("GET", "/health", &[], b""), SOON).await.unwrap();
    assert_eq!(health.status, 200);
    sim.stop().await;
}
