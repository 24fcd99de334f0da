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
//! **Whole or not at all.** All threads are started, each with its runtime, before there is a proxy; where one cannot be
//! had there is none. A worker that ends unasked (its thread panicked) is noticed at once: the acceptor stops, the others
//! drain, and whoever started limpid is to start it anew. What would serve every second connection is worse than nothing.
//!
//! **Edges.** Without threads (`worker_threads: None`) there is one worker, on the runtime that calls: tests pause its
//! time.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc as blocking;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};

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
pub(crate) struct Workers {
    doors: Vec<Door>,
    /// True once one has ended unasked.
    lost: watch::Receiver<bool>,
}

/// The one worker of a proxy without threads, to be polled by who serves.
pub(crate) type Here = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The way to one worker.
struct Door {
    connections: mpsc::Sender<Accepted>,
    /// One clone a connection.
    count: Arc<()>,
    drained: oneshot::Receiver<Drained>,
}

/// Tells of its worker's end, unless that ended well.
struct Alive {
    lost: watch::Sender<bool>,
    well: bool,
}

impl Drop for Alive {
    fn drop(&mut self) {
        if !self.well {
            self.lost.send_replace(true);
        }
    }
}

impl Workers {
    /// Starts them; where there are no threads, the future is the only one.
    ///
    /// # Errors
    ///
    /// The first thread or runtime that cannot be had. Those before it end again.
    pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<(Workers, Option<Here>)> {
        let (tell_lost, lost) = watch::channel(false);
        let threads = shared.server.worker_threads.map_or(0, NonZeroUsize::get);
        if threads == 0 {
            let (door, run) = door(shared, Worker(0), tell_lost);
            return Ok((Workers { doors: vec![door], lost }, Some(Box::pin(run))));
        }
        let start = |index| {
            let worker = Worker(index);
            let (door, run) = door(shared, worker, tell_lost.clone());
            on_a_thread(worker, shared.server.pin_workers, run).map(|()| door)
        };
        let doors = (0..threads).map(start).collect::<io::Result<_>>()?;
        Ok((Workers { doors, lost }, None))
    }

    pub(crate) fn watch_lost(&self) -> watch::Receiver<bool> {
        self.lost.clone()
    }

    /// Returns when a worker has ended unasked.
    pub(crate) async fn lost(&self) {
        if self.lost.clone().wait_for(|lost| *lost).await.is_err() {
            // All have ended, and well.
            std::future::pending::<()>().await;
        }
    }

    /// Gives a connection to the worker that has the fewest.
    pub(crate) async fn give(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let stream = stream.into_std()?;
        let Some(door) = self.doors.iter().min_by_key(|door| Arc::strong_count(&door.count)) else { return Ok(()) };
        let accepted = Accepted { stream, peer, counted: Arc::clone(&door.count) };
        door.connections.send(accepted).await.map_err(|_gone| io::Error::other("its worker is gone"))
    }

    /// Lets all drain, together, and waits for them.
    pub(crate) async fn drained(self) -> Drained {
        let (doors, ends): (Vec<_>, Vec<_>) = self.doors.into_iter().map(|d| (d.connections, d.drained)).unzip();
        drop(doors);
        let mut all = Drained { broken_off: 0 };
        for end in ends {
            all.broken_off += end.await.map_or(0, |drained| drained.broken_off);
        }
        all
    }
}

fn door(
    shared: &Arc<Shared>,
    worker: Worker,
    lost: watch::Sender<bool>,
) -> (Door, impl Future<Output = ()> + Send + use<>) {
    let (connections, accepted) = mpsc::channel(WAITING);
    let (tell, drained) = oneshot::channel();
    let shared = Arc::clone(shared);
    let run = async move {
        let mut alive = Alive { lost, well: false };
        let _nobody_waits = tell.send(Serving::new(shared, worker).run(accepted).await);
        alive.well = true;
    };
    (Door { connections, count: Arc::new(()), drained }, run)
}

/// Starts a worker's thread, and waits until its runtime is there. That is made on the thread itself: where a thread cannot
/// be had, a runtime that was to move there would end on this one, which may be a runtime's own.
fn on_a_thread(worker: Worker, pinned: bool, run: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let (tell, started) = blocking::channel();
    std::thread::Builder::new().name(format!("limpid-{}", worker.0)).spawn(move || {
        if pinned {
            pin(worker);
        }
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                let _it_waits = tell.send(Ok(()));
                runtime.block_on(run);
            }
            Err(error) => drop(tell.send(Err(error))),
        }
    })?;
    started.recv().unwrap_or_else(|_| Err(io::Error::other("it ended at once")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_worker_that_ends_unasked_is_noticed() {
        let (tell_lost, lost) = watch::channel(false);
        let workers = Workers { doors: Vec::new(), lost };
        let alive = |well| Alive { lost: tell_lost.clone(), well };
        drop(alive(true));
        on_a_thread(Worker(0), false, std::future::ready(())).unwrap();
        assert!(!*workers.lost.borrow(), "ended as it should");
        let dies = alive(false);
        on_a_thread(Worker(0), false, async move {
            let _dies = dies;
            panic!("on purpose");
        })
        .unwrap();
        workers.lost().await;
    }
}
