//! One client connection: which HTTP it speaks, and its requests.
//!
//! Which HTTP it is shows in the connection's first bytes (RFC 9113 §3.4). They are peeked at, not read. Only of a client
//! that sends a part of HTTP/2's preface and stops, what came is read, and handed on with what follows.
//!
//! HTTP/1.1 is `limpid-http1`'s, HTTP/2 hyper's (`client_http2`). The future of a request is on the heap, and goes when the response's
//! head is out: a stream does not carry it along.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::Request;
use hyper::server::conn::http2;
use hyper_util::rt::TokioExecutor;
use limpid_http1::server::{Ended, Limits, serve};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::request_body::ClientBody;
use crate::shared::{ServerConfig, Shared};
use crate::workers::Worker;
use crate::{client_http2, life, unreadable, upgrade};

/// How an HTTP/2 connection begins.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The limits of both protocols.
pub(crate) struct Protocols {
    http1: Limits,
    pub(crate) http2: http2::Builder<TokioExecutor>,
    pub(crate) header_timeout: Duration,
}

impl Protocols {
    pub(crate) fn new(config: &ServerConfig) -> Protocols {
        let max_head = config.max_head_bytes.max(8 * 1024);
        let http1 = Limits { head_timeout: config.header_timeout, max_head };
        Protocols { http1, http2: client_http2::builder(config), header_timeout: config.header_timeout }
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
    pub(crate) async fn serve(mut self, mut stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(peer = %self.peer, %error, "TCP_NODELAY not set");
        }
        let first = tokio::select! {
            biased;
            first = tokio::time::timeout(self.protocols.header_timeout, first(&mut stream)) => first,
            () = begins(&mut self.draining) => return,
        };
        match first {
            // On the heap what few connections need: all would hold the room for it.
            Ok(Ok(Some(First { http2: true, read }))) => Box::pin(client_http2::serve(self, stream, read)).await,
            Ok(Ok(Some(First { http2: false, read }))) => self.http1(stream, read).await,
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "client connection ended"),
        }
    }

    async fn http1(self, stream: TcpStream, read: BytesMut) {
        let Client { shared, worker, protocols, draining, peer } = self;
        let slot = upgrade::Slot::default();
        let service = |request: Request<limpid_http1::server::RequestBody>| {
            Box::pin(life::live(Arc::clone(&shared), worker, request.map(ClientBody::Http1), slot.clone()))
        };
        match serve(stream, read, protocols.http1, draining, service).await {
            Ended::Closed => {}
            Ended::Refused(why) => {
                shared.sink.unreadable(unreadable::kind(why));
                shared.unreadable.tell(shared.clock.now(), peer, why);
            }
            // The drain waits for this too.
            Ended::Switched(client) => {
                if let Some(splice) = slot.take() {
                    Box::pin(splice.run(client)).await;
                }
            }
        }
    }
}

/// Waits for the drain, whether it is told to begin or the worker is gone.
pub(crate) async fn begins(draining: &mut watch::Receiver<bool>) {
    let _either_way = draining.wait_for(|draining| *draining).await;
}

/// How a connection begins.
struct First {
    http2: bool,
    /// What was read of it.
    read: BytesMut,
}

/// Waits for the first bytes; `None` if the connection ends before they tell.
async fn first(stream: &mut TcpStream) -> io::Result<Option<First>> {
    let mut seen = [0; PREFACE.len()];
    let count = stream.peek(&mut seen).await?;
    let mut read = BytesMut::new();
    match seen.get(..count).unwrap_or_default() {
        [] => return Ok(None),
        said if said == PREFACE => return Ok(Some(First { http2: true, read })),
        said if !PREFACE.starts_with(said) => return Ok(Some(First { http2: false, read })),
        _ => {}
    }
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
        if read.starts_with(PREFACE) || !PREFACE.starts_with(&read) {
            return Ok(Some(First { http2: read.starts_with(PREFACE), read }));
        }
    }
}
