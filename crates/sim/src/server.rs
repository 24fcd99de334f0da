//! The server: accepts connections and serves each with hyper, HTTP/1.1 with keep-alive or HTTP/2 without TLS,
//! whichever the client speaks.
//!
//! Nodelay is on, for a delayed acknowledgement would hold back events by 40 ms. There is no header timeout: tests
//! keep idle connections under a paused clock.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use limpid_core::Clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, JoinSet};

use crate::answer::answer;
use crate::behaviour::Behaviour;
use crate::stats::SimStats;

/// How to start a [`SimServer`].
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Where to listen. Default `127.0.0.1:0`: a free port on the loopback.
    pub listen: SocketAddr,
    /// What requests get that ask for nothing else.
    pub behaviour: Behaviour,
    /// Gives the stamps. Default: the system's clock; share limpid's to compare its marks with the truth.
    pub clock: Clock,
    /// For what is random (`sim-flaky`). Default 1.
    pub seed: u64,
    /// Of how many requests with an `x-request-id` the trace is kept; 0 keeps none. Default 1024.
    pub trace_capacity: usize,
    /// Connections at a time; more wait in the listener's queue. Default 16,384.
    pub max_connections: usize,
}

impl Default for SimConfig {
    fn default() -> Self {
        SimConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            behaviour: Behaviour::default(),
            clock: Clock::system(),
            seed: 1,
            trace_capacity: 1_024,
            max_connections: 16_384,
        }
    }
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) behaviour: Behaviour,
    pub(crate) seed: u64,
    pub(crate) stats: Arc<SimStats>,
}

impl Shared {
    pub(crate) fn new(config: &SimConfig) -> Arc<Shared> {
        let stats = Arc::new(SimStats::new(config.clock.clone(), config.trace_capacity));
        Arc::new(Shared { behaviour: config.behaviour.clone(), seed: config.seed, stats })
    }
}

/// A running simulated backend. Dropping it, or [`SimServer::stop`], closes all its connections at once.
#[derive(Debug)]
pub struct SimServer {
    addr: SocketAddr,
    stats: Arc<SimStats>,
    accepting: JoinHandle<()>,
}

impl SimServer {
    /// Starts to listen and to serve on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub async fn start(config: SimConfig) -> io::Result<SimServer> {
        let listener = TcpListener::bind(config.listen).await?;
        let addr = listener.local_addr()?;
        let shared = Shared::new(&config);
        let stats = Arc::clone(&shared.stats);
        let accepting = tokio::spawn(accept(listener, shared, config.max_connections));
        Ok(SimServer { addr, stats, accepting })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://` and the address, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it did so far.
    pub fn stats(&self) -> &SimStats {
        &self.stats
    }

    /// Stops listening, closes all connections in whatever state, and waits until they are gone.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // Aborted on purpose: the only error there is.
        let _ = (&mut self.accepting).await;
        self.stats.until(|stats| stats.open_connections() == 0).await;
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, max_connections: usize) {
    let permits = Arc::new(Semaphore::new(max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    // Dropping the set, when this task is aborted, aborts the connections.
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, or the client is gone already: let others run first.
            tokio::task::yield_now().await;
            continue;
        };
        // A socket that refuses nodelay is served all the same, only later.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            serve(shared, stream).await;
            drop(permit);
        });
    }
}

/// Counts an open connection, also when its task is aborted.
struct OpenConnection(Arc<SimStats>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connection_closed();
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve<I>(shared: Arc<Shared>, io: I)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    shared.stats.connection_opened();
    let _open = OpenConnection(Arc::clone(&shared.stats));
    let close = CloseSignal::default();
    let builder = auto::Builder::new(TokioExecutor::new());
    let service = service_fn(|request| answer(Arc::clone(&shared), close.clone(), request));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    // The result says only how the peer behaved; each exchange has counted its own ending.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = close.wait() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Tells a connection to close after the reply in progress.
#[derive(Debug, Clone, Default)]
pub(crate) struct CloseSignal(Arc<Notify>);

impl CloseSignal {
    pub(crate) fn close(&self) {
        self.0.notify_one();
    }

    async fn wait(&self) {
        self.0.notified().await;
    }
}
