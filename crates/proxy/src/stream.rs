//! A connection's transport: TCP, or TLS on it.
//!
//! What TLS itself has to say, an alert or a certificate that is demanded, comes as an I/O error like any other and may be
//! turned into text by whoever speaks HTTP on it. So it is kept here too, for [`Stream::fault`].

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};

use limpid_core::TlsFault;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::tls::{self, Refused, Shaken};

/// See the module.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<OverTls>),
}

/// What was wrong with TLS on a connection, once something was.
pub(crate) type Fault = Arc<OnceLock<TlsFault>>;

pub(crate) struct OverTls {
    io: TlsStream<TcpStream>,
    /// The server asked for a certificate, got none, and has said nothing since.
    suspect: bool,
    fault: Fault,
}

impl OverTls {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match ready!(Pin::new(&mut self.io).poll_read(cx, buf)) {
            Ok(()) if !self.suspect => Poll::Ready(Ok(())),
            Ok(()) if buf.filled().len() > before => {
                self.suspect = false;
                Poll::Ready(Ok(()))
            }
            Ok(()) => Poll::Ready(Err(self.failed(None))),
            Err(error) => Poll::Ready(Err(self.failed(Some(error)))),
        }
    }

    #[cold]
    fn failed(&mut self, error: Option<io::Error>) -> io::Error {
        let error = match error {
            Some(error) if !self.suspect => error,
            error => io::Error::other(Refused(error)),
        };
        if let Some(fault) = tls::of(&error) {
            let _the_first_counts = self.fault.set(fault);
        }
        error
    }
}

impl Stream {
    pub(crate) fn over_tls(shaken: Shaken) -> Stream {
        Stream::Tls(Box::new(OverTls { io: shaken.stream, suspect: shaken.asked, fault: Fault::default() }))
    }

    /// What was wrong with TLS is kept there; `None` without TLS.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match self {
            Stream::Plain(_) => None,
            Stream::Tls(tls) => Some(Arc::clone(&tls.fault)),
        }
    }

    /// Whether nothing has come by it, neither data nor an end, for as much as the kernel knows: tokio knows only what it
    /// was told when it last slept. TLS may get what is no data, such as a ticket.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let tcp = match self {
            Stream::Plain(tcp) => &*tcp,
            Stream::Tls(tls) => tls.io.get_ref().0,
        };
        let mut byte = [0];
        match (recv(tcp, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT), &mut *self) {
            (Err(Errno::AGAIN), Stream::Plain(_)) => true,
            (Err(Errno::AGAIN) | Ok((1.., _)), Stream::Tls(tls)) => {
                let mut cx = Context::from_waker(Waker::noop());
                tls.poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
            }
            _ => false,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Stream::Tls(tls) => tls.poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Stream::Tls(tls) => Pin::new(&mut tls.io).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Stream::Tls(tls) => Pin::new(&mut tls.io).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(io) => io.is_write_vectored(),
            Stream::Tls(tls) => tls.io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(io) => Pin::new(io).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(&mut tls.io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(&mut tls.io).poll_shutdown(cx),
        }
    }
}
