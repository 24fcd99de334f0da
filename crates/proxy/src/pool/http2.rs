//! HTTP/2 connections: many exchanges at a time, each a stream of its own.
//!
//! **Cancelling.** Dropping a response's future or body resets its stream (`RST_STREAM`, `CANCEL`) and leaves the others
//! alone; hyper and h2 do that.
//!
//! **How many streams.** A connection is used once the upstream's SETTINGS have come. That costs a new connection at most
//! one round trip, and proves before a request is sent that the other side speaks HTTP/2 and how many streams it takes.
//! A stream beyond that number would wait inside h2 behind somebody else's long one; so it goes to a further connection.
//! One connection is one TCP stream and one lock, so limpid stops at [`MAX_STREAMS`] even where more is allowed.
//!
//! **Windows.** What a slow reader leaves unread counts against its stream's window and against the connection's. So that
//! it never holds up others, the connection's window is the largest there is, and the stream's alone, [`STREAM_WINDOW`],
//! bounds what is held for a client. It also bounds one reply to a window per round trip: 1.3 MB/s at 50 ms, far above any
//! model's tokens.
//!
//! **Resets.** Frames of a stream that limpid has just reset are still on their way. h2 remembers a number of such streams
//! and takes a frame of a forgotten one for a fault that ends the connection, hence [`REMEMBERED_RESETS`].

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Uri;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::rt::{Executor, Read, Write};
use hyper::{Request, Response};
use limpid_core::{Clock, RelayFailure, Tick};
use tokio::sync::Notify;

use super::terms::Ages;
use super::{Keep, Reply, SendFailed, translate};
use crate::connect::chain;
use crate::request_body::{ClientError, RequestBody};
use crate::response_body::BrokenOff;

/// Streams on one connection at most, whatever the upstream allows.
const MAX_STREAMS: usize = 100;
/// What an upstream may send of one reply before the client takes it, bytes; the protocol's own initial value.
const STREAM_WINDOW: u32 = 65_535;
/// The largest window that the protocol has (RFC 9113 §6.9.1), bytes.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// How large a reply's head may be, bytes, as HTTP/2 counts it (RFC 9113 §6.5.2).
const MAX_HEAD: u32 = 64 * 1024;
/// How many cancelled streams' late frames are told from nonsense.
const REMEMBERED_RESETS: usize = 10_000;

/// The open connections to one upstream.
pub(super) struct Connections {
    clock: Clock,
    keep: Keep,
    ages: Ages,
    open: Mutex<Opened>,
}

#[derive(Default)]
struct Opened {
    next_id: u64,
    list: Vec<Open>,
}

struct Open {
    id: u64,
    origin: Arc<Uri>,
    /// With the last of its clones the connection closes, after the streams that it carries.
    sender: SendRequest<Upload>,
    /// How many streams the upstream takes; changes with its SETTINGS.
    limit: Arc<AtomicUsize>,
    streams: usize,
    idle_since: Tick,
    /// When it takes no more streams; those that it carries go on, and then it closes.
    age_ends: Tick,
}

impl Open {
    fn has_room(&self) -> bool {
        self.streams < self.limit.load(Ordering::Relaxed).min(MAX_STREAMS)
    }
}

impl Connections {
    pub(super) fn new(clock: Clock, keep: Keep) -> Arc<Connections> {
        Arc::new(Connections { clock, keep, ages: Ages::new(keep.max_age), open: Mutex::default() })
    }

    /// A stream on a connection that has room for it, if there is one. The oldest is filled first, so that the others
    /// run empty and close.
    pub(super) fn reuse(self: &Arc<Connections>) -> Option<Stream> {
        let mut open = self.lock();
        open.list.retain(|c| !c.sender.is_closed());
        if open.list.is_empty() {
            return None;
        }
        let now = self.clock.now();
        let free = open.list.iter_mut().find(|c| c.has_room() && now < c.age_ends)?;
        free.streams += 1;
        let slot = Arc::new(Slot { id: free.id, home: Arc::clone(self) });
        Some(Stream { sender: free.sender.clone(), origin: Arc::clone(&free.origin), slot })
    }

    /// Begins to speak on a new connection and waits for the upstream's SETTINGS. Needs a time limit around it.
    pub(super) async fn open<T>(&self, io: T, origin: Arc<Uri>) -> Result<(), RelayFailure>
    where
        T: Read + Write + Unpin + Send + 'static,
    {
        let progress = Arc::new(Notify::new());
        let mut builder = Builder::new(Tasks(Arc::clone(&progress)));
        builder
            .initial_max_send_streams(0)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD)
            .max_concurrent_reset_streams(REMEMBERED_RESETS);
        let (sender, mut connection) = builder.handshake(io).await.map_err(|e| no_http2(&e))?;
        // No stream is allowed before the SETTINGS have come, so any number above 0 says that they have.
        while connection.current_max_send_streams() == 0 {
            tokio::select! {
                ended = &mut connection => return Err(ended.err().map_or(RelayFailure::Connect, |e| no_http2(&e))),
                () = progress.notified() => {}
            }
        }
        let limit = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
        tokio::spawn(drive(connection, Arc::clone(&limit)));
        let mut open = self.lock();
        open.next_id += 1;
        let (id, now) = (open.next_id, self.clock.now());
        let age_ends = self.ages.end(now);
        open.list.push(Open { id, origin, sender, limit, streams: 0, idle_since: now, age_ends });
        Ok(())
    }

    /// Closes what has grown old.
    pub(super) fn close_unused(&self) {
        let now = self.clock.now();
        let unused = |c: &Open| now.since(c.idle_since) >= self.keep.idle_timeout || c.age_ends <= now;
        let old = |c: &Open| c.streams == 0 && unused(c);
        self.lock().list.retain(|c| !c.sender.is_closed() && !old(c));
    }

    /// A stream of this connection is over. The connection is kept or, if too many are unused, closed.
    fn release(&self, id: u64) {
        let now = self.clock.now();
        let mut open = self.lock();
        let unused = open.list.iter().filter(|c| c.streams == 0).count();
        let Some(at) = open.list.iter().position(|c| c.id == id) else { return };
        let connection = &mut open.list[at];
        connection.streams -= 1;
        connection.idle_since = now;
        let surplus = unused >= self.keep.max_idle || self.keep.idle_timeout.is_zero();
        if connection.streams == 0 && (surplus || connection.age_ends <= now) {
            open.list.remove(at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_http2(error: &hyper::Error) -> RelayFailure {
    tracing::warn!(error = chain(error), "HTTP/2 handshake failed");
    RelayFailure::Connect
}

/// Runs a connection to its end, and keeps its limit of streams up to date.
async fn drive<T>(mut connection: Connection<T, Upload, Tasks>, limit: Arc<AtomicUsize>)
where
    T: Read + Write + Unpin + Send + 'static,
{
    let ended = poll_fn(|cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        limit.store(connection.current_max_send_streams(), Ordering::Relaxed);
        polled
    });
    if let Err(error) = ended.await {
        tracing::debug!(error = chain(&error), "upstream connection ended");
    }
}

/// Runs hyper's tasks, and tells after each step of one that something may have come.
#[derive(Clone)]
struct Tasks(Arc<Notify>);

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

/// A place among the streams of a connection. An upstream may answer before it has read the request, whose upload then goes
/// on: so both sides hold it, and the last to go frees it.
struct Slot {
    id: u64,
    home: Arc<Connections>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.home.release(self.id);
    }
}

/// A request's body, with its place.
struct Upload {
    body: RequestBody,
    _slot: Arc<Slot>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream on loan. What cancels it is dropping the response's future or body, not this; this keeps its place.
pub(crate) struct Stream {
    sender: SendRequest<Upload>,
    origin: Arc<Uri>,
    slot: Arc<Slot>,
}

impl Stream {
    pub(super) async fn send(mut self, request: Request<RequestBody>) -> Result<Response<Reply>, SendFailed> {
        let slot = Arc::clone(&self.slot);
        let request = translate::to_http2(request, &self.origin).map(|body| Upload { body, _slot: slot });
        let response = self.sender.try_send_request(request).await.map_err(|mut failed| {
            let unsent = failed.take_message().map(|r| Box::new(translate::to_http1(r.map(|upload| upload.body))));
            let error = failed.into_error();
            let failure = match () {
                () if error.is_parse() => RelayFailure::BadResponse,
                () if error.is_user() => RelayFailure::Internal,
                () => RelayFailure::ResetBeforeHeaders,
            };
            SendFailed { unsent, failure, error: Box::new(error) }
        })?;
        Ok(response.map(|body| Reply::Http2(Receiving { body, _slot: self.slot })))
    }
}

/// A body and its place among the streams.
pub(crate) struct Receiving {
    body: Incoming,
    _slot: Arc<Slot>,
}

impl Receiving {
    /// The next frame. hyper takes a stream that its server resets without an error code for one that ended (RFC 9113
    /// §8.1 allows that reset behind the end only); here it has not.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Pin::new(&mut self.body).poll_frame(cx).map(|frame| match frame {
            None if !self.body.is_end_stream() => Some(Err(BrokenOff::NoEnd)),
            frame => frame.map(|f| f.map_err(|error| BrokenOff::Upstream(Box::new(error)))),
        })
    }

    pub(super) fn is_end(&self) -> bool {
        self.body.is_end_stream() || self.length() == Some(0)
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }
}
