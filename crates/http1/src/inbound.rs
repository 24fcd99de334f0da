//! What comes from a client: its requests' bodies, and its leaving.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::net::tcp::OwnedReadHalf;

use crate::framing::{BodyError, Reading};
use crate::half_close::HalfClosed;
use crate::scratch::poll_read_behind;
use crate::spelling::Spelling;

/// How much of what comes behind a request is read while that is served, bytes, and one read more: behind it a client's
/// leaving shows.
const AHEAD: usize = 8 * 1024;

/// What comes from the client. Shared with the body of the request that is being served; both sides are in one task.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// `None` once it has ended.
    pub(crate) from: Option<OwnedReadHalf>,
    pub(crate) read: BytesMut,
    pub(crate) reading: Reading,
    /// It waits for a 100 before it sends the body.
    pub(crate) expects: bool,
    /// Which request it is. A body that is held longer than its response takes must not read the next one's.
    pub(crate) turn: u64,
    /// Who watches the client once the body has been read, which another task may do.
    pub(crate) watcher: Option<Waker>,
    /// It has ended while an answer is owed.
    pub(crate) half_closed: Option<Box<HalfClosed>>,
}

impl Inbound {
    /// Reads what is there; 0 is the end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(from) = &mut self.from else { return Poll::Ready(Ok(0)) };
        poll_read_behind(from, cx, &mut self.read)
    }

    /// Ready when the client has left: by a reset. An end alone is none, see [`HalfClosed`]. Looks no further than to what
    /// comes behind the request's body.
    pub(crate) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.reading.is_end() {
            self.watcher = Some(cx.waker().clone());
            return Poll::Pending;
        }
        while self.half_closed.is_none() {
            if self.read.len() >= AHEAD {
                return Poll::Pending;
            }
            match ready!(self.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) => match self.from.take() {
                    Some(from) => self.half_closed = Some(Box::new(HalfClosed::new(from))),
                    None => return Poll::Ready(()),
                },
                Err(_) => return Poll::Ready(()),
            }
        }
        self.half_closed.as_mut().map_or(Poll::Ready(()), |half| half.poll_reset(cx))
    }

    /// The next of the request's body; asks for it, if the client waits to be asked.
    pub(crate) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Some(frame) = self.reading.take(&mut self.read)? {
                return Poll::Ready(Some(Ok(frame)));
            }
            if self.reading.is_end() {
                return Poll::Ready(None);
            }
            if std::mem::take(&mut self.expects)
                && let Some(from) = &self.from
            {
                // 25 bytes always fit, for nothing else is under way. A client that does not get them sends nonetheless.
                let _unsaid = from.as_ref().try_write(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            if ready!(self.poll_fill(cx)).map_err(BodyError::Io)? == 0 {
                self.reading.connection_ended()?;
            }
        }
    }
}

pub(crate) type Shared = Arc<Mutex<Inbound>>;

pub(crate) fn lock(inbound: &Shared) -> MutexGuard<'_, Inbound> {
    inbound.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request's body, read from the client's connection as it is asked for.
#[derive(Debug)]
pub struct RequestBody {
    inbound: Shared,
    turn: u64,
    over: bool,
    length: Option<u64>,
    spelling: Option<Spelling>,
}

impl RequestBody {
    /// The body that the connection is about to read.
    pub(crate) fn new(shared: &Shared, inbound: &Inbound, spelling: Spelling) -> RequestBody {
        let (over, length) = (inbound.reading.is_end(), inbound.reading.length());
        RequestBody { inbound: Arc::clone(shared), turn: inbound.turn, over, length, spelling: Some(spelling) }
    }

    /// How its head was written, once.
    pub fn take_spelling(&mut self) -> Option<Spelling> {
        self.spelling.take()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        let mut inbound = lock(&this.inbound);
        if inbound.turn != this.turn {
            this.over = true;
            return Poll::Ready(Some(Err(BodyError::CutOff)));
        }
        let polled = ready!(inbound.poll_body(cx));
        if inbound.reading.is_end()
            && let Some(watcher) = inbound.watcher.take()
        {
            watcher.wake();
        }
        this.over = inbound.reading.is_end() || !matches!(polled, Some(Ok(_)));
        this.length = inbound.reading.length();
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.over
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map(SizeHint::with_exact).unwrap_or_default()
    }
}
