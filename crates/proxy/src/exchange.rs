//! What is known of one exchange, and its settlement on every ending.
//!
//! An [`Exchange`] lives from the request's head to the end of the response's body, moving from the service future
//! into the body. Whichever way it goes away it becomes exactly one record: [`Exchange::finish`] where the ending is
//! known, `Drop` where nobody told — then the client went, or limpid is shutting down. It is on the heap, because it
//! moves and is large.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use limpid_core::{
    ByteCounts, Caller, Category, Ending, Endpoint, ExchangeId, ExchangeRecord, ModelNames, Observation, ObserverFault,
    Outcome, Refusal, RelayFailure, Tick, Timeline, UpstreamInfo,
};
use limpid_observe::{ResponseHead, ResponseObserver};
use limpid_settle::{Evidence, Settled};

use crate::request_body::RequestTap;
use crate::shared::Shared;

/// What a request's head tells.
pub(crate) struct Arrival {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: Method,
    pub(crate) path: Box<str>,
    pub(crate) caller: Caller,
}

/// One exchange, until it is settled.
pub(crate) struct Exchange(Option<Box<Open>>);

struct Open {
    shared: Arc<Shared>,
    arrival: Arrival,
    tap: Arc<RequestTap>,
    id: ExchangeId,
    timeline: Timeline,
    upstream: Option<Arc<UpstreamInfo>>,
    attempts: u32,
    status: Option<u16>,
    answered_by_limpid: bool,
    failure: Option<RelayFailure>,
    labelled_stream: bool,
    observer: Option<ResponseObserver>,
    observer_panicked: bool,
    response_bytes: u64,
}

impl Exchange {
    /// An exchange begins: its head has been read.
    pub(crate) fn begin(shared: Arc<Shared>, arrival: Arrival, tap: Arc<RequestTap>) -> Exchange {
        let arrived = shared.clock.now();
        shared.sink.started(arrival.endpoint);
        Exchange(Some(Box::new(Open {
            id: shared.ids.exchange(shared.clock.wall(arrived)),
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
            observer: None,
            observer_panicked: false,
            response_bytes: 0,
        })))
    }

    /// The upstream is chosen.
    pub(crate) fn routed(&mut self, upstream: &Arc<UpstreamInfo>) {
        if let Some(open) = &mut self.0 {
            open.upstream = Some(Arc::clone(upstream));
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

    /// The response's head is here: its body will be observed.
    pub(crate) fn answered(&mut self, status: u16, content_type: Option<&str>, content_encoding: Option<&str>) {
        let Some(open) = &mut self.0 else { return };
        open.timeline.headers = Some(open.shared.clock.now());
        open.status = Some(status);
        open.labelled_stream = content_type.is_some_and(|t| t.starts_with("text/event-stream"));
        if open.shared.observe.enabled {
            let head = ResponseHead { endpoint: open.arrival.endpoint, status, content_type, content_encoding };
            open.observer = Some(ResponseObserver::new(&head, open.shared.observe.limits));
        }
    }

    /// Bytes of the response pass by, after a wait for the client.
    pub(crate) fn saw(&mut self, data: &Bytes, at: Tick, waited: Duration) {
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
    }

    /// The kind of API that is called, and the upstream's name if one is chosen.
    pub(crate) fn subject(&self) -> (Endpoint, Option<&str>) {
        let open = self.0.as_deref();
        let upstream = open.and_then(|o| o.upstream.as_deref()).map(|u| &*u.name);
        (open.map_or(Endpoint::Other, |o| o.arrival.endpoint), upstream)
    }

    /// limpid itself answers, with `status`, because of `failure`; the exchange is over.
    pub(crate) fn answered_by_limpid(mut self, status: u16, failure: RelayFailure) {
        if let Some(open) = &mut self.0 {
            open.status = Some(status);
            open.answered_by_limpid = true;
            open.failure = Some(failure);
            let ending = if open.attempts > 0 || failure.category() == Category::Network {
                Ending::UpstreamError
            } else {
                Ending::End
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

    fn settle(mut self: Box<Self>, ending: Ending) {
        self.timeline.ended = self.shared.clock.now();
        let ended = self.timeline.ended;
        self.observe(|observer| observer.finish(ended));
        let mut seen = self.observer.take().map(ResponseObserver::into_observation).unwrap_or_default();
        if self.observer_panicked {
            seen.fault = Some(ObserverFault::Panic);
        }
        let sink = Arc::clone(&self.shared.sink);
        sink.finished(Box::new(self.record(seen, ending)));
    }

    fn record(self: Box<Self>, seen: Observation, ending: Ending) -> ExchangeRecord {
        let Open { shared, arrival, tap, mut timeline, .. } = *self;
        let request = tap.facts();
        let started_at = shared.clock.wall(timeline.arrived);
        let evidence = Evidence {
            endpoint: arrival.endpoint,
            status: self.status,
            ending,
            failure: self.failure.or(tap.broken().then_some(RelayFailure::RequestBody)),
            observation: &seen,
            request: &request,
            provider: self.upstream.as_deref().map(|u| &*u.provider),
            started_at,
        };
        let settled = catch_unwind(AssertUnwindSafe(|| shared.settler.settle(&evidence)));
        let settled = settled.unwrap_or_else(|_| unsettled(ending));
        let first_byte = timeline.marks.first_byte;
        timeline.observe(&seen);
        timeline.marks.first_byte = first_byte;
        let stream = match timeline.headers {
            Some(_) => seen.streamed || self.labelled_stream,
            None => request.stream.unwrap_or(false),
        };
        ExchangeRecord {
            id: self.id,
            started_at,
            endpoint: arrival.endpoint,
            method: arrival.method.as_str().into(),
            path: arrival.path,
            status: self.status,
            answered_by_limpid: self.answered_by_limpid,
            stream,
            upstream: self.upstream,
            model: ModelNames { requested: request.model.clone(), responded: seen.model },
            trace_id: arrival.caller.trace.map_or_else(|| shared.ids.trace(), |t| t.trace_id),
            span_id: shared.ids.span(),
            caller: arrival.caller,
            request,
            outcome: settled.outcome,
            refusal: settled.refusal,
            timeline,
            events: seen.streamed.then_some(seen.events),
            token_events: seen.streamed.then_some(seen.token_events),
            first_event_tokens: seen.first_event_tokens,
            reasoning_streamed: seen.reasoning_streamed,
            response_id: seen.response_id,
            service_tier: seen.service_tier,
            finish_reasons: seen.finish_reasons,
            usage: settled.usage,
            price: settled.price,
            unpriced: settled.unpriced,
            attempts: self.attempts,
            bytes: ByteCounts { request: tap.bytes(), response: self.response_bytes },
            observer_fault: seen.fault,
        }
    }
}

/// What is recorded if settlement itself panics.
fn unsettled(ending: Ending) -> Settled {
    tracing::error!("settlement panicked; the exchange is recorded without outcome, tokens and price");
    let outcome = Outcome { category: Category::Internal, reason: "settlement_panic".into(), ending };
    Settled { outcome, refusal: Refusal::NONE, usage: None, price: None, unpriced: None }
}
