//! When something last came by a connection, and whether its transport has ended.
//!
//! A host that vanishes sends nothing, neither data nor a FIN. Where many exchanges share a connection, that is asked for
//! each new one: hyper's PINGs keep a connection that stands from being silent for longer than their interval, so one that
//! is silent for longer is suspect, and takes no further request. It costs a reading of the clock for each read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use limpid_core::{Clock, Tick};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connect::Stream;

/// See the module.
#[derive(Debug)]
pub(super) struct Heard {
    last: AtomicU64,
    ended: AtomicBool,
}

impl Heard {
    /// Whether nothing has come for longer than that.
    pub(super) fn is_silent(&self, now: Tick, longer_than: Duration) -> bool {
        now.since(Tick(self.last.load(Ordering::Relaxed))) > longer_than
    }

    /// Whether the transport told an end: a FIN, or an error.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// A transport that notes what comes by it.
pub(super) struct Listening {
    io: Stream,
    clock: Clock,
    heard: Arc<Heard>,
}

impl Listening {
    pub(super) fn new(io: Stream, clock: Clock) -> (Listening, Arc<Heard>) {
        let heard = Arc::new(Heard { last: AtomicU64::new(clock.now().0), ended: AtomicBool::new(false) });
        (Listening { io, clock, heard: Arc::clone(&heard) }, heard)
    }
}

impl Listening {
    fn note<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(polled, Poll::Ready(Err(_))) {
            self.heard.ended.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncRead for Listening {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut this.io).poll_read(cx, buf));
        if read.is_ok() && buf.filled().len() > before {
            this.heard.last.store(this.clock.now().0, Ordering::Relaxed);
        } else {
            this.heard.ended.store(true, Ordering::Relaxed);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Listening {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.note(polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
