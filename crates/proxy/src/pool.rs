//! Connections to one upstream: lent for an exchange, kept for the next, closed when nobody needs them.
//!
//! An HTTP/1.1 connection carries one exchange and belongs to it; see [`http1`]. An HTTP/2 connection carries many; see
//! [`http2`]. What an upstream speaks is known once a connection stands: by ALPN, or because the settings say so.
//!
//! **Opening together.** Where an upstream speaks HTTP/2, or that is not known yet, one connection is opened at a time and
//! all who wait share it, or its failure: otherwise fifty requests at the start would open fifty connections for a load that
//! fits one. It is opened by a task of its own, so that the client who came first can leave without harm to the others.
//! Where an upstream is known to speak HTTP/1.1, each opens its own.

mod driven;
mod heard;
mod http1;
mod http2;
mod resend;
mod terms;
mod translate;
mod upload;

use std::error::Error;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use hyper::{Request, Response};
use limpid_core::{Clock, RelayFailure};
use limpid_http1::client;
use limpid_http1::framing::Framing;
use limpid_http1::spelling::Spelling;
use limpid_http1::trailers;
use tokio::sync::watch;

use crate::connect::{Connect, Offer, Stream};
use crate::request_body::RequestBody;
use crate::response_body::BrokenOff;
pub use http2::Http2Limits;
pub(crate) use translate::TakesTrailers;

/// How often unused connections are looked at, at least: one that its server has closed does not stay longer.
const SWEEP: Duration = Duration::from_secs(5);

/// How long and how many unused connections are kept, of each protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) idle_timeout: Duration,
    pub(crate) max_idle: usize,
    /// How old a connection may be that takes another request; `None`: any age.
    pub(crate) max_age: Option<Duration>,
    /// How large a response's head may be, bytes.
    pub(crate) max_head: usize,
}

/// What a request needs of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Any protocol will do.
    Any,
    /// HTTP/1.1 alone, to leave it again by an upgrade.
    Http1,
}

pub(crate) struct Pool {
    connect: Arc<Connect>,
    http1: Arc<http1::Connections>,
    http2: Arc<http2::Connections>,
    /// Whether the last connection was HTTP/1.1 by the upstream's choice.
    chose_http1: AtomicBool,
    opening: Mutex<Option<Opening>>,
}

/// A connection that is being opened, and how that went.
type Opening = watch::Receiver<Option<Result<(), RelayFailure>>>;

impl Pool {
    pub(crate) fn new(connect: Arc<Connect>, clock: Clock, keep: Keep, http2: Http2Limits) -> Arc<Pool> {
        let pool = Arc::new(Pool {
            connect,
            http1: http1::Connections::new(clock.clone(), keep),
            http2: http2::Connections::new(clock, keep, http2),
            chose_http1: AtomicBool::new(false),
            opening: Mutex::default(),
        });
        if !keep.idle_timeout.is_zero() {
            tokio::spawn(close_unused(Arc::downgrade(&pool), keep.idle_timeout.min(SWEEP)));
        }
        pool
    }

    /// A place on a connection that stands, if there is one.
    pub(crate) fn reuse(&self, need: Need) -> Option<Lease> {
        let stream = if need == Need::Any { self.http2.reuse().map(Lease::Http2) } else { None };
        stream.or_else(|| self.http1.reuse().map(Lease::Http1))
    }

    /// A place on a connection that was waited for; alone on it, or with others.
    pub(crate) async fn fresh(self: &Arc<Pool>, need: Need) -> Result<Lease, RelayFailure> {
        self.connect.in_time(self.wait_for(need)).await
    }

    async fn wait_for(self: &Arc<Pool>, need: Need) -> Result<Lease, RelayFailure> {
        loop {
            if need == Need::Http1 || !self.shares() {
                if let Some(loan) = self.open(need).await? {
                    return Ok(Lease::Http1(loan));
                }
            } else {
                self.opened_together().await?;
            }
            // Others may have taken all its places; then a further one is needed.
            if let Some(lease) = self.reuse(need) {
                return Ok(lease);
            }
        }
    }

    /// Whether the upstream may be asked over HTTP/1.1 what it does not take over HTTP/2.
    pub(crate) fn may_use_http1(&self) -> bool {
        self.connect.offer() != Offer::Http2
    }

    /// Whether a new connection may carry several exchanges.
    fn shares(&self) -> bool {
        match self.connect.offer() {
            Offer::Http1 => false,
            Offer::Either => !self.chose_http1.load(Ordering::Relaxed),
            Offer::Http2 => true,
        }
    }

    /// Opens a connection. One of HTTP/1.1 belongs to whoever opened it; one of HTTP/2 is everybody's.
    async fn open(&self, need: Need) -> Result<Option<http1::Loan>, RelayFailure> {
        let connection = self.connect.connect(need == Need::Http1).await?;
        if need == Need::Any {
            self.chose_http1.store(!connection.http2, Ordering::Relaxed);
        }
        if connection.http2 {
            let fault = connection.io.fault();
            let opened = self.http2.open(connection.io, connection.origin).await;
            // An alert in place of SETTINGS; what hyper makes of it does not tell.
            let told = || fault.as_ref().and_then(|fault| fault.get()).map(|fault| RelayFailure::Tls(*fault));
            opened.map(|()| None).map_err(|failure| told().unwrap_or(failure))
        } else {
            Ok(Some(self.http1.open(connection.io)))
        }
    }

    /// Waits for the connection that is being opened; begins to open one if none is.
    async fn opened_together(self: &Arc<Pool>) -> Result<(), RelayFailure> {
        let mut opening = {
            let mut current = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
            // The sender goes with the task that opens.
            let under_way = current.as_ref().filter(|o| o.has_changed().is_ok()).cloned();
            under_way.unwrap_or_else(|| current.insert(self.begin_to_open()).clone())
        };
        let done = opening.wait_for(Option::is_some).await.map_err(|_gone| RelayFailure::Internal)?;
        done.unwrap_or(Err(RelayFailure::Internal))
    }

    fn begin_to_open(self: &Arc<Pool>) -> Opening {
        let (tell, opening) = watch::channel(None);
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let opened = pool.connect.in_time(pool.open(Need::Any)).await.map(|loan| {
                // It chose HTTP/1.1. One of those who wait takes this one, the others open their own.
                if let Some(loan) = loan {
                    loan.keep();
                }
            });
            tell.send_replace(Some(opened));
        });
        opening
    }
}

/// Without requests nobody looks at the lists, so a task closes what has grown old or was closed by its server; it ends with the pool.
async fn close_unused(pool: Weak<Pool>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.http1.close_unused();
        pool.http2.close_unused();
    }
}

/// A request that got no response.
pub(crate) struct SendFailed {
    /// The request itself, where it can be sent again: no byte of it was written, or the upstream says that it did nothing
    /// for it, and its body was kept.
    pub(crate) unsent: Option<Box<Request<RequestBody>>>,
    /// Whether the upstream wants it over HTTP/1.1.
    pub(crate) http1_only: bool,
    /// What that means for the exchange.
    pub(crate) failure: RelayFailure,
    /// Why.
    pub(crate) error: Box<dyn Error + Send + Sync>,
}

/// A place on a connection, on loan.
pub(crate) enum Lease {
    Http1(http1::Loan),
    Http2(http2::Stream),
}

impl Lease {
    /// Sends a request, which has HTTP/1.1's form. Where nothing of it was written, the error carries it back. Dropping the
    /// future cancels the work.
    pub(crate) async fn send(self, request: Request<RequestBody>) -> Result<Response<Reply>, SendFailed> {
        match self {
            Lease::Http1(loan) => loan.send(request).await,
            // hyper's future is large, and would make that of every request as large.
            Lease::Http2(stream) => Box::pin(stream.send(request)).await,
        }
    }
}

/// A response's body on its way down, and the place on a connection that it comes by. Dropping it cancels the work: an
/// HTTP/1.1 connection closes at once, an HTTP/2 stream is reset.
pub(crate) enum Reply {
    Http1(Box<http1::Receiving>),
    Http2(http2::Receiving),
}

impl Reply {
    /// The next frame, of trailers those that may pass; `None` at the announced end.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            let frame = match self {
                Reply::Http1(receiving) => {
                    let frame = Pin::new(&mut receiving.reply).poll_frame(cx);
                    frame.map_err(|error| BrokenOff::Upstream(Box::new(error)))
                }
                Reply::Http2(receiving) => receiving.poll_frame(cx),
            };
            match frame {
                Poll::Ready(Some(Ok(frame))) if !frame.is_data() => {
                    let Ok(mut fields) = frame.into_trailers() else { continue };
                    if trailers::retain(&mut fields) {
                        return Poll::Ready(Some(Ok(Frame::trailers(fields))));
                    }
                }
                frame => return frame,
            }
        }
    }

    /// The body as it is on an HTTP/1.1 connection, if it comes framed like this; it can be passed on as it stands.
    pub(crate) fn as_wire(&mut self, framing: &Framing) -> Option<&mut client::Reply<Stream, RequestBody>> {
        match self {
            Reply::Http1(receiving) => Some(&mut receiving.reply).filter(|reply| reply.is_framed_as(framing)),
            Reply::Http2(_) => None,
        }
    }

    /// Whether it comes in chunks, and what was taken of it so far is whole ones; `None` where it does not.
    pub(crate) fn is_between_chunks(&self) -> Option<bool> {
        match self {
            Reply::Http1(receiving) => receiving.reply.is_between_chunks(),
            Reply::Http2(_) => None,
        }
    }

    /// How its head was written, where the protocol keeps that.
    pub(crate) fn take_spelling(&mut self) -> Option<Spelling> {
        match self {
            Reply::Http1(receiving) => receiving.reply.take_spelling(),
            Reply::Http2(_) => None,
        }
    }

    /// Whether all of it has come.
    pub(crate) fn is_end(&self) -> bool {
        match self {
            Reply::Http1(receiving) => receiving.reply.is_end(),
            Reply::Http2(receiving) => receiving.is_end(),
        }
    }

    /// Bytes that are yet to come, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Reply::Http1(receiving) => receiving.reply.length(),
            Reply::Http2(receiving) => receiving.length(),
        }
    }

    /// The transport, and what was read of it behind the head: after a 101.
    pub(crate) fn into_switched(self) -> Option<(Stream, BytesMut)> {
        match self {
            Reply::Http1(receiving) => Some(receiving.reply.into_switched()),
            Reply::Http2(_) => None,
        }
    }

    /// The exchange is over, and the connection may serve others.
    pub(crate) fn give_back(self) {
        match self {
            Reply::Http1(receiving) => receiving.give_back(),
            Reply::Http2(receiving) => drop(receiving),
        }
    }
}
