//! A client's connection whose bytes are looked at as hyper reads them.
//!
//! hyper reads, [`Heads`] looks, and the service asks before it forwards a request. A read may bring several requests
//! (pipelining), so what is told is a number: which request of the connection it was. hyper calls the service once for
//! each head that it accepts, in their order, so counting both ways gives the same numbers. An HTTP/2 connection is
//! looked at too, up to its first frame, and never asks.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::Heads;

/// What is told of a connection's requests. Both sides run in the connection's own task.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The number of the request whose length is told in two ways; 0 while there is none.
    ambiguous: AtomicU64,
    asked: AtomicU64,
}

impl Told {
    /// Whether the next request of the connection has a length that is told in two ways. To be asked once a request.
    pub(crate) fn next_is_ambiguous(&self) -> bool {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        self.ambiguous.load(Ordering::Relaxed) == number
    }
}

/// A connection that is looked at.
pub(crate) struct Watched<T> {
    io: T,
    heads: Heads,
    told: Arc<Told>,
}

impl<T> Watched<T> {
    pub(crate) fn new(io: T) -> (Watched<T>, Arc<Told>) {
        let told = Arc::<Told>::default();
        (Watched { io, heads: Heads::default(), told: Arc::clone(&told) }, told)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        if let Some(read) = buf.filled().get(before..) {
            this.heads.feed(read);
            if let (number, true) = this.heads.ended() {
                this.told.ambiguous.store(number, Ordering::Relaxed);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
