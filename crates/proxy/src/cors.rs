//! limpid's own answers in a browser (CORS, the Fetch standard §3.3).
//!
//! A page of another origin gets to read an answer only if that says so; else all it sees is "CORS error", and not the
//! reason. limpid's own answers hold nothing but that reason, so every page may read them, and the field with it. What an
//! upstream answers is passed on as it is: whether a page may read that is the upstream's to say.
//!
//! A preflight is a question without content, and a browser that gets another answer than a good one never asks on. Where
//! limpid cannot pass it on, it says yes, so that the request itself comes and gets the reason; it is recorded with that
//! reason all the same. Not where the page or the name is one that limpid answers to nobody for (`RelayFailure::Foreign…`).

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, ORIGIN,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use limpid_core::RelayFailure;

use crate::response_body::ResponseBody;

/// What a browser wants to ask.
pub(crate) struct Preflight {
    method: HeaderValue,
    fields: Option<HeaderValue>,
}

impl Preflight {
    /// What a request asks, if it is one: an OPTIONS with an `Origin` that names a method.
    pub(crate) fn read(method: &Method, fields: &HeaderMap) -> Option<Box<Preflight>> {
        if *method != Method::OPTIONS || !fields.contains_key(ORIGIN) {
            return None;
        }
        let method = fields.get(ACCESS_CONTROL_REQUEST_METHOD)?.clone();
        Some(Box::new(Preflight { method, fields: fields.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned() }))
    }
}

/// Lets every page read it.
pub(crate) fn open(response: &mut Response<ResponseBody>) {
    let fields = response.headers_mut();
    fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-limpid-error"));
}

/// Makes the answer to a preflight a good one, unless `failure` is why nobody is answered.
pub(crate) fn agree(response: &mut Response<ResponseBody>, asked: Preflight, failure: RelayFailure) {
    if matches!(failure, RelayFailure::ForeignHost | RelayFailure::ForeignOrigin | RelayFailure::BadRequest) {
        return;
    }
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.body_mut() = ResponseBody::own(bytes::Bytes::new());
    let fields = response.headers_mut();
    fields.remove(CONTENT_TYPE);
    fields.insert(ACCESS_CONTROL_ALLOW_METHODS, asked.method);
    if let Some(asked) = asked.fields {
        fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked);
    }
}
