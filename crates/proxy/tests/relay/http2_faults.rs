//! Upstreams that speak HTTP/2 and refuse, go away, fall silent or change their mind: frame by frame.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use limpid_core::{Category, Clock, Ending};
use limpid_proxy::{Http2, Http2Limits, UpstreamConfig};
use limpid_testkit::{RawClient, Reply, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::common::{CHAT, Rig, SOON, chat, outcome, upstream};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;
const HTTP_1_1_REQUIRED: u32 = 13;

/// A frame that the server got.
#[derive(Debug, Clone)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
    /// How many bytes of body came on this stream, this frame's included.
    body: usize,
}

impl Frame {
    /// Whether the request is whole with it.
    fn ends(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

fn go_away(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

/// `SETTINGS_MAX_CONCURRENT_STREAMS`.
fn streams(most: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&[0, 3], &most.to_be_bytes()[..]].concat())
}

/// `:status: 204`, and the end.
fn answer(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &[0x89])
}

/// `:status: 200`, and no end.
fn begins(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &[0x88])
}

/// What a server does for a frame.
enum Do {
    Write(Vec<u8>),
    WriteAndClose(Vec<u8>),
    /// Neither reads nor writes any more, and keeps the connection open.
    Freeze,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    connections: usize,
    /// For each request: its connection, its stream, and the body that came.
    requests: Vec<(usize, u32, Vec<u8>)>,
}

/// A server that answers SETTINGS and PINGs, and leaves all else to a test.
struct Server {
    addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// `on` gets each frame of a request, and the number of its connection.
    async fn start(on: impl Fn(usize, &Frame) -> Do + Clone + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Seen>>::default();
        let tell = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = tell.lock().unwrap().connections;
                tell.lock().unwrap().connections += 1;
                all.spawn(serve(stream, number, on.clone(), Arc::clone(&tell)));
            }
        });
        Server { addr, seen, accepting }
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Which connections the requests came by, in their order.
    fn by(&self) -> Vec<usize> {
        self.seen().requests.iter().map(|r| r.0).collect()
    }

    fn upstream(&self) -> UpstreamConfig {
        UpstreamConfig { http2: Http2::PriorKnowledge, ..upstream("only", &format!("http://{}", self.addr)) }
    }

    async fn rig(&self) -> Rig {
        Rig::with(vec![self.upstream()], |_| {}).await
    }

    /// With a clock that the test moves.
    async fn rig_by(&self, clock: &Clock) -> Rig {
        let own = clock.clone();
        Rig::with(vec![self.upstream()], |config| config.clock = own).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut stream: tokio::net::TcpStream,
    number: usize,
    on: impl Fn(usize, &Frame) -> Do,
    seen: Arc<Mutex<Seen>>,
) {
    let mut preface = [0; 24];
    if stream.read_exact(&mut preface).await.is_err() {
        return;
    }
    drop(stream.write_all(&frame(SETTINGS, 0, 0, &[])).await);
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut got = Frame { kind: head[3], flags: head[4], stream: id, payload: vec![0; length], body: 0 };
        stream.read_exact(&mut got.payload).await.unwrap();
        let mut todo = Do::Write(Vec::new());
        match got.kind {
            SETTINGS if got.flags & ACK == 0 => drop(stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await),
            PING if got.flags & ACK == 0 => drop(stream.write_all(&frame(PING, ACK, 0, &got.payload)).await),
            HEADERS => {
                seen.lock().unwrap().requests.push((number, id, Vec::new()));
                todo = on(number, &got);
            }
            DATA => {
                {
                    let mut seen = seen.lock().unwrap();
                    let of = seen.requests.iter_mut().find(|r| (r.0, r.1) == (number, id)).unwrap();
                    of.2.extend_from_slice(&got.payload);
                    got.body = of.2.len();
                }
                todo = on(number, &got);
            }
            _ => {}
        }
        match todo {
            Do::Write(bytes) => drop(stream.write_all(&bytes).await),
            Do::WriteAndClose(bytes) => {
                drop(stream.write_all(&bytes).await);
                drop(stream.shutdown().await);
                return;
            }
            Do::Freeze => std::future::pending().await,
        }
    }
}

fn failed(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.header("x-limpid-error"))
}

fn body(of: usize) -> Vec<u8> {
    let text: String = (0..of).map(|n| char::from(b'a' + u8::try_from(n % 26).unwrap())).collect();
    text.into_bytes()
}

type Saying = fn(&Frame) -> Vec<u8>;

/// What an upstream can say to a stream that it did nothing for.
const REFUSALS: [(&str, Saying); 4] = [
    ("REFUSED_STREAM", |f| reset(f.stream, REFUSED_STREAM)),
    ("GOAWAY without an error", |_| go_away(0, NO_ERROR)),
    ("GOAWAY with one", |_| go_away(0, ENHANCE_YOUR_CALM)),
    ("GOAWAY, twice", |_| [go_away((1 << 31) - 1, NO_ERROR), go_away(0, NO_ERROR)].concat()),
];

/// Whether its head alone had gone up, a part of its body, or all of it; and GOAWAY also where the connection closes behind.
#[tokio::test]
async fn what_was_refused_unprocessed_is_sent_again_whole() {
    for (name, says) in REFUSALS {
        for (size, after) in [(0, 0), (10, 10), (40_000, 0), (40_000, 1), (40_000, 40_000)] {
            for closes in [false, true] {
                let server = Server::start(move |connection, frame| match connection {
                    0 if frame.body >= after && (after > 0 || frame.kind == HEADERS) => {
                        if closes {
                            Do::WriteAndClose(says(frame))
                        } else {
                            Do::Write(says(frame))
                        }
                    }
                    1.. if frame.ends() => Do::Write(answer(frame.stream)),
                    _ => Do::Write(Vec::new()),
                })
                .await;
                let rig = server.rig().await;
                let sent = body(size);
                let method = if size == 0 { "GET" } else { "POST" };
                let reply = rig.ask(&request(method, CHAT, &[], &sent)).await;
                let what = format!("{name}, {after} of {size} bytes, closes: {closes}");
                assert_eq!(reply.status, 204, "{what}: {}", reply.text());
                let seen = server.seen();
                assert_eq!((seen.connections, server.by()), (2, vec![0, 1]), "{what}");
                assert!(seen.requests[1].2 == sent, "{what}: the body");
                let record = rig.record().await;
                assert_eq!((record.outcome.category, record.outcome.ending), (Category::Ok, Ending::End), "{what}");
                assert_eq!((record.attempts, record.timeline.unsent.len()), (2, 1), "{what}");
                assert_eq!(record.bytes.request, size as u64, "{what}");
            }
        }
    }
}

/// Inference is neither free nor idempotent.
#[tokio::test]
async fn what_may_have_been_processed_is_never_sent_again() {
    let sayings: [(&str, Saying); 5] = [
        ("CANCEL", |f| reset(f.stream, CANCEL)),
        ("INTERNAL_ERROR", |f| reset(f.stream, INTERNAL_ERROR)),
        ("GOAWAY at this stream", |f| go_away(f.stream, NO_ERROR)),
        ("GOAWAY behind it, with an error", |f| go_away(f.stream + 10, ENHANCE_YOUR_CALM)),
        ("nothing", |_| Vec::new()),
    ];
    for (name, says) in sayings {
        let server = Server::start(
            move |_, frame| {
                if frame.ends() { Do::WriteAndClose(says(frame)) } else { Do::Write(Vec::new()) }
            },
        )
        .await;
        let rig = server.rig().await;
        let reply = rig.ask(&chat("{}")).await;
        assert_eq!(failed(&reply), (502, Some("reset_before_headers")), "{name}");
        assert_eq!(server.by(), [0], "{name}");
        let record = rig.record().await;
        assert_eq!(outcome(&record), (Category::Network, "reset_before_headers", Ending::UpstreamError), "{name}");
        assert_eq!(record.attempts, 1, "{name}");
    }
}

/// Once the head has come, a refusal is a cut.
#[tokio::test]
async fn a_refusal_behind_the_head_is_a_cut() {
    let server = Server::start(|_, frame| {
        let cut = [begins(frame.stream), reset(frame.stream, REFUSED_STREAM)].concat();
        if frame.ends() { Do::Write(cut) } else { Do::Write(Vec::new()) }
    })
    .await;
    let rig = server.rig().await;
    // Both come in one read, so the head may be lost to the client, but no second request is made.
    drop(rig.ask(&chat("{}")).await);
    assert_eq!(server.by().len(), usize::try_from(rig.record().await.attempts).unwrap());
}

#[tokio::test]
async fn a_body_that_was_not_kept_is_not_sent_again_and_the_failure_says_so() {
    for (size, kept, again) in [(10_000, 10_000, true), (10_001, 10_000, false), (10, 0, false)] {
        let server = Server::start(|connection, frame| match (connection, frame.ends()) {
            (0, true) => Do::Write(reset(frame.stream, REFUSED_STREAM)),
            (_, true) => Do::Write(answer(frame.stream)),
            _ => Do::Write(Vec::new()),
        })
        .await;
        let limits = Http2Limits { resend_bytes: kept, ..Http2Limits::default() };
        let rig = Rig::with(vec![UpstreamConfig { http2_limits: limits, ..server.upstream() }], |_| {}).await;
        let reply = rig.ask(&request("POST", CHAT, &[], &body(size))).await;
        let record = rig.record().await;
        if again {
            assert_eq!((reply.status, server.by()), (204, vec![0, 1]));
        } else {
            assert_eq!(failed(&reply), (502, Some("resend_too_large")));
            assert!(reply.text().contains("max_resend_bytes"), "{}", reply.text());
            assert_eq!(outcome(&record), (Category::Network, "resend_too_large", Ending::UpstreamError));
            assert_eq!((server.by(), record.attempts), (vec![0], 1));
        }
    }
}

#[tokio::test]
async fn it_is_not_sent_again_without_end() {
    for (code, attempts) in [(REFUSED_STREAM, 3), (HTTP_1_1_REQUIRED, 1)] {
        let server =
            Server::start(
                move |_, frame| {
                    if frame.ends() { Do::Write(reset(frame.stream, code)) } else { Do::Write(Vec::new()) }
                },
            )
            .await;
        let rig = server.rig().await;
        assert_eq!(failed(&rig.ask(&chat("{}")).await), (502, Some("stream_refused")));
        let record = rig.record().await;
        assert_eq!(outcome(&record), (Category::Network, "stream_refused", Ending::UpstreamError));
        assert_eq!((record.attempts, server.by().len()), (attempts, attempts as usize));
    }
}

/// Fifty at once meet a GOAWAY: each goes up again once, and they share what is opened for them.
#[tokio::test]
async fn many_refused_at_once_are_all_answered() {
    let server = Server::start(|connection, frame| match (connection, frame.ends()) {
        // The first is taken, all behind it are refused.
        (0, true) if frame.stream == 99 => Do::Write([go_away(1, NO_ERROR), answer(1)].concat()),
        (0, _) => Do::Write(Vec::new()),
        (_, true) => Do::Write(answer(frame.stream)),
        _ => Do::Write(Vec::new()),
    })
    .await;
    let rig = server.rig().await;
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let addr = rig.addr;
        asking.spawn(async move { limpid_testkit::exchange(addr, &chat("{}"), SOON).await.unwrap().status });
    }
    assert!(asking.join_all().await.iter().all(|status| *status == 204));
    let mut attempts: Vec<_> = rig.records(50).await.iter().map(|r| r.attempts).collect();
    attempts.sort_unstable();
    assert_eq!((attempts[0], attempts[1], attempts[49]), (1, 2, 2));
    assert!(server.seen().connections <= 3, "{}", server.seen().connections);
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_given_up_and_the_next_request_goes_elsewhere() {
    let server = Server::start(|connection, frame| match (connection, frame.stream) {
        (0, 3) => Do::Freeze,
        (0, 1) if frame.kind == HEADERS => Do::Write(begins(frame.stream)),
        (0, 1) => Do::Write(Vec::new()),
        _ if frame.ends() => Do::Write(answer(frame.stream)),
        _ => Do::Write(Vec::new()),
    })
    .await;
    let ping = Duration::from_millis(100);
    let limits = Http2Limits { ping_interval: Some(ping), ping_timeout: ping, ..Http2Limits::default() };
    let rig = Rig::with(vec![UpstreamConfig { http2_limits: limits, ..server.upstream() }], |_| {}).await;
    let mut open = rig.client().await;
    open.send(&chat("{}")).await.unwrap();
    open.read_until(b"\r\n\r\n", SOON).await.unwrap();
    // The one that meets it is told in bounded time; it may have been processed, so it is not sent again.
    assert_eq!(failed(&rig.ask(&chat("{}")).await), (504, Some("ping_timeout")));
    drop(open.read_to_end(SOON).await);
    assert_eq!(rig.ask(&chat("{}")).await.status, 204);
    assert_eq!(server.by(), [0, 0, 1]);
    let mut records = rig.records(3).await;
    records.sort_by_key(|r| r.timeline.arrived);
    for silent in &records[..2] {
        assert_eq!(outcome(silent), (Category::Timeout, "ping_timeout", Ending::UpstreamError));
        assert_eq!(silent.attempts, 1);
    }
}

/// A model may think for as long as it likes: PINGs are answered meanwhile.
#[tokio::test]
async fn a_slow_answer_is_no_silence() {
    let server = Server::start(|_, _| Do::Write(Vec::new())).await;
    let ping = Duration::from_millis(20);
    let limits = Http2Limits { ping_interval: Some(ping), ping_timeout: 10 * ping, ..Http2Limits::default() };
    let rig = Rig::with(vec![UpstreamConfig { http2_limits: limits, ..server.upstream() }], |_| {}).await;
    let mut client = rig.client().await;
    client.send(&chat("{}")).await.unwrap();
    assert!(timeout(30 * ping, client.read_until(b"\r\n\r\n", SOON)).await.is_err(), "it still waits");
}

async fn held_open(rig: &Rig) -> RawClient {
    let mut client = rig.client().await;
    client.send(&chat("{}")).await.unwrap();
    client.read_until(b"\r\n\r\n", SOON).await.unwrap();
    client
}

/// A server on whose first connection the first stream goes on, and what it says when that begins.
async fn busy(says: fn() -> Vec<u8>) -> Server {
    Server::start(move |connection, frame| match (connection, frame.stream, frame.ends()) {
        (0, 1, true) => Do::Write([begins(1), says()].concat()),
        (_, _, true) => Do::Write(answer(frame.stream)),
        _ => Do::Write(Vec::new()),
    })
    .await
}

/// Nothing is put on a connection that was silent for longer than PINGs let a good one be; it is not even waited for.
#[tokio::test]
async fn a_suspect_connection_gets_no_further_request() {
    let server = busy(Vec::new).await;
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let rig = server.rig_by(&clock).await;
    let _open = held_open(&rig).await;
    clock.advance(Duration::from_secs(10));
    assert_eq!((rig.ask(&chat("{}")).await.status, server.by()), (204, vec![0, 0]));
    clock.advance(Duration::from_secs(12));
    assert_eq!((rig.ask(&chat("{}")).await.status, server.by()), (204, vec![0, 0, 1]));
}

#[tokio::test]
async fn settings_that_change_hold_for_the_next_request() {
    // Its places become fewer, or none: others are opened. h2 itself would wait for the first stream's end.
    for says in [|| streams(1), || streams(0)] {
        let server = busy(says).await;
        let rig = server.rig().await;
        let _open = held_open(&rig).await;
        // What was written is read before a request of later is.
        assert_eq!(rig.ask(&chat("{}")).await.status, 204);
        assert_eq!(server.by(), [0, 1]);
    }
}

#[tokio::test]
async fn an_upload_that_has_used_up_the_window_holds_up_no_other() {
    // No WINDOW_UPDATE is ever sent: of the first body no more than 65,535 bytes come.
    let server = Server::start(|connection, frame| match (connection, frame.ends()) {
        (1.., true) => Do::Write(answer(frame.stream)),
        _ => Do::Write(Vec::new()),
    })
    .await;
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let rig = server.rig_by(&clock).await;
    let mut stuck = rig.client().await;
    stuck.send(&request("POST", CHAT, &[], &body(200_000))).await.unwrap();
    let full = async {
        while server.seen().requests.first().is_none_or(|r| r.2.len() < 65_535) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, full).await.unwrap();
    clock.advance(Duration::from_secs(2));
    assert_eq!(rig.ask(&chat("{}")).await.status, 204);
    assert_eq!(server.by(), [0, 1]);
}

/// Frames that a server need not read to be one here.
#[test]
fn frames_are_written_as_the_protocol_has_them() {
    assert_eq!(frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 9]), [0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 0, 9]);
}
