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

    fn is_between_chunks(&self) -> bool {
        self.frames.is_between_chunks()
    }
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

/// Gives one piece, then nothing until it is told to end or to break off.
struct Silent {
    first: Option<&'static str>,
    then: tokio::sync::oneshot::Receiver<Option<&'static str>>,
}

impl Body for Silent {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, &'static str>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(http_body::Frame::data(first.into()))));
        }
        match ready!(Pin::new(&mut this.then).poll(cx)) {
            Ok(Some(last)) => {
                this.then = tokio::sync::oneshot::channel().1;
                Poll::Ready(Some(Ok(http_body::Frame::data(last.into()))))
            }
            Ok(None) => Poll::Ready(Some(Err("broken off"))),
            Err(_) => Poll::Ready(None),
        }
    }
}

type Tell = tokio::sync::oneshot::Sender<Option<&'static str>>;

/// A client that has half-closed and had the head and a chunk, whose body is silent.
async fn half_closed_in_a_stream() -> (TcpStream, JoinHandle<Ended>, Tell) {
    let (tell, then) = tokio::sync::oneshot::channel();
    let then = Mutex::new(Some(then));
    let (mut client, serving) = connect(move |_| {
        let then = then.lock().unwrap().take().unwrap();
        async move { Given::new(Silent { first: Some("abc"), then }) }
    })
    .await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(got(&mut client).await.ends_with("chunked\r\n\r\n3\r\nabc\r\n"));
    client.shutdown().await.unwrap();
    (client, serving, tell)
}

/// All that has come in so many seconds.
async fn got_in(client: &mut TcpStream, seconds: u64) -> String {
    sleep(Duration::from_secs(seconds)).await;
    got(client).await
}

/// Before the head it is asked with the head's own begin: at once, and then more and more seldom.
#[tokio::test(start_paused = true)]
async fn a_half_closed_client_is_asked_with_the_begin_of_its_answer() {
    for (asked, seconds) in [("H", 0), ("HT", 1), ("HTTP", 21), ("HTTP/1.", 1000)] {
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let wait = Mutex::new(Some(wait));
        let (mut client, serving) = connect(move |_| {
            let wait = wait.lock().unwrap().take().unwrap();
            async move {
                wait.await.unwrap();
                Given::text("late")
            }
        })
        .await;
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let before = got_in(&mut client, seconds).await;
        assert_eq!(before, asked, "after {seconds} s");
        go.send(()).unwrap();
        let all = before + &rest(&mut client).await;
        assert_eq!(all, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate");
        assert!(matches!(serving.await.unwrap(), Ended::Closed));
    }
}

/// A closed socket answers the first question with a reset; one that is closed later the next. What works for it is dropped.
#[tokio::test(start_paused = true)]
async fn a_client_that_closes_is_told_from_one_that_half_closes() {
    for half_closed_before in [false, true] {
        let (mut client, serving) = connect(|_| std::future::pending::<Response<Given>>()).await;
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        quiet().await;
        if half_closed_before {
            client.shutdown().await.unwrap();
            assert_eq!(got(&mut client).await, "H");
            assert!(!serving.is_finished());
        }
        drop(client);
        let gone = tokio::time::Instant::now();
        assert!(matches!(serving.await.unwrap(), Ended::Closed));
        let most = if half_closed_before { 4 } else { 0 };
        assert!(gone.elapsed() <= Duration::from_secs(most), "after {:?}", gone.elapsed());
    }
    let (client, serving, _tell) = half_closed_in_a_stream().await;
    drop(client);
    assert!(matches!(serving.await.unwrap(), Ended::Closed));
}

/// Between chunks it is asked with leading zeros, of which there are never many; the body is the same.
#[tokio::test(start_paused = true)]
async fn a_half_closed_client_is_asked_with_zeros_between_chunks() {
    for (asked, seconds) in [("0", 0), ("00", 1), ("0000", 1000)] {
        let (mut client, serving, tell) = half_closed_in_a_stream().await;
        assert_eq!(got_in(&mut client, seconds).await, asked);
        assert!(!serving.is_finished());
        tell.send(Some("defgh")).unwrap();
        assert_eq!(rest(&mut client).await, "5\r\ndefgh\r\n0\r\n\r\n");
    }
}

/// Some readers take a zero and the connection's end for the end of the body.
#[tokio::test(start_paused = true)]
async fn a_cut_behind_a_zero_is_a_cut() {
    let (mut client, _serving, tell) = half_closed_in_a_stream().await;
    assert_eq!(got(&mut client).await, "0");
    tell.send(None).unwrap();
    assert_eq!(rest(&mut client).await, "1\r\n");
    // The same if what serves it is dropped.
    let (mut client, serving, _tell) = half_closed_in_a_stream().await;
    assert_eq!(got(&mut client).await, "0");
    serving.abort();
    assert_eq!(rest(&mut client).await, "1\r\n");
}

/// The next byte of a body of announced length is not known: nothing is asked, and all of it comes.
#[tokio::test(start_paused = true)]
async fn a_half_closed_client_gets_bodies_that_are_no_chunks_untouched() {
    let (tell, then) = tokio::sync::oneshot::channel();
    let then = Mutex::new(Some(then));
    let (mut client, _serving) = connect(move |_| {
        let then = then.lock().unwrap().take().unwrap();
        async move {
            let mut response = Given::new(Silent { first: Some("abc"), then });
            response.headers_mut().insert("content-length", HeaderValue::from_static("8"));
            response
        }
    })
    .await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(got(&mut client).await.ends_with("\r\n\r\nabc"));
    client.shutdown().await.unwrap();
    assert_eq!(got_in(&mut client, 1000).await, "");
    tell.send(Some("defgh")).unwrap();
    assert_eq!(rest(&mut client).await, "defgh");
}

/// Empty lines before a head are passed over, once each, and are not endless.
#[tokio::test(start_paused = true)]
async fn empty_lines_before_a_head_are_bounded() {
    let (mut client, serving) = connect(|_| async { Given::text("ok") }).await;
    let ask = "GET / HTTP/1.1\r\n\r\n";
    client.write_all(format!("\r\n\n\r\n{ask}{}{ask}", "\r\n".repeat(1000)).as_bytes()).await.unwrap();
    assert_eq!(got(&mut client).await.matches("200 OK").count(), 2);
    client.write_all("\r\n".repeat(40_000).as_bytes()).await.unwrap();
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 431 "));
    assert!(matches!(serving.await.unwrap(), Ended::Refused(_)));
}
