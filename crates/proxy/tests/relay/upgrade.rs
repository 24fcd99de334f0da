//! WebSocket: spliced after a 101 and only then, byte for byte, with one record at the end.

use std::sync::Arc;
use std::time::Duration;

use limpid_core::{Category, Ending, Endpoint, ObserverFault};
use limpid_proxy::{Drained, Timeouts};
use limpid_testkit::{RawClient, RawServer, Step, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::common::{Rig, SOON, always, outcome, split, text, upstream, with_host};

const ASK: &[u8] = b"GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\nHost: limpid.test\r\nUpgrade: WebSocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Request-Id: r\r\n\r\n";
const CLOSE: &[u8] = b"\x88\x02\x03\xe8";
/// What a client says, masked with zeros.
const HELLO: &[u8] = b"\x81\x85\0\0\0\0hello";
const BYE: &[u8] = b"\x88\x82\0\0\0\0\x03\xe8";
const DONE: &str = r#"{"type":"response.done","response":{"id":"resp_1","status":"completed",
    "usage":{"total_tokens":12,"input_tokens":9,"output_tokens":3,"input_token_details":{"cached_tokens":4}}}}"#;

fn message(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&[0x81, 126], &length[..], text.as_bytes()].concat()
}

/// A client, and the upstream it was spliced to.
struct Spliced {
    rig: Rig,
    client: RawClient,
    far: TcpStream,
}

/// Reads until `needle` has come.
async fn read_until(far: &mut TcpStream, needle: &[u8]) -> Vec<u8> {
    let mut got = Vec::new();
    let reading = async {
        while !got.windows(needle.len()).any(|w| w == needle) {
            assert!(far.read_buf(&mut got).await.unwrap() > 0, "ended after {}", text(&got));
        }
    };
    timeout(SOON, reading).await.unwrap();
    got
}

/// Whether the other side has ended this connection, cleanly or not.
async fn ended(far: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    timeout(SOON, async { while far.read_buf(&mut rest).await.is_ok_and(|n| n > 0) {} }).await.is_ok()
}

async fn spliced(drain_timeout: Duration) -> Spliced {
    spliced_with(drain_timeout, None).await
}

async fn spliced_with(drain_timeout: Duration, websocket_idle: Option<Duration>) -> Spliced {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut only = upstream("only", &format!("http://{addr}"));
    // The limit on a stream's silence is none of a session's.
    only.timeouts = Timeouts { idle: Some(Duration::from_millis(1)), websocket_idle, ..Timeouts::default() };
    let rig = Rig::with(vec![only], |config| config.server.drain_timeout = drain_timeout).await;
    let mut client = rig.client().await;
    client.send(ASK).await.unwrap();
    let (mut far, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    let asked = read_until(&mut far, b"\r\n\r\n").await;
    let sent = String::from_utf8(with_host(ASK, addr)).unwrap();
    assert_eq!(text(&asked), text(sent.as_bytes()), "the request as it came");
    far.write_all(SWITCH).await.unwrap();
    let answer = client.read_until(b"\r\n\r\n", SOON).await.unwrap();
    assert_eq!(text(&answer), text(SWITCH), "the answer as it came");
    Spliced { rig, client, far }
}

#[tokio::test]
async fn both_directions_pass_and_one_record_tells_of_it() {
    let Spliced { rig, mut client, mut far } = spliced(SOON).await;
    client.send(HELLO).await.unwrap();
    assert_eq!(read_until(&mut far, b"hello").await, HELLO);
    let created = message(r#"{"type":"session.created","session":{"model":"gpt-realtime-1"}}"#);
    let wire = [&created[..], &message(DONE), &message(DONE), b"\x82\x03\0\xff\x01"].concat();
    // In pieces that end within frames.
    for part in wire.chunks(50) {
        far.write_all(part).await.unwrap();
    }
    assert_eq!(client.read_until(b"\x82\x03\0\xff\x01", SOON).await.unwrap(), wire);
    assert!(rig.sink.records().is_empty(), "it goes on");
    client.send(BYE).await.unwrap();
    read_until(&mut far, BYE).await;
    far.write_all(CLOSE).await.unwrap();
    drop(far);
    assert_eq!(client.read_to_end(SOON).await.unwrap(), CLOSE);
    drop(client);

    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Ok, "switching", Ending::End));
    assert_eq!((record.endpoint, record.status, record.attempts), (Endpoint::Realtime, Some(101), 1));
    assert_eq!(record.bytes.request, (HELLO.len() + BYE.len()) as u64);
    assert_eq!(record.bytes.response, (wire.len() + CLOSE.len()) as u64);
    assert_eq!((record.events, record.token_events, record.observer_fault), (Some(4), None, None));
    assert_eq!(record.model.responded.as_deref(), Some("gpt-realtime-1"));
    let usage = record.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.cached_input_tokens), (Some(18), Some(6), Some(8)));
    let line = &record.timeline;
    assert!(line.headers < line.marks.first_byte && line.marks.first_byte <= Some(line.ended));
    assert_eq!(line.ttft(), None, "a session has no first token");
}

#[tokio::test]
async fn what_comes_right_behind_the_101_is_not_lost() {
    let early = [SWITCH, &message("{}")].concat();
    let server = RawServer::start(vec![Step::ReadHead, Step::send(early), Step::ReadToEnd]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    // A client that does not wait for the answer.
    client.send(&[ASK, HELLO].concat()).await.unwrap();
    let got = client.read_until(b"{}", SOON).await.unwrap();
    assert_eq!(text(&got), text(&[SWITCH, &message("{}")].concat()));
    client.half_close().await.unwrap();
    server.until(SOON, |seen| seen[0].peer_closed).await.unwrap();
    let record = rig.record().await;
    assert_eq!((record.bytes.request, record.bytes.response), (HELLO.len() as u64, message("{}").len() as u64));
}

#[tokio::test]
async fn large_traffic_both_ways_is_whole() {
    let Spliced { rig, mut client, far } = spliced(SOON).await;
    let down: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let up: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 241) as u8).collect();
    let (mut from, mut to) = far.into_split();
    let (sent, wanted) = (down.clone(), up.len());
    let sending = tokio::spawn(async move {
        to.write_all(&sent).await.unwrap();
        to
    });
    let reading = tokio::spawn(async move {
        let mut got = vec![0; wanted];
        from.read_exact(&mut got).await.unwrap();
        got
    });
    client.send(&up).await.unwrap();
    let mut got = Vec::new();
    while got.len() < down.len() {
        got.extend(client.read_some(SOON).await.unwrap());
    }
    assert!(got == down, "down");
    assert!(timeout(SOON, reading).await.unwrap().unwrap() == up, "up");
    drop(timeout(SOON, sending).await.unwrap().unwrap());
    drop(client);
    let record = rig.record().await;
    assert_eq!((record.bytes.request, record.bytes.response), (2_000_000, 3_000_000));
    assert_eq!(record.observer_fault, Some(ObserverFault::Json), "that was no WebSocket, and passed all the same");
}

#[tokio::test]
async fn compressed_messages_pass_unread() {
    let Spliced { rig, mut client, mut far } = spliced(SOON).await;
    let packed = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00";
    far.write_all(&[&packed[..], CLOSE].concat()).await.unwrap();
    drop(far);
    assert_eq!(client.read_to_end(SOON).await.unwrap(), [&packed[..], CLOSE].concat());
    drop(client);
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Ok, "switching", Ending::End), "its goodbye is seen");
    assert_eq!((record.observer_fault, record.usage), (Some(ObserverFault::UnknownCoding), None));
}

#[tokio::test]
async fn a_client_that_goes_takes_the_upstream_with_it() {
    for reset in [true, false] {
        let Spliced { rig, mut client, mut far } = spliced(SOON).await;
        client.send(HELLO).await.unwrap();
        read_until(&mut far, b"hello").await;
        if reset {
            client.reset().unwrap();
        } else {
            drop(client);
        }
        assert!(ended(&mut far).await);
        drop(far);
        assert_eq!(outcome(&rig.record().await), (Category::Cancelled, "client_gone", Ending::ClientGone), "{reset}");
    }
}

#[tokio::test]
async fn an_upstream_that_breaks_off_ends_the_client_too() {
    for reset in [true, false] {
        let Spliced { rig, mut client, mut far } = spliced(SOON).await;
        far.write_all(&message("{}")).await.unwrap();
        client.read_until(b"{}", SOON).await.unwrap();
        if reset {
            far.set_zero_linger().unwrap();
        }
        drop(far);
        let rest = client.read_to_end(SOON).await;
        assert!(rest.is_err() || rest.is_ok_and(|r| r.is_empty()));
        drop(client);
        let record = rig.record().await;
        assert_eq!(outcome(&record), (Category::StreamError, "cut_off", Ending::UpstreamError), "{reset}");
    }
}

/// The one that lingers is closed when its time is up; tokio's clock is not paused, for sockets are real.
#[tokio::test]
async fn a_side_that_stays_is_closed_after_the_other() {
    let Spliced { rig, mut client, mut far } = spliced(SOON).await;
    far.write_all(CLOSE).await.unwrap();
    far.shutdown().await.unwrap();
    assert_eq!(client.read_to_end(SOON).await.unwrap(), CLOSE);
    assert!(ended(&mut far).await, "the client never closes");
    assert_eq!(outcome(&rig.record().await), (Category::Ok, "switching", Ending::End));
}

#[tokio::test]
async fn an_answer_that_is_no_101_is_a_response() {
    for (answer, want) in [
        (
            "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            "invalid_api_key",
        ),
        ("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno", "invalid_request"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
    ] {
        let server = RawServer::start(always(answer)).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let mut client = rig.client().await;
        for _ in 0..2 {
            client.send(ASK).await.unwrap();
            let got = client.read_reply(SOON).await;
            assert_eq!(text(&got.raw), text(answer.replace("Upgrade: websocket\r\n", "").as_bytes()));
        }
        assert_eq!(server.seen().len(), 2, "the client's goes on; of the upstream's nobody knows what it has switched");
        for record in rig.records(2).await {
            assert_eq!((&*record.outcome.reason, record.endpoint), (want, Endpoint::Realtime));
        }
    }
}

#[tokio::test]
async fn a_101_to_something_else_is_refused() {
    let to_h2c = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n";
    let server = RawServer::start(vec![Step::ReadHead, Step::send(to_h2c), Step::ReadToEnd]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let got = rig.ask(ASK).await;
    assert_eq!((got.status, got.header("x-limpid-error")), (502, Some("bad_response")));
    server.until(SOON, |seen| seen[0].peer_closed).await.unwrap();
}

/// Anything but a plain request for WebSocket loses the fields, as all hop-by-hop fields do.
#[tokio::test]
async fn other_upgrades_are_not_passed_on() {
    let server = RawServer::start(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let cases = [
        request(
            "GET",
            "/",
            &[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AA")],
            b"",
        ),
        request("GET", "/", &[("Connection", "Upgrade"), ("Upgrade", "websocket, h2c"), ("Upgrade", "h2c")], b""),
        request("GET", "/", &[("Connection", "keep-alive"), ("Upgrade", "websocket")], b""),
        request("POST", "/", &[("Connection", "Upgrade"), ("Upgrade", "websocket")], b"{}"),
        request("GET", "/", &[("Connection", "Upgrade"), ("Upgrade", "websocket")], b"{}"),
        request("GET", "/", &[("Connection", "Upgrade"), ("Upgrade", "TLS/1.0")], b""),
    ];
    for raw in &cases {
        let got = rig.ask(raw).await;
        assert_eq!((got.status, got.text().as_str()), (200, "ok"), "{}", text(raw));
    }
    let seen = server.requests();
    assert_eq!(seen.len(), cases.len());
    for raw in seen {
        let head = split(&raw).0.to_ascii_lowercase();
        assert!(!head.contains("upgrade:") && !head.contains("connection:"), "{head}");
        assert!(!head.contains("http2-settings"), "{head}");
    }
}

#[tokio::test]
async fn a_client_that_goes_before_the_101_leaves_one_record() {
    let go = Arc::new(Notify::new());
    let script = vec![Step::ReadHead, Step::Wait(Arc::clone(&go)), Step::send(SWITCH), Step::ReadToEnd];
    let server = RawServer::start(script).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(ASK).await.unwrap();
    server.until(SOON, |seen| seen.first().is_some_and(|s| s.requests.len() == 1)).await.unwrap();
    client.reset().unwrap();
    assert_eq!(outcome(&rig.record().await), (Category::Cancelled, "client_gone", Ending::ClientGone));
    go.notify_one();
    server.until(SOON, |seen| seen[0].peer_closed).await.unwrap();
}

#[tokio::test]
async fn a_drain_waits_for_a_session_that_ends() {
    let Spliced { mut rig, client, mut far } = spliced(SOON).await;
    let drain = rig.drain();
    far.write_all(&message("{}")).await.unwrap();
    let mut client = client;
    client.read_until(b"{}", SOON).await.unwrap();
    assert!(!drain.is_finished(), "it waits");
    far.write_all(CLOSE).await.unwrap();
    drop(far);
    client.read_to_end(SOON).await.unwrap();
    drop(client);
    assert_eq!(timeout(SOON, drain).await.unwrap().unwrap(), Drained { broken_off: 0 });
    assert_eq!(outcome(&rig.record().await), (Category::Ok, "switching", Ending::End));
}

#[tokio::test]
async fn a_drain_breaks_off_a_session_that_does_not_end() {
    let Spliced { mut rig, mut client, mut far } = spliced(Duration::from_millis(50)).await;
    assert_eq!(timeout(SOON, rig.drain()).await.unwrap().unwrap(), Drained { broken_off: 1 });
    let records = rig.sink.records();
    assert_eq!((rig.sink.started_count(), records.len()), (1, 1));
    assert_eq!(outcome(&records[0]), (Category::Cancelled, "shutdown", Ending::Shutdown));
    assert_eq!(records[0].status, Some(101));
    assert!(ended(&mut far).await);
    let rest = client.read_to_end(SOON).await;
    assert!(rest.is_err() || rest.is_ok_and(|r| r.is_empty()));
}

/// Bytes either way hold the limit off, every twentieth of it for one and a half of it; silence in both closes both.
#[tokio::test]
async fn a_session_may_have_a_limit_on_its_silence() {
    const LIMIT: Duration = Duration::from_secs(1);
    let Spliced { rig, mut client, mut far } = spliced_with(SOON, Some(LIMIT)).await;
    let begun = Instant::now();
    for number in 0..30 {
        tokio::time::sleep(LIMIT / 20).await;
        if number % 2 == 0 {
            client.send(HELLO).await.unwrap();
            read_until(&mut far, b"hello").await;
        } else {
            far.write_all(&message("{}")).await.unwrap();
            client.read_until(b"{}", SOON).await.unwrap();
        }
    }
    assert!(begun.elapsed() > LIMIT, "longer than the limit by now");
    assert!(rig.sink.records().is_empty(), "it goes on");
    assert!(ended(&mut far).await);
    drop(client.read_to_end(SOON).await);
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Timeout, "idle_timeout", Ending::UpstreamError));
    assert_eq!((record.status, record.bytes.request), (Some(101), 15 * HELLO.len() as u64));
}
