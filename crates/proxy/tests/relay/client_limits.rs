//! What a client may take of time: heads, bodies, and connections by which nothing comes. The limits are short and real; which
//! one ran out is told by what is closed, and by the record.

use std::time::Duration;

use limpid_core::{Category, Ending, Fault};
use limpid_proxy::{ProxyConfig, UpstreamConfig};
use limpid_testkit::{RawServer, Step, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::common::{CHAT, EVENT, LAST_CHUNK, Rig, SOON, SSE_HEAD, always, chunk, for_models, outcome, upstream};
use crate::http2_faults::{ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, frame};

const SHORT: Duration = Duration::from_millis(120);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn rig(server: &RawServer, change: impl FnOnce(&mut ProxyConfig)) -> Rig {
    Rig::with(vec![upstream("only", &server.url())], change).await
}

/// A client of HTTP/2, frame by frame.
struct Client(TcpStream);

impl Client {
    async fn says(rig: &Rig, frames: &[u8]) -> Client {
        let mut stream = TcpStream::connect(rig.addr).await.unwrap();
        stream.write_all(frames).await.unwrap();
        Client(stream)
    }

    /// The next frame's kind, flags and stream; `None` at the connection's end.
    async fn next(&mut self) -> Option<(u8, u8, u32)> {
        let read = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            self.0.read_exact(&mut vec![0; length]).await.ok()?;
            Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]])))
        };
        timeout(SOON, read).await.unwrap()
    }

    /// All that come until the connection's end.
    async fn rest(&mut self) -> Vec<u8> {
        let mut kinds = Vec::new();
        while let Some((kind, ..)) = self.next().await {
            kinds.push(kind);
        }
        kinds
    }
}

/// `POST /` to limpid.test, with these flags.
fn post(flags: u8) -> Vec<u8> {
    frame(HEADERS, flags, 1, &[&[0x83, 0x86, 0x84, 0x41, 11], &b"limpid.test"[..]].concat())
}

fn hello() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

#[tokio::test]
async fn a_client_of_http_2_that_leaves_things_undone_is_closed() {
    let server = RawServer::start(always("HTTP/1.1 204 No Content\r\n\r\n")).await.unwrap();
    let rig = rig(&server, |config| config.server.header_timeout = SHORT).await;
    for (name, said) in [
        ("the preface alone", PREFACE.to_vec()),
        ("no request", hello()),
        ("half a frame", [hello(), post(END_HEADERS)[..12].to_vec()].concat()),
        ("half a head", [hello(), post(0)].concat()),
    ] {
        let kinds = Client::says(&rig, &said).await.rest().await;
        assert!(kinds.contains(&SETTINGS) && !kinds.contains(&HEADERS), "{name}: {kinds:?}");
    }
    // One that has been answered, and is done.
    let mut done = Client::says(&rig, &[hello(), post(END_HEADERS | END_STREAM)].concat()).await;
    let kinds = done.rest().await;
    assert!(kinds.contains(&HEADERS) && kinds.contains(&GOAWAY), "{kinds:?}");
    assert_eq!(rig.record().await.outcome.category, Category::Ok);
}

/// The limit is on unused connections: a stream may take as long as it likes, in either direction.
#[tokio::test]
async fn an_open_request_keeps_a_connection_of_http_2() {
    let mut script = vec![Step::ReadRequest, Step::send([SSE_HEAD, &chunk(EVENT)].concat())];
    for _ in 0..8 {
        script.extend([Step::Sleep(SHORT), Step::send(chunk(EVENT))]);
    }
    script.push(Step::send(LAST_CHUNK));
    let server = RawServer::start(script).await.unwrap();
    let rig = rig(&server, |config| config.server.header_timeout = SHORT).await;
    let mut client = Client::says(&rig, &[hello(), post(END_HEADERS | END_STREAM)].concat()).await;
    loop {
        match client.next().await.unwrap() {
            (DATA, flags, 1) if flags & END_STREAM != 0 => break,
            (kind, ..) => assert!(![GOAWAY, RST_STREAM].contains(&kind), "{kind}"),
        }
    }
    assert_eq!(rig.record().await.outcome.ending, Ending::End);
}

/// A client that has vanished in mid-stream answers no PING.
#[tokio::test]
async fn a_client_of_http_2_that_answers_no_ping_is_gone() {
    let script = vec![Step::ReadRequest, Step::send([SSE_HEAD, &chunk(EVENT)].concat()), Step::ReadToEnd];
    let server = RawServer::start(script).await.unwrap();
    let rig = rig(&server, |config| {
        config.server.http2_ping_interval = Some(SHORT);
        config.server.http2_ping_timeout = SHORT;
    })
    .await;
    let mut client = Client::says(&rig, &[hello(), post(END_HEADERS | END_STREAM)].concat()).await;
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Cancelled, "client_gone", Ending::ClientGone));
    assert!(client.rest().await.contains(&PING));
    server.until(SOON, |seen| seen.iter().all(|s| s.peer_closed)).await.unwrap();
}

#[tokio::test]
async fn one_that_answers_them_stays() {
    let script = vec![Step::ReadRequest, Step::send([SSE_HEAD, &chunk(EVENT)].concat()), Step::ReadToEnd];
    let server = RawServer::start(script).await.unwrap();
    let rig = rig(&server, |config| {
        config.server.http2_ping_interval = Some(SHORT / 4);
        config.server.http2_ping_timeout = SOON;
    })
    .await;
    let mut client = Client::says(&rig, &[hello(), post(END_HEADERS | END_STREAM)].concat()).await;
    let mut pings = 0;
    while pings < 5 {
        let (kind, flags, _) = client.next().await.unwrap();
        if kind == PING && flags & ACK == 0 {
            pings += 1;
            // hyper's PING is always this one.
            client.0.write_all(&frame(PING, ACK, 0, b"\x3b\x7c\xdb\x7a\x0b\x87\x16\xb4")).await.unwrap();
        }
    }
    assert_eq!(rig.sink.started_count(), 1);
}

/// The kinds of upstream by which a body is waited for: as it goes up, for its model, and for its usage.
fn upstreams(url: &str) -> [Vec<UpstreamConfig>; 3] {
    let asks = UpstreamConfig { ask_for_usage: true, ..upstream("only", url) };
    [vec![upstream("only", url)], vec![for_models("only", url, &["m"])], vec![asks]]
}

#[tokio::test]
async fn a_body_that_pauses_for_too_long_is_a_408_and_the_clients_fault() {
    for place in 0..3 {
        let server = RawServer::start(vec![Step::ReadRequest, Step::ReadToEnd]).await.unwrap();
        let upstreams = upstreams(&server.url()).into_iter().nth(place).unwrap();
        let rig = Rig::with(upstreams, |config| config.server.request_body_timeout = Some(SHORT)).await;
        for fields in [("Content-Length", "100"), ("Transfer-Encoding", "chunked")] {
            let mut client = rig.client().await;
            client.send(&request("POST", CHAT, &[fields], b"")).await.unwrap();
            client.send(if fields.1 == "100" { b"{\"a\":" } else { b"5\r\n{\"a\":\r\n" }).await.unwrap();
            let reply = client.read_reply(SOON).await;
            assert_eq!((reply.status, reply.header("x-limpid-error")), (408, Some("request_body_timeout")), "{place}");
            assert_eq!(reply.header("connection"), Some("close"));
        }
        for record in rig.records(2).await {
            assert_eq!(outcome(&record), (Category::ClientRequest, "request_body_timeout", Ending::End), "{place}");
            assert_eq!(record.outcome.fault, Some(Fault::Client));
        }
    }
}

#[tokio::test]
async fn the_same_over_http_2() {
    let server = RawServer::start(vec![Step::ReadRequest, Step::ReadToEnd]).await.unwrap();
    let rig = rig(&server, |config| config.server.request_body_timeout = Some(SHORT)).await;
    let mut client = Client::says(&rig, &[hello(), post(END_HEADERS), frame(DATA, 0, 1, b"{")].concat()).await;
    while client.next().await.unwrap().0 != HEADERS {}
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::ClientRequest, "request_body_timeout", Ending::End));
    assert_eq!(record.status, Some(408));
}

/// The limit is on a pause, not on the whole.
#[tokio::test]
async fn a_body_that_goes_on_takes_as_long_as_it_likes() {
    let server = RawServer::start(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")).await.unwrap();
    for upstreams in upstreams(&server.url()) {
        let rig = Rig::with(upstreams, |config| config.server.request_body_timeout = Some(10 * SHORT)).await;
        let mut client = rig.client().await;
        client.send(&request("POST", CHAT, &[("Content-Length", "13")], b"")).await.unwrap();
        for byte in b"{\"model\":\"m\"}" {
            sleep(SHORT).await;
            client.send(&[*byte]).await.unwrap();
        }
        assert_eq!(client.read_reply(SOON).await.status, 200);
    }
}
