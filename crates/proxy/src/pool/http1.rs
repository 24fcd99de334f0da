//! HTTP/1.1 connections: one exchange at a time; kept, lent, and never lent when they may be closing.
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

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use limpid_core::{Clock, RelayFailure, Tick};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use super::small_reads::SmallReads;
use super::{Keep, SendFailed};
use crate::connect::chain;
use crate::headers::MAX_FIELDS;
use crate::request_body::RequestBody;

/// How long a connection rests after a reply whose length was not announced.
const REST: Duration = Duration::from_millis(250);

/// The largest head of a reply, bytes. How much of a body is read ahead is bounded by [`SmallReads`].
const MAX_HEAD: usize = 64 * 1024;

/// The connections that nobody uses.
pub(super) struct Connections {
    clock: Clock,
    keep: Keep,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    task: AbortHandle,
    since: Tick,
    usable_from: Tick,
}

impl Connections {
    pub(super) fn new(clock: Clock, keep: Keep) -> Arc<Connections> {
        Arc::new(Connections { clock, keep, idle: Mutex::default() })
    }

    /// The most recently used connection that is open, rested and has nothing left to send, if there is one.
    pub(super) fn reuse(self: &Arc<Connections>) -> Option<Loan> {
        let now = self.clock.now();
        let mut idle = self.lock();
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            if idle[at].sender.is_closed() || now.since(idle[at].since) >= self.keep.idle_timeout {
                idle.remove(at).task.abort();
            } else if idle[at].usable_from <= now && idle[at].sender.is_ready() {
                let Idle { sender, task, .. } = idle.remove(at);
                return Some(Loan { sender, close: CloseOnDrop(Some(task)), home: Arc::clone(self) });
            }
        }
        None
    }

    /// Begins to speak on a new connection.
    pub(super) async fn open<T>(self: &Arc<Connections>, io: T) -> Result<Loan, RelayFailure>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new();
        builder.preserve_header_case(true).max_headers(MAX_FIELDS).max_buf_size(MAX_HEAD);
        let (sender, connection) = builder.handshake(TokioIo::new(SmallReads::new(io))).await.map_err(|error| {
            tracing::warn!(error = chain(&error), "HTTP handshake failed");
            RelayFailure::Connect
        })?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(error = chain(&error), "upstream connection ended");
            }
        });
        Ok(Loan { sender, close: CloseOnDrop(Some(task.abort_handle())), home: Arc::clone(self) })
    }

    /// Closes what has grown old.
    pub(super) fn close_unused(&self) {
        let now = self.clock.now();
        self.lock().retain(|idle| {
            let keep = !idle.sender.is_closed() && now.since(idle.since) < self.keep.idle_timeout;
            if !keep {
                idle.task.abort();
            }
            keep
        });
    }

    fn keep(&self, sender: SendRequest<RequestBody>, task: AbortHandle, rest: Duration) {
        let now = self.clock.now();
        let mut idle = self.lock();
        if idle.len() < self.keep.max_idle && !sender.is_closed() {
            idle.push(Idle { sender, task, since: now, usable_from: now.plus(rest) });
        } else {
            task.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for idle in self.lock().drain(..) {
            idle.task.abort();
        }
    }
}

/// A connection on loan. Dropping it closes the connection at once, and with it cancels the work it carries; only
/// [`Loan::give_back`] keeps it.
pub(super) struct Loan {
    sender: SendRequest<RequestBody>,
    close: CloseOnDrop,
    home: Arc<Connections>,
}

struct CloseOnDrop(Option<AbortHandle>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

impl Loan {
    pub(super) async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, SendFailed> {
        // A new connection needs a turn of its task before it takes a request; if it closes meanwhile, sending says so and
        // gives the request back.
        let _closed = self.sender.ready().await;
        self.sender.try_send_request(request).await.map_err(|mut failed| {
            let unsent = failed.take_message().map(Box::new);
            SendFailed { unsent, error: failed.into_error() }
        })
    }

    /// Keeps the connection for another request: at once, or after a rest if its reply had no announced length.
    pub(super) fn give_back(self, announced_length: bool) {
        let Loan { sender, mut close, home } = self;
        if let Some(task) = close.0.take() {
            home.keep(sender, task, if announced_length { Duration::ZERO } else { REST });
        }
    }
}
