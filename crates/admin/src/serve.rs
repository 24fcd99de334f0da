//! Serving the listener: whoever connects is held for a bounded time, and a bounded number at a time.
//!
//! The data listener's rule, with hyper in the place of `limpid-http1`: a head has [`Limits::header_timeout`] to come,
//! counted from the connection's begin or the last answer; so that is how long an unused connection is kept, too. Beside
//! it, a connection by which no byte has moved for as long is closed: what is asked here is answered within seconds, live
//! events have a tick each second, and what does not move is a client that does not read. `axum::serve` knows no limits.
//!
//! **Full.** A probe must get through whatever else is open. So a connection beyond [`Limits::max_connections`] is not
//! refused: the one by which nothing has moved for the longest time makes room for it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{AdminState, router};

/// What clients may take of time and room.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From a connection's begin, or the last answer, to the end of a head; and how long nothing may move.
    pub header_timeout: Duration,
    /// Connections at a time; at least one.
    pub max_connections: usize,
}

/// Serves until it is dropped; with it go the connections. Once told to let go of its address it closes the listener, and
/// goes on with what is connected.
pub async fn serve(listener: TcpListener, state: AdminState, limits: Limits) {
    let let_go = Arc::clone(&state.let_go);
    let app = router(state);
    let mut tasks = JoinSet::new();
    let mut open: Vec<Open> = Vec::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = let_go.notified() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors is the one error that lasts.
                tracing::warn!(%error, "a connection to the admin listener was not accepted");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _without_it = stream.set_nodelay(true);
        while tasks.try_join_next().is_some() {}
        open.retain(|c| !c.task.is_finished());
        if open.len() >= limits.max_connections {
            make_room(&mut open);
        }
        let moved = Moved::new();
        let task = tasks.spawn(one(stream, app.clone(), Arc::clone(&moved), limits.header_timeout));
        open.push(Open { task, moved });
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// An open connection.
struct Open {
    task: AbortHandle,
    moved: Arc<Moved>,
}

fn make_room(open: &mut Vec<Open>) {
    let stalest = open.iter().enumerate().min_by_key(|(_, c)| c.moved.0.load(Ordering::Relaxed)).map(|(at, _)| at);
    if let Some(at) = stalest {
        tracing::debug!("the admin listener is full; its stalest connection is closed");
        // Their order stays, so that of two equals the older goes.
        open.remove(at).task.abort();
    }
}

async fn one(stream: TcpStream, app: Router, moved: Arc<Moved>, limit: Duration) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limit);
    let io = TokioIo::new(Watched { io: stream, moved: Arc::clone(&moved) });
    let serving = http.serve_connection(io, TowerToHyperService::new(app));
    tokio::select! {
        ended = serving => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to the admin listener ended");
            }
        }
        () = moved.not_for(limit) => {}
    }
}

/// When a byte last moved by a connection: microseconds since the process first asked.
struct Moved(AtomicU64, Instant);

impl Moved {
    fn new() -> Arc<Moved> {
        static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        let begin = *BEGIN.get_or_init(Instant::now);
        let moved = Moved(AtomicU64::new(0), begin);
        moved.now();
        Arc::new(moved)
    }

    fn now(&self) {
        let now = u64::try_from(self.1.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.0.store(now, Ordering::Relaxed);
    }

    /// Ready once nothing has moved for that long.
    async fn not_for(&self, limit: Duration) {
        loop {
            let until = self.1 + Duration::from_micros(self.0.load(Ordering::Relaxed)) + limit;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// A transport that notes when something moves by it.
struct Watched {
    io: TcpStream,
    moved: Arc<Moved>,
}

impl Watched {
    fn note<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.moved.now();
        }
        polled
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        self.note(polled)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
