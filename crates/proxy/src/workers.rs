//! One runtime a core: a connection is served by one thread from its first byte to its last.
//!
//! A stream is two connections, the client's and the upstream's, that wake each other at every event. On a runtime of
//! several threads each wake may cross to another core; where both belong to one thread it is a push to a local queue.
//! BENCHMARKING.md tells what that is worth. So each worker has a runtime, a set of connections and, for each upstream,
//! a pool of its own ([`Upstream::pool`](crate::shared::Upstream::pool)). Nothing is shared on the way of a byte.
//!
//! One task accepts for all and gives each connection to the worker that has the fewest: the kernel's own distribution
//! (`SO_REUSEPORT`) hashes addresses, and a handful of long streams may meet on one core while the other is idle. A
//! connection stays where it is; the streams of one HTTP/2 client connection are served by one core.
//!
//! **Pinned.** Each wakes the other side of its connections, and the kernel likes to move who is woken to the core of who
//! wakes: on few cores all may end up on one, in turn, beside an idle one. Where the settings say so a thread keeps to
//! the core of its number, of those that the process may use. It is no default: a core may be somebody else's too.
//!
//! **Edges.** Without threads (`worker_threads: None`) there is one worker, on the runtime that calls: tests pause its
//! time. A thread that cannot be started is logged, and done without.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::server::{Drained, Serving};
use crate::shared::Shared;

/// Accepted connections that wait for their worker, each; beyond it the acceptor waits, and then the kernel's backlog.
const WAITING: usize = 256;

/// Which worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worker(usize);

impl Worker {
    /// Its place among the workers, from 0.
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// A connection for a worker.
pub(crate) struct Accepted {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) peer: SocketAddr,
    /// Counts it as long as it lives.
    pub(crate) counted: Arc<()>,
}

/// All workers.
pub(crate) struct Workers(Vec<Door>);

/// The way to one worker.
struct Door {
    connections: mpsc::Sender<Accepted>,
    /// One clone a connection.
    count: Arc<()>,
    drained: oneshot::Receiver<Drained>,
}

impl Workers {
    /// Starts them; where there are no threads, the future is the only one, to be polled by the caller.
    pub(crate) fn start(shared: &Arc<Shared>) -> (Workers, Option<impl Future<Output = ()> + use<>>) {
        let threads = shared.server.worker_threads.map_or(0, NonZeroUsize::get);
        let started: Vec<Door> = (0..threads).filter_map(|index| on_a_thread(shared, Worker(index))).collect();
        if !started.is_empty() {
            return (Workers(started), None);
        }
        let (door, run) = door(shared, Worker(0));
        (Workers(vec![door]), Some(run))
    }

    /// Gives a connection to the worker that has the fewest.
    pub(crate) async fn give(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let stream = stream.into_std()?;
        let Some(door) = self.0.iter().min_by_key(|door| Arc::strong_count(&door.count)) else { return Ok(()) };
        let accepted = Accepted { stream, peer, counted: Arc::clone(&door.count) };
        door.connections.send(accepted).await.map_err(|_gone| io::Error::other("its worker is gone"))
    }

    /// Lets all drain, together, and waits for them.
    pub(crate) async fn drained(self) -> Drained {
        let (doors, ends): (Vec<_>, Vec<_>) = self.0.into_iter().map(|d| (d.connections, d.drained)).unzip();
        drop(doors);
        let mut all = Drained { broken_off: 0 };
        for end in ends {
            all.broken_off += end.await.map_or(0, |drained| drained.broken_off);
        }
        all
    }
}

fn door(shared: &Arc<Shared>, worker: Worker) -> (Door, impl Future<Output = ()> + use<>) {
    let (connections, accepted) = mpsc::channel(WAITING);
    let (tell, drained) = oneshot::channel();
    let shared = Arc::clone(shared);
    let run = async move {
        let _nobody_waits = tell.send(Serving::new(shared, worker).run(accepted).await);
    };
    (Door { connections, count: Arc::new(()), drained }, run)
}

fn on_a_thread(shared: &Arc<Shared>, worker: Worker) -> Option<Door> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (door, run) = door(shared, worker);
    let pinned = shared.server.pin_workers;
    let started = runtime.and_then(|runtime| {
        std::thread::Builder::new().name(format!("limpid-{}", worker.0)).spawn(move || {
            if pinned {
                pin(worker);
            }
            runtime.block_on(run);
        })
    });
    match started {
        Ok(_detached) => Some(door),
        Err(error) => {
            tracing::error!(%error, "a worker thread does not start");
            None
        }
    }
}

/// Keeps this thread to one of the cores that it may use. A failure is told, and done without.
#[cfg(target_os = "linux")]
fn pin(worker: Worker) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let pinned = sched_getaffinity(None).and_then(|allowed| {
        let cores: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        let mut own = CpuSet::new();
        own.set(cores.get(worker.0 % cores.len().max(1)).copied().unwrap_or_default());
        sched_setaffinity(None, &own)
    });
    if let Err(error) = pinned {
        tracing::warn!(worker = worker.0, %error, "a worker thread is not pinned");
    }
}

#[cfg(not(target_os = "linux"))]
fn pin(worker: Worker) {
    tracing::warn!(worker = worker.0, "worker threads are pinned on Linux only");
}
