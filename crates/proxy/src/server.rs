//! The data listener: accepts, serves HTTP/1.1 and HTTP/2 in plain text, drains.
//!
//! Built by hand, because `axum::serve` gives a half-sent head no time limit and leaves Nagle's algorithm on.
//! [`crate::workers`] says on which thread a connection is served, [`crate::client`] how.
//!
//! **Draining.** Once told to stop, what the kernel has accepted already is taken, for a listener that closes resets it; the
//! listener closes, connections finish the exchange they carry and no other, and what is still open when the time is up, or
//! when [`Hurry`] says so, is broken off; those exchanges are recorded as `shutdown`.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use limpid_core::{Clock, Tick};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::client::{Client, Protocols};
use crate::connect::TrustError;
use crate::quiet::Quiet;
use crate::shared::{ProxyConfig, Shared};
use crate::shortage;
use crate::workers::{Accepted, Here, Worker, Workers};

/// A proxy that can serve.
pub struct Proxy {
    shared: Arc<Shared>,
    workers: Workers,
    here: Option<Here>,
}

/// Why there is no proxy.
#[derive(Debug)]
pub enum StartError {
    /// TLS to the upstreams cannot be set up.
    Trust(TrustError),
    /// A thread cannot be had, or its runtime.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Trust(error) => error.fmt(f),
            StartError::Thread(error) => write!(f, "a thread of the relay cannot be started: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Ends a drain early.
#[derive(Clone)]
pub struct Hurry(watch::Sender<bool>);

impl Hurry {
    /// Breaks off what is open; a drain that has not begun will not wait.
    pub fn now(&self) {
        self.0.send_replace(true);
    }
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still busy when the time was up, and were broken off.
    pub broken_off: usize,
}

impl Proxy {
    /// Sets up upstreams and TLS, and starts all threads; connects nowhere yet. Needs to run inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// Trust that cannot be set up, and any thread that cannot be had.
    pub fn new(config: ProxyConfig) -> Result<Proxy, StartError> {
        let shared = Arc::new(Shared::new(config)?);
        let (workers, here) = Workers::start(&shared).map_err(StartError::Thread)?;
        Ok(Proxy { shared, workers, here })
    }

    /// What ends its drain early.
    pub fn hurry(&self) -> Hurry {
        Hurry(self.shared.hurried.clone())
    }

    /// Turns true when a worker has ended unasked: it serves no more, and drains.
    pub fn lost(&self) -> watch::Receiver<bool> {
        self.workers.watch_lost()
    }

    /// Serves connections of `listener` until `stop` is ready, then drains. It stops by itself only if a worker has ended
    /// unasked.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) -> Drained {
        let Proxy { shared, workers, here } = self;
        if let Some(keepalive) = shared.server.tcp_keepalive {
            keepalive.set(&listener);
        }
        let clock = shared.clock.clone();
        let accept = async move {
            accept(&listener, &workers, &clock, stop).await;
            drop(listener);
            workers.drained().await
        };
        match here {
            Some(here) => tokio::join!(accept, here).0,
            None => accept.await,
        }
    }
}

/// Accepts until `stop` is ready.
async fn accept(listener: &TcpListener, workers: &Workers, clock: &Clock, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let mut trouble = Trouble { clock, short_since: None, quiet: Quiet::default() };
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => return take_waiting(listener, workers).await,
            () = workers.lost() => return tracing::error!("a worker thread has ended; limpid stops"),
            accepted = listener.accept() => accepted,
        };
        let error = match accepted {
            Ok((stream, peer)) => {
                trouble.is_over();
                match workers.give(stream, peer).await {
                    Ok(()) => continue,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        if trouble.waits(&error) {
            // Clients wait in the kernel's queue meanwhile.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What keeps connections from being accepted. Some errors belong to one connection that is gone; a limit that is met lasts,
/// and is told of once when it begins and once when it ends.
struct Trouble<'a> {
    clock: &'a Clock,
    short_since: Option<Tick>,
    quiet: Quiet,
}

impl Trouble<'_> {
    /// Whether to wait before the next.
    fn waits(&mut self, error: &io::Error) -> bool {
        let now = self.clock.now();
        if let Some(what) = shortage::of(error, None) {
            if self.short_since.is_none() {
                self.short_since = Some(now);
                let (limit, mend) = shortage::limit(what);
                tracing::error!(%error, limit, mend, "limpid accepts no connections: it has run out of {}", what.name());
            }
            return true;
        }
        if let Some(untold) = self.quiet.turn(now) {
            tracing::warn!(%error, untold, "a connection was not accepted");
        }
        !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
    }

    fn is_over(&mut self) {
        if let Some(since) = self.short_since.take() {
            tracing::warn!(after = ?self.clock.now().since(since), "limpid accepts connections again");
        }
    }
}

/// Takes the connections that the kernel has completed and nobody has taken yet: closing the listener would reset them.
async fn take_waiting(listener: &TcpListener, workers: &Workers) {
    for _bounded in 0..WAITING {
        let at_once = poll_fn(|context| Poll::Ready(listener.poll_accept(context)));
        let Poll::Ready(Ok((stream, peer))) = at_once.await else { return };
        if workers.give(stream, peer).await.is_err() {
            return;
        }
    }
}

/// Connections that are taken of what waits at the end, at most: the kernel's backlog, which tokio asks for.
const WAITING: usize = 1024;

/// The connections that one worker serves.
pub(crate) struct Serving {
    shared: Arc<Shared>,
    worker: Worker,
    protocols: Arc<Protocols>,
    /// True once it drains.
    draining: watch::Sender<bool>,
    connections: JoinSet<()>,
}

impl Serving {
    pub(crate) fn new(shared: Arc<Shared>, worker: Worker) -> Serving {
        Serving {
            protocols: Arc::new(Protocols::new(&shared.server)),
            shared,
            worker,
            draining: watch::Sender::new(false),
            connections: JoinSet::new(),
        }
    }

    /// Serves what comes by `accepted` until that is closed, then drains.
    pub(crate) async fn run(mut self, mut accepted: mpsc::Receiver<Accepted>) -> Drained {
        loop {
            tokio::select! {
                accepted = accepted.recv() => match accepted {
                    Some(accepted) => self.take(accepted),
                    None => return self.drain().await,
                },
                Some(_) = self.connections.join_next(), if !self.connections.is_empty() => {}
            }
        }
    }

    fn take(&mut self, Accepted { stream, peer, counted }: Accepted) {
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%peer, %error, "a connection was not accepted"),
        };
        let client = Client {
            shared: Arc::clone(&self.shared),
            worker: self.worker,
            protocols: Arc::clone(&self.protocols),
            draining: self.draining.subscribe(),
            peer,
        };
        self.connections.spawn(async move {
            client.serve(stream).await;
            drop(counted);
        });
    }

    async fn drain(mut self) -> Drained {
        self.draining.send_replace(true);
        let limit = self.shared.server.drain_timeout;
        let all_end = async { while self.connections.join_next().await.is_some() {} };
        let mut hurried = self.shared.hurried.subscribe();
        let in_time = tokio::select! {
            in_time = tokio::time::timeout(limit, all_end) => in_time.is_ok(),
            _ = hurried.wait_for(|hurried| *hurried) => self.connections.is_empty(),
        };
        let broken_off = if in_time { 0 } else { self.connections.len() };
        self.shared.abort();
        self.connections.shutdown().await;
        Drained { broken_off }
    }
}
