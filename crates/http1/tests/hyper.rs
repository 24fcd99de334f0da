//! Another opinion: the same bytes to hyper's server. What it takes for a request, with which head and body, and what it
//! refuses, is the same here, but for this:
//!
//! | where | hyper | here |
//! |---|---|---|
//! | a length beside a transfer coding | goes on with the coding, without the length, or refuses a length before it that is none | both are left for the caller to see and to refuse |
//! | the same length twice | one is left out | both are left, as above |
//! | a coding told in several fields, or before `chunked` | the last counts | the same, and all are left |
//! | a coding's name with a byte beyond ASCII | 400 | left, as above |
//! | `Connection` with such a byte | nothing of it counts | the rest of it counts |
//! | HTTP/1.0 that asks for `keep-alive` | goes on | one request a connection |
//! | a bare LF among trailers | may end a line, and two of them the trailers | no chunked body |
//! | a length beyond 2^63 − 1 | waited for up to 2^64 − 3, then 431, or 400 beyond what has 64 bits | 400 |
//! | a head that is no good and has no end | refused as soon as it shows | refused as soon as it shows in the first KiB, else waited for |

#![expect(clippy::unwrap_used, reason = "a test fails by panics")]

mod messages;

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::num::IntErrorKind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, Version};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use limpid_http1::framing::{Frames, Framing};
use limpid_http1::server::{Ended, Limits, Outgoing, Wire, serve};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// What a server makes of a request.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    line: String,
    version: Version,
    fields: Vec<(String, Vec<u8>)>,
    /// `None`: it breaks off, or has no end.
    body: Option<(Vec<u8>, HeaderMap)>,
}

/// What a server makes of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Served {
    requests: Vec<Seen>,
    /// The status by which it refuses what comes then.
    refused: Option<u16>,
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// The largest length that is one here; no file has it.
const LARGEST: u64 = u64::MAX >> 1;

/// In the paused time of these tests: nothing more comes.
const QUIET: Duration = Duration::from_secs(30);

async fn see<B>(request: Request<B>, log: Log) -> Response<Empty<Bytes>>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Debug,
{
    let (parts, body) = request.into_parts();
    let fields = parts.headers.iter().map(|(n, v)| (n.as_str().to_owned(), v.as_bytes().to_vec()));
    let mut seen = Seen {
        line: format!("{} {}", parts.method, parts.uri),
        version: parts.version,
        fields: fields.collect(),
        body: None,
    };
    if let Ok(Ok(all)) = timeout(QUIET, body.collect()).await {
        let trailers = all.trailers().cloned().unwrap_or_default();
        seen.body = Some((all.to_bytes().to_vec(), trailers));
    }
    log.lock().unwrap().push(seen);
    Response::builder().status(299).body(Empty::new()).unwrap()
}

/// A body that has nothing.
struct Nothing(Frames);

impl Outgoing for Nothing {
    type Error = Infallible;

    fn length(&self) -> Option<u64> {
        Some(0)
    }

    fn poll_wire(
        &mut self,
        cx: &mut Context<'_>,
        framing: &Framing,
        into: &mut [u8],
    ) -> Poll<Result<Wire, Infallible>> {
        self.0.poll_wire(cx, &mut Empty::<Bytes>::new(), framing, into)
    }

    fn sent(&mut self) {}
}

/// On one loopback address after the other: a long run uses up the ports of one.
async fn pair() -> (TcpStream, TcpStream) {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let [.., high, low] = LAST.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let listener = TcpListener::bind((Ipv4Addr::new(127, 1, high, low), 0)).await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::try_join!(connecting, listener.accept()).unwrap();
    (client, accepted.0)
}

/// Says all of it, and gives the last answer's status, if that refuses.
async fn talk(client: TcpStream, bytes: &[u8], half_close: bool) -> Option<u16> {
    let (mut from, mut to) = client.into_split();
    let _gone = to.write_all(bytes).await;
    if half_close {
        let _gone = to.shutdown().await;
    }
    let mut answers = Vec::new();
    let _reset = from.read_to_end(&mut answers).await;
    let answers = String::from_utf8_lossy(&answers).into_owned();
    let statuses = answers.split("HTTP/1.").filter_map(|answer| answer.get(2..5)?.parse().ok());
    statuses.last().filter(|status| (400..500).contains(status))
}

async fn here(bytes: &[u8]) -> Served {
    let (client, server) = pair().await;
    let log = Log::default();
    let limits = Limits { head_timeout: QUIET, max_head: 64 * 1024 };
    let (_go_on, draining) = watch::channel(false);
    let of = Arc::clone(&log);
    let service = move |request| {
        let seeing = see(request, Arc::clone(&of));
        Box::pin(async move { seeing.await.map(|_| Nothing(Frames::default())) })
    };
    let (refused, ended) =
        tokio::join!(talk(client, bytes, false), serve(server, BytesMut::new(), limits, draining, service));
    assert_eq!(matches!(ended, Ended::Refused(_)), refused.is_some());
    Served { requests: std::mem::take(&mut *log.lock().unwrap()), refused }
}

async fn hypers(bytes: &[u8]) -> Served {
    let (client, server) = pair().await;
    let log = Log::default();
    let of = Arc::clone(&log);
    let service = hyper::service::service_fn(move |request| {
        let seeing = see(request, Arc::clone(&of));
        async move { Ok::<_, Infallible>(seeing.await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    let serving = builder.half_close(true).max_headers(512).serve_connection(TokioIo::new(server), service);
    let (refused, _ended) = tokio::join!(talk(client, bytes, true), serving);
    Served { requests: std::mem::take(&mut *log.lock().unwrap()), refused }
}

impl Seen {
    fn count(&self, name: &str) -> usize {
        self.fields.iter().filter(|(n, _)| n == name).count()
    }

    /// hyper may have put it right.
    fn is_told_in_two_ways(&self) -> bool {
        self.count("content-length") + self.count("transfer-encoding") > 1
    }

    fn is_not_ascii(&self, name: &str) -> bool {
        self.fields.iter().any(|(n, value)| n == name && !value.is_ascii())
    }

    fn tells_too_large(&self) -> bool {
        self.fields.iter().any(|(name, value)| name == "content-length" && is_too_large(value))
    }

    /// In the order of their names: what hyper takes off leaves the rest in disorder.
    fn without_framing(&self) -> Vec<&(String, Vec<u8>)> {
        let other = |(n, _): &&(String, Vec<u8>)| !["content-length", "transfer-encoding"].contains(&&**n);
        let mut fields: Vec<_> = self.fields.iter().filter(other).collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields
    }
}

/// The first difference that is not in the table.
fn difference(here: &Served, hypers: &Served, bytes: &[u8]) -> Option<String> {
    for (number, ours) in here.requests.iter().enumerate() {
        let Some(theirs) = hypers.requests.get(number) else {
            let refused =
                (ours.is_told_in_two_ways() || ours.is_not_ascii("transfer-encoding")) && hypers.refused.is_some();
            return (!refused).then(|| format!("hyper has no request {number}"));
        };
        // hyper stops at two such ends, and passes over what stands between them and an empty line.
        if ours.body.is_none() && theirs.body.is_some() && ours.count("transfer-encoding") > 0 && has_bare_lf(bytes) {
            return None;
        }
        if ours.is_told_in_two_ways() {
            // What follows is nobody's: the caller closes.
            let same = (&ours.line, ours.version, ours.without_framing(), &ours.body)
                == (&theirs.line, theirs.version, theirs.without_framing(), &theirs.body);
            return (!same).then(|| format!("{ours:?}\n{theirs:?}"));
        }
        if ours != theirs {
            return Some(format!("{ours:?}\n{theirs:?}"));
        }
        if ours.version == Version::HTTP_10 && ours.count("connection") > 0 || ours.is_not_ascii("connection") {
            return None;
        }
    }
    let undecided = !bytes.windows(2).any(|w| w == b"\n\n") && !bytes.windows(3).any(|w| w == b"\n\r\n");
    let after = &hypers.requests[here.requests.len()..];
    let alike = match (here.refused, hypers.refused, after) {
        (Some(400), Some(431), []) => has_too_large(bytes),
        (Some(400), None, [waited]) => waited.body.is_none() && waited.tells_too_large(),
        (ours, theirs, after) => (ours == theirs || undecided) && after.is_empty(),
    };
    (!alike).then(|| "not as many, or refused by one alone".to_owned())
}

fn is_too_large(digits: &[u8]) -> bool {
    match std::str::from_utf8(digits).unwrap_or_default().parse::<u64>() {
        Ok(number) => number > LARGEST,
        Err(why) => *why.kind() == IntErrorKind::PosOverflow,
    }
}

fn has_too_large(bytes: &[u8]) -> bool {
    bytes.split(|b| !b.is_ascii_digit()).any(is_too_large)
}

fn has_bare_lf(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|w| w[0] != b'\r' && w[1] == b'\n')
}

/// Has a server read these bytes.
fn both(bytes: &[u8]) -> (Served, Served) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async { (here(bytes).await, hypers(bytes).await) })
}

#[test]
fn the_comparison_itself_can_fail() {
    let (ours, theirs) = both(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    assert_eq!((ours.requests.len(), difference(&ours, &theirs, b"")), (2, None));
    let (other, _) = both(b"GET / HTTP/1.1\r\nHost: y\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    assert!(difference(&ours, &other, b"").is_some());
    let (fewer, _) = both(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(difference(&ours, &fewer, b"").is_some() && difference(&fewer, &ours, b"\n\n").is_some());
    let (refused, _) = both(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\n\r\nG(\r\n\r\n");
    assert_eq!(refused.refused, Some(400));
    assert!(difference(&ours, &refused, b"\n\n").is_some());
}

#[test]
fn beyond_the_largest_length_hyper_waits_and_here_it_is_refused() {
    for (length, other) in [(LARGEST, false), (LARGEST + 1, true), (u64::MAX - 2, true), (u64::MAX, true)] {
        let raw = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        let (ours, theirs) = both(raw.as_bytes());
        assert_eq!((ours != theirs, difference(&ours, &theirs, raw.as_bytes())), (other, None), "{length}");
    }
    let (ours, theirs) = both(b"POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n");
    assert_eq!((ours.refused, theirs.refused), (Some(400), Some(400)), "what 64 bits do not hold");
    let (refused, _) = both(b"POST / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n");
    let (sound, _) = both(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n");
    assert!(difference(&refused, &sound, b"").is_some(), "a length that is one excuses nothing");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(500),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn hyper_reads_the_same(raw in messages::connection(messages::REQUESTS)) {
        let (ours, theirs) = both(&raw);
        let difference = difference(&ours, &theirs, &raw);
        let raw = raw.escape_ascii();
        prop_assert!(difference.is_none(), "{}\n{raw}\n{ours:?}\n{theirs:?}", difference.unwrap_or_default());
    }
}
