//! Requests over HTTP/2 that may be sent again, because the upstream says that it did nothing for them.
//!
//! | the upstream says | what that means | what is done |
//! |---|---|---|
//! | GOAWAY, whose last stream is before this one | not processed (RFC 9113 §6.8, §8.7) | sent again, and the connection gets no further request |
//! | `RST_STREAM` with `REFUSED_STREAM`, before a head | not processed (§8.7) | sent again; the connection rests for a moment |
//! | `HTTP_1_1_REQUIRED`, by either | to be asked over HTTP/1.1 (§7) | sent again so, if the upstream may be spoken to so |
//! | any other reset, GOAWAY at or behind this stream, a connection that breaks | nobody knows | never sent again: inference is neither free nor idempotent |
//!
//! h2 gives a GOAWAY's error to streams behind the last that it names, and to requests for which it opened no stream; one
//! that may have been processed gets the connection's own error instead. So the kind of the error tells.
//!
//! **The body.** hyper takes it part by part, and gives nothing back. So what it took is kept until the upstream answers, up
//! to a bound; the body of a request that is beyond the bound cannot be sent again, and the failure says so. A body of one
//! part, as most are, is kept without a copy.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use h2::Reason;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use limpid_http1::framing::BodyError;

use crate::request_body::{ClientError, RequestBody};

/// What the failure of a request without an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The connection goes away, and did not process it.
    GoAway,
    /// It was refused alone.
    Stream,
    /// It was refused for its protocol.
    Http1Required,
}

impl Refusal {
    /// `None` where it may have been processed.
    pub(super) fn of(error: &hyper::Error) -> Option<Refusal> {
        let error = error.source()?.downcast_ref::<h2::Error>()?;
        match error.reason() {
            _ if !error.is_remote() => None,
            Some(Reason::HTTP_1_1_REQUIRED) => Some(Refusal::Http1Required),
            _ if error.is_go_away() => Some(Refusal::GoAway),
            Some(Reason::REFUSED_STREAM) => Some(Refusal::Stream),
            _ => None,
        }
    }
}

/// A request's body, part of which hyper may have taken.
pub(super) struct Kept(Mutex<Inner>);

struct Inner {
    /// `None` once it was taken back.
    body: Option<RequestBody>,
    /// What hyper took of it; `None` where that is no longer kept.
    taken: Option<Taken>,
    most: usize,
}

#[derive(Default)]
struct Taken {
    /// Its first part, uncopied.
    first: Option<Bytes>,
    more: BytesMut,
    trailers: Option<HeaderMap>,
}

impl Kept {
    /// `most`: how much of it is kept, bytes.
    pub(super) fn new(body: RequestBody, most: usize) -> Arc<Kept> {
        Arc::new(Kept(Mutex::new(Inner { body: Some(body), taken: Some(Taken::default()), most })))
    }

    /// The upstream has answered: nothing is kept any more, and the rest of the body goes up as it comes.
    pub(super) fn answered(&self) {
        self.lock().taken = None;
    }

    /// The body as it was before hyper took of it; `None` if too much was taken.
    pub(super) fn take_back(&self) -> Option<RequestBody> {
        let mut inner = self.lock();
        let mut body = inner.body.take()?;
        let Taken { first, more, trailers } = inner.taken.take()?;
        let more = (!more.is_empty()).then(|| more.freeze());
        let data = first.into_iter().chain(more).map(Frame::data);
        body.put_back(data.chain(trailers.map(Frame::trailers)));
        Some(body)
    }

    /// As [`Body::poll_frame`]; a body that was taken back breaks off, for whoever still sends it.
    pub(super) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        let mut inner = self.lock();
        let Some(body) = &mut inner.body else {
            return Poll::Ready(Some(Err(ClientError::Http1(BodyError::CutOff))));
        };
        let polled = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            inner.saw(frame);
        }
        polled
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.lock().body.as_ref().is_none_or(Body::is_end_stream)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.lock().body.as_ref().map(Body::size_hint).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn saw(&mut self, frame: &Frame<Bytes>) {
        let Some(taken) = &mut self.taken else { return };
        if let Some(trailers) = frame.trailers_ref() {
            taken.trailers = Some(trailers.clone());
        }
        let Some(data) = frame.data_ref() else { return };
        let before = taken.first.as_ref().map_or(0, Bytes::len) + taken.more.len();
        match &taken.first {
            _ if before + data.len() > self.most => self.taken = None,
            None => taken.first = Some(data.clone()),
            Some(_) => taken.more.extend_from_slice(data),
        }
    }
}
