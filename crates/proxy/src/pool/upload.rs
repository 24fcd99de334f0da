//! A request's body on an HTTP/2 connection, and whether the connection's window lets it go on.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use limpid_core::Tick;

use super::http2::Slot;
use super::resend::Kept;
use crate::request_body::ClientError;

/// How long a connection's uploads may stand still before it gets no other.
const STANDSTILL: Duration = Duration::from_secs(1);

/// What goes up by one connection. Its window is everybody's: where one upload has used it up, none goes on.
#[derive(Default)]
pub(super) struct Uploads {
    /// How many wait for the window, as far as is known: hyper has a part of theirs and has not asked for the next.
    waiting: AtomicUsize,
    /// When one of them last went on.
    moved: AtomicU64,
}

impl Uploads {
    fn wait(&self, now: Tick) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.moved.store(now.0, Ordering::Relaxed);
        }
    }

    fn went_on(&self, now: Tick) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.moved.store(now.0, Ordering::Relaxed);
    }

    pub(super) fn stand_still(&self, now: Tick) -> bool {
        let since = Tick(self.moved.load(Ordering::Relaxed));
        self.waiting.load(Ordering::Relaxed) > 0 && now.since(since) > STANDSTILL
    }
}

/// A request's body, with its place.
pub(super) struct Upload {
    body: Arc<Kept>,
    uploads: Arc<Uploads>,
    /// hyper has a part of it that may not have found room yet.
    waits: bool,
    slot: Arc<Slot>,
}

impl Upload {
    pub(super) fn new(body: Arc<Kept>, uploads: Arc<Uploads>, slot: Arc<Slot>) -> Upload {
        Upload { body, uploads, waits: false, slot }
    }

    fn went_on(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.uploads.went_on(self.slot.now());
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.went_on();
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        let this = self.get_mut();
        this.went_on();
        let polled = this.body.poll_frame(cx);
        if matches!(&polled, Poll::Ready(Some(Ok(frame))) if frame.is_data()) {
            this.waits = true;
            this.uploads.wait(this.slot.now());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
