//! One client connection: which HTTP it speaks, and its requests.
//!
//! Which HTTP it is shows in the connection's first bytes (RFC 9113 §3.4). They are peeked at, not read: hyper-util's own
//! detection reads them and gives them back in a read of their own, which costs each connection a second buffer and a
//! second parse. A client that sends a part of HTTP/2's preface and stops is left to it.
//!
//! The future of a request is on the heap, and goes when the response's head is out. hyper keeps room for one with
//! each connection, as long as that lives: 16 KiB for each open stream.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::connect::chain;
use crate::headers::MAX_FIELDS;
use crate::response_body::ResponseBody;
use crate::shared::{ServerConfig, Shared};
use crate::watched::Watched;
use crate::workers::Worker;
use crate::{framing, life, unreadable, upgrade};

/// How an HTTP/2 connection begins.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs a connection to its end; from the drain's begin it takes no further request. hyper's three kinds of connection
/// share no trait for that.
macro_rules! drained {
    ($draining:ident, $connection:ident) => {{
        let mut draining = $draining;
        tokio::select! {
            biased;
            ended = $connection.as_mut() => ended,
            () = begins(&mut draining) => {
                $connection.as_mut().graceful_shutdown();
                $connection.await
            }
        }
    }};
}

/// The limits of both protocols, for hyper.
pub(crate) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    either: auto::Builder<TokioExecutor>,
    header_timeout: Duration,
}

/// What a connection speaks.
enum Speaks {
    Http1,
    Http2,
    /// It has not said enough.
    Either,
}

impl Protocols {
    pub(crate) fn new(config: &ServerConfig) -> Protocols {
        let max_head = config.max_head_bytes.max(8 * 1024);
        let max_list = u32::try_from(config.max_head_bytes).unwrap_or(u32::MAX);
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(config.header_timeout)
            .preserve_header_case(true)
            .max_headers(MAX_FIELDS)
            .auto_date_header(false)
            .max_buf_size(max_head);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2.timer(TokioTimer::new()).auto_date_header(false).max_header_list_size(max_list);
        let mut either = auto::Builder::new(TokioExecutor::new());
        either
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(config.header_timeout)
            .preserve_header_case(true)
            .max_headers(MAX_FIELDS)
            .auto_date_header(false)
            .max_buf_size(max_head);
        either.http2().timer(TokioTimer::new()).auto_date_header(false).max_header_list_size(max_list);
        Protocols { http1, http2, either, header_timeout: config.header_timeout }
    }
}

/// A connection that has been accepted.
pub(crate) struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) worker: Worker,
    pub(crate) protocols: Arc<Protocols>,
    pub(crate) draining: watch::Receiver<bool>,
    pub(crate) peer: SocketAddr,
}

impl Client {
    /// Serves its requests, one after the other or together, until it ends or has been spliced to its end.
    pub(crate) async fn serve(mut self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(peer = %self.peer, %error, "TCP_NODELAY not set");
        }
        let first = tokio::select! {
            biased;
            first = tokio::time::timeout(self.protocols.header_timeout, speaks(&stream)) => first,
            () = begins(&mut self.draining) => return,
        };
        let (shared, peer) = (Arc::clone(&self.shared), self.peer);
        let slot = upgrade::Slot::default();
        let ended = match first {
            Ok(Ok(Some(speaks))) => self.speak(speaks, stream, &slot).await,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => Err(error.into()),
            Err(_elapsed) => return,
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, error = chain(&*error), "client connection ended");
            if let Some(why) = unreadable::why(&*error) {
                shared.sink.unreadable(why);
                shared.unreadable.tell(shared.clock.now(), peer, &*error);
            }
        }
        // The drain waits for this too.
        if let Some(splice) = slot.take() {
            splice.run().await;
        }
    }

    async fn speak(self, speaks: Speaks, stream: TcpStream, slot: &upgrade::Slot) -> Result<(), Failure> {
        let Client { shared, worker, protocols, draining, .. } = self;
        let (stream, told) = Watched::new(stream);
        let io = TokioIo::new(stream);
        let slot = slot.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            if request.version() < Version::HTTP_2 && told.next_is_ambiguous() {
                request.extensions_mut().insert(framing::Ambiguous);
            }
            let live = Box::pin(life::live(Arc::clone(&shared), worker, request, slot.clone()));
            async move { Ok::<Response<ResponseBody>, Infallible>(live.await) }
        });
        match speaks {
            Speaks::Http1 => {
                let mut connection = pin!(protocols.http1.serve_connection(io, service).with_upgrades());
                drained!(draining, connection)?;
            }
            Speaks::Http2 => {
                let mut connection = pin!(protocols.http2.serve_connection(io, service));
                drained!(draining, connection)?;
            }
            Speaks::Either => {
                let mut connection = pin!(protocols.either.serve_connection_with_upgrades(io, service));
                drained!(draining, connection)?;
            }
        }
        Ok(())
    }
}

/// Waits for the drain, whether it is told to begin or the worker is gone.
async fn begins(draining: &mut watch::Receiver<bool>) {
    let _either_way = draining.wait_for(|draining| *draining).await;
}

/// Waits for the first bytes; `None` if the connection ends before any.
async fn speaks(stream: &TcpStream) -> io::Result<Option<Speaks>> {
    let mut first = [0; PREFACE.len()];
    let n = stream.peek(&mut first).await?;
    Ok(match first.get(..n) {
        None | Some([]) => None,
        Some(said) if said == PREFACE => Some(Speaks::Http2),
        Some(said) if PREFACE.starts_with(said) => Some(Speaks::Either),
        Some(_) => Some(Speaks::Http1),
    })
}
