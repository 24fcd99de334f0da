//! Upstreams that fail: the client is told so, an abort stays an abort, and the record names the cause.

use limpid_core::{Category, Ending};
use limpid_testkit::{RawServer, Reply, ReplyEnd, Step, request};
use tokio::net::TcpListener;

use crate::common::{
    CHAT, DONE, EVENT, LAST_CHUNK, Rig, SOON, SSE_HEAD, Sponge, always, chunk, outcome, streaming, text, upstream,
};

/// What limpid answered must name the reason in the field and, in OpenAI's shape, in the body.
fn assert_own(reply: &Reply, status: u16, kind: &str, reason: &str) {
    assert_eq!((reply.status, reply.header("x-limpid-error")), (status, Some(reason)), "{}", text(&reply.raw));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let error = &body["error"];
    assert_eq!((&error["type"], &error["code"], &error["param"]), (&kind.into(), &reason.into(), &().into()));
    assert!(error["message"].as_str().unwrap().starts_with("limpid: "));
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_off_for_the_client() {
    let length = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 5000\r\n\r\n";
    let cuts: [(&str, Vec<u8>, Step); 6] = [
        ("in a chunk", [SSE_HEAD, &chunk(EVENT), b"fff\r\ndata: {"].concat(), Step::Close),
        ("between chunks", [SSE_HEAD, &chunk(EVENT)].concat(), Step::Close),
        ("in a chunk's size", [SSE_HEAD, &chunk(EVENT), b"1f"].concat(), Step::Close),
        ("a bad chunk size", [SSE_HEAD, &chunk(EVENT), b"zz\r\n"].concat(), Step::Close),
        ("short of the length", [length, EVENT].concat(), Step::Close),
        ("after the end marker", [SSE_HEAD, &chunk(EVENT), &chunk(DONE)].concat(), Step::Close),
    ];
    for (case, bytes, last) in cuts {
        let server = RawServer::start(vec![Step::ReadRequest, Step::send(&bytes), last]).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let got = rig.ask(&streaming()).await;
        assert!(matches!(got.end, ReplyEnd::Eof | ReplyEnd::Reset), "{case}: {:?}", got.end);
        assert!(!got.raw.ends_with(LAST_CHUNK), "{case}");
        // What came before the cut is the client's, also if both came at once.
        assert!(got.body.starts_with(EVENT), "{case}: {}", text(&got.raw));
        let record = rig.record().await;
        assert_eq!(outcome(&record), (Category::StreamError, "cut_off", Ending::UpstreamError), "{case}");
        assert_eq!((record.status, record.token_events), (Some(200), Some(1)), "{case}");
        assert!(!record.answered_by_limpid);
    }
}

#[tokio::test]
async fn a_reset_in_mid_body_is_an_abort_too() {
    let script = vec![Step::ReadRequest, Step::send([SSE_HEAD, &chunk(EVENT)].concat()), Step::ReadHead, Step::Reset];
    let server = RawServer::start(script).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(&streaming()).await.unwrap();
    client.read_until(&chunk(EVENT), SOON).await.unwrap();
    drop(server);
    let rest = client.read_to_end(SOON).await;
    assert!(rest.is_err() || rest.is_ok_and(|r| r.is_empty()), "no final chunk");
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::StreamError, "cut_off", Ending::UpstreamError));
}

#[tokio::test]
async fn a_cut_of_a_large_body_loses_nothing_that_came() {
    let body = vec![b'x'; 300_000];
    let bytes = [b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n", &body[..]].concat();
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(bytes)]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let got = rig.ask(&request("GET", "/", &[], b"")).await;
    assert_eq!((got.end, got.body.len()), (ReplyEnd::Eof, body.len()));
    assert_eq!(rig.record().await.bytes.response, 300_000);
}

#[tokio::test]
async fn what_is_not_http_is_a_bad_response() {
    for junk in [&b"SSH-2.0-OpenSSH_9.2\r\n\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/1.1 abc\r\n\r\n"] {
        let server = RawServer::start(vec![Step::ReadRequest, Step::send(junk), Step::ReadToEnd]).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        assert_own(&rig.ask(&streaming()).await, 502, "limpid_network", "bad_response");
        let record = rig.record().await;
        assert_eq!(outcome(&record), (Category::Network, "bad_response", Ending::UpstreamError));
        assert_eq!((record.attempts, record.answered_by_limpid, record.status), (1, true, Some(502)));
        assert!(record.stream, "a stream was asked for");
    }
}

#[tokio::test]
async fn an_upstream_that_closes_before_a_head_is_asked_once() {
    for last in [Step::Close, Step::Reset, Step::send("HTTP/1.1 200 OK\r\nContent-Le")] {
        let server = RawServer::start(vec![Step::ReadRequest, last]).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        assert_own(&rig.ask(&streaming()).await, 502, "limpid_network", "reset_before_headers");
        let record = rig.record().await;
        assert_eq!(outcome(&record), (Category::Network, "reset_before_headers", Ending::UpstreamError));
        assert_eq!((record.attempts, server.requests().len()), (1, 1));
        assert_eq!((record.timeline.headers, record.timeline.ttft()), (None, None));
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_told_in_the_apis_own_shape() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (url, reason) in [(format!("http://{closed}"), "connect_refused"), ("http://no.such.invalid".into(), "dns")] {
        let rig = Rig::with(vec![upstream("down", &url)], |_| {}).await;
        assert_own(&rig.ask(&streaming()).await, 502, "limpid_network", reason);
        let got = rig.ask(&request("POST", "/v1/messages", &[], br#"{"model":"m"}"#)).await;
        assert_eq!((got.status, got.header("x-limpid-error")), (502, Some(reason)));
        let body: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!((&body["type"], &body["error"]["type"]), (&"error".into(), &"limpid_network".into()));
        assert!(body["error"]["message"].as_str().unwrap().contains("'down'"));
        for record in rig.records(2).await {
            assert_eq!(outcome(&record), (Category::Network, reason, Ending::UpstreamError));
            assert_eq!((record.attempts, record.timeline.sent), (0, None), "it never was sent");
        }
    }
}

#[tokio::test]
async fn limpids_own_answer_leaves_the_clients_connection_open() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rig = Rig::to(closed).await;
    let mut client = rig.client().await;
    for _ in 0..3 {
        client.send(&streaming()).await.unwrap();
        assert_own(&client.read_reply(SOON).await, 502, "limpid_network", "connect_refused");
    }
    assert_eq!(rig.records(3).await.len(), 3);
}

#[tokio::test]
async fn a_request_that_has_no_path_is_refused() {
    let server = RawServer::start(always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let got = rig.ask(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n").await;
    assert_own(&got, 405, "limpid_rejected", "method_refused");
    assert_eq!(outcome(&rig.record().await), (Category::Rejected, "method_refused", Ending::End));
    assert!(server.seen().is_empty());
}

/// A server that refuses an upload early answers before it has read it, and its answer is the one that counts.
#[tokio::test]
async fn an_answer_before_the_upload_is_over_is_passed_on() {
    let answer = "HTTP/1.1 413 Too Large\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nbig";
    let server = RawServer::start(vec![Step::ReadHead, Step::send(answer), Step::ReadToEnd]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(&request("POST", CHAT, &[("Content-Length", "1000000")], b"")).await.unwrap();
    client.send(&[b' '; 1000]).await.unwrap();
    let got = client.read_reply(SOON).await;
    assert_eq!((got.status, got.text().as_str()), (413, "big"));
    assert_eq!(outcome(&rig.record().await), (Category::ClientRequest, "too_large", Ending::End));
}

#[tokio::test]
async fn a_client_that_breaks_its_upload_off_leaves_one_record() {
    let mut upstream = Sponge::start(usize::MAX).await;
    let rig = Rig::to(upstream.addr).await;
    let mut client = rig.client().await;
    client
        .send(&request("POST", CHAT, &[("Transfer-Encoding", "chunked")], &chunk(b"{\"model\":\"m\",")))
        .await
        .unwrap();
    upstream.until(|got| got.ends_with(&chunk(b"{\"model\":\"m\","))).await;
    drop(client);
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Cancelled, "client_gone", Ending::ClientGone));
    assert_eq!(record.status, None);
    assert_eq!(record.model.requested.as_deref(), Some("m"));
}

#[tokio::test]
async fn a_malformed_upload_is_the_clients_fault() {
    let mut upstream = Sponge::start(usize::MAX).await;
    let rig = Rig::to(upstream.addr).await;
    let mut client = rig.client().await;
    client.send(&request("POST", CHAT, &[("Transfer-Encoding", "chunked")], b"3\r\nabc\r\n")).await.unwrap();
    upstream.until(|got| got.ends_with(b"3\r\nabc\r\n")).await;
    client.send(b"zz\r\n").await.unwrap();
    let got = client.read_reply(SOON).await;
    assert!(matches!((got.status, got.end), (400, ReplyEnd::Complete) | (0, _)), "{:?}", (got.status, got.end));
    let record = rig.record().await;
    assert_eq!((record.outcome.category, &*record.outcome.reason), (Category::ClientRequest, "request_body"));
    let upstream_got = upstream.until(|_| true).await;
    assert!(!upstream_got.ends_with(LAST_CHUNK), "the upstream must not take it for whole");
}

/// The same cut while other threads run: the head and the event may not be written when the error comes.
#[tokio::test(flavor = "multi_thread")]
async fn what_came_right_before_a_cut_is_never_lost() {
    let cut = [SSE_HEAD, &chunk(EVENT)].concat();
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(&cut)]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut lost = 0;
    for _ in 0..300 {
        let got = rig.ask(&streaming()).await;
        assert!(matches!(got.end, ReplyEnd::Eof | ReplyEnd::Reset));
        lost += usize::from(got.body != EVENT);
    }
    assert_eq!(lost, 0);
    assert!(rig.records(300).await.iter().all(|r| outcome(r).1 == "cut_off"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_right_behind_the_head_leaves_the_head() {
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(SSE_HEAD)]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    for _ in 0..300 {
        let got = rig.ask(&streaming()).await;
        assert_eq!((got.status, got.body.len(), got.end), (200, 0, ReplyEnd::Eof));
    }
    assert!(rig.records(300).await.iter().all(|r| outcome(r).1 == "cut_off"));
}

/// HTTP/1.0 has no chunks: a body without a length ends with its connection, whether it is whole or cut. The record knows.
#[tokio::test]
async fn a_client_of_http_1_0_gets_what_came_before_a_cut() {
    let cut = [SSE_HEAD, &chunk(EVENT)].concat();
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(&cut)]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
    assert!(client.read_to_end(SOON).await.unwrap().ends_with(EVENT));
    assert_eq!(outcome(&rig.record().await), (Category::StreamError, "cut_off", Ending::UpstreamError));
}

/// As many as `limpid_http1::MAX_FIELDS`.
#[tokio::test]
async fn five_hundred_fields_pass_and_more_do_not() {
    for (count, statuses) in [(98, (200, 200)), (500, (200, 200)), (513, (502, 431))] {
        let fields = (0..count).fold(String::new(), |all, n| format!("{all}X-Field-{n}: {n}\r\n"));
        let reply = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
        let server = RawServer::start(always(&reply)).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let answered = rig.ask(&request("GET", "/", &[], b"")).await;
        let asked = rig.ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes()).await;
        assert_eq!((answered.status, asked.status), statuses, "{count}");
        if count < 512 {
            assert_eq!(text(&answered.raw), text(reply.as_bytes()));
        }
    }
}

#[tokio::test]
async fn heads_that_never_end_are_cut_and_are_no_exchanges() {
    let server = RawServer::start(always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await.unwrap();
    let rig = Rig::with(vec![upstream("only", &server.url())], |config| {
        config.server.header_timeout = std::time::Duration::from_millis(50);
        config.server.max_head_bytes = 16 << 10;
    })
    .await;
    let mut slow = rig.client().await;
    slow.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half").await.unwrap();
    assert_eq!(slow.read_to_end(SOON).await.unwrap(), b"", "closed without a word");
    let big = "x".repeat(20 << 10);
    let got = rig.ask(&request("GET", "/", &[("X-Big", &big)], b"")).await;
    assert_eq!(got.status, 431);
    let big = "x".repeat(10 << 10);
    assert_eq!(rig.ask(&request("GET", "/", &[("X-Big", &big)], b"")).await.status, 200);
    assert_eq!(rig.sink.started_count(), 1);
}

#[tokio::test]
async fn a_reply_with_a_head_well_above_64_kib_is_refused() {
    for (size, status) in [(60_000, 200), (200_000, 502)] {
        let reply = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 0\r\n\r\n", "y".repeat(size));
        let server = RawServer::start(always(reply)).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let got = rig.ask(&request("GET", "/", &[], b"")).await;
        assert_eq!(got.status, status, "{size}");
        if status == 502 {
            assert_eq!(got.header("x-limpid-error"), Some("response_head_too_large"));
            let record = rig.record().await;
            assert_eq!(outcome(&record), (Category::Network, "response_head_too_large", Ending::UpstreamError));
            assert_eq!(record.outcome.retryable, Some(limpid_core::Retryable::No));
        }
    }
}

/// The setting counts, whatever the number of heads and lines that make it up.
#[tokio::test]
async fn the_limit_of_a_replys_head_is_a_setting() {
    let end = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    for (reply, least) in [
        (format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 0\r\n\r\n", "y".repeat(100_000)), 128 << 10),
        (interim.repeat(1000) + end, 64 << 10),
        ("\r\n".repeat(10_000) + end, 32 << 10),
    ] {
        let server = RawServer::start(always(reply)).await.unwrap();
        for (limit, status) in [(8 << 10, 502), (least, 200)] {
            let mut only = upstream("only", &server.url());
            only.max_response_head = limit;
            let rig = Rig::with(vec![only], |_| {}).await;
            assert_eq!(rig.ask(&request("GET", "/", &[], b"")).await.status, status, "{limit}");
            let reason = if status == 200 { "ok" } else { "response_head_too_large" };
            assert_eq!(rig.record().await.outcome.reason, reason);
        }
    }
}
