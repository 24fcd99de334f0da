//! The data listener: accepts, serves HTTP/1.1 and HTTP/2 in plain text, drains.
//!
//! Built by hand on hyper, because `axum::serve` gives a half-sent head no time limit and leaves Nagle's algorithm on.
//! Which HTTP it is shows in the connection's first bytes (RFC 9113 §3.4).
//!
//! **Draining.** Once told to stop, the listener closes, connections finish the exchange they carry and no other, and
//! what is still open when the time is up is broken off; those exchanges are recorded as `shutdown`.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::connect::{TrustError, chain};
use crate::headers::MAX_FIELDS;
use crate::shared::{ProxyConfig, ServerConfig, Shared};
use crate::watched::Watched;
use crate::{framing, life, unreadable, upgrade};

/// A proxy that can serve.
pub struct Proxy {
    shared: Arc<Shared>,
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still busy when the time was up, and were broken off.
    pub broken_off: usize,
}

impl Proxy {
    /// Sets up upstreams and TLS; connects nowhere yet. Needs to run inside a tokio runtime.
    pub fn new(config: ProxyConfig) -> Result<Proxy, TrustError> {
        Ok(Proxy { shared: Arc::new(Shared::new(config)?) })
    }

    /// Serves connections of `listener` until `stop` is ready, then drains.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) -> Drained {
        let graceful = GracefulShutdown::new();
        let builder = Arc::new(builder(&self.shared.server));
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(serve_one(
                        Arc::clone(&self.shared),
                        Arc::clone(&builder),
                        [graceful.watcher(), graceful.watcher()],
                        stream,
                        peer,
                    ));
                }
                Err(error) => wait_after(&error).await,
            }
        }
        drop(listener);
        drain(&self.shared, graceful, connections).await
    }
}

async fn drain(shared: &Shared, graceful: GracefulShutdown, mut connections: JoinSet<()>) -> Drained {
    let in_time = tokio::time::timeout(shared.server.drain_timeout, graceful.shutdown()).await.is_ok();
    while connections.try_join_next().is_some() {}
    let broken_off = if in_time { 0 } else { connections.len() };
    shared.abort();
    connections.shutdown().await;
    Drained { broken_off }
}

/// Out of file descriptors is the one error that lasts; the others belong to one connection that is gone.
async fn wait_after(error: &io::Error) {
    tracing::warn!(%error, "a connection was not accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

fn builder(config: &ServerConfig) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .preserve_header_case(true)
        .max_headers(MAX_FIELDS)
        .auto_date_header(false)
        .max_buf_size(config.max_head_bytes.max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_header_list_size(u32::try_from(config.max_head_bytes).unwrap_or(u32::MAX));
    builder
}

async fn serve_one(
    shared: Arc<Shared>,
    builder: Arc<auto::Builder<TokioExecutor>>,
    [watcher, _until_the_end]: [Watcher; 2],
    stream: TcpStream,
    peer: SocketAddr,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY not set");
    }
    let slot = upgrade::Slot::default();
    let left = slot.clone();
    let (stream, told) = Watched::new(stream);
    let each = Arc::clone(&shared);
    let service = service_fn(move |mut request: Request<Incoming>| {
        if request.version() < Version::HTTP_2 && told.next_is_ambiguous() {
            request.extensions_mut().insert(framing::Ambiguous);
        }
        let (shared, slot) = (Arc::clone(&each), slot.clone());
        async move { Ok::<_, Infallible>(life::live(shared, request, slot).await) }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, error = chain(&*error), "client connection ended");
        if let Some(why) = unreadable::why(&*error) {
            shared.sink.unreadable(why);
            shared.unreadable.tell(shared.clock.now(), peer, &*error);
        }
    }
    // The other watcher makes the drain wait for this too.
    if let Some(splice) = left.take() {
        splice.run().await;
    }
}
