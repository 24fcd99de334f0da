//! The client's body on its way upstream: passed on frame by frame, looked at in passing.
//!
//! It is polled by whoever writes it upstream, which for HTTP/2 is a task of hyper's, while the exchange waits for the
//! response. So what is seen goes into a [`RequestTap`] that both hold. Its mutex is taken once a request frame and once at settlement,
//! never by two at a time for longer than a scan of at most 64 KiB; the response's path has no lock at all.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use limpid_core::{KeptText, RelayFailure, RequestFacts, UsageAsked};
use limpid_http1::spelling::Spelling;
use limpid_observe::{MetadataLabel, RequestObserver};
use tokio::time::Instant;

use crate::client_body::Patience;
pub(crate) use crate::client_body::{ClientBody, ClientError};
use crate::headers;

/// What is seen of a request's body.
pub(crate) struct RequestTap {
    observer: Option<Mutex<RequestObserver>>,
    texts: Mutex<Texts>,
    bytes: AtomicU64,
    /// How it broke off, as its place in [`BROKEN`]; beyond it: not.
    broken: AtomicU8,
    /// What became of asking for usage, as its place in `UsageAsked::ALL`; beyond it: nothing.
    usage_asked: AtomicU8,
    began: Instant,
    moved_ns: AtomicU64,
}

/// The body, while it may be needed.
#[derive(Default)]
struct Texts {
    /// For counting its tokens.
    counted: Option<KeptText>,
    /// For its content.
    content: Option<KeptText>,
}

/// How a request's body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The client left.
    Gone,
    /// Its framing is no HTTP.
    Malformed,
    /// It paused for too long.
    Late,
}

const BROKEN: [Broken; 3] = [Broken::Gone, Broken::Malformed, Broken::Late];

impl Broken {
    /// What that is for the exchange.
    pub(crate) fn failure(self) -> RelayFailure {
        match self {
            Broken::Gone | Broken::Malformed => RelayFailure::RequestBody,
            Broken::Late => RelayFailure::RequestBodyTimeout,
        }
    }
}

impl RequestTap {
    /// Looks at `limit` bytes, or only counts them. `metadata`: the members that become labels.
    pub(crate) fn new(limit: Option<usize>, metadata: &Arc<[MetadataLabel]>) -> Arc<RequestTap> {
        Arc::new(RequestTap {
            observer: limit.map(|limit| Mutex::new(RequestObserver::with_metadata(limit, Arc::clone(metadata)))),
            texts: Mutex::default(),
            bytes: AtomicU64::new(0),
            broken: AtomicU8::new(u8::MAX),
            usage_asked: AtomicU8::new(u8::MAX),
            began: Instant::now(),
            moved_ns: AtomicU64::new(0),
        })
    }

    fn saw(&self, data: &Bytes) {
        let moved = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.moved_ns.store(moved, Ordering::Relaxed);
        self.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        if let Some(observer) = &self.observer {
            observer.lock().unwrap_or_else(PoisonError::into_inner).feed(data);
        }
        let Texts { counted, content } = &mut *self.texts();
        for text in [counted, content].into_iter().flatten() {
            text.push(data);
        }
    }

    fn texts(&self) -> MutexGuard<'_, Texts> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what comes of the body in `text`, from here on.
    pub(crate) fn keep(&self, text: Option<KeptText>) {
        self.texts().counted = text;
    }

    /// The same, for its content.
    pub(crate) fn keep_content(&self, text: Option<KeptText>) {
        self.texts().content = text;
    }

    /// What was kept; nothing is from here on.
    pub(crate) fn take_text(&self) -> Option<KeptText> {
        self.texts().counted.take()
    }

    /// The same of its content.
    pub(crate) fn take_content(&self) -> Option<KeptText> {
        self.texts().content.take()
    }

    /// When the last bytes of the body went by; the begin, where none have.
    pub(crate) fn moved(&self) -> Instant {
        self.began + Duration::from_nanos(self.moved_ns.load(Ordering::Relaxed))
    }

    /// Whether the body asks for a stream.
    pub(crate) fn asks_for_stream(&self) -> bool {
        self.with(|o| o.facts().stream) == Some(Some(true))
    }

    /// Counts bytes that are no body: those of a connection that switched protocols.
    pub(crate) fn passed(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of the body so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether and how the client's body broke off.
    pub(crate) fn broken(&self) -> Option<Broken> {
        BROKEN.get(usize::from(self.broken.load(Ordering::Acquire))).copied()
    }

    fn broke(&self, error: &ClientError) {
        let how = match error {
            ClientError::Late => Broken::Late,
            error if error.is_malformed() => Broken::Malformed,
            _ => Broken::Gone,
        };
        self.broken.store(how as u8, Ordering::Release);
    }

    /// What the client's body says, as far as it was seen, and what limpid asked in its stead.
    pub(crate) fn facts(&self) -> RequestFacts {
        let mut facts = self.with(|o| o.facts().clone()).unwrap_or_default();
        facts.usage_asked = self.usage_asked().filter(|_| facts.stream != Some(false));
        facts
    }

    /// Notes what became of asking for the usage of this request's stream.
    pub(crate) fn asked_for_usage(&self, became: UsageAsked) {
        self.usage_asked.store(became as u8, Ordering::Relaxed);
    }

    /// What became of it; `None` where there was nothing to ask for.
    pub(crate) fn usage_asked(&self) -> Option<UsageAsked> {
        UsageAsked::ALL.get(usize::from(self.usage_asked.load(Ordering::Relaxed))).copied()
    }

    /// Whether `model` is known, or will never be.
    pub(crate) fn model_settled(&self) -> bool {
        self.with(RequestObserver::model_settled).unwrap_or(true)
    }

    fn with<T>(&self, look: impl FnOnce(&RequestObserver) -> T) -> Option<T> {
        Some(look(&self.observer.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// How many pieces are kept as they come.
const AS_THEY_COME: usize = 64;
/// Further ones below this are put together, bytes, until they are [`GATHERED`].
const SMALL: usize = 1024;
const GATHERED: usize = 16 * 1024;

fn data_len(frame: &Result<Frame<Bytes>, ClientError>) -> u64 {
    frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64)
}

/// A body that was to be read whole.
pub(crate) enum Whole {
    /// All of its data.
    Read(Bytes),
    /// There is more than may be held.
    TooLarge,
    /// It broke off.
    Broken,
}

/// A request's body. What was read ahead, to find the model or to ask for usage, comes first.
pub(crate) struct RequestBody {
    ahead: VecDeque<Result<Frame<Bytes>, ClientError>>,
    /// Bytes of data in it.
    held: u64,
    rest: ClientBody,
    tap: Arc<RequestTap>,
    /// On the heap: few have it, and every request would hold the room for it.
    patience: Option<Box<Patience>>,
}

impl RequestBody {
    /// `limit`: how long it may pause.
    pub(crate) fn new(rest: ClientBody, tap: Arc<RequestTap>, limit: Option<Duration>) -> RequestBody {
        RequestBody {
            ahead: VecDeque::new(),
            held: 0,
            rest,
            tap,
            patience: limit.map(|limit| Box::new(Patience::new(limit))),
        }
    }

    /// The next of what the client sends, which may take its time, but not all the time in the world.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        let polled = Pin::new(&mut self.rest).poll_frame(cx);
        let Some(patience) = &mut self.patience else { return polled };
        if polled.is_ready() {
            patience.moved();
            return polled;
        }
        patience.poll_over(cx).map(|()| Some(Err(ClientError::Late)))
    }

    pub(crate) fn tap(&self) -> &Arc<RequestTap> {
        &self.tap
    }

    /// How its head was written, once, where the protocol keeps that.
    pub(crate) fn take_spelling(&mut self) -> Option<Spelling> {
        match &mut self.rest {
            ClientBody::Http1(body) => body.take_spelling(),
            ClientBody::Http2(_) => None,
        }
    }

    /// Reads one frame ahead, to be passed on later, a failure included. `false` where nothing can follow.
    pub(crate) async fn read_ahead(&mut self) -> bool {
        let polled = std::future::poll_fn(|cx| self.poll_rest(cx)).await;
        let Some(frame) = polled else { return false };
        let more = matches!(&frame, Ok(f) if f.is_data());
        self.look(&frame);
        self.keep(frame);
        more
    }

    /// Keeps what was read ahead. Behind the first few, small pieces are put together, or a body of one-byte chunks would
    /// take a hundred times its size.
    fn keep(&mut self, frame: Result<Frame<Bytes>, ClientError>) {
        self.held += data_len(&frame);
        let many = self.ahead.len() >= AS_THEY_COME;
        let last = self
            .ahead
            .back_mut()
            .filter(|_| many)
            .and_then(|last| last.as_mut().ok()?.data_mut())
            .filter(|l| l.len() < GATHERED);
        match (last, frame.as_ref().ok().and_then(Frame::data_ref)) {
            (Some(last), Some(data)) if data.len() < SMALL => {
                // What was put together here is nobody else's, and grows where it is.
                let mut gathered = std::mem::take(last).try_into_mut().unwrap_or_else(|shared| {
                    let mut own = BytesMut::with_capacity(GATHERED + SMALL);
                    own.extend_from_slice(&shared);
                    own
                });
                gathered.extend_from_slice(data);
                *last = gathered.freeze();
            }
            _ => self.ahead.push_back(frame),
        }
    }

    /// Reads ahead up to its first data, or its end.
    pub(crate) async fn read_to_data(&mut self) {
        while self.ahead.is_empty() && !self.rest.is_end_stream() {
            let more = self.read_ahead().await;
            if more
                && self.ahead.back().is_some_and(|f| matches!(f, Ok(f) if f.data_ref().is_some_and(Bytes::is_empty)))
            {
                self.ahead.pop_back();
            } else {
                return;
            }
        }
    }

    /// Reads all of it ahead, unless that is more than `most` bytes; a length that is announced tells so at once.
    pub(crate) async fn read_whole(&mut self, most: usize) -> Whole {
        loop {
            let held = usize::try_from(self.size_hint().lower()).unwrap_or(usize::MAX);
            match self.ahead.back() {
                Some(Err(_)) => return Whole::Broken,
                _ if held > most => return Whole::TooLarge,
                Some(Ok(frame)) if frame.is_trailers() => break,
                _ if self.rest.is_end_stream() => break,
                _ => {}
            }
            if !self.read_ahead().await && !matches!(self.ahead.back(), Some(Err(_))) {
                break;
            }
        }
        let mut data = self.ahead.iter().filter_map(|f| f.as_ref().ok()?.data_ref());
        match (data.next(), data.next()) {
            (None, _) => Whole::Read(Bytes::new()),
            (Some(only), None) => Whole::Read(only.clone()),
            (Some(first), Some(second)) => {
                let mut all = BytesMut::from(&**first);
                all.extend_from_slice(second);
                data.for_each(|more| all.extend_from_slice(more));
                Whole::Read(all.freeze())
            }
        }
    }

    /// Puts other data in the place of what was read ahead; trailers stay.
    pub(crate) fn replace(&mut self, data: impl IntoIterator<Item = Bytes>) {
        let read = std::mem::take(&mut self.ahead);
        let others = read.into_iter().filter(|f| !matches!(f, Ok(frame) if frame.is_data()));
        self.ahead = data.into_iter().map(|part| Ok(Frame::data(part))).chain(others).collect();
        self.held = self.ahead.iter().map(data_len).sum();
    }

    /// Puts what was taken of it in front again.
    pub(crate) fn put_back(&mut self, frames: impl Iterator<Item = Frame<Bytes>>) {
        let behind = std::mem::take(&mut self.ahead);
        self.ahead = frames.map(Ok).chain(behind).collect();
        self.held = self.ahead.iter().map(data_len).sum();
    }

    fn look(&self, frame: &Result<Frame<Bytes>, ClientError>) {
        match frame.as_ref().map(Frame::data_ref) {
            Ok(Some(data)) => self.tap.saw(data),
            Ok(None) => {}
            Err(error) => self.tap.broke(error),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        let this = self.get_mut();
        loop {
            let frame = if let Some(frame) = this.ahead.pop_front() {
                this.held -= data_len(&frame);
                frame
            } else {
                let Some(frame) = ready!(this.poll_rest(cx)) else { return Poll::Ready(None) };
                this.look(&frame);
                frame
            };
            match frame {
                Ok(frame) if !frame.is_data() => {
                    let fields = headers::request_trailers(frame.into_trailers().unwrap_or_default());
                    if !fields.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::trailers(fields))));
                    }
                }
                frame => return Poll::Ready(Some(frame)),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (ahead, rest) = (self.held, self.rest.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + ahead);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + ahead);
        }
        hint
    }
}
