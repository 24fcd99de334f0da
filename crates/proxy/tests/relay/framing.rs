//! Framing that two readers could take differently: nothing of such a request reaches the upstream, and no such reply
//! becomes two.
//!
//! Each case is sent with a second request behind it, which must never come out on the other side.

use std::time::Duration;

use limpid_core::{Category, Ending, Unreadable};
use limpid_testkit::{RawServer, ReplyEnd, Step, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::common::{LAST_CHUNK, Rig, SOON, Sponge, always, outcome, text, upstream};

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NEXT: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

/// Everything that comes until the connection ends; a reset after it is an end too.
async fn answers(rig: &Rig, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(rig.addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut got = Vec::new();
    let reading = async { while stream.read_buf(&mut got).await.is_ok_and(|n| n > 0) {} };
    assert!(timeout(SOON, reading).await.is_ok(), "still open after {}", text(bytes));
    got
}

/// A request with these lines behind the request line, and this body; then another.
fn then_next(lines: &str, body: &str) -> Vec<u8> {
    [format!("POST /v1/x HTTP/1.1\r\n{lines}\r\n{body}").as_bytes(), NEXT].concat()
}

/// Fields and a body that are no HTTP.
pub(crate) const BAD_FIELDS: &[(&str, &str, &str)] = &[
    ("differing lengths", "Host: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n", "abcde"),
    ("a list of lengths", "Host: x\r\nContent-Length: 3, 3\r\n", "abc"),
    ("a length with a plus", "Host: x\r\nContent-Length: +3\r\n", "abc"),
    ("a negative length", "Host: x\r\nContent-Length: -3\r\n", "abc"),
    ("a length in hex", "Host: x\r\nContent-Length: 0x3\r\n", "abc"),
    ("a length with an underscore", "Host: x\r\nContent-Length: 1_0\r\n", "abcdefghij"),
    ("a length with a blank inside", "Host: x\r\nContent-Length: 1 0\r\n", "abcdefghij"),
    ("a length with a fraction", "Host: x\r\nContent-Length: 3.0\r\n", "abc"),
    ("an empty length", "Host: x\r\nContent-Length:\r\n", "abc"),
    ("an overflowing length", "Host: x\r\nContent-Length: 18446744073709551616\r\n", ""),
    ("the largest length", "Host: x\r\nContent-Length: 18446744073709551615\r\n", ""),
    ("an unknown coding", "Host: x\r\nTransfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    ("a coding behind chunked", "Host: x\r\nTransfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
    ("identity behind chunked", "Host: x\r\nTransfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
    ("identity", "Host: x\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n", "abc"),
    ("a quoted coding", "Host: x\r\nTransfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
    ("a parameter of the coding", "Host: x\r\nTransfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"),
    ("an empty coding", "Host: x\r\nTransfer-Encoding:\r\nContent-Length: 3\r\n", "abc"),
    ("a blank before the colon", "Host: x\r\nTransfer-Encoding : chunked\r\n", "0\r\n\r\n"),
    ("a tab before the colon", "Host: x\r\nContent-Length\t: 3\r\n", "abc"),
    ("a folded line", "Host: x\r\nX-A: 1\r\n Content-Length: 3\r\n", "abc"),
    ("a line that begins with a blank", " Host: x\r\nContent-Length: 3\r\n", "abc"),
    ("no colon", "Host: x\r\nTransfer-Encoding\r\n", ""),
    ("an empty name", "Host: x\r\n: 3\r\n", ""),
    ("a bare CR in a value", "Host: x\r\nX-A: 1\rContent-Length: 3\r\n", "abc"),
    ("a bare CR behind a value", "Host: x\r\nX-A: 1\r\r\n", ""),
    ("NUL in a value", "Host: x\r\nX-A: 1\x002\r\n", ""),
    ("NUL in a name", "Host: x\r\nX-\0A: 1\r\n", ""),
    ("a control byte in a value", "Host: x\r\nX-A: \x01\r\n", ""),
    ("a vertical tab before chunked", "Host: x\r\nTransfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
    ("DEL in a name", "Host: x\r\nX-\x7fA: 1\r\n", ""),
];

/// Heads that are no HTTP for their first line.
pub(crate) const BAD_LINES: &[(&str, &str)] = &[
    ("HTTP/0.9", "GET /v1/x\r\n\r\n"),
    ("HTTP/0.9 with a bare LF", "GET /v1/x\n\n"),
    ("a version of one part", "GET /v1/x HTTP/1\r\nHost: x\r\n\r\n"),
    ("version 1.2", "GET /v1/x HTTP/1.2\r\nHost: x\r\n\r\n"),
    ("version 2.0 by hand", "GET /v1/x HTTP/2.0\r\nHost: x\r\n\r\n"),
    ("a version in lower case", "GET /v1/x http/1.1\r\nHost: x\r\n\r\n"),
    ("a blank in the target", "GET /v1/x y HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a tab for a blank", "GET\t/v1/x\tHTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a bare CR in the line", "GET /v1/x\r HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a bad method", "GE(T /v1/x HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("chunks in HTTP/1.0", "POST /v1/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
];

/// These are answered with a bare 400 or 431, and are no exchange.
#[tokio::test]
async fn what_is_no_http_is_no_exchange() {
    let server = RawServer::start(always(OK)).await.unwrap();
    // Two of the cases read like a head that has not ended.
    let rig = Rig::with(vec![upstream("only", &server.url())], |config| {
        config.server.header_timeout = Duration::from_secs(2);
    })
    .await;
    let heads = BAD_FIELDS.iter().map(|(case, lines, body)| (case, then_next(lines, body)));
    let lines = BAD_LINES.iter().map(|(case, raw)| (case, [raw.as_bytes(), NEXT].concat()));
    for (case, raw) in heads.chain(lines) {
        let got = answers(&rig, &raw).await;
        let refused = got.starts_with(b"HTTP/1.1 400 ") || got.starts_with(b"HTTP/1.1 431 ");
        assert!(got.is_empty() || refused, "{case}: {}", text(&got));
        assert_eq!(got.windows(9).filter(|w| *w == b"HTTP/1.1 ").count(), usize::from(!got.is_empty()), "{case}");
    }
    assert!(server.seen().is_empty(), "{:?}", server.requests());
    assert_eq!(rig.sink.started_count(), 0);
    // All but the two that do not end are answered and counted.
    let all = BAD_FIELDS.len() + BAD_LINES.len();
    let counted = rig.sink.unreadable(all - 2, SOON).await;
    assert!((all - 2..=all).contains(&counted.len()), "{} of {all}", counted.len());
    assert!(counted.iter().filter(|why| **why == Unreadable::TooLarge).count() <= 1, "the largest length is too large");
}

/// Fields and a body that limpid refuses.
pub(crate) const REFUSED: &[(&str, &str, &str)] = &[
    ("two hosts", "Host: x\r\nHost: y\r\n", ""),
    ("the same host twice", "Host: x\r\nHost: x\r\n", ""),
    ("no host", "X-A: 1\r\n", ""),
    ("a list of hosts", "Host: x, y\r\n", ""),
    ("a host with a path", "Host: x/y\r\n", ""),
    ("a host with a user", "Host: u@x\r\n", ""),
    ("a host with a blank", "Host: x y\r\n", ""),
    ("a host with a bad port", "Host: x:y:z\r\n", ""),
    ("a coding before chunked", "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
    ("identity before chunked", "Host: x\r\nTransfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"),
    ("chunked twice in a list", "Host: x\r\nTransfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
    ("an empty coding in a list", "Host: x\r\nTransfer-Encoding: ,chunked\r\n", "0\r\n\r\n"),
    ("chunked twice", "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("identity, then chunked", "Host: x\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    (
        "a coding, chunked and a length",
        "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: x, chunked\r\n",
        "0\r\n\r\n",
    ),
    ("a length before chunks", "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("a length behind chunks", "Transfer-Encoding: chunked\r\nHost: x\r\nContent-Length: 50\r\n", "0\r\n\r\n"),
    ("no length behind chunks", "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n", "0\r\n\r\n"),
    ("a bad length behind chunks", "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: +5\r\n", "0\r\n\r\n"),
    ("names in odd case", "Host: x\r\ncOnTeNt-LeNgTh:5\r\nTRANSFER-encoding:\tChunked\r\n", "0\r\n\r\n"),
    ("chunks and a length with bare LF", "Host: x\nTransfer-Encoding: chunked\nContent-Length: 5\n", "0\r\n\r\n"),
    ("the same length twice", "Host: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n", "abc"),
    ("the same length thrice", "Content-Length: 3\r\nHost: x\r\nContent-Length: 3\r\ncontent-length: 003\r\n", "abc"),
    ("no length twice", "Host: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n", ""),
    ("a length with an underscore", "Host: x\r\nContent_Length: 9\r\nContent-Length: 3\r\n", "abc"),
    ("an underscore in a coding", "Host: x\r\nTransfer_Encoding: chunked\r\nContent-Length: 3\r\n", "abc"),
    ("a mark behind a length", "Host: x\r\nContent-Length!: 9\r\nContent-Length: 3\r\n", "abc"),
];

/// RFC 9112 lets these be put right, or leaves them open: limpid refuses them. The connection ends with the answer.
#[tokio::test]
async fn what_limpid_refuses_is_told_and_recorded() {
    let server = RawServer::start(always(OK)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    for (case, lines, body) in REFUSED {
        let got = text(&answers(&rig, &then_next(lines, body)).await);
        assert!(got.starts_with("HTTP/1.1 400 "), "{case}: {got}");
        assert!(got.contains("x-limpid-error: bad_request") && got.contains("connection: close"), "{case}: {got}");
        assert_eq!(got.matches("HTTP/1.1 ").count(), 1, "{case}: {got}");
    }
    assert!(server.seen().is_empty(), "{:?}", server.requests());
    for record in rig.records(REFUSED.len()).await {
        assert_eq!(outcome(&record), (Category::Rejected, "bad_request", Ending::End));
        assert_eq!((record.status, record.answered_by_limpid, record.attempts), (Some(400), true, 0));
    }
}

/// RFC 9112 lets these be put right. What goes up can be read in one way only.
#[tokio::test]
async fn what_may_be_put_right_goes_up_in_one_framing() {
    let chunked = "3\r\nabc\r\n0\r\n\r\n";
    let cases = [
        ("chunked in capitals", "Host: x\r\nTransfer-Encoding: CHUNKED\r\n", chunked, true),
        ("an extension", "Host: x\r\nTransfer-Encoding: chunked\r\n", "3;a=\"b\"\r\nabc\r\n0;c\r\n\r\n", true),
        ("blanks behind a size", "Host: x\r\nTransfer-Encoding: chunked\r\n", "3  \r\nabc\r\n0\r\n\r\n", true),
        ("zeros before a size", "Host: x\r\nTransfer-Encoding: chunked\r\n", "0003\r\nabc\r\n000\r\n\r\n", true),
        (
            "a trailer with a length",
            "Host: x\r\nTransfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",
            true,
        ),
        ("Connection names the length", "Host: x\r\nConnection: Content-Length\r\nContent-Length: 3\r\n", "abc", false),
        ("zeros before the length", "Host: x\r\nContent-Length: 0003\r\n", "abc", false),
        ("bare line feeds", "Host: x\nContent-Length: 3\n", "abc", false),
    ];
    for (case, lines, body, chunks) in cases {
        let server = RawServer::start(always(OK)).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let raw = format!("POST /v1/x HTTP/1.1\r\n{lines}Connection: close\r\n\r\n{body}");
        let got = answers(&rig, raw.as_bytes()).await;
        assert!(got.starts_with(b"HTTP/1.1 200 "), "{case}: {}", text(&got));
        let seen = server.requests();
        assert_eq!(seen.len(), 1, "{case}");
        let up = String::from_utf8(seen[0].clone()).unwrap().to_ascii_lowercase();
        let (head, sent) = up.split_once("\r\n\r\n").unwrap();
        let count = |name: &str| head.lines().filter(|l| l.starts_with(name)).count();
        let framing = (count("content-length:"), count("transfer-encoding: chunked"), count("transfer-encoding"));
        let want = if chunks { ((0, 1, 1), "3\r\nabc\r\n0\r\n\r\n") } else { ((1, 0, 0), "abc") };
        assert_eq!((framing, sent), want, "{case}: {}", text(&seen[0]));
        assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "{case}");
        assert_eq!(rig.record().await.bytes.request, 3, "{case}");
    }
}

/// Requests that are sound, whose bodies, trailers and targets look like heads that are not; each is followed by another.
pub(crate) const SOUND: &[&str] = &[
    "POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 61\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: gz\r\n\r\n",
    "POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n26;Content-Length: 3\r\nContent-Length: 3\r\n\r\n0\r\nContent-Length\r\n0\r\n\r\n",
    "POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 3\r\nX-A: b\r\n\r\n",
    "\r\n\nGET /v1/Content-Length:3 HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nX-A: Content-Length: 3\r\nContent-Lengths: 3\r\nTransfer-Encodin: 1\r\n\r\n",
    "POST /v1/x HTTP/1.1\nHost: x\nContent-Length:3\t \n\nabc",
];

/// A connection that was sound so far, in one piece and byte by byte: only the request that is not is refused, and not
/// what was sent before it.
#[tokio::test]
async fn one_request_of_many_is_told_in_two_ways() {
    let before = SOUND.concat().repeat(2).into_bytes();
    let sound = SOUND.len() * 2;
    for lines in ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Content-Length: 5\r\nContent-Length: 5"] {
        let all = [before.clone(), then_next(&format!("Host: x\r\n{lines}\r\n"), "0\r\n\r\n")].concat();
        for piece in [all.len(), 1] {
            let server = RawServer::start(always(OK)).await.unwrap();
            let rig = Rig::to(server.addr()).await;
            let stream = TcpStream::connect(rig.addr).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut from, mut to) = stream.into_split();
            let (mut got, mut sent) = (Vec::new(), all.chunks(piece));
            let writing = async {
                // The end of the connection may come before the last of it.
                while let Some(Ok(())) = async { Some(to.write_all(sent.next()?).await) }.await {
                    tokio::task::yield_now().await;
                }
            };
            let reading = async { while from.read_buf(&mut got).await.is_ok_and(|n| n > 0) {} };
            assert!(timeout(SOON, async { tokio::join!(writing, reading) }).await.is_ok(), "still open");
            let (got, up) = (text(&got), server.requests());
            let answered = (got.matches("HTTP/1.1 200 ").count(), got.matches("HTTP/1.1 400 ").count());
            assert_eq!((answered, up.len()), ((sound, 1), sound), "{got}");
            assert!(got.contains("x-limpid-error: bad_request"), "{got}");
            assert!(!up.iter().any(|r| r.starts_with(b"GET /smuggled")));
            let records = rig.records(sound + 1).await;
            assert_eq!(records.iter().filter(|r| r.answered_by_limpid).count(), 1);
        }
    }
}

/// The head is upstream already when a chunk turns out bad: there the request breaks off, and never ends well.
#[tokio::test]
async fn bad_chunks_never_end_well_upstream() {
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(20 << 10));
    let bodies = [
        ("an overflowing size", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("a size with a sign", "+3\r\nabc\r\n0\r\n\r\n"),
        ("a negative size", "-3\r\nabc\r\n0\r\n\r\n"),
        ("a size with 0x", "0x3\r\nabc\r\n0\r\n\r\n"),
        ("a size with an underscore", "0_3\r\nabc\r\n0\r\n\r\n"),
        ("a blank before the size", " 3\r\nabc\r\n0\r\n\r\n"),
        ("digits behind a blank", "3 3\r\nabc\r\n0\r\n\r\n"),
        ("no size", "\r\nabc\r\n0\r\n\r\n"),
        ("no size but an extension", ";a\r\nabc\r\n0\r\n\r\n"),
        ("a size that ends with LF", "3\nabc\r\n0\r\n\r\n"),
        ("a size that ends with CR", "3\rabc\r\n0\r\n\r\n"),
        ("an extension with LF", "3;a\nabc\r\n0\r\n\r\n"),
        ("an extension with CR", "3;a\rb\r\nabc\r\n0\r\n\r\n"),
        ("an endless extension", &long),
        ("data longer than its size", "3\r\nabcd\r\n0\r\n\r\n"),
        ("data that ends with LF", "3\r\nabc\n0\r\n\r\n"),
        ("data with two bytes for CRLF", "3\r\nabcXX0\r\n\r\n"),
        ("a trailer with a blank before the colon", "3\r\nabc\r\n0\r\nX-A : 1\r\n\r\n"),
        ("a trailer that ends with LF", "3\r\nabc\r\n0\r\nX-A: 1\n\r\n\r\n"),
        ("trailers that end with two LF", "3\r\nabc\r\n0\r\nX-A: 1\n\n"),
        ("a trailer with NUL", "3\r\nabc\r\n0\r\nX-A: \0\r\n\r\n"),
    ];
    for (case, body) in bodies {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rig = Rig::to(listener.local_addr().unwrap()).await;
        let got = answers(&rig, &then_next("Host: x\r\nTransfer-Encoding: chunked\r\n", body)).await;
        assert!(got.is_empty() || got.starts_with(b"HTTP/1.1 400 "), "{case}: {}", text(&got));
        let record = rig.record().await;
        let told = (record.outcome.category, &*record.outcome.reason);
        assert_eq!(told, (Category::ClientRequest, "request_body"), "{case}");
        let (mut far, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
        let mut up = Vec::new();
        let reading = async { while far.read_buf(&mut up).await.is_ok_and(|n| n > 0) {} };
        assert!(timeout(SOON, reading).await.is_ok(), "{case}: the upstream's connection stays open");
        assert!(!up.ends_with(LAST_CHUNK) && !text(&up).contains("smuggled"), "{case}: {}", text(&up));
    }
}

#[tokio::test]
async fn large_heads_are_refused() {
    let server = RawServer::start(always(OK)).await.unwrap();
    let rig = Rig::with(vec![upstream("only", &server.url())], |config| config.server.max_head_bytes = 16 << 10).await;
    let big = "x".repeat(20 << 10);
    let many = "X-A: 1\r\n".repeat(513);
    for (case, lines) in [
        ("a value", format!("Host: x\r\nX-A: {big}\r\n")),
        ("a name", format!("Host: x\r\n{big}: 1\r\n")),
        ("many fields", format!("Host: x\r\n{many}")),
        ("no end of a line", format!("Host: x\r\nX-A: {big}{big}")),
    ] {
        let got = answers(&rig, &then_next(&lines, "")).await;
        assert!(got.is_empty() || got.starts_with(b"HTTP/1.1 431 "), "{case}: {}", text(&got));
    }
    let got = answers(&rig, format!("GET /{big}{big}{big}{big} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
    assert!(got.is_empty() || got.starts_with(b"HTTP/1.1 4"), "{}", text(&got));
    assert!(server.seen().is_empty());
    assert_eq!((rig.sink.unreadable(5, SOON).await, rig.sink.started_count()), (vec![Unreadable::TooLarge; 5], 0));
}

/// What the upstream sends cannot become two replies, nor a whole one out of a broken one.
#[tokio::test]
async fn replies_that_could_be_two_are_refused() {
    let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";
    let refused = [
        ("differing lengths", "Content-Length: 2\r\nContent-Length: 40\r\n", "ok"),
        ("a list of differing lengths", "Content-Length: 2, 40\r\n", "ok"),
        ("a list of one length", "Content-Length: 2, 2\r\n", "ok"),
        ("a length with a sign", "Content-Length: +2\r\n", "ok"),
        ("a negative length", "Content-Length: -2\r\n", "ok"),
        ("an overflowing length", "Content-Length: 18446744073709551618\r\n", "ok"),
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n", "2\r\nok\r\n0\r\n\r\n"),
        ("a coding before chunked", "Transfer-Encoding: gzip, chunked\r\n", "2\r\nok\r\n0\r\n\r\n"),
        ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n"),
        ("a bare CR in a value", "X-A: 1\rContent-Length: 2\r\n", "ok"),
        ("NUL in a value", "X-A: \0\r\nContent-Length: 2\r\n", "ok"),
        ("a blank before the colon", "Content-Length : 2\r\n", "ok"),
        ("a folded line", "X-A: 1\r\n Content-Length: 2\r\n", "ok"),
    ];
    for (case, lines, body) in refused {
        let reply = format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}{smuggled}");
        let server = RawServer::start(vec![Step::ReadRequest, Step::send(&reply), Step::ReadToEnd]).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let got = text(&answers(&rig, b"GET /v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await);
        assert!(got.starts_with("HTTP/1.1 502 ") && got.contains("x-limpid-error: bad_response"), "{case}: {got}");
        assert!(!got.contains("EVIL"), "{case}: {got}");
        assert_eq!(outcome(&rig.record().await), (Category::Network, "bad_response", Ending::UpstreamError), "{case}");
    }
}

/// Two clients' requests on what could be one upstream connection: the second gets its own reply.
#[tokio::test]
async fn what_follows_a_reply_is_nobodys() {
    let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";
    let cases = [
        ("a plain reply", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        (
            "a length and chunks",
            "HTTP/1.1 200 OK\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        (
            "chunks and a length",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        ("the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
        ("bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
        ("no content, but a length", "HTTP/1.1 204 No Content\r\nContent-Length: 48\r\n\r\n"),
        ("not modified, but a body", "HTTP/1.1 304 Not Modified\r\nContent-Length: 48\r\n\r\n"),
    ];
    for (case, reply) in cases {
        let bad = vec![Step::ReadRequest, Step::send([reply, smuggled].concat()), Step::ReadToEnd];
        let good = always("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh");
        let server = RawServer::start_each(vec![bad, good]).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let mut client = rig.client().await;
        let ask = request("GET", "/v1/x", &[], b"");
        client.send(&ask).await.unwrap();
        let first =
            if case.contains("no") { client.read_head_reply(SOON).await } else { client.read_reply(SOON).await };
        let lengths = first.header_values("content-length").len() + first.header_values("transfer-encoding").len();
        assert!(lengths <= 1, "{case}: {}", text(&first.raw));
        assert!(first.body == b"ok" || first.status != 200, "{case}: {}", text(&first.raw));
        // The same connection if limpid keeps it, else another.
        let second = if client.send(&ask).await.is_ok() { client.read_reply(SOON).await } else { rig.ask(&ask).await };
        assert_eq!((second.status, second.text().as_str()), (200, "fresh"), "{case}: {}", text(&second.raw));
    }
}

/// The head is with the client already: the reply breaks off, and never ends well.
#[tokio::test]
async fn bad_chunks_never_end_well_for_the_client() {
    for size in ["-2", "+2", "0x2", "2_0", "10000000000000002", " 2", "2 2", "", ";a"] {
        let reply = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nok\r\n0\r\n\r\n");
        let server = RawServer::start(vec![Step::ReadRequest, Step::send(&reply), Step::ReadToEnd]).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let got = rig.ask(&request("GET", "/v1/x", &[], b"")).await;
        assert!(matches!(got.end, ReplyEnd::Eof | ReplyEnd::Reset), "{size}: {}", text(&got.raw));
        assert!(got.body.is_empty() && !got.raw.ends_with(LAST_CHUNK), "{size}: {}", text(&got.raw));
        assert_eq!(outcome(&rig.record().await).1, "cut_off", "{size}");
    }
}

/// Nobody asked to switch: the client must not take what follows for another protocol.
#[tokio::test]
async fn an_unasked_101_is_a_bad_response() {
    let reply = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x02hi";
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(reply), Step::ReadToEnd]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let got = rig.ask(&request("GET", "/v1/x", &[], b"")).await;
    assert_eq!((got.status, got.header("x-limpid-error")), (502, Some("bad_response")));
}

/// One HTTP/2 frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Fields, each as a literal that is not indexed (RFC 7541 §6.2.2).
pub(crate) fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let literal = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [&[0][..], &literal(name), &literal(value)].concat()).collect()
}

/// What a server answers to these frames: `400`, or that it reset or closed.
pub(crate) async fn http2_answer(rig: &Rig, frames: &[u8]) -> &'static str {
    let mut stream = TcpStream::connect(rig.addr).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(4, 0, 0, b"")).await.unwrap();
    // The server may close before all is written.
    let _closed = stream.write_all(frames).await;
    let mut got = Vec::new();
    let reading = async {
        loop {
            while got.len() >= 9 {
                let length = usize::from(got[1]) << 8 | usize::from(got[2]);
                if got.len() < 9 + length {
                    break;
                }
                match got[3] {
                    // `:status: 400` is entry 12 of the static table.
                    1 => return if got[9] == 0x8c { "400" } else { "another answer" },
                    3 => return "reset",
                    7 => return "closed",
                    _ => drop(got.drain(..9 + length)),
                }
            }
            if !stream.read_buf(&mut got).await.is_ok_and(|n| n > 0) {
                return "closed";
            }
        }
    };
    timeout(SOON, reading).await.unwrap_or("nothing")
}

#[tokio::test]
async fn http2_requests_that_are_no_good_are_refused() {
    let (method, scheme, path) = ((":method", "POST"), (":scheme", "http"), (":path", "/v1/x"));
    let host = (":authority", "x");
    let good = [method, scheme, path, host];
    let with = |more: &[(&'static str, &'static str)]| [&good[..], more].concat();
    let cases = [
        ("no method", vec![scheme, path, host]),
        ("no scheme", vec![method, path]),
        ("no path", vec![method, scheme, host]),
        ("an empty path", vec![method, scheme, (":path", ""), host]),
        ("two paths", with(&[(":path", "/smuggled")])),
        ("two methods", with(&[(":method", "GET")])),
        ("two authorities", with(&[(":authority", "y")])),
        ("an unknown pseudo-field", with(&[(":upstream", "y")])),
        ("a response's pseudo-field", with(&[(":status", "200")])),
        ("a protocol without CONNECT", with(&[(":protocol", "websocket")])),
        ("a pseudo-field behind a field", [&[("x-a", "1")][..], &good].concat()),
        ("a name in capitals", with(&[("X-A", "1")])),
        ("a name with a blank", with(&[("x a", "1")])),
        ("an empty name", with(&[("", "1")])),
        ("CRLF in a value", with(&[("x-a", "1\r\nhost: y")])),
        ("LF in a value", with(&[("x-a", "1\ny")])),
        ("NUL in a value", with(&[("x-a", "1\0")])),
        ("CRLF in a path", vec![method, scheme, (":path", "/ HTTP/1.1\r\nHost: y"), host]),
        ("a blank in a path", vec![method, scheme, (":path", "/ HTTP/1.1"), host]),
        ("a blank in a method", vec![(":method", "GET / HTTP/1.1"), scheme, path, host]),
        ("a connection field", with(&[("connection", "close")])),
        ("chunks", with(&[("transfer-encoding", "chunked")])),
        ("an upgrade", with(&[("upgrade", "websocket")])),
        ("a TE that is not trailers", with(&[("te", "gzip")])),
        ("a bad authority", vec![method, scheme, path, (":authority", "a b")]),
        ("a bad length", with(&[("content-length", "+3")])),
        ("a length that the data is not", with(&[("content-length", "9")])),
        ("two lengths", with(&[("content-length", "3"), ("content-length", "9")])),
        ("two equal lengths", with(&[("content-length", "3"), ("content-length", "3")])),
        ("another host", with(&[("host", "y")])),
        ("two hosts", with(&[("host", "x"), ("host", "x")])),
        ("no host at all", vec![method, scheme, path]),
        ("a user in a host", vec![method, scheme, path, ("host", "u@x")]),
    ];
    let mut server = Sponge::start(usize::MAX).await;
    let rig = Rig::to(server.addr).await;
    for (case, fields) in cases {
        let frames = [frame(1, 4, 1, &literals(&fields)), frame(0, 1, 1, b"abc")].concat();
        let got = http2_answer(&rig, &frames).await;
        let limpids =
            matches!(case, "two equal lengths" | "another host" | "two hosts" | "no host at all" | "a user in a host");
        assert!(if limpids { got == "400" } else { ["reset", "closed"].contains(&got) }, "{case}: {got}");
    }
    // The same frames with nothing wrong in them are answered, or the cases would prove nothing.
    let answering = RawServer::start(always(OK)).await.unwrap();
    let frames = [frame(1, 4, 1, &literals(&with(&[("content-length", "3")]))), frame(0, 1, 1, b"abc")].concat();
    assert_eq!(http2_answer(&Rig::to(answering.addr()).await, &frames).await, "another answer");

    // Fields without end, in a head that is never over.
    let mut flood = frame(1, 0, 1, &literals(&good));
    for _ in 0..5_000 {
        flood.extend(frame(9, 0, 1, &literals(&[("x-a", &"y".repeat(100))])));
    }
    assert_eq!(http2_answer(&rig, &flood).await, "closed", "CONTINUATION without end");
    let up = server.until(|_| true).await;
    assert!(!text(&up).contains("smuggled") && !text(&up).contains("Host: y"), "{}", text(&up));
    assert!(!up.ends_with(b"abc"), "nothing whole: {}", text(&up));
}
