//! A client's connection over loopback, where the relay's own tests do not reach. Time is paused: a sleep ends when nothing
//! moves any more.

#![expect(clippy::unwrap_used, reason = "a test fails by panics")]

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use limpid_http1::framing::{Frames, Framing};
use limpid_http1::server::{Ended, Limits, Outgoing, RequestBody, Wire, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Nothing moves any more.
async fn quiet() {
    sleep(Duration::from_millis(500)).await;
}

/// A body that breaks off, or not.
struct Given {
    body: Pin<Box<dyn Body<Data = Bytes, Error = &'static str> + Send>>,
    frames: Frames,
}

impl Given {
    fn new(body: impl Body<Data = Bytes, Error = &'static str> + Send + 'static) -> Response<Given> {
        Response::new(Given { body: Box::pin(body), frames: Frames::default() })
    }

    fn text(text: &'static str) -> Response<Given> {
        Given::new(Full::from(text).map_err(|never| match never {}))
    }
}

impl Outgoing for Given {
    type Error = &'static str;

    fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    fn poll_wire(
        &mut self,
        cx: &mut Context<'_>,
        framing: &Framing,
        into: &mut [u8],
    ) -> Poll<Result<Wire, Self::Error>> {
        self.frames.poll_wire(cx, &mut self.body, framing, into)
    }

    fn sent(&mut self) {}
}

/// So many pieces of 1,000 bytes, and then an end or a break. Counts those that were taken.
struct Pieces {
    left: usize,
    taken: Arc<AtomicUsize>,
    breaks: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, &'static str>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(this.breaks.then_some(Err("broken off")));
        }
        this.left -= 1;
        let number = this.taken.fetch_add(1, Ordering::Relaxed);
        let piece = format!("{number:_>1000}");
        Poll::Ready(Some(Ok(http_body::Frame::data(piece.into()))))
    }
}

fn numbers(count: usize) -> String {
    (0..count).map(|number| format!("{number:_>1000}")).collect::<Vec<_>>().concat()
}

/// Serves one connection with `answer`. The small buffers are soon full.
async fn connect<F>(answer: impl Fn(Request<RequestBody>) -> F + Send + 'static) -> (TcpStream, JoinHandle<Ended>)
where
    F: Future<Output = Response<Given>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let (client, accepted) = tokio::join!(socket.connect(listener.local_addr().unwrap()), listener.accept());
    let accepted = accepted.unwrap().0;
    accepted.set_nodelay(true).unwrap();
    let limits = Limits { head_timeout: Duration::from_secs(60), max_head: 64 << 10 };
    let (go_on, draining) = watch::channel(false);
    let serving = tokio::spawn(async move {
        let _go_on = go_on;
        let service = move |request| Box::pin(answer(request));
        serve(accepted, BytesMut::new(), limits, draining, service).await
    });
    let client = client.unwrap();
    client.set_nodelay(true).unwrap();
    (client, serving)
}

/// What has come when nothing moves any more.
async fn got(client: &mut TcpStream) -> String {
    quiet().await;
    let mut got = vec![0; 1 << 20];
    let count = client.try_read(&mut got).unwrap_or(0);
    String::from_utf8_lossy(&got[..count]).into_owned()
}

async fn rest(client: &mut TcpStream) -> String {
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    String::from_utf8(got).unwrap()
}

const ASK: &str = "POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n";

async fn echo(request: Request<RequestBody>) -> Response<Given> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Given::new(Full::from(body).map_err(|never| match never {}))
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_is_told_to_go_on_once() {
    let (mut client, _serving) = connect(echo).await;
    for _ in 0..2 {
        client.write_all(ASK.as_bytes()).await.unwrap();
        assert_eq!(got(&mut client).await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"a").await.unwrap();
        assert_eq!(got(&mut client).await, "");
        client.write_all(b"bc").await.unwrap();
        assert_eq!(got(&mut client).await, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_wait_is_told_nothing() {
    let old = ASK.replace("1.1", "1.0");
    for (ask, body, answer) in [
        (ASK, "abc", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"),
        (ASK, "a", ""),
        (&old, "", ""),
        (&ASK.replace("100-Continue", "a lot"), "", ""),
        (&ASK.replace('3', "0"), "", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ] {
        let (mut client, _serving) = connect(echo).await;
        client.write_all(format!("{ask}{body}").as_bytes()).await.unwrap();
        assert_eq!(got(&mut client).await, answer, "{ask}{body}");
    }
}

/// A response that has begun before the body is read has no 100 in its midst; nor has one that never reads it.
#[tokio::test(start_paused = true)]
async fn nobody_is_told_to_go_on_within_a_response() {
    let late = |request: Request<RequestBody>| async {
        let text = Full::from("answered").map_err(|never: std::convert::Infallible| match never {});
        let body = request.into_body().map_err(|_| "broken off");
        Given::new(Both(Some(Box::pin(text)), Box::pin(body)))
    };
    let (mut client, _serving) = connect(late).await;
    client.write_all(ASK.as_bytes()).await.unwrap();
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(got(&mut client).await, format!("{head}8\r\nanswered\r\n"));
    client.write_all(b"abc").await.unwrap();
    assert_eq!(got(&mut client).await, "3\r\nabc\r\n0\r\n\r\n");

    let (mut client, serving) = connect(|_| async { Given::text("no") }).await;
    client.write_all(ASK.as_bytes()).await.unwrap();
    assert_eq!(rest(&mut client).await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno");
    assert!(matches!(serving.await.unwrap(), Ended::Closed));
}

type Boxed = Pin<Box<dyn Body<Data = Bytes, Error = &'static str> + Send>>;

/// One body behind the other.
struct Both(Option<Boxed>, Boxed);

impl Body for Both {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, &'static str>>> {
        let this = self.get_mut();
        if let Some(first) = &mut this.0 {
            if let Some(frame) = ready!(first.as_mut().poll_frame(cx)) {
                return Poll::Ready(Some(frame));
            }
            this.0 = None;
        }
        this.1.as_mut().poll_frame(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_wait_their_turn() {
    let working = Arc::new(AtomicUsize::new(0));
    let order = Arc::new(Mutex::new(Vec::new()));
    let (count, seen) = (Arc::clone(&working), Arc::clone(&order));
    let (mut client, serving) = connect(move |request| {
        let (count, seen) = (Arc::clone(&count), Arc::clone(&seen));
        async move {
            assert_eq!(count.fetch_add(1, Ordering::Relaxed), 0, "one after the other");
            seen.lock().unwrap().push(request.uri().to_string());
            let answer = echo(request).await;
            sleep(Duration::from_secs(1)).await;
            count.fetch_sub(1, Ordering::Relaxed);
            answer
        }
    })
    .await;
    let all = "POST /1 HTTP/1.1\r\nContent-Length: 1\r\n\r\na\
        POST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n\
        GET /3 HTTP/1.1\r\n\r\nPOST /4 HTTP/1.1\r\nContent-Length: 1\r\nConnection: x, Close\r\n\r\ndGET /5 HTTP/1.1\r\n\r\n";
    client.write_all(all.as_bytes()).await.unwrap();
    let answers = rest(&mut client).await;
    let bodies: Vec<_> = answers.split("HTTP/1.1 200 OK\r\n").skip(1).collect();
    let want = [
        "content-length: 1\r\n\r\na",
        "content-length: 1\r\n\r\nb",
        "content-length: 0\r\n\r\n",
        "content-length: 1\r\nconnection: close\r\n\r\nd",
    ];
    assert_eq!(bodies, want);
    assert!(matches!(serving.await.unwrap(), Ended::Closed));
    assert_eq!(*order.lock().unwrap(), ["/1", "/2", "/3", "/4"]);
}

/// 8,000 pieces to a client that reads nothing: few are taken. Then it reads, and has all that was before the end, or
/// before the break.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_stops_the_body_and_gets_all_of_it() {
    for breaks in [false, true] {
        let taken = Arc::new(AtomicUsize::new(0));
        let of = Arc::clone(&taken);
        let (mut client, serving) = connect(move |_| {
            let taken = Arc::clone(&of);
            async move { Given::new(Pieces { left: 8000, taken, breaks }) }
        })
        .await;
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        quiet().await;
        let before = taken.load(Ordering::Relaxed);
        assert!((1..7000).contains(&before), "{before} pieces taken");
        quiet().await;
        assert_eq!(taken.load(Ordering::Relaxed), before, "nothing moves");
        let got = rest(&mut client).await;
        assert_eq!(got, format!("HTTP/1.1 200 OK\r\n\r\n{}", numbers(8000)));
        assert!(matches!(serving.await.unwrap(), Ended::Closed));
    }
}

/// The pieces that came before the break are written, and the last chunk is not.
#[tokio::test(start_paused = true)]
async fn a_break_behind_a_slow_reader_is_still_a_break() {
    let (mut client, _serving) =
        connect(|_| async { Given::new(Pieces { left: 3000, taken: Arc::default(), breaks: true }) }).await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    quiet().await;
    let got = rest(&mut client).await;
    let (_, body) = got.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.replace("3E8\r\n", "").replace("\r\n", ""), numbers(3000));
    assert!(!body.ends_with("0\r\n\r\n"));
}

/// Whatever it asks. The version is the caller's to choose.
#[tokio::test(start_paused = true)]
async fn a_client_of_http_1_0_gets_one_answer() {
    let (mut client, _serving) = connect(|_| async { Given::text("one") }).await;
    let ask = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n";
    client.write_all(ask).await.unwrap();
    assert_eq!(rest(&mut client).await, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none");
}

#[tokio::test(start_paused = true)]
async fn trailers_go_to_clients_that_take_them() {
    for (te, end) in
        [("TE: deflate,\ttrailers \r\n", "0\r\nx-sum: 7\r\n\r\n"), ("TE: trailer\r\n", "0\r\n\r\n"), ("", "0\r\n\r\n")]
    {
        let (mut client, _serving) = connect(|_| async {
            let field = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
            let trailers: HeaderMap = [field("x-sum", "7"), field("x-other", "8")].into_iter().collect();
            let body = Full::from("ok").map_err(|never: std::convert::Infallible| match never {});
            let mut response = Given::new(body.with_trailers(std::future::ready(Some(Ok(trailers)))));
            response.headers_mut().insert("trailer", HeaderValue::from_static("X-Sum"));
            response.headers_mut().insert("transfer-encoding", HeaderValue::from_static("chunked"));
            response
        })
        .await;
        client.write_all(format!("GET / HTTP/1.1\r\n{te}\r\n").as_bytes()).await.unwrap();
        let want = format!("HTTP/1.1 200 OK\r\ntrailer: X-Sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n{end}");
        assert_eq!(got(&mut client).await, want);
    }
}

/// A body that is there is read away, and the connection goes on. Of one that is not, the client has a second to read what
/// it was told, though it goes on sending.
#[tokio::test]
async fn a_body_that_nobody_takes() {
    let (mut client, _serving) = connect(|_| async { Given::text("no") }).await;
    client
        .write_all(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(rest(&mut client).await.matches("HTTP/1.1 200 OK").count(), 2);

    let (mut client, serving) = connect(|_| async { Given::text("no") }).await;
    client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n").await.unwrap();
    for _ in 0..100 {
        client.write_all(&[b'x'; 10_000]).await.unwrap();
    }
    assert_eq!(rest(&mut client).await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno");
    drop(client);
    assert!(matches!(serving.await.unwrap(), Ended::Closed));
}

/// Such is an upload by a task of its own, whose upstream has answered before its end.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_held_too_long_does_not_read_the_next_ones() {
    let keep: Arc<Mutex<Vec<RequestBody>>> = Arc::default();
    let (mut client, _serving) = connect(move |request: Request<RequestBody>| {
        let keep = Arc::clone(&keep);
        async move {
            if request.uri() == "/late" {
                keep.lock().unwrap().push(request.into_body());
                return Given::text("early");
            }
            let held = keep.lock().unwrap().pop().unwrap();
            let late = held.collect().await;
            assert!(late.is_err(), "{late:?}");
            echo(request).await
        }
    })
    .await;
    let late = "POST /late HTTP/1.1\r\nContent-Length: 5\r\n\r\nfirst";
    let next = "POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nsecond";
    client.write_all(format!("{late}{next}").as_bytes()).await.unwrap();
    let got = got(&mut client).await;
    assert!(got.contains("early") && got.ends_with("\r\n\r\nsecond"), "{got}");
}
