//! The upstream's body on its way to the client: passed on as it is, looked at in passing.
//!
//! There is no task and no channel between the two connections: the client's connection polls this body when the client
//! can take more, and only then is the upstream read. Back-pressure is the transport's own.
//!
//! **Two ways.** From HTTP/1.1 to HTTP/1.1 the bytes pass as they stand on the wire, chunks and all ([`Outgoing`]); what
//! the observer sees are the data within them. Where the two sides frame differently, or the body is edited, it goes by
//! frames.
//!
//! **Reader lag.** After bytes are handed over they are written, and the body is polled again. If the next are there at
//! once on that poll, they may have waited since the hand-over: that time is the client's (a slow reader), not the
//! model's, and is counted as lag. If the poll has to wait for the upstream, nothing waited for the client.
//!
//! **Endings.** The announced end, or a fulfilled length, ends the exchange; for HTTP/1.1 once the last byte is written.
//! An error is passed on as an error, so that the client's connection is broken off instead of ending cleanly; being
//! dropped before either is the client's leaving. Over HTTP/2 hyper does not poll a body again whose length is fulfilled,
//! so that is checked after every frame.
//!
//! **Cuts over HTTP/2.** hyper drops what it has not written yet when a body fails. So an error that comes right behind a
//! frame, or right behind the head, is held back for one poll that has nothing: then hyper writes first.
//!
//! **Edited.** The one exception: where limpid asked for usage in the client's stead, it takes it out again; see
//! `ask_usage`. Such a body holds the begin of an event until it is whole, and tells no length.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use limpid_core::{Clock, Ending, RelayFailure, Tick};
use limpid_http1::framing::{Frames, Framing};
use limpid_http1::server::{Outgoing, Wire};
use limpid_http1::spelling::Spelling;

use crate::ask_usage::Edited;
use crate::exchange::Exchange;
use crate::pool::Reply;
use crate::watchdog::Watchdog;

/// The body of a response: relayed, or limpid's own.
pub(crate) enum ResponseBody {
    Relayed(RelayedBody),
    Own(Full<Bytes>, Frames, Option<Spelling>),
}

impl ResponseBody {
    /// limpid's own.
    pub(crate) fn own(bytes: Bytes) -> ResponseBody {
        ResponseBody::Own(Full::new(bytes), Frames::default(), None)
    }

    /// None, behind a head that came from upstream.
    pub(crate) fn none_behind(spelling: Option<Spelling>) -> ResponseBody {
        ResponseBody::Own(Full::default(), Frames::default(), spelling)
    }
}

/// A relayed body.
pub(crate) struct RelayedBody {
    /// `None` once it is over.
    upstream: Option<Reply>,
    exchange: Exchange,
    clock: Clock,
    handed_over: Option<Tick>,
    /// Over HTTP/2, hyper has the head or a frame that it may not have written yet.
    unwritten: bool,
    /// An error that waits for that.
    held_back: Option<BrokenOff>,
    watchdog: Option<Watchdog>,
    edited: Option<Box<Edited>>,
    frames: Frames,
    /// How its head was written, until that is written again.
    spelling: Option<Spelling>,
}

/// Why a body is broken off.
#[derive(Debug)]
pub(crate) enum BrokenOff {
    /// The upstream broke off.
    Upstream(Box<dyn Error + Send + Sync>),
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

impl Error for BrokenOff {}

impl RelayedBody {
    /// `edited`: the head tells no length, and the body is edited.
    pub(crate) fn new(
        mut upstream: Reply,
        exchange: Exchange,
        clock: Clock,
        watchdog: Option<Watchdog>,
        edited: Option<Edited>,
    ) -> RelayedBody {
        let bodiless = exchange.without_body();
        let mut body = RelayedBody {
            spelling: upstream.take_spelling(),
            upstream: Some(upstream),
            exchange,
            clock,
            handed_over: None,
            unwritten: true,
            held_back: None,
            watchdog,
            edited: edited.map(Box::new),
            frames: Frames::default(),
        };
        if bodiless || body.is_complete() {
            body.end();
        }
        body
    }

    /// A fulfilled length is the end too: HTTP/2 may tell its end in a frame of its own, for which hyper would not ask.
    fn is_complete(&self) -> bool {
        self.upstream.as_ref().is_none_or(Reply::is_end)
    }

    fn length(&self) -> Option<u64> {
        match &self.upstream {
            _ if self.edited.is_some() => None,
            Some(upstream) => upstream.length(),
            None => Some(0),
        }
    }

    /// The whole body has come: the connection is free for others, the exchange is over.
    fn end(&mut self) {
        if let Some(upstream) = self.upstream.take() {
            upstream.give_back();
        }
        self.exchange.finish(Ending::End);
    }

    /// It breaks off: so does the upstream's connection.
    fn break_off(&mut self, error: &BrokenOff) {
        tracing::debug!(%error, "the body is broken off");
        self.upstream = None;
        self.exchange.failed(match error {
            BrokenOff::Upstream(_) | BrokenOff::NoEnd => RelayFailure::BodyCutOff,
            BrokenOff::Silence(failure) => *failure,
        });
        self.exchange.finish(Ending::UpstreamError);
    }

    /// The upstream has nothing: ready if that has lasted too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<BrokenOff> {
        self.handed_over = None;
        self.unwritten = false;
        let Some(watchdog) = &mut self.watchdog else { return Poll::Pending };
        watchdog.poll_silence(cx, self.exchange.awaits_token()).map(BrokenOff::Silence)
    }

    fn moved(&mut self) {
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.moved();
        }
    }

    /// What comes next from upstream; see the module for what an error waits for.
    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let polled = match (self.held_back.take(), &mut self.upstream) {
            (Some(error), _) => Poll::Ready(Some(Err(error))),
            (None, Some(upstream)) => upstream.poll_frame(cx),
            (None, None) => Poll::Ready(None),
        };
        match polled {
            Poll::Ready(Some(Err(error))) if std::mem::take(&mut self.unwritten) => {
                self.held_back = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => self.poll_silence(cx).map(|silence| Some(Err(silence))),
            Poll::Ready(frame) => {
                self.moved();
                Poll::Ready(frame)
            }
        }
    }

    /// What comes next from upstream, seen by the observer.
    fn poll_seen(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let polled = ready!(self.poll_upstream(cx));
        match &polled {
            Some(Ok(frame)) => {
                self.unwritten = true;
                let at = self.clock.now();
                let waited = hand_over(&mut self.handed_over, at);
                if let Some(data) = frame.data_ref() {
                    self.exchange.saw(data, at, waited);
                }
                if self.is_complete() {
                    self.end();
                }
            }
            Some(Err(error)) => self.break_off(error),
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

    /// The body as it stands on the wire, where both sides frame it alike; else `None`.
    fn poll_as_it_stands(
        &mut self,
        cx: &mut Context<'_>,
        framing: &Framing,
        into: &mut [u8],
    ) -> Option<Poll<Result<Wire, BrokenOff>>> {
        if self.edited.is_some() {
            return None;
        }
        let RelayedBody { upstream, exchange, clock, handed_over, .. } = self;
        let reply = upstream.as_mut()?.as_wire(framing)?;
        // All that one read brings came at one time.
        let mut seen = None;
        let polled = reply.poll_wire(cx, framing, into, |data| {
            let at = *seen.get_or_insert_with(|| clock.now());
            exchange.saw(data, at, hand_over(handed_over, at));
        });
        Some(match polled {
            Poll::Pending => self.poll_silence(cx).map(|silence| {
                self.break_off(&silence);
                Err(silence)
            }),
            Poll::Ready(Ok(wire)) => {
                self.moved();
                Poll::Ready(Ok(wire))
            }
            Poll::Ready(Err(error)) => {
                let error = BrokenOff::Upstream(Box::new(error));
                self.break_off(&error);
                Poll::Ready(Err(error))
            }
        })
    }
}

/// Bytes are handed over at `at`: how long they may have waited since the hand-over before, if nothing came between.
fn hand_over(before: &mut Option<Tick>, at: Tick) -> Duration {
    before.replace(at).map_or(Duration::ZERO, |then| at.since(then))
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
        self.is_complete() && self.edited.as_ref().is_none_or(|e| e.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl Outgoing for ResponseBody {
    type Error = BrokenOff;

    fn length(&self) -> Option<u64> {
        match self {
            ResponseBody::Relayed(body) => body.length(),
            ResponseBody::Own(body, ..) => body.size_hint().exact(),
        }
    }

    fn poll_wire(&mut self, cx: &mut Context<'_>, framing: &Framing, into: &mut [u8]) -> Poll<Result<Wire, BrokenOff>> {
        match self {
            ResponseBody::Relayed(body) => {
                if let Some(polled) = body.poll_as_it_stands(cx, framing, into) {
                    return polled;
                }
                let mut frames = std::mem::take(&mut body.frames);
                let polled = frames.poll_wire(cx, body, framing, into);
                body.frames = frames;
                polled
            }
            ResponseBody::Own(body, frames, _) => {
                frames.poll_wire(cx, body, framing, into).map_err(|never| match never {})
            }
        }
    }

    fn take_spelling(&mut self) -> Option<Spelling> {
        match self {
            ResponseBody::Relayed(body) => body.spelling.take(),
            ResponseBody::Own(_, _, spelling) => spelling.take(),
        }
    }

    fn sent(&mut self) {
        if let ResponseBody::Relayed(body) = self {
            body.end();
        }
    }

    fn is_between_chunks(&self) -> bool {
        let ResponseBody::Relayed(body) = self else { return false };
        let upstream = body.upstream.as_ref().filter(|_| body.edited.is_none());
        upstream.and_then(Reply::is_between_chunks).unwrap_or_else(|| body.frames.is_between_chunks())
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            ResponseBody::Relayed(body) => Pin::new(body).poll_frame(cx),
            ResponseBody::Own(body, ..) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Relayed(body) => body.is_end_stream(),
            ResponseBody::Own(body, ..) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Relayed(body) => body.size_hint(),
            ResponseBody::Own(body, ..) => body.size_hint(),
        }
    }
}
