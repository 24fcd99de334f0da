//! Upstreams that speak HTTP/2: one connection for many exchanges, each of which ends for itself.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response, Version};
use limpid_core::{Category, Clock, Ending};
use limpid_proxy::{Http2, UpstreamConfig};
use limpid_testkit::sim::{SimConfig, SimServer};
use limpid_testkit::{RawServer, Step, request};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::common::{CHAT, DONE, EVENT, Rig, SOON, chat, chunk, outcome, streaming, upstream, whole};
use crate::streaming::events;

/// An upstream by prior knowledge.
fn h2c(addr: SocketAddr) -> UpstreamConfig {
    UpstreamConfig { http2: Http2::PriorKnowledge, ..upstream("only", &format!("http://{addr}")) }
}

async fn rig_to(addr: SocketAddr) -> Rig {
    Rig::with(vec![h2c(addr)], |_| {}).await
}

/// A chat request for the simulator.
fn asks(sim: &str) -> Vec<u8> {
    chat(&format!(r#"{{"model":"m","stream":true,"messages":[],"sim":{sim}}}"#))
}

/// An HTTP/2 server whose every stream is a test's business.
struct Server {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// `answer` gets each request, with the number of its connection and among its requests. Where it says so, the
    /// connection is closed with GOAWAY after the streams that it carries.
    async fn start<F, A>(streams: u32, answer: A) -> Server
    where
        A: Fn(usize, Request<RecvStream>, SendResponse<Bytes>) -> F + Clone + Send + 'static,
        F: Future<Output = bool> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                all.spawn(async move {
                    let mut builder = Builder::new();
                    builder.max_concurrent_streams(streams);
                    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
                    let mut running = JoinSet::new();
                    loop {
                        tokio::select! {
                            accepted = connection.accept() => {
                                let Some(Ok((request, respond))) = accepted else { return };
                                running.spawn(answer(number, request, respond));
                            }
                            Some(Ok(true)) = running.join_next() => connection.graceful_shutdown(),
                        }
                    }
                });
            }
        });
        Server { addr, connections, accepting }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn head(status: u16, fields: &[(&'static str, &'static str)]) -> Response<()> {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(()).unwrap()
}

fn sse() -> Response<()> {
    head(200, &[("content-type", "text/event-stream")])
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_streams_share_one_connection() {
    let sim = SimServer::start(SimConfig::default()).await.unwrap();
    let rig = rig_to(sim.addr()).await;
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let addr = rig.addr;
        asking.spawn(async move {
            limpid_testkit::exchange(addr, &asks(r#"{"tokens":20,"ttft_ms":20,"gap_ms":1}"#), SOON).await.unwrap()
        });
    }
    while let Some(reply) = asking.join_next().await {
        let reply = reply.unwrap();
        assert!(whole(&reply) && reply.text().contains("data: [DONE]"));
    }
    assert_eq!((sim.stats().connections(), sim.stats().requests()), (1, 50));
    for record in rig.records(50).await {
        assert_eq!(outcome(&record), (Category::Ok, "stop", Ending::End));
        assert_eq!((record.token_events, record.attempts), (Some(20), 1));
    }
    // It stands now, and nobody waits for it.
    assert!(whole(&rig.ask(&asks("{}")).await));
    let last = rig.records(51).await.pop().unwrap();
    assert_eq!((last.timeline.connect, sim.stats().connections()), (None, 1));
}

#[tokio::test]
async fn tokens_have_the_times_at_which_they_were_sent() {
    let clock = Clock::system();
    let sim = SimServer::start(SimConfig { clock: clock.clone(), ..SimConfig::default() }).await.unwrap();
    let own = clock.clone();
    let rig = Rig::with(vec![h2c(sim.addr())], |config| config.clock = own).await;
    let body = r#"{"model":"m","stream":true,"messages":[],"sim":{"tokens":10,"ttft_ms":30,"gap_ms":10}}"#;
    assert!(whole(&rig.ask(&request("POST", CHAT, &[("X-Request-Id", "r1")], body.as_bytes())).await));
    let record = rig.record().await;
    assert!(record.timeline.connect.is_some());
    assert_eq!((record.token_events, record.timeline.gaps.count()), (Some(10), 9));
    let truth = sim.stats().trace("r1").unwrap().tokens();
    let (first, last) = (record.timeline.marks.first_token.unwrap(), record.timeline.marks.last_token.unwrap());
    assert!(first >= truth[0] && first < truth[1], "seen before the second was sent");
    assert!(last >= truth[9]);
}

/// The upstream sends one only when the client has the one before: nothing is gathered on the way.
#[tokio::test]
async fn events_come_one_by_one() {
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let server = Server::start(10, move |_, _, mut respond| {
        let go = Arc::clone(&wait);
        async move {
            let mut body = respond.send_response(sse(), false).unwrap();
            for event in events(40) {
                body.send_data(event.into(), false).unwrap();
                go.notified().await;
            }
            body.send_data(Bytes::new(), true).unwrap();
            false
        }
    })
    .await;
    let rig = rig_to(server.addr).await;
    let mut client = rig.client().await;
    client.send(&streaming()).await.unwrap();
    client.read_until(b"\r\n\r\n", SOON).await.unwrap();
    for event in events(40) {
        assert_eq!(client.read_until(&event, SOON).await.unwrap().len(), chunk(&event).len() - 2);
        assert_eq!(client.read_until(b"\r\n", SOON).await.unwrap(), b"\r\n");
        go.notify_one();
    }
    client.read_until(b"0\r\n\r\n", SOON).await.unwrap();
    assert_eq!(rig.record().await.token_events, Some(40));
}

#[tokio::test]
async fn a_cancelled_stream_leaves_the_others() {
    for fault in ["stall_forever:5", "never_answer"] {
        let sim = SimServer::start(SimConfig::default()).await.unwrap();
        let rig = rig_to(sim.addr()).await;
        let mut other = rig.client().await;
        other.send(&asks(r#"{"tokens":200,"ttft_ms":1,"gap_ms":2}"#)).await.unwrap();
        other.read_until(b"\n\n", SOON).await.unwrap();
        let mut leaving = Vec::new();
        for _ in 0..90 {
            let mut client = rig.client().await;
            client.send(&asks(&format!(r#"{{"ttft_ms":1,"gap_ms":1,"fault":"{fault}"}}"#))).await.unwrap();
            if fault != "never_answer" {
                client.read_until(b"\n\n", SOON).await.unwrap();
            }
            leaving.push(client);
        }
        timeout(SOON, sim.stats().until(|s| s.requests() == 91)).await.unwrap();
        drop(leaving);
        timeout(SOON, sim.stats().until(|s| s.cancelled() == 90)).await.unwrap();
        other.read_until(b"data: [DONE]", SOON).await.unwrap();
        let records = rig.records(91).await;
        let gone = records.iter().filter(|r| outcome(r) == (Category::Cancelled, "client_gone", Ending::ClientGone));
        assert_eq!((gone.count(), sim.stats().completed()), (90, 1));
        assert_eq!((sim.stats().connections(), sim.stats().open_connections()), (1, 1));
    }
}

#[tokio::test]
async fn readers_that_stop_hold_up_nobody() {
    let sim = SimServer::start(SimConfig::default()).await.unwrap();
    let rig = rig_to(sim.addr()).await;
    let mut stopped = Vec::new();
    for _ in 0..20 {
        let mut client = rig.client().await;
        client.send(&asks(r#"{"tokens":2000,"ttft_ms":0,"gap_ms":0,"padding":65536}"#)).await.unwrap();
        client.read_until(b"\r\n\r\n", SOON).await.unwrap();
        stopped.push(client);
    }
    // All windows are full once nothing more is sent.
    let mut before = u64::MAX;
    while before != sim.stats().bytes() {
        before = sim.stats().bytes();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(whole(&rig.ask(&asks(r#"{"tokens":50,"ttft_ms":0,"gap_ms":0,"padding":10000}"#)).await));
    assert_eq!((sim.stats().connections(), sim.stats().completed()), (1, 1));
}

#[tokio::test]
async fn more_streams_than_the_upstream_takes_go_to_further_connections() {
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let server = Server::start(3, move |_, _, mut respond| {
        let go = Arc::clone(&wait);
        async move {
            let mut body = respond.send_response(sse(), false).unwrap();
            go.notified().await;
            body.send_data(DONE.into(), true).unwrap();
            false
        }
    })
    .await;
    let rig = rig_to(server.addr).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = rig.client().await;
        client.send(&streaming()).await.unwrap();
        clients.push(client);
    }
    for client in &mut clients {
        client.read_until(b"\r\n\r\n", SOON).await.unwrap();
    }
    assert_eq!(server.connections(), 3);
    go.notify_waiters();
    for client in &mut clients {
        client.read_until(b"0\r\n\r\n", SOON).await.unwrap();
    }
    // Their places are free again.
    go.notify_one();
    assert!(whole(&rig.ask(&streaming()).await));
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_connection_that_says_goaway_is_left_and_its_streams_end() {
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let server = Server::start(100, move |_, request, mut respond| {
        let go = Arc::clone(&wait);
        async move {
            let mut body = respond.send_response(sse(), false).unwrap();
            let slow = request.headers().contains_key("x-slow");
            if slow {
                go.notified().await;
            }
            body.send_data(DONE.into(), true).unwrap();
            !slow
        }
    })
    .await;
    let rig = rig_to(server.addr).await;
    let mut slow = rig.client().await;
    slow.send(&request("POST", CHAT, &[("X-Slow", "1")], b"{}")).await.unwrap();
    slow.read_until(b"\r\n\r\n", SOON).await.unwrap();
    for n in 1..=5 {
        // Each of these is followed by GOAWAY, the next is sent elsewhere.
        assert!(whole(&rig.ask(&streaming()).await));
        assert!(server.connections() <= n + 1);
    }
    assert!(server.connections() > 1);
    go.notify_one();
    slow.read_until(b"0\r\n\r\n", SOON).await.unwrap();
    let records = rig.records(6).await;
    assert!(records.iter().all(|r| r.outcome.category == Category::Ok && r.attempts <= 2));
    // Each attempt that came back is timed, before the one that went through.
    for r in &records {
        let t = &r.timeline;
        assert_eq!(u32::try_from(t.unsent.len()).unwrap() + 1, r.attempts);
        assert!(t.unsent.iter().all(|a| a.began <= a.ended && Some(a.ended) <= t.sent));
    }
}

/// A stream that its server resets is cut off, whatever the code; one without error too, as its end had not come.
#[tokio::test]
async fn a_reset_in_mid_stream_is_no_end() {
    for reason in [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR] {
        let go = Arc::new(Notify::new());
        let wait = Arc::clone(&go);
        let server = Server::start(100, move |_, _, mut respond| {
            let go = Arc::clone(&wait);
            async move {
                let mut body = respond.send_response(sse(), false).unwrap();
                body.send_data(EVENT.into(), false).unwrap();
                go.notified().await;
                body.send_reset(reason);
                false
            }
        })
        .await;
        let rig = rig_to(server.addr).await;
        let mut client = rig.client().await;
        client.send(&streaming()).await.unwrap();
        client.read_until(&chunk(EVENT), SOON).await.unwrap();
        go.notify_one();
        assert_eq!(client.read_to_end(SOON).await.unwrap(), b"", "{reason}: no end of the coding");
        let record = rig.record().await;
        assert_eq!(outcome(&record), (Category::StreamError, "cut_off", Ending::UpstreamError), "{reason}");
        assert_eq!(record.token_events, Some(1));
    }
}

#[tokio::test]
async fn a_lost_connection_ends_all_its_streams_and_no_other() {
    let sim = SimServer::start(SimConfig::default()).await.unwrap();
    let rig = rig_to(sim.addr()).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = rig.client().await;
        client.send(&asks(r#"{"ttft_ms":1,"gap_ms":1,"fault":"stall_forever:2"}"#)).await.unwrap();
        for _ in 0..3 {
            client.read_until(b"\n\n", SOON).await.unwrap();
        }
        clients.push(client);
    }
    sim.stop().await;
    for record in rig.records(3).await {
        assert_eq!(outcome(&record), (Category::StreamError, "cut_off", Ending::UpstreamError));
    }
}

/// Before its SETTINGS have come nothing is sent, so a server that speaks HTTP/1.1 gets no request that it could act on.
#[tokio::test]
async fn a_server_without_http_2_gets_no_request() {
    let script = vec![Step::ReadHead, Step::send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")];
    let server = RawServer::start(script).await.unwrap();
    let rig = rig_to(server.addr()).await;
    let reply = rig.ask(&chat(r#"{"model":"canary"}"#)).await;
    assert_eq!((reply.status, reply.header("x-limpid-error")), (502, Some("connect_failed")));
    let record = rig.record().await;
    assert_eq!((record.outcome.category, record.attempts), (Category::Network, 0));
    assert!(!server.requests().iter().any(|r| r.windows(6).any(|w| w == b"canary")));
}

#[tokio::test]
async fn fields_are_those_of_http_2() {
    let (tell, mut told) = watch::channel(None);
    let server = Server::start(100, move |_, request, mut respond| {
        let tell = tell.clone();
        async move {
            let (asked, mut body) = request.into_parts();
            let mut got = Vec::new();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                got.extend_from_slice(&data);
            }
            tell.send_replace(Some((asked, got)));
            let fields = [("x-b", "1"), ("set-cookie", "a"), ("set-cookie", "b"), ("content-length", "2")];
            let mut body = respond.send_response(head(200, &fields), false).unwrap();
            body.send_data("ok".into(), false).unwrap();
            // The end comes late, or never: the length is fulfilled.
            std::future::pending::<()>().await;
            false
        }
    })
    .await;
    let rig = rig_to(server.addr).await;
    let fields = [("X-A", "1"), ("TE", "trailers"), ("Connection", "X-Hop, TE"), ("X-Hop", "1"), ("X-A", "2")];
    let reply = rig.ask(&request("POST", "/v1/x?a=%20b", &fields, b"{}")).await;
    assert_eq!((reply.status, reply.text().as_str(), whole(&reply)), (200, "ok", true));
    assert_eq!((reply.header("x-b"), reply.header("content-length")), (Some("1"), Some("2")));
    let got = timeout(SOON, told.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    let (head, body) = got.unwrap();
    let uri = format!("http://{}/v1/x?a=%20b", server.addr);
    assert_eq!((head.uri.to_string(), head.version, body), (uri, Version::HTTP_2, b"{}".to_vec()));
    assert_eq!(lines(&head.headers), ["content-length: 2", "te: trailers", "x-a: 1", "x-a: 2"]);
    assert_eq!(outcome(&rig.record().await), (Category::Ok, "ok", Ending::End));
}

fn lines(fields: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> = fields.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
    lines.sort();
    lines
}

/// HTTP/2 on both legs, with trailers in the reply.
#[tokio::test]
async fn trailers_reach_a_client_of_http_2() {
    let server = Server::start(100, |_, _, mut respond| async move {
        let mut body = respond.send_response(sse(), false).unwrap();
        body.send_data(EVENT.into(), false).unwrap();
        body.send_data(DONE.into(), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "7".parse().unwrap());
        body.send_trailers(trailers).unwrap();
        false
    })
    .await;
    let rig = rig_to(server.addr).await;
    let stream = tokio::net::TcpStream::connect(rig.addr).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let ask = Request::post(format!("http://limpid.test{CHAT}")).body(()).unwrap();
    let (response, mut upload) = client.send_request(ask, false).unwrap();
    upload.send_data("{}".into(), true).unwrap();
    let mut body = timeout(SOON, response).await.unwrap().unwrap().into_body();
    let mut got = Vec::new();
    while let Some(data) = timeout(SOON, body.data()).await.unwrap() {
        got.extend_from_slice(&data.unwrap());
    }
    assert_eq!(got, [EVENT, DONE].concat());
    let trailers = timeout(SOON, body.trailers()).await.unwrap().unwrap().unwrap();
    assert_eq!(trailers["x-checksum"], "7");
    assert_eq!(outcome(&rig.record().await), (Category::Ok, "stop", Ending::End));
}

/// The same simulator, asked over both protocols: the same reply, but for the framing.
#[tokio::test]
async fn replies_are_those_of_http_1_1() {
    let asked = [
        chat(r#"{"model":"m","messages":[],"sim":{"tokens":9}}"#),
        asks(r#"{"tokens":9,"ttft_ms":1,"gap_ms":1}"#),
        asks(r#"{"fault":"rate_limited:3"}"#),
        request("GET", "/v1/models", &[], b""),
        request("GET", "/nowhere", &[], b""),
    ];
    for ask in asked {
        let mut replies = Vec::new();
        for http2 in [Http2::Never, Http2::PriorKnowledge] {
            let sim = SimServer::start(SimConfig::default()).await.unwrap();
            let only = UpstreamConfig { http2, ..h2c(sim.addr()) };
            let rig = Rig::with(vec![only], |_| {}).await;
            let reply = rig.ask(&ask).await;
            let framing = ["transfer-encoding", "date"];
            let fields = reply.headers.iter().map(|(n, v)| (n.to_lowercase(), v.clone()));
            let mut fields: Vec<_> = fields.filter(|(n, _)| !framing.contains(&n.as_str())).collect();
            fields.sort();
            let record = rig.record().await;
            // The second at which it was made is the one thing in which two runs may differ.
            let text = reply.text();
            let dated =
                text.split("\"created\":").map(|p| p.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned());
            let body: Vec<_> = dated.collect();
            replies.push((reply.status, fields, body, whole(&reply), record.outcome, record.token_events));
        }
        assert_eq!(replies[0], replies[1]);
    }
}

/// The answer to a HEAD tells the length of what it does not carry, and is over with its head.
#[tokio::test]
async fn a_head_keeps_its_length() {
    let server = Server::start(100, |_, _, mut respond| async move {
        let mut body = respond.send_response(head(200, &[("content-length", "7")]), false).unwrap();
        body.send_data(Bytes::new(), true).unwrap();
        false
    })
    .await;
    let rig = rig_to(server.addr).await;
    let mut client = rig.client().await;
    client.send(&request("HEAD", "/v1/models", &[], b"")).await.unwrap();
    let got = client.read_until(b"\r\n\r\n", SOON).await.unwrap();
    assert!(String::from_utf8_lossy(&got).contains("content-length: 7\r\n"));
    assert_eq!(rig.record().await.outcome.ending, Ending::End);
}

#[tokio::test]
async fn an_unused_connection_is_closed() {
    for (idle_timeout, max_idle) in [(50, 16), (60_000, 0)] {
        let sim = SimServer::start(SimConfig::default()).await.unwrap();
        let mut only = h2c(sim.addr());
        only.pool_idle_timeout = Duration::from_millis(idle_timeout);
        only.max_idle_connections = max_idle;
        let rig = Rig::with(vec![only], |_| {}).await;
        assert!(whole(&rig.ask(&asks("{}")).await));
        timeout(SOON, sim.stats().until(|s| s.open_connections() == 0)).await.unwrap();
        assert!(whole(&rig.ask(&asks("{}")).await));
    }
}

/// A connection that has grown old takes no more streams, and closes when those that it carries are over.
#[tokio::test]
async fn an_old_connection_finishes_what_it_carries() {
    let go_on = Arc::new(Notify::new());
    let wait = Arc::clone(&go_on);
    let server = Server::start(100, move |number, _, mut respond| {
        let wait = Arc::clone(&wait);
        async move {
            let mut body = respond.send_response(sse(), false).unwrap();
            body.send_data(Bytes::from_static(EVENT), false).unwrap();
            if number == 0 {
                wait.notified().await;
            }
            body.send_data(Bytes::from_static(DONE), true).unwrap();
            false
        }
    })
    .await;
    let clock = Clock::manual(std::time::SystemTime::UNIX_EPOCH);
    let own = clock.clone();
    let only = UpstreamConfig { max_connection_age: Some(Duration::from_secs(100)), ..h2c(server.addr) };
    let rig = Rig::with(vec![only], |config| config.clock = own).await;
    let mut first = rig.client().await;
    first.send(&streaming()).await.unwrap();
    first.read_until(EVENT, SOON).await.unwrap();
    clock.advance(Duration::from_secs(111));
    assert!(whole(&rig.ask(&streaming()).await));
    assert!(whole(&rig.ask(&streaming()).await));
    assert_eq!(server.connections(), 2, "a new one for all that came since");
    go_on.notify_one();
    assert!(first.read_until(b"[DONE]\n\n\r\n0\r\n\r\n", SOON).await.is_ok());
    assert!(rig.records(3).await.iter().all(|r| r.outcome.category == Category::Ok));
}
