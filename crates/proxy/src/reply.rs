//! What limpid itself answers, in the shape of the API that was called.
//!
//! The one place that turns a [`RelayFailure`] into HTTP, and says it in words. Each failure has its own; docs/numbers.md
//! has the table. `type` begins with `limpid_` and the field `x-limpid-error`
//! carries the reason, so that nobody takes such an answer for the upstream's.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{HeaderName, Response, StatusCode};
use limpid_core::{Endpoint, RelayFailure, Shortage, TlsFault};
use serde_json::json;

use crate::cors;
use crate::exchange::Exchange;
use crate::response_body::ResponseBody;

const X_LIMPID_ERROR: HeaderName = HeaderName::from_static("x-limpid-error");

/// The methods that may go up, also with an upstream's own key.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// The answer to the client; it ends the exchange.
pub(crate) fn answer(mut exchange: Exchange, failure: RelayFailure) -> Response<ResponseBody> {
    let (endpoint, upstream) = exchange.subject();
    let mut response = response(failure, endpoint, upstream);
    cors::open(&mut response);
    if let Some(asked) = exchange.preflight() {
        cors::agree(&mut response, *asked, failure);
    }
    let method = matches!(failure, RelayFailure::ConnectMethod | RelayFailure::KeyMethod);
    let closes =
        matches!(failure, RelayFailure::BadRequest | RelayFailure::PathRefused | RelayFailure::RequestBodyTimeout);
    if method || closes {
        // Where one request could be taken two ways, what follows it cannot be trusted (behind CONNECT, it may be no HTTP); a
        // body that did not come is not waited for either (RFC 9110 §15.5.9). HTTP/2 drops the field.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if method {
        // Demanded of a 405 (RFC 9110 §15.5.6).
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    }
    exchange.answered_by_limpid(response.status().as_u16(), failure);
    response
}

fn response(failure: RelayFailure, endpoint: Endpoint, upstream: Option<&str>) -> Response<ResponseBody> {
    let kind = format!("limpid_{}", failure.category());
    let message = message(failure, upstream.unwrap_or("?"));
    let body = match endpoint {
        Endpoint::Messages => json!({"type": "error", "error": {"type": kind, "message": message}}),
        Endpoint::GenerateContent => {
            let (code, status) = (failure.status(), google_status(failure.status()));
            json!({"error": {"code": code, "message": message, "status": status, "type": kind}})
        }
        _ => json!({"error": {"message": message, "type": kind, "param": null, "code": failure.reason()}}),
    };
    let mut response = Response::new(ResponseBody::own(Bytes::from(body.to_string())));
    *response.status_mut() = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(X_LIMPID_ERROR, HeaderValue::from_static(failure.reason()));
    response
}

/// The name that Google's APIs give a status (`google.rpc.Code`).
fn google_status(status: u16) -> &'static str {
    match status {
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        400..500 => "INVALID_ARGUMENT",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

/// What happened, in words that are true of this failure alone, and where somebody can mend it, how.
fn message(failure: RelayFailure, upstream: &str) -> String {
    match words(failure) {
        Words::Own(text) => format!("limpid: {text}"),
        Words::Upstream(before, after) => format!("limpid: {before}upstream '{upstream}' {after}"),
    }
}

/// A text, or what stands before and behind the upstream's name.
enum Words {
    Own(&'static str),
    Upstream(&'static str, &'static str),
}

fn words(failure: RelayFailure) -> Words {
    use Words::{Own, Upstream};
    match failure {
        RelayFailure::NoRoute => Own("no upstream is configured for this host, path and model"),
        RelayFailure::UnknownModel => Own(
            "upstreams are chosen by model, and none can be told of this request: it names none, two that differ, or one too far behind",
        ),
        RelayFailure::BadRequest => Own("the request cannot be forwarded: its target, Host or framing is not sound"),
        RelayFailure::ConnectMethod => {
            Own("CONNECT is refused: this is no forward proxy; send requests to it as to the API itself")
        }
        RelayFailure::KeyMethod => Own(
            "the method is refused: the upstream is asked with a key of its own, which goes with GET, HEAD, POST, PUT, \
             PATCH, DELETE and OPTIONS only",
        ),
        RelayFailure::PathRefused => Own(
            "the path may lead out of what the upstream may be asked for; send it without '*' and without '.' and '..' \
             segments, also encoded ones",
        ),
        RelayFailure::RequestBody => Own("the request's body broke off"),
        RelayFailure::RequestBodyTimeout => Own("the request's body did not go on within request_body_timeout"),
        RelayFailure::ForeignHost => Own("the Host is none that limpid answers to; name it in server.hosts"),
        RelayFailure::ForeignOrigin => {
            Own("pages of this Origin may not ask; name its host in server.hosts, or \"*\" for all")
        }
        RelayFailure::Draining => Own("shutting down"),
        RelayFailure::Dns => Upstream("the host of ", "does not resolve"),
        RelayFailure::DnsTimeout => {
            Upstream("the host of ", "was not looked up within connect_timeout: no name server answered")
        }
        RelayFailure::ConnectRefused => Upstream("", "refused the connection"),
        RelayFailure::ConnectTimeout => Upstream("no connection to ", "came up within connect_timeout"),
        RelayFailure::Unreachable => Upstream("there is no way to the network or host of ", "from here"),
        RelayFailure::Connect => Upstream("no connection to ", "could be made; limpid's log says why"),
        RelayFailure::Tls(fault) => tls(fault),
        RelayFailure::ResetBeforeHeaders => Upstream("", "closed the connection without an answer"),
        RelayFailure::StreamRefused => Upstream("", "refused the request unprocessed, each time that it was sent"),
        RelayFailure::ResendTooLarge => Upstream(
            "",
            "refused the request unprocessed, and its body is larger than what is kept to send it again (max_resend_bytes)",
        ),
        RelayFailure::BadResponse => Upstream("", "did not answer with HTTP"),
        RelayFailure::UnaskedTls => Upstream("", "answered with TLS where plain HTTP was spoken; is its url https://?"),
        RelayFailure::ResponseHeadTooLarge => Upstream(
            "the head of the answer of ",
            "is larger than max_response_head_bytes, or has more than 512 fields",
        ),
        RelayFailure::HeadersTimeout => Upstream("", "did not begin to answer within headers_timeout"),
        RelayFailure::FirstTokenTimeout => Upstream("", "sent no token within first_token_timeout"),
        RelayFailure::IdleTimeout => Upstream("", "sent nothing for idle_timeout"),
        RelayFailure::PingTimeout => Upstream("the connection to ", "did not answer a PING within http2_ping_timeout"),
        RelayFailure::BodyCutOff => Upstream("", "broke its answer off"),
        RelayFailure::Shortage(what) => Own(shortage(what)),
        RelayFailure::Internal => Own("internal error"),
    }
}

/// What was wrong with TLS, and how it is mended.
fn tls(fault: TlsFault) -> Words {
    let handshake = |why| Words::Upstream("the TLS handshake with ", why);
    match fault {
        TlsFault::Expired => {
            handshake("failed: its certificate has expired or is not valid yet; renew it, or set the clocks right")
        }
        TlsFault::UnknownAuthority => handshake(
            "failed: its certificate is signed by nobody whom limpid trusts; name its authority's with tls_ca_file",
        ),
        TlsFault::WrongName => handshake("failed: its certificate is for other names than the host of its url"),
        TlsFault::Certificate => handshake("failed: its certificate cannot be accepted; limpid's log says why"),
        TlsFault::ClientCertificate => {
            handshake("failed: it wants a certificate of its client (mTLS), and limpid has none to show")
        }
        TlsFault::PlainText => handshake("failed: it answered in plain text; is its url http://?"),
        TlsFault::Closed => handshake("failed: it closed the connection; does that port speak TLS?"),
        TlsFault::Handshake => handshake("failed: it speaks TLS in a way that limpid does not; limpid's log says more"),
        TlsFault::Alert => Words::Upstream("TLS with ", "was ended by its alert; limpid's log says which"),
    }
}

/// What limpid has run out of. Nothing that the client or the upstream could do.
fn shortage(what: Shortage) -> &'static str {
    match what {
        Shortage::Descriptors => {
            "out of file descriptors: limpid itself, not the upstream; raise its limit (ulimit -n)"
        }
        Shortage::Ports => "out of local ports towards the upstream's address: this machine, not the upstream",
        Shortage::Memory => "out of memory for connections: this machine, not the upstream",
        Shortage::Threads => "out of threads: limpid itself, not the upstream; raise its limit (ulimit -u)",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use limpid_core::Category;

    use super::*;

    /// Who reads a text knows which failure it was: none has that of another.
    #[test]
    fn each_failure_has_words_of_its_own() {
        let texts: HashSet<_> = RelayFailure::ALL.iter().map(|f| message(*f, "up")).collect();
        assert_eq!(texts.len(), RelayFailure::ALL.len());
        for failure in RelayFailure::ALL {
            let text = message(*failure, "up");
            assert!(text.starts_with("limpid: "), "{text}");
            let blames = matches!(failure.category(), Category::Network | Category::Timeout | Category::StreamError);
            assert_eq!(text.contains("upstream 'up'"), blames, "{text}");
        }
    }

    /// The rows of docs/numbers.md: reason, category, status.
    #[test]
    fn the_table_in_the_docs_is_what_is_done() {
        let docs = include_str!("../../../docs/numbers.md");
        let rows = docs.lines().skip_while(|l| !l.starts_with("### What limpid itself answers"));
        let rows = rows.filter_map(|l| l.strip_prefix("| `")).map(|l| l.split(" | ").collect::<Vec<_>>());
        let told: Vec<_> = rows.map(|c| c[..3].join(" ").replace('`', "")).collect();
        let mut done: Vec<_> =
            RelayFailure::ALL.iter().map(|f| format!("{} {} {}", f.reason(), f.status(), f.category())).collect();
        done.dedup();
        assert_eq!(told, done);
    }

    #[test]
    fn google_gets_its_own_shape() {
        let response = response(RelayFailure::ConnectRefused, Endpoint::GenerateContent, Some("up"));
        assert_eq!(response.status(), 502);
        assert_eq!(google_status(502), "UNAVAILABLE");
    }
}
