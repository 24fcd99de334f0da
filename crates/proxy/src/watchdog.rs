//! How long an upstream may be silent. Each limit is off unless it is set, and has a reason of its own in the record.
//!
//! | limit | counts from | until | if it runs out |
//! |---|---|---|---|
//! | connect | the attempt | the connection is up, TLS included | 504, `connect_timeout` |
//! | headers | the last byte of the request that went up | the response's head | 504, `headers_timeout` |
//! | first token | the request was sent | the first token of a stream | 504 while no head has come, else the stream breaks off; `first_token_timeout` |
//! | idle | the last byte, or the moment from which the upstream is waited for | any byte | the body breaks off, `idle_timeout` |
//!
//! | WebSocket idle | the last byte of a session | any byte, either way | both connections are closed, `idle_timeout` |
//!
//! What a client may take of time is elsewhere: `limpid-http1` and `client_http2` for heads, `client_body` for bodies.
//!
//! There is no limit on the total. Time for which a frame waits for the client is nobody's silence: the body's limits only
//! run while the upstream is waited for. A stream whose tokens cannot be seen (observing is off, or met a fault) has no
//! limit on its first token.
//!
//! A timer is not armed anew for each event: it is left where it is, and when it fires it looks how far the deadline has
//! moved.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use limpid_core::RelayFailure;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::request_body::RequestTap;

/// The limits of one upstream, but for connect. `None`: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the request's last byte to the response's head.
    pub headers: Option<Duration>,
    /// From sending the request to the first token of a stream.
    pub first_token: Option<Duration>,
    /// Between bytes of the response's body.
    pub idle: Option<Duration>,
    /// Between bytes of a WebSocket session, in either direction.
    pub websocket_idle: Option<Duration>,
}

/// What is to happen by when.
#[derive(Clone, Copy)]
struct Deadline(Instant, RelayFailure);

fn earlier(a: Option<Deadline>, b: Option<Deadline>) -> Option<Deadline> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0 < a.0 { b } else { a }),
        (a, b) => a.or(b),
    }
}

impl Timeouts {
    /// A request is sent now. `None` where no limit counts from that: to ask for the time of each request is not free.
    pub(crate) fn begin(self) -> Option<Instant> {
        (self.headers.is_some() || self.first_token.is_some()).then(Instant::now)
    }

    /// Waits for a response's head, while the request's body goes up; it was sent at `sent`.
    pub(crate) async fn head<T>(
        self,
        tap: &RequestTap,
        sent: Option<Instant>,
        mut head: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, RelayFailure> {
        let Some(sent) = sent else { return Ok(head.await) };
        let mut token = self.first_token.map(|limit| Deadline(sent + limit, RelayFailure::FirstTokenTimeout));
        loop {
            let headers = self.headers.map(|limit| tap.moved().max(sent) + limit);
            let headers = headers.map(|at| Deadline(at, RelayFailure::HeadersTimeout));
            let Some(Deadline(at, failure)) = earlier(headers, token) else { return Ok(head.await) };
            match failure {
                _ if at > Instant::now() => {}
                // What the body asks for is known by now; of a reply that is no stream no token is awaited.
                RelayFailure::FirstTokenTimeout if !tap.asks_for_stream() => {
                    token = None;
                    continue;
                }
                _ => return Err(failure),
            }
            tokio::select! {
                biased;
                done = &mut head => return Ok(done),
                () = sleep_until(at) => {}
            }
        }
    }

    /// The watch over a body, whose request was sent at `sent`; `None` without a limit.
    pub(crate) fn body(self, sent: Option<Instant>) -> Option<Watchdog> {
        let token_by = self.first_token.zip(sent).map(|(limit, sent)| sent + limit);
        let first = token_by.or_else(|| self.idle.map(|limit| Instant::now() + limit))?;
        Some(Watchdog { idle: self.idle, token_by, waiting_since: None, timer: Box::pin(sleep_until(first)) })
    }
}

/// The watch over one body.
pub(crate) struct Watchdog {
    idle: Option<Duration>,
    token_by: Option<Instant>,
    waiting_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Watchdog {
    /// Something came.
    pub(crate) fn moved(&mut self) {
        self.waiting_since = None;
    }

    /// The upstream is waited for; ready when that has been too long. `token_awaited`: a first token can be seen and was not.
    pub(crate) fn poll_silence(&mut self, cx: &mut Context<'_>, token_awaited: bool) -> Poll<RelayFailure> {
        if !token_awaited {
            self.token_by = None;
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        loop {
            let idle = self.idle.map(|limit| Deadline(since + limit, RelayFailure::IdleTimeout));
            let token = self.token_by.map(|at| Deadline(at, RelayFailure::FirstTokenTimeout));
            let Some(Deadline(at, failure)) = earlier(idle, token) else { return Poll::Pending };
            if self.timer.deadline() > at {
                self.timer.as_mut().reset(at);
            }
            ready!(self.timer.as_mut().poll(cx));
            if at <= Instant::now() {
                return Poll::Ready(failure);
            }
            self.timer.as_mut().reset(at);
        }
    }
}
