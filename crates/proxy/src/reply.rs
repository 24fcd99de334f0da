//! What limpid itself answers, in the shape of the API that was called.
//!
//! The one place that turns a [`RelayFailure`] into HTTP. `type` begins with `limpid_` and the field `x-limpid-error`
//! carries the reason, so that nobody takes such an answer for the upstream's.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{HeaderName, Response, StatusCode};
use limpid_core::{Category, Endpoint, RelayFailure};
use serde_json::json;

use crate::exchange::Exchange;
use crate::response_body::ResponseBody;

const X_LIMPID_ERROR: HeaderName = HeaderName::from_static("x-limpid-error");

/// The status for a failure that happened before any response went to the client.
fn status(failure: RelayFailure) -> StatusCode {
    match failure {
        RelayFailure::NoRoute => StatusCode::NOT_FOUND,
        RelayFailure::BadRequest | RelayFailure::RequestBody => StatusCode::BAD_REQUEST,
        RelayFailure::Draining => StatusCode::SERVICE_UNAVAILABLE,
        RelayFailure::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ if failure.category() == Category::Timeout => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// The answer to the client; it ends the exchange.
pub(crate) fn answer(exchange: Exchange, failure: RelayFailure) -> Response<ResponseBody> {
    let (endpoint, upstream) = exchange.subject();
    let mut response = response(failure, endpoint, upstream);
    if failure == RelayFailure::BadRequest {
        // Where one request could be taken two ways, what follows it cannot be trusted. HTTP/2 drops the field.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    exchange.answered_by_limpid(response.status().as_u16(), failure);
    response
}

fn response(failure: RelayFailure, endpoint: Endpoint, upstream: Option<&str>) -> Response<ResponseBody> {
    let kind = format!("limpid_{}", failure.category());
    let message = message(failure, upstream);
    let body = match endpoint {
        Endpoint::Messages => json!({"type": "error", "error": {"type": kind, "message": message}}),
        _ => json!({"error": {"message": message, "type": kind, "param": null, "code": failure.reason()}}),
    };
    let mut response = Response::new(ResponseBody::own(Bytes::from(body.to_string())));
    *response.status_mut() = status(failure);
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(X_LIMPID_ERROR, HeaderValue::from_static(failure.reason()));
    response
}

fn message(failure: RelayFailure, upstream: Option<&str>) -> String {
    let upstream = upstream.unwrap_or("?");
    match failure {
        RelayFailure::NoRoute => "limpid: no upstream is configured for this host, path and model".into(),
        RelayFailure::BadRequest => {
            "limpid: the request cannot be forwarded: its target, Host or framing is not sound".into()
        }
        RelayFailure::RequestBody => "limpid: the request's body broke off".into(),
        RelayFailure::Draining => "limpid: shutting down".into(),
        RelayFailure::Internal => "limpid: internal error".into(),
        RelayFailure::Dns => format!("limpid: the host of upstream '{upstream}' does not resolve"),
        RelayFailure::ConnectRefused => format!("limpid: upstream '{upstream}' refused the connection"),
        RelayFailure::ConnectTimeout => format!("limpid: upstream '{upstream}' did not accept a connection in time"),
        RelayFailure::Connect => format!("limpid: no connection to upstream '{upstream}'"),
        RelayFailure::Tls => format!("limpid: the TLS handshake with upstream '{upstream}' failed"),
        RelayFailure::BadResponse => format!("limpid: upstream '{upstream}' did not answer with HTTP"),
        RelayFailure::HeadersTimeout => format!("limpid: upstream '{upstream}' did not answer in time"),
        RelayFailure::ResetBeforeHeaders
        | RelayFailure::FirstTokenTimeout
        | RelayFailure::IdleTimeout
        | RelayFailure::BodyCutOff => format!("limpid: upstream '{upstream}' closed the connection without an answer"),
    }
}
