//! A client's connection: reads requests, hands each to a service, writes its response.
//!
//! One task does it all. While the service works, and while the response streams, the client is watched: one that resets
//! the connection has left, and what works for it is dropped. One that only ends its side is served, and asked whether it is
//! still there (`half_close.rs`). The request's body is read by whoever holds it ([`RequestBody`]), no faster than it is
//! taken.
//!
//! **Keeping.** Requests that come before the response is out wait their turn. A body that nobody read is read away if it
//! is there, or else the connection is closed, and closed gently: a client that is still writing when its connection
//! is reset would lose the answer (RFC 9112 §9.6).

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, Version};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

pub use crate::framing::Wire;
use crate::framing::{Framing, Reading};
use crate::half_close::BEGIN;
use crate::head::{self, Refused, RequestHead};
pub use crate::inbound::RequestBody;
use crate::inbound::{Inbound, Shared, lock};
use crate::respond::{Outcome, Respond};
use crate::spelling::Spelling;

/// How long a client may go on sending to a connection that is being closed.
const LINGER: Duration = Duration::from_secs(1);

/// A response's body as the connection writes it.
pub trait Outgoing {
    /// Why it breaks off.
    type Error;

    /// How many bytes it has, where that is known.
    fn length(&self) -> Option<u64>;

    /// Puts what is next of it, framed like this, into `into`, which is a whole scratch; at least a byte, unless it ends.
    ///
    /// # Errors
    ///
    /// It breaks off: so does the connection, once all that was put before is written.
    fn poll_wire(
        &mut self,
        cx: &mut Context<'_>,
        framing: &Framing,
        into: &mut [u8],
    ) -> Poll<Result<Wire, Self::Error>>;

    /// How the head of its response was written, if it came from elsewhere; asked for once, before all else.
    fn take_spelling(&mut self) -> Option<Spelling> {
        None
    }

    /// Its last byte has been handed to the kernel, or to a connection that waits for its reader.
    fn sent(&mut self);

    /// Whether what was put so far ends with a whole chunk, or stands before the first, and more will come.
    fn is_between_chunks(&self) -> bool {
        false
    }
}

/// What a client may take of time and room.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the connection's begin, or the last response, to the end of a head.
    pub head_timeout: Duration,
    /// Bytes of a head.
    pub max_head: usize,
}

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// One side closed it, or its time was up.
    Closed,
    /// What came is no request, and was answered so.
    Refused(Refused),
    /// The last response switched protocols.
    Switched(Switched),
}

/// A connection that speaks something else now.
#[derive(Debug)]
pub struct Switched {
    /// From the client.
    pub from: OwnedReadHalf,
    /// What was read of it already.
    pub read: BytesMut,
    /// To the client.
    pub to: OwnedWriteHalf,
}

/// Serves a connection's requests, one after the other, until it ends. `read`: what was read of it already. Once `draining`
/// is true, or its sender is gone, no further request is taken.
pub async fn serve<S, F, B>(
    io: TcpStream,
    read: BytesMut,
    limits: Limits,
    draining: watch::Receiver<bool>,
    mut service: S,
) -> Ended
where
    S: FnMut(Request<RequestBody>) -> Pin<Box<F>>,
    F: Future<Output = Response<B>>,
    B: Outgoing,
{
    let (from, to) = io.into_split();
    let inbound = Inbound {
        from: Some(from),
        read,
        reading: Reading::NONE,
        expects: false,
        turn: 0,
        watcher: None,
        half_closed: None,
    };
    let mut client = Client { inbound: Arc::new(Mutex::new(inbound)), to, limits, seen: 0, passed_over: 0, begun: 0 };
    let mut patience = Patience::new(limits.head_timeout);
    let mut told = draining.clone();
    let mut told_or_gone = pin!(told.wait_for(|draining| *draining));
    loop {
        patience.begin();
        let head = poll_fn(|cx| {
            if let Poll::Ready(head) = client.poll_head(cx) {
                return Poll::Ready(head);
            }
            let over = told_or_gone.as_mut().poll(cx).is_ready() || patience.poll_over(cx).is_ready();
            if over { Poll::Ready(Ok(None)) } else { Poll::Pending }
        });
        let head = match head.await {
            Ok(Some(head)) => head,
            Ok(None) => return Ended::Closed,
            Err(why) => return client.refuse(why).await,
        };
        let (request, asked) = client.request(head);
        let mut working = service(request);
        let answered = poll_fn(|cx| match working.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => client.poll_left(cx).map(|()| None),
        })
        .await;
        drop(working);
        let Some(response) = answered else { return Ended::Closed };
        let last = !asked.keep_alive || *draining.borrow() || draining.has_changed().is_err();
        match client.respond(response, &asked, last).await {
            Next::Request => {}
            Next::Close => return client.close().await,
            Next::Broken => return Ended::Closed,
            Next::Switched => return client.switched(),
        }
    }
}

/// How long a head is waited for. The timer is not armed anew for each: it is left where it is, and when it fires it looks
/// how far the deadline has moved. (Arming a runtime's only timer is a system call.)
struct Patience {
    limit: Duration,
    until: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    fn new(limit: Duration) -> Patience {
        let until = Instant::now() + limit;
        Patience { limit, until, timer: Box::pin(sleep_until(until)) }
    }

    /// From now on.
    fn begin(&mut self) {
        self.until = Instant::now() + self.limit;
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if Instant::now() >= self.until {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.until);
        }
    }
}

/// What is remembered of a request.
struct Asked {
    method: Method,
    /// Whether it takes trailers (RFC 9110 §6.5.1).
    trailers: bool,
    version: Version,
    keep_alive: bool,
}

/// What comes after a response.
enum Next {
    Request,
    Close,
    Broken,
    Switched,
}

struct Client {
    inbound: Shared,
    to: OwnedWriteHalf,
    limits: Limits,
    /// How much of what was read is known to hold no head.
    seen: usize,
    /// Bytes of empty lines before it.
    passed_over: usize,
    /// How much of the next response's first line is written already.
    begun: usize,
}

impl Client {
    /// The next head; `None` where the client closes before it is whole.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RequestHead>, Refused>> {
        let mut inbound = lock(&self.inbound);
        loop {
            self.passed_over += head::pass_empty_lines(&mut inbound.read);
            let read = inbound.read.len();
            if read > 0 && head::is_worth_reading(&inbound.read, self.seen) {
                match head::read_request(&mut inbound.read)? {
                    Some((_, len)) if len > self.limits.max_head => return Poll::Ready(Err(Refused::TooLarge)),
                    Some((head, _)) => {
                        (self.seen, self.passed_over) = (0, 0);
                        return Poll::Ready(Ok(Some(head)));
                    }
                    None => {}
                }
            }
            self.seen = read;
            if self.passed_over + read > self.limits.max_head {
                return Poll::Ready(Err(Refused::TooLarge));
            }
            match ready!(inbound.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Ready when the client has left. Asks one that has closed its side, with the begin of its answer.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inbound = lock(&self.inbound);
        if inbound.poll_left(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(half) = &mut inbound.half_closed else { return Poll::Pending };
        while half.is_due(cx) {
            let next = BEGIN.get(self.begun..self.begun + 1).unwrap_or_default();
            match self.to.try_write(next) {
                Ok(count) => self.begun += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    fn request(&self, head: RequestHead) -> (Request<RequestBody>, Asked) {
        let RequestHead { parts, spelling, reading, keep_alive, expects_continue, takes_trailers } = head;
        let asked =
            Asked { method: parts.method.clone(), trailers: takes_trailers, version: parts.version, keep_alive };
        let mut inbound = lock(&self.inbound);
        inbound.reading = reading;
        // What has come already was not waited for.
        inbound.expects = expects_continue && !inbound.reading.is_end() && inbound.read.is_empty();
        let body = RequestBody::new(&self.inbound, &inbound, spelling);
        drop(inbound);
        (Request::from_parts(parts, body), asked)
    }

    async fn respond<B: Outgoing>(&mut self, response: Response<B>, asked: &Asked, last: bool) -> Next {
        let (parts, mut body) = response.into_parts();
        // A 100 would stand in the midst of the response.
        lock(&self.inbound).expects = false;
        let switches = parts.status == StatusCode::SWITCHING_PROTOCOLS;
        let (framing, mut more) = framing(asked, parts.status, &parts.headers, body.length());
        let mut close = last || framing == Framing::ToEnd || head::lists(&parts.headers, &CONNECTION, b"close");
        let says_so = parts.headers.contains_key(CONNECTION);
        if close && !switches && !says_so && asked.version == Version::HTTP_11 {
            more.push_str("connection: close\r\n");
        }
        let mut head = Vec::with_capacity(1024);
        head::write_response(&parts, body.take_spelling().as_ref(), more.as_bytes(), &mut head);
        drop(parts);
        let mut responding = Respond::new(head, std::mem::take(&mut self.begun), framing, switches);
        match poll_fn(|cx| responding.poll(cx, &mut self.to, &self.inbound, &mut body)).await {
            Outcome::Sent => {}
            Outcome::Left | Outcome::BrokenOff => return Next::Broken,
        }
        drop(body);
        if switches {
            return Next::Switched;
        }
        close |= !self.read_away();
        if close { Next::Close } else { Next::Request }
    }

    /// Reads away what is there of a body that nobody took, and who still holds it takes no more. Whether that was all of it.
    fn read_away(&self) -> bool {
        let mut inbound = lock(&self.inbound);
        inbound.turn += 1;
        let mut nobody = Context::from_waker(Waker::noop());
        while !inbound.reading.is_end() {
            match inbound.poll_body(&mut nobody) {
                Poll::Ready(Some(Ok(_))) => {}
                _ => break,
            }
        }
        inbound.reading.is_end()
    }

    async fn refuse(mut self, why: Refused) -> Ended {
        let status = why.status();
        let reason = status.canonical_reason().unwrap_or_default();
        let answer = format!("HTTP/1.1 {} {reason}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", status.as_str());
        let _gone = timeout(LINGER, self.to.write_all(answer.as_bytes())).await;
        lock(&self.inbound).reading = Reading::ToEnd;
        self.close().await;
        Ended::Refused(why)
    }

    /// Closes. A client that may still be writing has a moment to read what it was told.
    async fn close(mut self) -> Ended {
        let _gone = self.to.shutdown().await;
        let all = poll_fn(|cx| {
            let mut inbound = lock(&self.inbound);
            if inbound.reading.is_end() && inbound.read.is_empty() {
                return Poll::Ready(());
            }
            loop {
                inbound.read.clear();
                match ready!(inbound.poll_fill(cx)) {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return Poll::Ready(()),
                }
            }
        });
        let _late = timeout(LINGER, all).await;
        Ended::Closed
    }

    fn switched(self) -> Ended {
        let mut inbound = lock(&self.inbound);
        let (from, read) = (inbound.from.take(), std::mem::take(&mut inbound.read));
        drop(inbound);
        from.map_or(Ended::Closed, |from| Ended::Switched(Switched { from, read, to: self.to }))
    }
}

/// How the body of a response is framed, and the lines that say so where the head does not.
fn framing(asked: &Asked, status: StatusCode, fields: &HeaderMap, length: Option<u64>) -> (Framing, String) {
    let to_connect = asked.method == Method::CONNECT && status.is_success();
    let bodiless = asked.method == Method::HEAD || status.is_informational() || matches!(status.as_u16(), 204 | 304);
    let chunked = || if asked.trailers { Framing::chunked(fields) } else { Framing::Chunked(Box::default()) };
    match length {
        _ if bodiless || to_connect => (Framing::None, String::new()),
        _ if fields.contains_key(TRANSFER_ENCODING) => (chunked(), String::new()),
        _ if fields.contains_key(CONTENT_LENGTH) => (Framing::Length, String::new()),
        Some(length) => (Framing::Length, format!("content-length: {length}\r\n")),
        None if asked.version == Version::HTTP_11 => (chunked(), "transfer-encoding: chunked\r\n".to_owned()),
        None => (Framing::ToEnd, String::new()),
    }
}
