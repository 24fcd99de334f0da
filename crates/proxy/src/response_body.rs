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
//! **Edited.** The one exception: where limpid asked for usage in the client's stead, it takes it out again; see
//! `ask_usage`. Such a body holds the begin of an event until it is whole, and tells no length.
//!
//! **No body, but a length.** A 304 and the answer to a HEAD tell the length of what they do not carry, and 0 is a length
//! too. hyper takes that field away or moves it if the body says beforehand that it is over, so over HTTP/1.1 such a body
//! says nothing and ends when it is polled.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use limpid_core::{Clock, Ending, RelayFailure, Tick};

use crate::ask_usage::Edited;
use crate::exchange::Exchange;
use crate::pool::Lease;
use crate::watchdog::Watchdog;

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
    held_back: Option<BrokenOff>,
    watchdog: Option<Watchdog>,
    edited: Option<Box<Edited>>,
}

/// Why a body is broken off.
#[derive(Debug)]
pub(crate) enum BrokenOff {
    /// The upstream broke off.
    Upstream(hyper::Error),
    /// The upstream reset its stream without an error and without an end.
    NoEnd,
    /// The upstream was silent for too long.
    Silence(RelayFailure),
}

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokenOff::Upstream(error) => error.fmt(f),
            BrokenOff::NoEnd => f.write_str("reset before the end"),
            BrokenOff::Silence(failure) => f.write_str(failure.reason()),
        }
    }
}

impl std::error::Error for BrokenOff {}

impl RelayedBody {
    /// `keep_length`: the head tells a length, which must reach the client as it is. `edited`: it does not, and the body is
    /// edited.
    pub(crate) fn new(
        upstream: Incoming,
        exchange: Exchange,
        lease: Lease,
        clock: Clock,
        keep_length: bool,
        watchdog: Option<Watchdog>,
        edited: Option<Edited>,
    ) -> RelayedBody {
        let announced_length = upstream.size_hint().exact().is_some();
        let bodiless = exchange.without_body();
        let silent = keep_length && (bodiless || upstream.is_end_stream());
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
            watchdog,
            edited: edited.map(Box::new),
        };
        if bodiless {
            body.end();
        } else {
            body.end_if_complete();
        }
        body
    }

    /// A fulfilled length is the end too: HTTP/2 may tell its end in a frame of its own, for which hyper would not ask.
    fn end_if_complete(&mut self) {
        if self.upstream.is_end_stream() || self.upstream.size_hint().exact() == Some(0) {
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
    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let polled = match self.held_back.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None => Pin::new(&mut self.upstream).poll_frame(cx).map(|frame| self.checked(frame)),
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
                let Some(watchdog) = &mut self.watchdog else { return Poll::Pending };
                let failure = ready!(watchdog.poll_silence(cx, self.exchange.awaits_token()));
                Poll::Ready(Some(Err(BrokenOff::Silence(failure))))
            }
            Poll::Ready(frame) => {
                if let Some(watchdog) = &mut self.watchdog {
                    watchdog.moved();
                }
                Poll::Ready(frame)
            }
        }
    }

    fn checked(&self, frame: Option<Result<Frame<Bytes>, hyper::Error>>) -> Option<Result<Frame<Bytes>, BrokenOff>> {
        match frame {
            None if self.lease.as_ref().is_some_and(|l| !l.is_whole(&self.upstream)) => Some(Err(BrokenOff::NoEnd)),
            frame => frame.map(|f| f.map_err(BrokenOff::Upstream)),
        }
    }

    fn saw(&mut self, frame: &Frame<Bytes>) {
        let at = self.clock.now();
        let waited = self.handed_over.replace(at).map_or(Duration::ZERO, |then| at.since(then));
        if let Some(data) = frame.data_ref() {
            self.exchange.saw(data, at, waited);
        }
    }

    /// What comes next from upstream, seen by the observer.
    fn poll_seen(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let polled = ready!(self.poll_upstream(cx));
        match &polled {
            Some(Ok(frame)) => {
                self.unwritten = true;
                self.saw(frame);
                self.end_if_complete();
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the body is broken off");
                self.lease = None;
                self.exchange.failed(match error {
                    BrokenOff::Upstream(_) | BrokenOff::NoEnd => RelayFailure::BodyCutOff,
                    BrokenOff::Silence(failure) => *failure,
                });
                self.exchange.finish(Ending::UpstreamError);
            }
            None => self.end(),
        }
        Poll::Ready(polled)
    }

    /// What comes next in an edited body.
    fn poll_edited(
        &mut self,
        cx: &mut Context<'_>,
        edited: &mut Edited,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(next) = edited.poll_next(cx) {
            return next;
        }
        loop {
            let came = ready!(self.poll_seen(cx));
            if let Some(given) = edited.edit(came) {
                return Poll::Ready(given);
            }
            // Nothing is handed over, so nothing waits for the client.
            self.handed_over = None;
        }
    }
}

impl Body for RelayedBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = self.get_mut();
        let Some(mut edited) = this.edited.take() else { return this.poll_seen(cx) };
        let polled = this.poll_edited(cx, &mut edited);
        this.edited = Some(edited);
        polled
    }

    fn is_end_stream(&self) -> bool {
        !self.silent && self.upstream.is_end_stream() && self.edited.as_ref().is_none_or(|e| e.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        if self.silent || self.edited.is_some() { SizeHint::default() } else { self.upstream.size_hint() }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
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
