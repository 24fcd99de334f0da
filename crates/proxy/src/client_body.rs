//! What comes from the client of a request's body, by either protocol, and how long it is waited for.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use limpid_http1::framing::BodyError;
use limpid_http1::server;
use tokio::time::{Instant, Sleep, sleep_until};

/// A client's body, by either protocol.
pub(crate) enum ClientBody {
    Http1(server::RequestBody),
    Http2(Incoming),
}

/// How it broke off.
#[derive(Debug)]
pub(crate) enum ClientError {
    Http1(BodyError),
    Http2(hyper::Error),
    /// It paused for too long.
    Late,
}

impl ClientError {
    /// Over HTTP/2, hyper tells what it cannot read as invalid input or data; all other errors are a connection that is
    /// gone.
    pub(crate) fn is_malformed(&self) -> bool {
        let mut cause = match self {
            ClientError::Http1(error) => return matches!(error, BodyError::Malformed),
            ClientError::Http2(error) => error.source(),
            ClientError::Late => return false,
        };
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData);
            }
            cause = error.source();
        }
        false
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Http1(error) => error.fmt(f),
            ClientError::Http2(error) => error.fmt(f),
            ClientError::Late => f.write_str("the request's body paused for too long"),
        }
    }
}

impl Error for ClientError {}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        match self.get_mut() {
            ClientBody::Http1(body) => Pin::new(body).poll_frame(cx).map_err(ClientError::Http1),
            ClientBody::Http2(body) => Pin::new(body).poll_frame(cx).map_err(ClientError::Http2),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ClientBody::Http1(body) => body.is_end_stream(),
            ClientBody::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ClientBody::Http1(body) => body.size_hint(),
            ClientBody::Http2(body) => body.size_hint(),
        }
    }
}

/// How long a body is waited for. Nothing is counted while nobody asks for it: then the upstream is waited for, not the client.
pub(crate) struct Patience {
    limit: Duration,
    /// Since when it is waited for.
    since: Option<Instant>,
    /// Left where it is while frames come; it looks how far the deadline has moved when it fires.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Patience {
        Patience { limit, since: None, timer: None }
    }

    /// It went on.
    pub(crate) fn moved(&mut self) {
        self.since = None;
    }

    /// It is waited for; ready when that has been too long.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = *self.since.get_or_insert_with(Instant::now) + self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// An upstream that takes its time with a body is no pause of the client's: nothing counts while nobody waits.
    #[tokio::test(start_paused = true)]
    async fn only_the_wait_for_the_client_counts() {
        const LIMIT: Duration = Duration::from_secs(10);
        let mut cx = Context::from_waker(Waker::noop());
        let mut patience = Patience::new(LIMIT);
        assert!(patience.poll_over(&mut cx).is_pending());
        for _ in 0..5 {
            // A part came, then the upstream took three times the limit over it.
            patience.moved();
            tokio::time::advance(3 * LIMIT).await;
            assert!(patience.poll_over(&mut cx).is_pending());
            tokio::time::advance(LIMIT.saturating_sub(Duration::from_millis(2))).await;
            assert!(patience.poll_over(&mut cx).is_pending());
        }
        tokio::time::advance(Duration::from_millis(4)).await;
        assert!(patience.poll_over(&mut cx).is_ready());
    }
}
