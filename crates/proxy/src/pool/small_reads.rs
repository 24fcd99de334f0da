//! A connection that is read in small pieces.
//!
//! hyper doubles its read buffer whenever a read fills it, up to the largest head that it takes, and every stream with a
//! slow reader would hold such a buffer, or two, for what was read ahead. A read that never fills the buffer never makes
//! it grow. So heads may be large, while a body is read [`PIECE`] bytes at a time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

/// The most that one read gives, bytes: one less than hyper's first buffer.
const PIECE: u64 = 8 * 1024 - 1;

/// The limit of the `Take` is set anew for each read.
pub(super) struct SmallReads<T>(Take<T>);

impl<T: AsyncRead> SmallReads<T> {
    pub(super) fn new(io: T) -> SmallReads<T> {
        SmallReads(io.take(PIECE))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for SmallReads<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.set_limit(PIECE);
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SmallReads<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.0.get_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.0.get_mut()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_shutdown(cx)
    }
}
