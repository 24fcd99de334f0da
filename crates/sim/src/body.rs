//! The response body that keeps the schedule.
//!
//! One timer a stream, armed for the next event only when its deadline is not reached yet. The next event is made when
//! the one before it is handed over, so that nothing but the stamp stands between the deadline and the write.

use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::frames::{End, Frames, Step, What};
use crate::server::CloseSignal;
use crate::stats::{Exchange, TraceEnding};

/// What comes out where a connection is to be cut.
#[derive(Debug)]
pub(crate) struct CutOff;

impl std::fmt::Display for CutOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the simulated backend breaks off")
    }
}

impl std::error::Error for CutOff {}

/// A paced body.
pub(crate) struct SimBody {
    arrived: Instant,
    timer: Pin<Box<Sleep>>,
    /// Deadlines up to here are known to be over.
    reached: Duration,
    armed: bool,
    frames: Frames,
    next: Step,
    exchange: Exchange,
    gzip: Option<GzEncoder<Vec<u8>>>,
    /// The announced length, where the body has one.
    length: Option<u64>,
    /// Let the connection flush before the next event.
    one_write: bool,
    just_sent: bool,
    close: Option<CloseSignal>,
}

impl SimBody {
    pub(crate) fn new(arrived: Instant, frames: Frames, exchange: Exchange) -> SimBody {
        let mut body = SimBody {
            arrived,
            timer: Box::pin(tokio::time::sleep_until(arrived)),
            reached: Duration::ZERO,
            armed: false,
            frames,
            next: Step { at: Duration::ZERO, what: What::End(End::Clean) },
            exchange,
            gzip: None,
            length: None,
            one_write: true,
            just_sent: false,
            close: None,
        };
        body.next = body.frames.next_step();
        body.end_if_nothing_follows();
        body
    }

    /// Announces `length` bytes instead of using chunks.
    pub(crate) fn with_length(mut self, length: u64) -> SimBody {
        self.length = Some(length);
        self
    }

    /// Compresses each event, and flushes after it.
    pub(crate) fn with_gzip(mut self) -> SimBody {
        self.gzip = Some(GzEncoder::new(Vec::new(), Compression::fast()));
        self.compress_next();
        self
    }

    /// See [`crate::Behaviour::one_write_per_event`].
    pub(crate) fn with_one_write(mut self, one_write: bool) -> SimBody {
        self.one_write = one_write;
        self
    }

    /// Tells the connection to close after this reply.
    pub(crate) fn closing(mut self, close: CloseSignal) -> SimBody {
        self.close = Some(close);
        self
    }

    fn advance(&mut self) {
        self.next = self.frames.next_step();
        self.armed = false;
        self.compress_next();
    }

    fn compress_next(&mut self) {
        if let (Some(gzip), What::Frame(_, bytes)) = (&mut self.gzip, &mut self.next.what) {
            // Writing to a Vec cannot fail; if it did, the event would be empty and the test would see it.
            let _: io::Result<()> = gzip.write_all(bytes).and_then(|()| gzip.flush());
            *bytes = Bytes::from(std::mem::take(gzip.get_mut()));
        }
    }

    /// The gzip trailer, which goes out with the last event.
    fn finish_gzip(&mut self, bytes: Bytes) -> Bytes {
        let Some(Ok(trailer)) = self.gzip.take().map(GzEncoder::finish) else { return bytes };
        [&bytes[..], &trailer[..]].concat().into()
    }

    fn end_if_nothing_follows(&mut self) -> bool {
        let over = self.next.what == What::End(End::Clean);
        if over {
            self.exchange.end(TraceEnding::Completed);
        }
        over
    }

    /// Whether the next step's deadline is over; if not, the timer is set to wake.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next.at > self.reached {
            if !std::mem::replace(&mut self.armed, true) {
                self.timer.as_mut().reset(self.arrived + self.next.at);
            }
            ready!(self.timer.as_mut().poll(cx));
            self.reached = self.next.at;
        }
        Poll::Ready(())
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let this = self.get_mut();
        if let Some(close) = this.close.take() {
            // The head is encoded by now, so it says nothing of the closing.
            close.close();
        }
        let flushed = !std::mem::take(&mut this.just_sent);
        ready!(this.poll_due(cx));
        let must_flush = this.one_write || matches!(this.next.what, What::End(End::Abort));
        if !flushed && must_flush && this.next.what != What::End(End::Clean) {
            // hyper flushes when a body has nothing ready: so have nothing, once.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match &mut this.next.what {
            What::Frame(kind, bytes) => {
                let (kind, mut bytes) = (*kind, std::mem::take(bytes));
                this.advance();
                if this.next.what == What::End(End::Clean) {
                    bytes = this.finish_gzip(bytes);
                }
                this.exchange.sent(kind, bytes.len());
                this.just_sent = true;
                this.end_if_nothing_follows();
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            What::End(End::Clean) => Poll::Ready(None),
            What::End(End::Abort) => {
                this.exchange.end(TraceEnding::Aborted);
                Poll::Ready(Some(Err(CutOff)))
            }
            // The connection's own read side notices the client's leaving, and drops this body.
            What::End(End::Hang) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.next.what == What::End(End::Clean) && self.next.at <= self.reached
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
