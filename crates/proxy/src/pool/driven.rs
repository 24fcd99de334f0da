//! An HTTP/2 connection on its way: who runs it, and what its upstream allows by now.
//!
//! hyper runs a connection by two tasks: one reads and writes frames, the other takes requests and is woken for nothing else.
//! SETTINGS come to the first, so the second is asked for what they say, not waited for.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use hyper::client::conn::http2::Connection;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;

use super::heard::Listening;
use super::upload::Upload;
use crate::connect::chain;

pub(super) type Http2Connection = Connection<TokioIo<Listening>, Upload, Tasks>;

/// A connection that is run to its end; gone then, and with it what waits for it.
pub(super) struct Driven {
    connection: Mutex<Option<Http2Connection>>,
    /// How many streams the upstream took when it last ran.
    allowed: AtomicUsize,
}

impl Driven {
    pub(super) fn new(connection: Http2Connection) -> Arc<Driven> {
        let allowed = AtomicUsize::new(connection.current_max_send_streams());
        Arc::new(Driven { connection: Mutex::new(Some(connection)), allowed })
    }

    /// How many streams the upstream takes, by its last SETTINGS. Another task of the connection reads these, so it is asked;
    /// while it runs on another thread, what it was before.
    pub(super) fn streams_allowed(&self) -> usize {
        match self.connection.try_lock().as_deref() {
            Ok(connection) => connection.as_ref().map_or(0, Http2Connection::current_max_send_streams),
            Err(_runs) => self.allowed.load(Ordering::Relaxed),
        }
    }

    pub(super) async fn run(self: Arc<Self>) {
        let ended = poll_fn(|cx| {
            let mut running = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(connection) = &mut *running else { return Poll::Ready(Ok(())) };
            let polled = Pin::new(&mut *connection).poll(cx);
            self.allowed.store(connection.current_max_send_streams(), Ordering::Relaxed);
            polled
        });
        if let Err(error) = ended.await {
            tracing::debug!(error = chain(&error), "upstream connection ended");
        }
        // What waits in it comes back with it, and may want the lock.
        let gone = self.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(gone);
    }
}

/// Runs hyper's tasks, and tells after each step of one that something may have come.
#[derive(Clone)]
pub(super) struct Tasks(pub(super) Arc<Notify>);

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let progress = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut task = pin!(task);
            poll_fn(|cx| {
                let polled = task.as_mut().poll(cx);
                progress.notify_one();
                polled
            })
            .await;
        });
    }
}
