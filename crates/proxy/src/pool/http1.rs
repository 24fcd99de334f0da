//! HTTP/1.1 connections: one exchange at a time; kept, lent, and never lent when they may be closing.
//!
//! **When a connection is used again** is one rule with one table, [`limpid_http1::reuse`]: at once, after [`REST`], or never.
//! Servers that close after a streamed reply while they advertise keep-alive (llama.cpp's does) turn reuse into a race,
//! and pooled proxies lose some of it as 502s; within the rest the server's FIN arrives. And before a connection is lent, the
//! kernel is asked whether anything has come by it: one on which the other side has ended, or spoken unasked, is not lent.
//! The request's head is written within the same poll: what is left for stray bytes to come unnoticed is the microseconds
//! that writing it takes.
//!
//! How long it may be used again at all is [`super::terms`]' to say: its age, the upstream's `pool_idle_timeout`, and what
//! its server tells in `Keep-Alive`.
//!
//! An unused connection has no task. What its server has closed is found when it would be lent, or by the sweep.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::{Request, Response};
use limpid_core::{Clock, RelayFailure, Tick};
use limpid_http1::client::{self, Connection, SendError};
use limpid_http1::head::Refused;
use limpid_http1::reuse::Reuse;

use super::terms::{Ages, Terms};
use super::{Keep, Reply, SendFailed};
use crate::connect::Stream;
use crate::request_body::RequestBody;
use crate::tls;

/// How long a connection rests that is not to be used at once.
const REST: Duration = Duration::from_millis(250);

/// The connections that nobody uses.
pub(super) struct Connections {
    clock: Clock,
    keep: Keep,
    ages: Ages,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection<Stream>,
    terms: Terms,
    usable_from: Tick,
    until: Tick,
}

impl Connections {
    pub(super) fn new(clock: Clock, keep: Keep) -> Arc<Connections> {
        Arc::new(Connections { clock, keep, ages: Ages::new(keep.max_age), idle: Mutex::default() })
    }

    /// The most recently used connection that is rested and open, if there is one.
    pub(super) fn reuse(self: &Arc<Connections>) -> Option<Loan> {
        let now = self.clock.now();
        let mut idle = self.lock();
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            if idle[at].until <= now {
                idle.remove(at);
            } else if idle[at].usable_from <= now {
                let Idle { mut connection, terms, .. } = idle.remove(at);
                if connection.io().is_quiet() {
                    return Some(Loan { connection, terms, home: Arc::clone(self) });
                }
            }
        }
        None
    }

    /// Begins to speak on a new connection.
    pub(super) fn open(self: &Arc<Connections>, io: Stream) -> Loan {
        let terms = Terms::new(self.ages.end(self.clock.now()));
        Loan { connection: Connection::new(io), terms, home: Arc::clone(self) }
    }

    /// Closes what has grown old, or was closed by its server.
    pub(super) fn close_unused(&self) {
        let now = self.clock.now();
        self.lock().retain_mut(|idle| now < idle.until && idle.connection.io().is_quiet());
    }

    fn keep(&self, connection: Connection<Stream>, terms: Terms, rest: Duration) {
        let now = self.clock.now();
        let usable_from = now.plus(rest);
        let Some(until) = terms.until(now, self.keep.idle_timeout).filter(|until| usable_from < *until) else { return };
        let mut idle = self.lock();
        if idle.len() < self.keep.max_idle {
            idle.push(Idle { connection, terms, usable_from, until });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on loan. Dropping it closes the connection, and with it cancels the work it carries.
pub(crate) struct Loan {
    connection: Connection<Stream>,
    terms: Terms,
    home: Arc<Connections>,
}

/// A body and the connection that it comes by. Dropping it closes the connection at once; only
/// [`Receiving::give_back`] keeps it.
pub(crate) struct Receiving {
    pub(super) reply: client::Reply<Stream, RequestBody>,
    terms: Terms,
    home: Arc<Connections>,
}

impl Loan {
    /// Keeps the connection, of which nothing was asked yet.
    pub(super) fn keep(self) {
        self.home.keep(self.connection, self.terms, Duration::ZERO);
    }

    pub(super) fn send(
        self,
        mut request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Reply>, SendFailed>> {
        let spelling = request.body_mut().take_spelling();
        let connection = self.connection.with_max_head(self.home.keep.max_head);
        let (home, mut terms, sending) = (self.home, self.terms, connection.send(request, spelling.as_ref()));
        async move {
            let response = sending.await.map_err(|error| {
                let failure = match error {
                    SendError::Refused(Refused::TooLarge) => RelayFailure::ResponseHeadTooLarge,
                    SendError::Refused(_) => RelayFailure::BadResponse,
                    SendError::Tls => RelayFailure::UnaskedTls,
                    SendError::Io(ref error) => {
                        tls::of(error).map_or(RelayFailure::ResetBeforeHeaders, RelayFailure::Tls)
                    }
                    SendError::Closed | SendError::Body(_) => RelayFailure::ResetBeforeHeaders,
                };
                SendFailed { unsent: None, http1_only: false, failure, error: Box::new(error) }
            })?;
            terms.answered(response.headers());
            Ok(response.map(|reply| Reply::Http1(Box::new(Receiving { reply, terms, home }))))
        }
    }
}

impl Receiving {
    /// Keeps the connection for another request, or closes it, as [`Reuse`] says.
    pub(super) fn give_back(self) {
        let rest = if self.reply.reuse() == Reuse::AtOnce { Duration::ZERO } else { REST };
        if let Some(connection) = self.reply.into_idle() {
            self.home.keep(connection, self.terms, rest);
        }
    }
}
