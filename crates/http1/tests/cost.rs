//! What a peer may make a connection spend: heads, chunks and trailers that grow, in pieces. Sixteen times as much costs
//! sixteen times as much; see `fuzz/src/cost.rs`. What is bounded by a number of bytes or fields costs no more than a
//! plain head of that size does, give or take.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panics")]

#[expect(unreachable_pub, reason = "the fuzz crate's module, where it is public")]
#[path = "../../../fuzz/src/cost.rs"]
mod cost;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cost::{Shape, cases, in_proportion, spent};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use limpid_http1::client::Connection;
use limpid_http1::framing::Framing;
use limpid_http1::server::{Limits, Outgoing, Wire, serve};
use limpid_http1::{fuzz, scratch};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What an upstream sends, read in pieces of so many bytes.
struct Upstream<'a> {
    bytes: &'a [u8],
    piece: usize,
}

impl AsyncRead for Upstream<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let count = self.piece.min(self.bytes.len()).min(buf.remaining());
        let (now, rest) = self.bytes.split_at(count);
        buf.put_slice(now);
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upstream<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn now<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("nothing is waited for"),
    }
}

/// Reads a reply to its end or its fault, as frames or as it stands on the wire.
fn reply(bytes: &[u8], piece: usize, frames: bool) {
    let upstream = Connection::new(Upstream { bytes, piece }).with_max_head(1 << 20);
    let Ok(response) = now(upstream.send(Request::new(Empty::<Bytes>::new()), None)) else { return };
    let mut body = response.into_body();
    if frames {
        while let Some(Ok(_)) = now(body.frame()) {}
        return;
    }
    let mut into = scratch::Scratch::take();
    let framing = Framing::Chunked([http::HeaderName::from_static("x-a")].into());
    let mut cx = Context::from_waker(std::task::Waker::noop());
    loop {
        match body.poll_wire(&mut cx, &framing, &mut into, |_| {}) {
            Poll::Ready(Ok(Wire { ended: false, .. })) => {}
            _ => return,
        }
    }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-a\r\n\r\n";

#[test]
fn replies_cost_what_their_length_does() {
    let head = "HTTP/1.1 200 OK\r\n";
    let end = "\r\n";
    for shape in [
        Shape::new("", "\r\n", ""),
        Shape::new("", "\n", ""),
        Shape::new("", "HTTP/1.1 100 Continue\r\n\r\n", ""),
        Shape::new("", "HTTP/1.1 103 E\r\nLink: a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        Shape::new("HTTP/1.1 200 ", "O", "\r\n\r\n"),
        Shape::new("HTTP/1.1 200 O\r\nx: ", "y", "\r\n\r\n"),
        Shape::new("HTTP/1.1 200 O\r\n", "y", ": x\r\n\r\n"),
        Shape::new(head, "x: y\r\n", end),
        Shape::new(head, "connection: a,", end),
        Shape::new(head, "connection: a\r\n", end),
        Shape::new(head, "content-length: 1\r\n", end),
        Shape::new("HTTP/1.1 200 O\r\ntransfer-encoding: ", "a,", "\r\n\r\n"),
        Shape::new("HTTP/1.1 200 O\r\ntrailer: ", "a,", "\r\n\r\n"),
        Shape::new(CHUNKED, "1\r\na\r\n", "0\r\n\r\n"),
        Shape::new(CHUNKED, "000001\r\na\r\n", "0\r\n\r\n"),
        Shape::new(CHUNKED, "1;a\r\na\r\n", "0\r\n\r\n"),
        Shape::new(CHUNKED, "1 \r\na\r\n", "0\r\n\r\n"),
        Shape::new(CHUNKED, "0", "\r\n\r\n"),
        Shape::new(&format!("{CHUNKED}1"), " ", "\r\n\r\n"),
        Shape::new(&format!("{CHUNKED}1;"), "a", "\r\n\r\n"),
        Shape::new(&format!("{CHUNKED}0\r\n"), "x-a: b\r\n", "\r\n"),
        Shape::new(&format!("{CHUNKED}0\r\nx-a:"), "b", "\r\n\r\n"),
        Shape::new("HTTP/1.1 200 O\r\n\r\n", "a", ""),
    ] {
        for piece in [usize::MAX, 500, 7, 1] {
            for frames in [true, false] {
                let name = format!("{:?}.. by {piece}", String::from_utf8_lossy(&shape.of(120)));
                in_proportion(&name, &shape, |bytes| reply(bytes, piece, frames));
            }
        }
    }
}

const TOKENS: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 100 C\r\n",
    "GET / HTTP/1.1\r\n",
    "\r\n",
    "\n",
    "\r",
    "0\r\n",
    "1\r\na\r\n",
    "0",
    "f",
    ";",
    "a",
    " ",
    ":",
    ",",
    "\t",
    "x-a: b\r\n",
    "connection: ",
    "close",
    "te: ",
    "trailer: x-a\r\n",
    "content-length: ",
    "1",
    "transfer-encoding: ",
    "chunked",
    "host: h\r\n",
    "\u{e9}",
];

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(TOKENS), 0..6).prop_map(|tokens| tokens.concat())
}

/// A head that is read whole, and written.
fn request(bytes: &[u8]) {
    let Ok(Some((request, len))) = fuzz::read_request(&Bytes::copy_from_slice(bytes)) else { return };
    let _written = request.written();
    let (mut request, mut rest) = (request, BytesMut::from(&bytes[len..]));
    while let Ok(Some(_)) = request.take(&mut rest) {}
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn anything_said_again_costs_what_its_length_does(
        begin in prop_oneof![text(), Just(CHUNKED.to_owned()), Just("GET / HTTP/1.1\r\nhost: h\r\n".to_owned())],
        pump in text().prop_filter("something", |pump| !pump.is_empty()),
        end in text(),
        piece in proptest::sample::select(&[usize::MAX, 100, 1][..]),
        frames in proptest::bool::ANY,
    ) {
        let shape = Shape::new(&begin, &pump, &end);
        let name = format!("{begin:?} {pump:?}* {end:?} by {piece}");
        in_proportion(&name, &shape, |bytes| reply(bytes, piece, frames));
        in_proportion(&name, &shape, request);
    }
}

/// Fields may be 512 and a head 64 KiB: whatever is in them, to read and to write them costs no more than ten times what
/// as many bytes in as many plain fields do. Names that are alike, far apart, and long.
#[test]
fn no_head_is_much_dearer_than_a_plain_one() {
    let long = "x".repeat(100);
    let head = |name: &dyn Fn(usize) -> String| {
        let fields: Vec<_> = (0..510).map(|n| format!("{}: {}\r\n", name(n), "v".repeat(8))).collect();
        let fields = fields.concat();
        format!("GET / HTTP/1.1\r\nhost: h\r\n{fields}\r\n").into_bytes()
    };
    let plain = head(&|n| format!("{long}{n:03}"));
    let least = |bytes: &[u8]| (0..20).map(|_| spent(|| request(bytes))).min().unwrap();
    let usual = least(&plain);
    for (what, bytes) in [
        ("two of each, far apart", head(&|n| format!("{long}{:03}", n % 255))),
        ("three of each, far apart", head(&|n| format!("{long}{:03}", n % 170))),
        ("thirty of each, far apart", head(&|n| format!("{long}{:03}", n % 17))),
        (
            "in either case",
            head(&|n| if n < 255 { format!("{long}{n:03}") } else { format!("{}{:03}", long.to_uppercase(), n - 255) }),
        ),
        ("all of one name", head(&|_| format!("{long}000"))),
        ("the first name in between", head(&|n| format!("{long}{:03}", if n % 2 == 0 { 0 } else { n }))),
        ("connection in each", head(&|_| format!("connection: {long}"))),
        ("lengths", head(&|_| "content-length: 1".to_owned())),
    ] {
        let cost = least(&bytes);
        assert!(cost < usual * 10 + Duration::from_micros(100), "{what}: {cost:?}, a plain one {usual:?}");
    }
}

/// An answer of nothing.
struct Nothing;

impl Outgoing for Nothing {
    type Error = std::convert::Infallible;

    fn length(&self) -> Option<u64> {
        Some(0)
    }

    fn poll_wire(&mut self, _: &mut Context<'_>, _: &Framing, _: &mut [u8]) -> Poll<Result<Wire, Self::Error>> {
        Poll::Ready(Ok(Wire { bytes: 0, ended: true }))
    }

    fn sent(&mut self) {}
}

/// What a server's connection spends on these bytes, written in pieces, client included: both are on this thread.
fn connection(bytes: &[u8], piece: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (mut client, accepted) = (client.unwrap(), accepted.unwrap().0);
        client.set_nodelay(true).unwrap();
        let limits = Limits { head_timeout: Duration::from_secs(60), max_head: 1 << 20 };
        let (_go_on, draining) = watch::channel(false);
        let serving = tokio::spawn(async move {
            serve(accepted, BytesMut::new(), limits, draining, |_| Box::pin(async { Response::new(Nothing) })).await
        });
        for part in bytes.chunks(piece) {
            if client.write_all(part).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(client);
        let _ended = serving.await.unwrap();
    });
}

#[test]
fn requests_cost_what_their_length_does_however_slowly_they_come() {
    for shape in [
        Shape::new("", "\r\n", ""),
        Shape::new("", "\n", "GET / HTTP/1.1\r\n\r\n"),
        Shape::new("GET / HTTP/1.1\r\nx: ", "y", "\r\n\r\n"),
        Shape::new("GET /", "a", " HTTP/1.1\r\n\r\n"),
        Shape::new("GET / HTTP/1.1\r\n", "x: y\r\n", ""),
        Shape::new("", "GET / HTTP/1.1\r\n\r\n", ""),
        Shape::new("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\na\r\n", "0\r\n\r\n"),
    ] {
        let name = format!("{:?}..", String::from_utf8_lossy(&shape.of(60)));
        in_proportion(&name, &shape, |bytes| connection(bytes, 16));
    }
}
