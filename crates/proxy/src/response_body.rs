//! The upstream's body on its way to the client: each frame passed on as it is, looked at in passing.
//!
//! There is no task and no channel between the two connections: hyper polls this body when the client can take more,
//! and only then is the upstream read. Back-pressure is the transport's own.
//!
//! **Reader lag.** After a frame is handed over, hyper writes it and polls again. If the next frame is there at once on
//! that poll, it may have waited since the hand-over: that time is the client's (a slow reader), not the model's, and is
//! counted as lag. If the poll has to wait for the upstream, nothing waited for the client.
//!
//! **Endings.** `None` or a fulfilled length is the announced end; an error is passed on as an error, so that hyper
//! breaks the client's connection off instead of ending it cleanly; being dropped before either is the client's leaving.
//! hyper does not poll a body again whose length is fulfilled, so that is checked after every frame.
//!
//! **Cuts.** hyper drops what it has not written yet when a body fails. So an error that comes right behind a frame, or
//! right behind the head, is held back for one poll that has nothing: then hyper writes first.
//!
//! **No body, but a length.** A 304 and the answer to a HEAD tell the length of what they do not carry, and 0 is a length
//! too. hyper takes that field away or moves it if the body says beforehand that it is over, so over HTTP/1.1 such a body
//! says nothing and ends when it is polled.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use limpid_core::{Clock, Ending, RelayFailure, Tick};

use crate::exchange::Exchange;
use crate::pool::Lease;

/// The body of a response: relayed, or limpid's own.
pub(crate) enum ResponseBody {
    Relayed(RelayedBody),
    Own(Full<Bytes>),
}

/// A relayed body.
pub(crate) struct RelayedBody {
    upstream: Incoming,
    exchange: Exchange,
    lease: Option<Lease>,
    announced_length: bool,
    /// See the module: it is over, and does not say so.
    silent: bool,
    clock: Clock,
    handed_over: Option<Tick>,
    /// hyper has the head or a frame that it may not have written yet.
    unwritten: bool,
    /// An error that waits for that.
    held_back: Option<hyper::Error>,
}

impl RelayedBody {
    /// `keep_length`: the head tells a length, which must reach the client as it is.
    pub(crate) fn new(
        upstream: Incoming,
        exchange: Exchange,
        lease: Lease,
        clock: Clock,
        keep_length: bool,
    ) -> RelayedBody {
        let announced_length = upstream.size_hint().exact().is_some();
        let silent = keep_length && upstream.is_end_stream();
        let mut body = RelayedBody {
            upstream,
            exchange,
            lease: Some(lease),
            announced_length,
            silent,
            clock,
            handed_over: None,
            unwritten: true,
            held_back: None,
        };
        body.end_if_complete();
        body
    }

    fn end_if_complete(&mut self) {
        if self.upstream.is_end_stream() {
            self.end();
        }
    }

    /// The whole body has come: the connection is free for others, the exchange is over.
    fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back(self.announced_length);
        }
        self.exchange.finish(Ending::End);
    }

    /// What comes next from upstream; see the module for what an error waits for.
    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = match self.held_back.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None => Pin::new(&mut self.upstream).poll_frame(cx),
        };
        match polled {
            Poll::Ready(Some(Err(error))) if std::mem::take(&mut self.unwritten) => {
                self.held_back = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => {
                self.handed_over = None;
                self.unwritten = false;
                Poll::Pending
            }
            ready @ Poll::Ready(_) => ready,
        }
    }

    fn saw(&mut self, frame: &Frame<Bytes>) {
        let at = self.clock.now();
        let waited = self.handed_over.replace(at).map_or(Duration::ZERO, |then| at.since(then));
        if let Some(data) = frame.data_ref() {
            self.exchange.saw(data, at, waited);
        }
    }
}

impl Body for RelayedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = ready!(this.poll_upstream(cx));
        match &polled {
            Some(Ok(frame)) => {
                this.unwritten = true;
                this.saw(frame);
                this.end_if_complete();
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the upstream broke off in mid-body");
                this.lease = None;
                this.exchange.failed(RelayFailure::BodyCutOff);
                this.exchange.finish(Ending::UpstreamError);
            }
            None => this.end(),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        !self.silent && self.upstream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.silent { SizeHint::default() } else { self.upstream.size_hint() }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            ResponseBody::Relayed(body) => Pin::new(body).poll_frame(cx),
            ResponseBody::Own(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Relayed(body) => body.is_end_stream(),
            ResponseBody::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Relayed(body) => body.size_hint(),
            ResponseBody::Own(body) => body.size_hint(),
        }
    }
}
