//! Connections to one upstream: kept, lent, and never lent when they may be closing.
//!
//! hyper-util's pool hands a connection out again the moment a reply is over. Servers that close after a streamed
//! reply while they advertise keep-alive (llama.cpp's does) turn that into a race, and pooled proxies lose some of it as
//! 502s. So a connection whose last reply had no announced length rests for [`REST`] before it is lent again: by then
//! the server's FIN has arrived and the connection is known to be closed. A reply of announced length, as a short JSON
//! one, frees its connection at once.
//!
//! An upstream may answer before it has read the whole request. Its connection is then still busy with the upload, and is
//! not lent before that is over: who got it would wait for somebody else's client.
//!
//! The rest cannot be expressed in hyper-util's pool, which is why this one exists; connecting is still its connector's.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::rt::{Read, Write};
use hyper::{Request, Response, body::Incoming};
use limpid_core::{Clock, RelayFailure, Tick};
use tokio::task::AbortHandle;

use crate::connect::{Connect, Connection, chain};
use crate::headers::MAX_FIELDS;
use crate::request_body::RequestBody;

/// How long a connection rests after a reply whose length was not announced.
const REST: Duration = Duration::from_millis(250);

pub(crate) struct Pool {
    connect: Connect,
    clock: Clock,
    idle_timeout: Duration,
    max_idle: usize,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    task: AbortHandle,
    since: Tick,
    usable_from: Tick,
}

impl Pool {
    pub(crate) fn new(connect: Connect, clock: Clock, idle_timeout: Duration, max_idle: usize) -> Arc<Pool> {
        let pool = Arc::new(Pool { connect, clock, idle_timeout, max_idle, idle: Mutex::default() });
        if !idle_timeout.is_zero() {
            tokio::spawn(close_unused(Arc::downgrade(&pool), idle_timeout));
        }
        pool
    }

    /// The most recently used connection that is open, rested and has nothing left to send, if there is one.
    pub(crate) fn reuse(self: &Arc<Pool>) -> Option<Lease> {
        let now = self.clock.now();
        let mut idle = self.lock();
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            if idle[at].sender.is_closed() || now.since(idle[at].since) >= self.idle_timeout {
                idle.remove(at).task.abort();
            } else if idle[at].usable_from <= now && idle[at].sender.is_ready() {
                let found = idle.remove(at);
                return Some(Lease::new(found.sender, found.task, self, true));
            }
        }
        None
    }

    /// A new connection.
    pub(crate) async fn fresh(self: &Arc<Pool>) -> Result<Lease, RelayFailure> {
        let (sender, task) = match self.connect.connect().await? {
            Connection::Plain(io) => handshake(io).await?,
            Connection::Tls(io) => handshake(*io).await?,
        };
        Ok(Lease::new(sender, task, self, false))
    }

    fn keep(&self, sender: SendRequest<RequestBody>, task: AbortHandle, rest: Duration) {
        let now = self.clock.now();
        let mut idle = self.lock();
        if idle.len() < self.max_idle && !sender.is_closed() {
            idle.push(Idle { sender, task, since: now, usable_from: now.plus(rest) });
        } else {
            task.abort();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for idle in self.lock().drain(..) {
            idle.task.abort();
        }
    }
}

/// Without requests nobody looks at the list, so a task closes what has grown old; it ends with the pool.
async fn close_unused(pool: Weak<Pool>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = pool.clock.now();
        pool.lock().retain(|idle| {
            let keep = !idle.sender.is_closed() && now.since(idle.since) < pool.idle_timeout;
            if !keep {
                idle.task.abort();
            }
            keep
        });
    }
}

async fn handshake<T>(io: T) -> Result<(SendRequest<RequestBody>, AbortHandle), RelayFailure>
where
    T: Read + Write + Unpin + Send + 'static,
{
    let mut builder = Builder::new();
    builder.preserve_header_case(true).max_headers(MAX_FIELDS);
    let (sender, connection) = builder.handshake(io).await.map_err(|error| {
        tracing::warn!(error = chain(&error), "HTTP handshake failed");
        RelayFailure::Connect
    })?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = chain(&error), "upstream connection ended");
        }
    });
    Ok((sender, task.abort_handle()))
}

/// A connection on loan. Dropping it closes the connection at once, and with it cancels the work it carries; only
/// [`Lease::give_back`] keeps it.
pub(crate) struct Lease {
    sender: SendRequest<RequestBody>,
    close: CloseOnDrop,
    pool: Arc<Pool>,
    reused: bool,
}

struct CloseOnDrop(Option<AbortHandle>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

impl Lease {
    fn new(sender: SendRequest<RequestBody>, task: AbortHandle, pool: &Arc<Pool>, reused: bool) -> Lease {
        Lease { sender, close: CloseOnDrop(Some(task)), pool: Arc::clone(pool), reused }
    }

    /// Whether it served a request before.
    pub(crate) fn reused(&self) -> bool {
        self.reused
    }

    /// Sends a request. Where nothing of it was written, the error carries it back.
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        // A new connection needs a turn of its task before it takes a request; if it closes meanwhile, sending says so and
        // gives the request back.
        let _closed = self.sender.ready().await;
        self.sender.try_send_request(request).await
    }

    /// Keeps the connection for another request: at once, or after a rest if its reply had no announced length.
    pub(crate) fn give_back(self, announced_length: bool) {
        let Lease { sender, mut close, pool, .. } = self;
        if let Some(task) = close.0.take() {
            pool.keep(sender, task, if announced_length { Duration::ZERO } else { REST });
        }
    }
}
