//! Connections to one upstream: lent for an exchange, kept for the next, closed when nobody needs them.
//!
//! An HTTP/1.1 connection carries one exchange and belongs to it; see [`http1`]. An HTTP/2 connection carries many; see
//! [`http2`]. What an upstream speaks is known once a connection stands: by ALPN, or because the settings say so.
//!
//! **Opening together.** Where an upstream speaks HTTP/2, or that is not known yet, one connection is opened at a time and
//! all who wait share it, or its failure: otherwise fifty requests at the start would open fifty connections for a load that
//! fits one. It is opened by a task of its own, so that the client who came first can leave without harm to the others.
//! Where an upstream is known to speak HTTP/1.1, each opens its own.

mod http1;
mod http2;
mod small_reads;
mod translate;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use limpid_core::{Clock, RelayFailure};
use tokio::sync::watch;

use crate::connect::{Connect, Io, Offer};
use crate::request_body::RequestBody;
pub(crate) use translate::TakesTrailers;

/// How long and how many unused connections are kept, of each protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) idle_timeout: Duration,
    pub(crate) max_idle: usize,
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
    pub(crate) fn new(connect: Arc<Connect>, clock: Clock, keep: Keep) -> Arc<Pool> {
        let pool = Arc::new(Pool {
            connect,
            http1: http1::Connections::new(clock.clone(), keep),
            http2: http2::Connections::new(clock, keep),
            chose_http1: AtomicBool::new(false),
            opening: Mutex::default(),
        });
        if !keep.idle_timeout.is_zero() {
            tokio::spawn(close_unused(Arc::downgrade(&pool), keep.idle_timeout));
        }
        pool
    }

    /// A place on a connection that stands, if there is one.
    pub(crate) fn reuse(&self, need: Need) -> Option<Lease> {
        let stream = if need == Need::Any { self.http2.reuse().map(Kind::Http2) } else { None };
        let kind = stream.or_else(|| self.http1.reuse().map(Kind::Http1))?;
        Some(Lease { kind, reused: true })
    }

    /// A place on a connection that was waited for; alone on it, or with others.
    pub(crate) async fn fresh(self: &Arc<Pool>, need: Need) -> Result<Lease, RelayFailure> {
        self.connect.in_time(self.wait_for(need)).await
    }

    async fn wait_for(self: &Arc<Pool>, need: Need) -> Result<Lease, RelayFailure> {
        loop {
            if need == Need::Http1 || !self.shares() {
                if let Some(loan) = self.open(need).await? {
                    return Ok(Lease { kind: Kind::Http1(loan), reused: false });
                }
            } else {
                self.opened_together().await?;
            }
            // Others may have taken all its places; then a further one is needed.
            if let Some(lease) = self.reuse(need) {
                return Ok(Lease { reused: false, ..lease });
            }
        }
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
        match (connection.http2, connection.io) {
            (false, Io::Plain(io)) => self.http1.open(io.into_inner()).await.map(Some),
            (false, Io::Tls(io)) => self.http1.open(io.into_inner()).await.map(Some),
            (true, Io::Plain(io)) => self.http2.open(io, connection.origin).await.map(|()| None),
            (true, Io::Tls(io)) => self.http2.open(*io, connection.origin).await.map(|()| None),
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
                    loan.give_back(true);
                }
            });
            tell.send_replace(Some(opened));
        });
        opening
    }
}

/// Without requests nobody looks at the lists, so a task closes what has grown old; it ends with the pool.
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
    /// The request itself, where no byte of it was written.
    pub(crate) unsent: Option<Box<Request<RequestBody>>>,
    /// Why.
    pub(crate) error: hyper::Error,
}

/// A place on a connection, on loan. Dropping it and the response cancels the work: an HTTP/1.1 connection closes at once, an
/// HTTP/2 stream is reset.
pub(crate) struct Lease {
    kind: Kind,
    reused: bool,
}

enum Kind {
    Http1(http1::Loan),
    Http2(http2::Stream),
}

impl Lease {
    /// Whether the connection stood already.
    pub(crate) fn reused(&self) -> bool {
        self.reused
    }

    /// Sends a request, which has HTTP/1.1's form. Where nothing of it was written, the error carries it back.
    pub(crate) async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, SendFailed> {
        match &mut self.kind {
            Kind::Http1(loan) => loan.send(request).await,
            Kind::Http2(stream) => stream.send(request).await,
        }
    }

    /// Whether a body that has no more frames is whole. hyper takes a stream that its server resets without an error code
    /// for one that ended (RFC 9113 §8.1 allows that reset behind the end only).
    pub(crate) fn is_whole(&self, body: &Incoming) -> bool {
        match self.kind {
            Kind::Http1(_) => true,
            Kind::Http2(_) => body.is_end_stream(),
        }
    }

    /// The exchange is over, and the connection good for others.
    pub(crate) fn give_back(self, announced_length: bool) {
        match self.kind {
            Kind::Http1(loan) => loan.give_back(announced_length),
            Kind::Http2(stream) => drop(stream),
        }
    }
}
