//! What is known of one exchange, and its settlement on every ending.
//!
//! An [`Exchange`] lives from the request's head to the end of the response's body, moving from the service future
//! into the body. Whichever way it goes away it becomes exactly one record: [`Exchange::finish`] where the ending is
//! known, `Drop` where nobody told — then the client went, or limpid is shutting down. It is on the heap, because it
//! moves and is large.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method};
use limpid_core::{
    ByteCounts, Caller, Category, Ending, Endpoint, ExchangeId, Observation, ObserverFault, OwnLabel, RateLimits,
    RelayFailure, Tick, Timeline, Unsent, UpstreamInfo,
};
use limpid_observe::{ResponseHead, ResponseObserver, rate_limits};
use limpid_settle::Unsettled;

use crate::capture::{Capture, Captured};
use crate::cors::Preflight;
use crate::estimator::{Estimator, Job};
use crate::request_body::{Broken, RequestTap};
use crate::shared::Shared;
use crate::trace_context::OwnSpan;

/// Bodies larger than this are parsed on a thread that serves no connection; 64 KiB take about 50 µs.
const SETTLE_ASIDE: usize = 64 * 1024;

/// What a request's head tells.
pub(crate) struct Arrival {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: Method,
    pub(crate) path: Box<str>,
    pub(crate) caller: Caller,
    pub(crate) labels: Vec<OwnLabel>,
    /// A browser asks whether it may ask (CORS).
    pub(crate) preflight: Option<Box<Preflight>>,
}

impl Arrival {
    /// A head may be 64 KiB long, and the newest records are kept: a path is cut to this many bytes.
    pub(crate) const PATH_BYTES: usize = 1024;
    /// Likewise a method, of which anybody may invent one.
    const METHOD_BYTES: usize = 32;

    /// The text up to `most` bytes. Methods and paths are ASCII, and what is not stays whole.
    pub(crate) fn bounded(text: &str, most: usize) -> Box<str> {
        text.get(..most).unwrap_or(text).into()
    }
}

/// One exchange, until it is settled.
pub(crate) struct Exchange(Option<Box<Open>>);

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; no two make a state")]
struct Open {
    shared: Arc<Shared>,
    arrival: Arrival,
    tap: Arc<RequestTap>,
    id: ExchangeId,
    trace_id: u128,
    span_id: u64,
    /// Asked for once, so that setting the wall clock moves no record under way.
    started_at: SystemTime,
    timeline: Timeline,
    upstream: Option<Arc<UpstreamInfo>>,
    attempts: u32,
    status: Option<u16>,
    answered_by_limpid: bool,
    failure: Option<RelayFailure>,
    labelled_stream: bool,
    rate_limits: Option<Box<RateLimits>>,
    /// On the heap too: it is half of all this, and there is none where nothing is observed.
    observer: Option<Box<ResponseObserver>>,
    observer_panicked: bool,
    /// The request's text may be needed for an estimate.
    keeps_request: bool,
    /// Its content is wanted, as far as is known.
    captured: bool,
    response_bytes: u64,
}

impl Exchange {
    /// An exchange begins: its head has been read.
    pub(crate) fn begin(shared: Arc<Shared>, arrival: Arrival, tap: Arc<RequestTap>) -> Exchange {
        let arrived = shared.clock.now();
        shared.sink.started(arrival.endpoint);
        tap.keep(shared.estimator.as_ref().and_then(|e| e.text(arrival.endpoint)));
        let started_at = shared.clock.wall(arrived);
        let id = shared.ids.exchange(started_at);
        let trace_id = arrival.caller.trace.map_or_else(|| shared.ids.trace(), |t| t.trace_id);
        let has_span = || arrival.caller.trace.map_or_else(|| shared.trace.samples(trace_id), |t| t.sampled);
        let capture = shared.capture.as_ref().filter(|c| c.may_take(id, &arrival, has_span));
        if let Some(capture) = capture {
            tap.keep_content(capture.request_text());
        }
        Exchange(Some(Box::new(Open {
            captured: capture.is_some(),
            id,
            trace_id,
            span_id: shared.ids.span(),
            started_at,
            timeline: Timeline { arrived, ..Timeline::default() },
            shared,
            arrival,
            tap,
            upstream: None,
            attempts: 0,
            status: None,
            answered_by_limpid: false,
            failure: None,
            labelled_stream: false,
            rate_limits: None,
            observer: None,
            observer_panicked: false,
            keeps_request: true,
            response_bytes: 0,
        })))
    }

    /// The upstream is chosen.
    pub(crate) fn routed(&mut self, upstream: &Arc<UpstreamInfo>) {
        if let Some(open) = &mut self.0 {
            open.upstream = Some(Arc::clone(upstream));
            let takes = |c: &Capture| c.takes(open.id, &upstream.name);
            if open.captured && !open.shared.capture.as_ref().is_some_and(takes) {
                open.captured = false;
                drop(open.tap.take_content());
            }
        }
    }

    /// An attempt starts upstream; `connect` is what its new connection took.
    pub(crate) fn sent(&mut self, at: Tick, connect: Option<Duration>) {
        if let Some(open) = &mut self.0 {
            open.attempts += 1;
            open.timeline.sent = Some(at);
            open.timeline.connect = connect;
        }
    }

    /// The attempt came back unsent at `at`.
    pub(crate) fn came_back(&mut self, at: Tick) {
        if let Some(open) = &mut self.0
            && let Some(began) = open.timeline.sent
        {
            open.timeline.unsent.push(Unsent { began, ended: at });
        }
    }

    /// The ids of its span; `None` once it is over.
    pub(crate) fn span(&self) -> Option<OwnSpan> {
        let Open { arrival, trace_id, span_id, .. } = self.0.as_deref()?;
        let (trace_id, span_id, client) = (*trace_id, *span_id, arrival.caller.trace);
        Some(OwnSpan { endpoint: arrival.endpoint, trace_id, span_id, client })
    }

    /// The response's head is here, with what it tells of limits: its body will be observed.
    pub(crate) fn answered(&mut self, status: u16, fields: &HeaderMap) {
        let Some(open) = &mut self.0 else { return };
        let now = open.shared.clock.now();
        let text = |name: &HeaderName| fields.get(name)?.to_str().ok();
        let (content_type, content_encoding) = (text(&CONTENT_TYPE), text(&CONTENT_ENCODING));
        open.timeline.headers = Some(now);
        open.status = Some(status);
        open.arrival.labels.extend(open.shared.labels.of_response(fields));
        open.labelled_stream = content_type.is_some_and(|t| t.starts_with("text/event-stream"));
        if open.shared.observe.enabled {
            let pairs = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            open.rate_limits = rate_limits(status, pairs, || open.shared.clock.wall(now));
            let head = ResponseHead { endpoint: open.arrival.endpoint, status, content_type, content_encoding };
            let mut observer = Box::new(ResponseObserver::new(&head, open.shared.observe.limits));
            let good = (200..300).contains(&status);
            let capture = open.shared.capture.as_ref().filter(|_| open.captured && good);
            if let Some(text) = capture.and_then(Capture::reply_text) {
                observer.keep_content(text);
            }
            let estimator = open.shared.estimator.as_ref().filter(|_| good);
            match estimator.and_then(|e| e.text(open.arrival.endpoint)) {
                Some(text) => observer.keep_text(text),
                None => open.forget_request(),
            }
            open.observer = Some(observer);
        }
    }

    /// Whether the response is a stream that is read for tokens, and none has come.
    pub(crate) fn awaits_token(&self) -> bool {
        let Some(open) = &self.0 else { return false };
        let Some(observer) = open.observer.as_ref().filter(|_| !open.observer_panicked) else { return false };
        let seen = observer.observation();
        let good = open.status.is_some_and(|status| status < 400) && seen.fault.is_none() && seen.error.is_none();
        good && seen.streamed && open.arrival.endpoint.streams_tokens() && seen.marks.first_token.is_none()
    }

    /// Whether the answer has no body, whatever length it tells (RFC 9110 §6.4.1).
    pub(crate) fn without_body(&self) -> bool {
        self.0.as_ref().is_some_and(|o| o.arrival.method == Method::HEAD || matches!(o.status, Some(204 | 304)))
    }

    /// Bytes of the response pass by, after a wait for the client.
    pub(crate) fn saw(&mut self, data: &[u8], at: Tick, waited: Duration) {
        let Some(open) = &mut self.0 else { return };
        open.response_bytes += data.len() as u64;
        if open.timeline.marks.first_byte.is_none() && !data.is_empty() {
            open.timeline.marks.first_byte = Some(at);
        }
        if !waited.is_zero() {
            open.timeline.reader_lag = Some(open.timeline.reader_lag.unwrap_or_default() + waited);
        }
        open.observe(|observer| {
            if !waited.is_zero() {
                observer.reader_waited(waited);
            }
            observer.on_bytes(data, at);
        });
        if open.keeps_request && open.input_is_told() {
            open.forget_request();
        }
    }

    /// What is seen of the client's bytes; `None` once it is over.
    pub(crate) fn tap(&self) -> Option<Arc<RequestTap>> {
        Some(Arc::clone(&self.0.as_ref()?.tap))
    }

    /// The kind of API that is called, and the upstream's name if one is chosen.
    pub(crate) fn subject(&self) -> (Endpoint, Option<&str>) {
        let open = self.0.as_deref();
        let upstream = open.and_then(|o| o.upstream.as_deref()).map(|u| &*u.name);
        (open.map_or(Endpoint::Other, |o| o.arrival.endpoint), upstream)
    }

    /// What a browser asks beforehand, if it does.
    pub(crate) fn preflight(&mut self) -> Option<Box<Preflight>> {
        self.0.as_mut()?.arrival.preflight.take()
    }

    /// limpid itself answers, with `status`, because of `failure`; the exchange is over. A client that left in its own
    /// request's body gets no answer.
    pub(crate) fn answered_by_limpid(mut self, status: u16, failure: RelayFailure) {
        if let Some(open) = &mut self.0 {
            if failure == RelayFailure::RequestBody && open.tap.broken() == Some(Broken::Gone) {
                return;
            }
            open.status = Some(status);
            open.answered_by_limpid = true;
            open.failure = Some(failure);
            let ending = match failure.category() {
                Category::Network | Category::Timeout => Ending::UpstreamError,
                _ => Ending::End,
            };
            self.finish(ending);
        }
    }

    /// The body broke off for this reason.
    pub(crate) fn failed(&mut self, failure: RelayFailure) {
        if let Some(open) = &mut self.0 {
            open.failure.get_or_insert(failure);
        }
    }

    /// The exchange is over: settles it and hands the record over. Later calls do nothing.
    pub(crate) fn finish(&mut self, ending: Ending) {
        if let Some(open) = self.0.take() {
            open.settle(ending);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let shutdown = self.0.as_ref().is_some_and(|open| open.shared.aborting());
        self.finish(if shutdown { Ending::Shutdown } else { Ending::ClientGone });
    }
}

impl Open {
    /// Runs the observer, containing its panics: a panic costs this exchange's numbers.
    fn observe(&mut self, look: impl FnOnce(&mut ResponseObserver)) {
        if self.observer_panicked {
            return;
        }
        if let Some(observer) = &mut self.observer
            && catch_unwind(AssertUnwindSafe(|| look(observer))).is_err()
        {
            self.observer_panicked = true;
            tracing::error!(exchange = %self.id, "the observer panicked; its exchange goes on unobserved");
        }
    }

    /// The reply has told the input tokens.
    fn input_is_told(&self) -> bool {
        let usage = self.observer.as_ref().and_then(|o| o.observation().usage.as_ref());
        usage.is_some_and(|u| u.input_tokens.is_some())
    }

    fn forget_request(&mut self) {
        self.keeps_request = false;
        drop(self.tap.take_text());
    }

    /// Settles at once, or aside if a large body is yet to be parsed: the last bytes must not wait for that.
    fn settle(mut self: Box<Self>, ending: Ending) {
        self.timeline.ended = self.shared.clock.now();
        let held = self.observer.as_ref().map_or(0, |observer| observer.held_bytes());
        if held > SETTLE_ASIDE {
            let shared = Arc::clone(&self.shared);
            shared.aside.run(move || self.settle_now(ending));
        } else {
            self.settle_now(ending);
        }
    }

    // It is large: what is passed on here is passed on in its box, or where it is made.
    fn settle_now(mut self: Box<Self>, ending: Ending) {
        let ended = self.timeline.ended;
        self.observe(|observer| observer.finish(ended));
        let reply = self.observer.as_mut().and_then(|observer| observer.take_text());
        let request = self.tap.take_text();
        let content = self.content();
        let mut seen = self.observer.take().map(|observer| observer.into_observation()).unwrap_or_default();
        if self.observer_panicked {
            seen.fault = Some(ObserverFault::Panic);
        }
        let shared = Arc::clone(&self.shared);
        let exchange = self.unsettled(seen, ending);
        let estimator = shared.estimator.as_ref();
        let estimate = estimator.is_some_and(Estimator::estimates) && exchange.lacks_tokens();
        let record = match estimator.filter(|_| estimate || content.is_some()) {
            None => Arc::new(shared.settler.record(exchange)),
            Some(estimator) => match estimator.submit(Job { exchange, request, reply, estimate, content }) {
                Ok(()) => return,
                Err(back) => Arc::new(back.refused(&shared.settler)),
            },
        };
        shared.sink.finished(record);
    }

    /// What was kept of its content, if that is wanted.
    fn content(&mut self) -> Option<Captured> {
        let capture = self.shared.capture.as_ref().filter(|_| self.captured && self.upstream.is_some())?;
        let reply = self.observer.as_mut().and_then(|observer| observer.take_content());
        let (rules, budget) = (Arc::clone(&capture.rules), Arc::clone(&capture.budget));
        Some(Captured { rules, budget, request: self.tap.take_content(), reply })
    }

    fn unsettled(self: Box<Self>, observation: Observation, ending: Ending) -> Unsettled {
        let Open { arrival, tap, timeline, .. } = *self;
        let mut request = tap.facts();
        let mut labels = arrival.labels;
        labels.append(&mut request.metadata);
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        Unsettled {
            id: self.id,
            started_at: self.started_at,
            endpoint: arrival.endpoint,
            method: Arrival::bounded(arrival.method.as_str(), Arrival::METHOD_BYTES),
            path: arrival.path,
            status: self.status,
            answered_by_limpid: self.answered_by_limpid,
            upstream: self.upstream,
            request,
            trace_id: self.trace_id,
            span_id: self.span_id,
            caller: arrival.caller,
            labels,
            attempts: self.attempts,
            bytes: ByteCounts { request: tap.bytes(), response: self.response_bytes },
            ending,
            failure: match (self.failure, tap.broken()) {
                // What broke off behind the client's body is the client's.
                (None | Some(RelayFailure::BodyCutOff), Some(Broken::Late)) => Some(RelayFailure::RequestBodyTimeout),
                (None, Some(Broken::Malformed)) => Some(RelayFailure::RequestBody),
                (failure, _) => failure,
            },
            labelled_stream: self.labelled_stream,
            answered: timeline.headers.is_some(),
            timeline,
            rate_limits: self.rate_limits,
            observation,
            unestimated: None,
        }
    }
}
