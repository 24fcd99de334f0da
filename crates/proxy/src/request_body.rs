//! The client's body on its way upstream: passed on frame by frame, looked at in passing by its [`RequestTap`].
//!
//! What was read ahead, for its model or to ask for usage, is passed on first. Two models that differ break it off where one of
//! them chose the upstream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use limpid_http1::framing::BodyError;
use limpid_http1::spelling::Spelling;

use crate::client_body::Patience;
pub(crate) use crate::client_body::{ClientBody, ClientError};
use crate::headers;
pub(crate) use crate::request_tap::{Broken, RequestTap};
use crate::routing::{Budget, Held};

/// What a frame that is held takes beside its data, bytes, at most.
const FRAME: usize = 128;

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
    /// What of the budget is taken for what was read ahead.
    charged: Option<Held>,
    /// It was routed by a model of the body's, which may not name another.
    one_model: bool,
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
            charged: None,
            one_model: false,
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

    /// What was read ahead and is held, bytes; frames count for more than their data.
    pub(crate) fn ahead_bytes(&self) -> usize {
        usize::try_from(self.held).unwrap_or(usize::MAX).saturating_add(self.ahead.len().saturating_mul(FRAME))
    }

    /// Takes what is held from the budget; whether there is so much.
    pub(crate) fn charge(&mut self, budget: &Arc<Budget>) -> bool {
        let ahead = self.ahead_bytes();
        self.charged.get_or_insert_with(|| Held::nothing(budget)).grow_to(ahead)
    }

    /// Its upstream was chosen by this model; the body's own may not differ from it, nor come twice.
    pub(crate) fn routed_by(&mut self, model: Option<Box<str>>) {
        self.one_model = self.tap.named.get().is_none();
        if let Some(model) = model {
            // Already there where the head names it.
            let _ = self.tap.named.set(model);
        }
    }

    /// Reads one frame ahead, to be passed on later, a failure included. `false` where nothing can follow.
    pub(crate) async fn read_ahead(&mut self) -> bool {
        std::future::poll_fn(|cx| self.poll_ahead(cx)).await
    }

    /// Reads ahead what has come, at most so many bytes, until the model is settled; waits for nothing.
    pub(crate) async fn see_what_came(&mut self, most: usize) {
        std::future::poll_fn(|cx| {
            while self.ahead_bytes() < most && !self.tap.model_settled() && self.poll_ahead(cx) == Poll::Ready(true) {}
            Poll::Ready(())
        })
        .await;
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.rest.is_end_stream() {
            self.tap.ends();
            return Poll::Ready(false);
        }
        let Some(frame) = ready!(self.poll_rest(cx)) else {
            self.tap.ends();
            return Poll::Ready(false);
        };
        let more = matches!(&frame, Ok(f) if f.is_data());
        self.look(&frame);
        self.keep(frame);
        Poll::Ready(more)
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
            Ok(Some(data)) => {
                self.tap.saw(data);
                if self.tap.has_end && self.rest.is_end_stream() {
                    self.tap.ends();
                }
            }
            Ok(None) => self.tap.ends(),
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
                if this.ahead.is_empty() {
                    this.charged = None;
                }
                frame
            } else {
                let Some(frame) = ready!(this.poll_rest(cx)) else {
                    this.tap.ends();
                    return Poll::Ready(None);
                };
                this.look(&frame);
                if this.one_model && this.tap.has_two_models() {
                    // Whoever reads the last of them would answer for a model that it was not chosen for.
                    let error = ClientError::Http1(BodyError::Malformed);
                    this.tap.broke(&error);
                    return Poll::Ready(Some(Err(error)));
                }
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
