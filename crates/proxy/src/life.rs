//! The life of a request, on one page.
//!
//! ```text
//! arrive → route → forward ───────────── frames, untouched ─────────────▶ client
//!                                 │ each frame, by reference, with its time
//!                                 ▼
//!                              observe → settle → one record, on every ending
//! ```
//!
//! If the client goes away, its connection drops the future of [`live`] or the body that it returned, whichever there is.
//! With it go the upstream's connection (which closes at once, and so cancels its work) and the exchange (which settles
//! as `client_gone`). No other code deals with cancellation.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Body;
use limpid_core::RelayFailure;
use limpid_observe::RequestHead;
use limpid_route::{ModelIn, classify, has_dot_segments, model_in};

use crate::cors::Preflight;
use crate::exchange::{Arrival, Exchange};
use crate::forward::Answer;
use crate::pool::TakesTrailers;
use crate::request_body::{ClientBody, RequestBody, RequestTap};
use crate::response_body::{RelayedBody, ResponseBody};
use crate::shared::{Shared, Upstream};
use crate::workers::Worker;
use crate::{ask_usage, credentials, forward, framing, headers, hosts, reply, routing, upgrade};

/// One request, from its head to the hand-over of the response's body.
pub(crate) async fn live(
    shared: Arc<Shared>,
    worker: Worker,
    request: Request<ClientBody>,
    slot: upgrade::Slot,
) -> Response<ResponseBody> {
    let version = request.version();
    let websocket = upgrade::asked(&request);
    let (mut exchange, mut request) = arrive(&shared, request, websocket);
    if let Err(failure) = framing::request(&request).and_then(|()| hosts::check(&shared.server.hosts, &request)) {
        return reply::answer(exchange, failure);
    }

    // The settings alone decide where it goes; the model is looked for only if some route asks for one.
    let upstream = match routing::route(&shared, &mut request, exchange.subject().0).await {
        Ok(upstream) => upstream,
        Err(failure) => return reply::answer(exchange, failure),
    };
    exchange.routed(&upstream.info);

    // The one edit of a body, where the settings want it: a stream is asked for its usage.
    let asks = upstream.ask_for_usage && shared.observe.enabled && !websocket;
    if asks && let Err(failure) = ask_usage::ask(&mut request, exchange.subject().0, shared.observe.request_bytes).await
    {
        return reply::answer(exchange, failure);
    }

    // Over HTTP/2 only its end tells that there is none.
    if has_unsure_body(&request) {
        Box::pin(request.body_mut().read_to_data()).await;
    }

    // Sent as it came, but for hop-by-hop fields, the Host and limpid's own fields.
    let relayed = match for_upstream(upstream, &mut request, websocket) {
        Ok(()) => {
            if let Some(span) = exchange.span() {
                shared.trace.apply(request.headers_mut(), span);
            }
            forward::forward(&shared, worker, upstream, request, &mut exchange).await
        }
        Err(failure) => Err(failure),
    };
    let sound = relayed.and_then(|answer| framing::response(&answer.response, websocket).map(|()| answer));
    match sound {
        Ok(answer) if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            upgrade::switch(answer, exchange, shared.clock.clone(), upstream.timeouts.websocket_idle, &slot)
        }
        Ok(answer) => for_client(&shared, answer, exchange, version, asks),
        Err(failure) => reply::answer(exchange, failure),
    }
}

/// Stamps the arrival; tells the kind of API and who is asking; puts the tap on the request's body.
fn arrive(shared: &Arc<Shared>, request: Request<ClientBody>, websocket: bool) -> (Exchange, Request<RequestBody>) {
    let (parts, body) = request.into_parts();
    let endpoint = if websocket { upgrade::classify(&parts) } else { classify(&parts.method, parts.uri.path()) };
    let text = |name: &HeaderName| parts.headers.get(name)?.to_str().ok();
    let head = RequestHead { content_type: text(&CONTENT_TYPE), content_encoding: text(&CONTENT_ENCODING) };
    let named = match model_in(endpoint, &parts.method, parts.uri.path(), parts.uri.query()) {
        ModelIn::Head(name) => Some(name.as_ref().into()),
        _ => None,
    };
    let tap = RequestTap::new(shared, &head, named);
    let arrival = Arrival {
        endpoint,
        method: parts.method.clone(),
        path: Arrival::bounded(parts.uri.path(), Arrival::PATH_BYTES),
        caller: shared.keys.identify(&parts.headers),
        labels: shared.labels.of_request(&parts.headers),
        preflight: Preflight::read(&parts.method, &parts.headers),
    };
    let exchange = Exchange::begin(Arc::clone(shared), arrival, Arc::clone(&tap));
    (exchange, Request::from_parts(parts, RequestBody::new(body, tap, shared.server.request_body_timeout)))
}

/// Whether a method that seldom has a body may have one, of a length that is not told.
fn has_unsure_body(request: &Request<RequestBody>) -> bool {
    request.version() == Version::HTTP_2
        && !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH)
        && !request.body().is_end_stream()
        && !request.headers().contains_key(CONTENT_LENGTH)
}

/// Makes the request what the upstream gets. Its body carries how its head was written.
fn for_upstream(upstream: &Upstream, request: &mut Request<RequestBody>, websocket: bool) -> Result<(), RelayFailure> {
    let asked = request.uri().path_and_query().ok_or(RelayFailure::BadRequest)?;
    if upstream.confined && (asked.path() == "*" || has_dot_segments(asked.path())) {
        return Err(RelayFailure::PathRefused);
    }
    let mut path = upstream.target.path(asked, upstream.rewrite()).map_err(|_| RelayFailure::Internal)?;
    if upstream.key.is_some() {
        path = credentials::before_own_key(request.method(), path)?;
    }
    *request.uri_mut() = Uri::from(path);
    if let Some(takes) = TakesTrailers::read(request.headers()) {
        request.extensions_mut().insert(takes);
    }
    let version = std::mem::replace(request.version_mut(), Version::HTTP_11);
    let fields = std::mem::take(request.headers_mut());
    let fields = headers::request(fields, version, upstream.target.host_field(), websocket);
    *request.headers_mut() = match &upstream.key {
        Some(key) => key.replace(&fields, request.uri().path()),
        None => fields,
    };
    Ok(())
}

/// The response as the client gets it. Its head goes out at once; its body is observed as it passes. `asks`: its request may
/// have asked for usage that is to be taken out.
fn for_client(
    shared: &Shared,
    answer: Answer,
    mut exchange: Exchange,
    version: Version,
    asks: bool,
) -> Response<ResponseBody> {
    let Answer { response, watchdog } = answer;
    let (mut parts, body) = response.into_parts();
    exchange.answered(parts.status.as_u16(), &parts.headers);
    parts.headers = headers::response(parts.headers, parts.status, version);
    parts.version = version;
    let asked = if asks && parts.status.is_success() { exchange.tap() } else { None };
    let edited = asked.and_then(|tap| ask_usage::take_out(&tap, &mut parts.headers, shared.observe.limits.event_bytes));
    let body = RelayedBody::new(body, exchange, shared.clock.clone(), watchdog, edited);
    Response::from_parts(parts, ResponseBody::Relayed(body))
}
