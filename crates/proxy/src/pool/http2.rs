//! HTTP/2 connections: many exchanges at a time, each a stream of its own.
//!
//! **Cancelling.** Dropping a response's future or body resets its stream (`RST_STREAM`, `CANCEL`) and leaves the others
//! alone; hyper and h2 do that.
//!
//! **Refusals.** What the upstream refuses without having processed it is sent again on another connection; see [`resend`](super::resend).
//!
//! **Dead connections.** A host that vanishes, or a middlebox that forgets, leaves a connection that looks open. hyper sends
//! a PING when nothing has come for a while (also on unused connections), and gives the connection up when that is not
//! answered: its exchanges fail as `ping_timeout`, never sent again, for they may have been processed. Until then no new
//! request is put on a connection that has been silent for longer than PINGs let a good one be ([`heard`](super::heard)); it gets
//! another. Nor is one put on a connection whose uploads have all stood still for a second ([`upload`](super::upload)): its window is used up by
//! others, as by a server that does not read one of them.
//!
//! **How many streams.** A connection is used once the upstream's SETTINGS have come. That costs a new connection at most
//! one round trip, and proves before a request is sent that the other side speaks HTTP/2 and how many streams it takes.
//! A stream beyond that number would wait inside h2 behind somebody else's long one; so it goes to a further connection.
//! The number is asked for with each new stream, since SETTINGS may change it at any time.
//! One connection is one TCP stream and one lock, so limpid stops at [`MAX_STREAMS`] even where more is allowed.
//!
//! **Windows.** What a slow reader leaves unread counts against its stream's window and against the connection's. So that
//! it never holds up others, the connection's window is the largest there is, and the stream's alone, [`STREAM_WINDOW`],
//! bounds what is held for a client. It also bounds one reply to a window per round trip: 1.3 MB/s at 50 ms, far above any
//! model's tokens.
//!
//! **Resets.** Frames of a stream that limpid has just reset are still on their way. h2 remembers a number of such streams
//! and takes a frame of a forgotten one for a fault that ends the connection, hence [`REMEMBERED_RESETS`].

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Uri};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use limpid_core::{Clock, RelayFailure, Tick};
use limpid_http1::head::Refused;
use tokio::sync::Notify;

use super::driven::{Driven, Tasks};
use super::heard::{Heard, Listening};
use super::resend::{Kept, Refusal};
use super::terms::Ages;
use super::upload::{Upload, Uploads};
use super::{Keep, Reply, SendFailed, translate};
use crate::connect::{self, chain};
use crate::request_body::RequestBody;
use crate::response_body::BrokenOff;

/// Streams on one connection at most, whatever the upstream allows.
const MAX_STREAMS: usize = 100;
/// What an upstream may send of one reply before the client takes it, bytes; the protocol's own initial value.
const STREAM_WINDOW: u32 = 65_535;
/// The largest window that the protocol has (RFC 9113 §6.9.1), bytes.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// How much larger than it may be a reply's head is read all the same: h2 resets a stream whose head is larger without a
/// word of why.
const READ_ON: usize = 4;
/// How many cancelled streams' late frames are told from nonsense.
const REMEMBERED_RESETS: usize = 10_000;
/// How long a connection that refused a stream gets no other.
const REST: Duration = Duration::from_secs(1);
/// How much longer than the interval of PINGs a good connection may be silent: until the answer is here.
const ROUND_TRIP: Duration = Duration::from_secs(1);

/// What HTTP/2 to an upstream may take of time and room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Limits {
    /// How long nothing may come by a connection before a PING is sent. `None`: no PINGs, and no connection is suspect.
    pub ping_interval: Option<Duration>,
    /// How long its answer may take before the connection is given up.
    pub ping_timeout: Duration,
    /// How much of a request's body is kept until the upstream answers, to send it again where that is safe, bytes.
    pub resend_bytes: usize,
}

impl Default for Http2Limits {
    fn default() -> Http2Limits {
        Http2Limits {
            ping_interval: Some(Duration::from_secs(10)),
            ping_timeout: Duration::from_secs(20),
            resend_bytes: 64 << 10,
        }
    }
}

/// The open connections to one upstream.
pub(super) struct Connections {
    clock: Clock,
    keep: Keep,
    ages: Ages,
    limits: Http2Limits,
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
    driven: Arc<Driven>,
    heard: Arc<Heard>,
    uploads: Arc<Uploads>,
    streams: usize,
    idle_since: Tick,
    /// When it takes no more streams; those that it carries go on, and then it closes.
    age_ends: Tick,
    /// It refused a stream not long ago.
    rests_until: Tick,
}

impl Open {
    fn takes_another(&self, now: Tick, limits: &Http2Limits) -> bool {
        let silent = |interval| self.heard.is_silent(now, interval + ROUND_TRIP);
        self.streams < self.driven.streams_allowed().min(MAX_STREAMS)
            && now < self.age_ends
            && now >= self.rests_until
            && !limits.ping_interval.is_some_and(silent)
            && !self.uploads.stand_still(now)
    }
}

impl Connections {
    pub(super) fn new(clock: Clock, keep: Keep, limits: Http2Limits) -> Arc<Connections> {
        Arc::new(Connections { clock, keep, ages: Ages::new(keep.max_age), limits, open: Mutex::default() })
    }

    /// A stream on a connection that has room for it, if there is one. The oldest is filled first, so that the others
    /// run empty and close.
    pub(super) fn reuse(self: &Arc<Connections>) -> Option<Stream> {
        let mut open = self.lock();
        if open.list.is_empty() {
            return None;
        }
        let now = self.clock.now();
        open.list.retain(|c| !c.sender.is_closed());
        let free = open.list.iter_mut().find(|c| c.takes_another(now, &self.limits))?;
        free.streams += 1;
        let slot = Arc::new(Slot { id: free.id, home: Arc::clone(self) });
        let (heard, uploads) = (Arc::clone(&free.heard), Arc::clone(&free.uploads));
        Some(Stream { sender: free.sender.clone(), origin: Arc::clone(&free.origin), heard, uploads, slot })
    }

    /// Begins to speak on a new connection and waits for the upstream's SETTINGS. Needs a time limit around it.
    pub(super) async fn open(&self, io: connect::Stream, origin: Arc<Uri>) -> Result<(), RelayFailure> {
        let progress = Arc::new(Notify::new());
        let mut builder = Builder::new(Tasks(Arc::clone(&progress)));
        builder
            .initial_max_send_streams(0)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(self.keep.max_head * READ_ON).unwrap_or(u32::MAX))
            .max_concurrent_reset_streams(REMEMBERED_RESETS)
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.ping_interval)
            .keep_alive_timeout(self.limits.ping_timeout)
            .keep_alive_while_idle(true);
        let (io, heard) = Listening::new(io, self.clock.clone());
        let (sender, mut connection) = builder.handshake(TokioIo::new(io)).await.map_err(|e| no_http2(&e))?;
        // No stream is allowed before the SETTINGS have come, so any number above 0 says that they have.
        while connection.current_max_send_streams() == 0 {
            tokio::select! {
                ended = &mut connection => return Err(ended.err().map_or(RelayFailure::Connect, |e| no_http2(&e))),
                () = progress.notified() => {}
            }
        }
        let driven = Driven::new(connection);
        tokio::spawn(Arc::clone(&driven).run());
        let mut open = self.lock();
        open.next_id += 1;
        let (id, now, uploads) = (open.next_id, self.clock.now(), Arc::default());
        open.list.push(Open {
            id,
            origin,
            sender,
            driven,
            heard,
            uploads,
            streams: 0,
            idle_since: now,
            age_ends: self.ages.end(now),
            rests_until: now,
        });
        Ok(())
    }

    /// This connection refused a request.
    fn refused(&self, id: u64, how: Refusal) {
        let now = self.clock.now();
        let mut open = self.lock();
        match how {
            // Its streams go on; with the last of them it closes.
            Refusal::GoAway => open.list.retain(|c| c.id != id),
            Refusal::Stream => {
                open.list.iter_mut().filter(|c| c.id == id).for_each(|c| c.rests_until = now.plus(REST));
            }
            Refusal::Http1Required => {}
        }
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

/// A place among the streams of a connection. An upstream may answer before it has read the request, whose upload then goes
/// on: so both sides hold it, and the last to go frees it.
pub(super) struct Slot {
    id: u64,
    home: Arc<Connections>,
}

impl Slot {
    pub(super) fn now(&self) -> Tick {
        self.home.clock.now()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.home.release(self.id);
    }
}

/// A stream on loan. What cancels it is dropping the response's future or body, not this; this keeps its place.
pub(crate) struct Stream {
    sender: SendRequest<Upload>,
    origin: Arc<Uri>,
    heard: Arc<Heard>,
    uploads: Arc<Uploads>,
    slot: Arc<Slot>,
}

impl Stream {
    pub(super) async fn send(self, request: Request<RequestBody>) -> Result<Response<Reply>, SendFailed> {
        let Stream { mut sender, origin, heard, uploads, slot } = self;
        let (head, body) = translate::to_http2(request, &origin).into_parts();
        let kept = Kept::new(body, slot.home.limits.resend_bytes);
        let upload = Upload::new(Arc::clone(&kept), uploads, Arc::clone(&slot));
        let failed = match sender.try_send_request(Request::from_parts(head.clone(), upload)).await {
            Ok(response) if list_size(response.headers()) > slot.home.keep.max_head => {
                let (failure, error) = (RelayFailure::ResponseHeadTooLarge, Box::new(Refused::TooLarge));
                return Err(SendFailed { unsent: None, http1_only: false, failure, error });
            }
            Ok(response) => {
                kept.answered();
                return Ok(response.map(|body| Reply::Http2(Receiving { body, heard, _slot: slot })));
            }
            Err(failed) => failed,
        };
        Err(not_answered(failed, &slot, || {
            let request = Request::from_parts(head, kept.take_back()?);
            Some(Box::new(translate::to_http1(request)))
        }))
    }
}

/// How large a head is, bytes, as HTTP/2 counts it (RFC 9113 §6.5.2).
fn list_size(fields: &HeaderMap) -> usize {
    fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// What a request's failure means; `take_back` gives it as it was, if it can.
fn not_answered(
    mut failed: TrySendError<Request<Upload>>,
    slot: &Slot,
    take_back: impl FnOnce() -> Option<Box<Request<RequestBody>>>,
) -> SendFailed {
    let unwritten = failed.take_message().is_some();
    let error = failed.into_error();
    let refusal = Refusal::of(&error);
    if let Some(how) = refusal {
        slot.home.refused(slot.id, how);
    }
    let unsent = if unwritten || refusal.is_some() { take_back() } else { None };
    let failure = match () {
        () if refusal.is_some() && unsent.is_none() => RelayFailure::ResendTooLarge,
        () if refusal.is_some() => RelayFailure::StreamRefused,
        () if error.is_timeout() => RelayFailure::PingTimeout,
        () if error.is_parse() => RelayFailure::BadResponse,
        () if error.is_user() => RelayFailure::Internal,
        () => RelayFailure::ResetBeforeHeaders,
    };
    SendFailed { unsent, http1_only: refusal == Some(Refusal::Http1Required), failure, error: Box::new(error) }
}

/// A body and its place among the streams.
pub(crate) struct Receiving {
    body: Incoming,
    heard: Arc<Heard>,
    _slot: Arc<Slot>,
}

impl Receiving {
    /// The next frame. hyper takes a stream that its server resets without an error code for one that ended (RFC 9113
    /// §8.1 allows that reset behind the end only); here it has not.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Pin::new(&mut self.body).poll_frame(cx).map(|frame| match frame {
            None if !self.body.is_end_stream() => Some(Err(BrokenOff::NoEnd)),
            Some(Err(error)) if is_io(&error) && !self.heard.has_ended() => {
                Some(Err(BrokenOff::Silence(RelayFailure::PingTimeout)))
            }
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

/// Whether it is the connection's loss. Where the transport told of none, it was given up: for an unanswered PING alone.
fn is_io(error: &hyper::Error) -> bool {
    let lost =
        |error: &(dyn Error + 'static)| error.is::<io::Error>() || error.downcast_ref().is_some_and(h2::Error::is_io);
    let mut cause = error.source();
    while let Some(error) = cause {
        if lost(error) {
            return true;
        }
        cause = error.source();
    }
    false
}
