//! An upstream's connection, in memory: what is kept of it, and what is not.

#![expect(clippy::unwrap_used, reason = "a test fails by panics")]

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use limpid_http1::client::{Connection, Reply, SendError};
use limpid_http1::framing::{BodyError, Framing};
use limpid_http1::head::Refused;
use limpid_http1::scratch::Scratch;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

type Replied = Result<http::Response<Reply<DuplexStream, Empty<Bytes>>>, SendError>;

/// Asks an upstream that says all this at once, and goes on to be there.
async fn ask(said: &[u8]) -> (Replied, DuplexStream) {
    let (near, mut far) = duplex(1 << 20);
    far.write_all(said).await.unwrap();
    (Connection::new(near).send(Request::new(Empty::new()), None).await, far)
}

/// What passes of a reply, and whether its connection may be used again.
async fn passed<B>(mut reply: Reply<DuplexStream, B>, framing: &Framing) -> (String, Result<bool, BodyError>)
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut wire = Vec::new();
    loop {
        let mut scratch = Scratch::take();
        let part = poll_fn(|cx| reply.poll_wire(cx, framing, &mut scratch, |_| {})).await;
        match part {
            Ok(part) => {
                wire.extend_from_slice(&scratch[..part.bytes]);
                if part.ended {
                    return (String::from_utf8(wire).unwrap(), Ok(reply.into_idle().is_some()));
                }
            }
            Err(error) => return (String::from_utf8(wire).unwrap(), Err(error)),
        }
    }
}

fn chunked() -> Framing {
    Framing::Chunked(Box::default())
}

#[tokio::test]
async fn a_connection_is_kept_if_nothing_is_left_on_it() {
    for (said, framing, idle) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Framing::Length, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokE", Framing::Length, false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Framing::Length, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Framing::Length, false),
        ("HTTP/1.1 204 No Content\r\n\r\n", Framing::Length, false),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok", Framing::Length, false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", chunked(), true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\n", chunked(), false),
        ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", Framing::Length, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", Framing::Length, false),
        ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", Framing::Length, true),
    ] {
        let (replied, _far) = ask(said.as_bytes()).await;
        let (_, kept) = passed(replied.unwrap().into_body(), &framing).await;
        assert_eq!(kept.unwrap(), idle, "{said}");
    }
}

/// The head ends with the first byte of a read, and a byte stands behind the reply where that read ends: the one that finds
/// no room in a scratch beside the body's.
#[tokio::test]
async fn a_byte_behind_a_reply_that_fills_a_read_is_not_forgotten() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: ";
    let head = format!("{head}{}\r\n\r\n", "x".repeat(16 * 1024 + 1 - head.len() - 4));
    // The size, 16,382 - 4 - 2 - 2 - 5 bytes, and the last chunk.
    let body = format!("3ff1\r\n{}\r\n0\r\n\r\n", "d".repeat(0x3ff1));
    assert_eq!((head.len(), body.len()), (16 * 1024 + 1, 16 * 1024 - 2));
    for (behind, idle) in [("", true), ("X", false)] {
        let (replied, _far) = ask(format!("{head}{body}{behind}").as_bytes()).await;
        let (wire, kept) = passed(replied.unwrap().into_body(), &chunked()).await;
        assert_eq!((wire == body, kept.unwrap()), (true, idle), "{behind:?}");
    }
}

/// The data above all; never an end.
#[tokio::test]
async fn what_is_sound_passes_before_an_error() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, wire) in [
        ("2\r\nok\r\nzz\r\n", "2\r\nok"),
        ("2\r\nok\r\n0\r\nX A: 1\r\n\r\n", "2\r\nok\r\n0\r\n"),
        ("2;e\r\nok\r\n0\r\nX: 1\n\n", "2\r\nok\r\n0\r\n"),
        ("zz", ""),
    ] {
        let (replied, _far) = ask(format!("{head}{body}").as_bytes()).await;
        let (got, kept) = passed(replied.unwrap().into_body(), &chunked()).await;
        assert!(matches!(kept, Err(BodyError::Malformed)), "{body}: {kept:?}");
        assert_eq!(got, wire, "{body}");
    }
}

#[tokio::test]
async fn interim_replies_are_passed_over_and_a_switch_is_not() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(3);
    let (replied, _far) = ask(format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").as_bytes()).await;
    let replied = replied.unwrap();
    assert_eq!((replied.status().as_u16(), replied.headers().len()), (200, 1));
    assert_eq!(replied.into_body().collect().await.unwrap().to_bytes(), "ok");
    let (replied, _far) = ask(format!("{interim}HTTP/1.1 101 Switching Protocols\r\n\r\nmore").as_bytes()).await;
    let (_, read) = replied.unwrap().into_body().into_switched();
    assert_eq!(&read[..], b"more");
}

#[tokio::test]
async fn the_largest_head() {
    let head = |len: usize| {
        let line = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
        format!("{line}X: {}\r\n\r\n", "x".repeat(len - line.len() - 7))
    };
    let (replied, _far) = ask(head(64 * 1024).as_bytes()).await;
    assert!(replied.is_ok());
    let (replied, _far) = ask(head(64 * 1024 + 1).as_bytes()).await;
    assert!(matches!(replied, Err(SendError::Refused(Refused::TooLarge))));
}

/// A body whose frames come when they are asked for, and then never end.
struct Endless(bool);

impl Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        if std::mem::take(&mut self.get_mut().0) {
            Poll::Ready(Some(Ok(Frame::data("abc".into()))))
        } else {
            Poll::Pending
        }
    }
}

#[tokio::test]
async fn a_connection_with_an_unfinished_upload_is_not_kept() {
    let (near, mut far) = duplex(1 << 20);
    far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    let request = Request::post("/up").body(Endless(true)).unwrap();
    let reply = Connection::new(near).send(request, None).await.unwrap().into_body();
    let (wire, kept) = passed(reply, &Framing::Length).await;
    assert_eq!((wire.as_str(), kept.unwrap()), ("ok", false));
    let mut up = String::new();
    far.read_to_string(&mut up).await.unwrap();
    assert_eq!(up, "POST /up HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", "cut off, not ended");
}

/// An upstream that takes a few bytes at a time gets all of a request, whoever waits.
#[tokio::test]
async fn a_slow_upstream_gets_the_whole_request() {
    let data = Bytes::from((0..100_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<_>>());
    for length in [true, false] {
        let (near, mut far) = duplex(7);
        let body = Full::new(data.clone());
        let mut request = Request::post("/up").body(body).unwrap();
        if !length {
            request.headers_mut().insert("Transfer-Encoding", "chunked".parse().unwrap());
        }
        let sending = async {
            let reply = Connection::new(near).send(request, None).await.unwrap().into_body();
            passed(reply, &Framing::Length).await.1.unwrap()
        };
        let head = if length { "content-length: 100000" } else { "transfer-encoding: chunked" };
        let framed = if length { data.to_vec() } else { [b"186A0\r\n", &data[..], b"\r\n0\r\n\r\n"].concat() };
        let want = [format!("POST /up HTTP/1.1\r\n{head}\r\n\r\n").as_bytes(), &framed].concat();
        let reading = async {
            let mut up = vec![0; want.len()];
            far.read_exact(&mut up).await.unwrap();
            far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            up
        };
        let (idle, up) = tokio::join!(sending, reading);
        assert!(idle && up == want);
    }
}
