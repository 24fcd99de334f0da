//! Why a relay ended badly, from limpid's own point of view.

use crate::Category;

/// A failure that limpid itself saw or caused, as opposed to one that the upstream told in its reply.
///
/// Each has a fixed reason (a label of low cardinality) and names the side at fault through its category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelayFailure {
    /// No configured upstream matches the request.
    NoRoute,
    /// The request's framing or a field is not acceptable; nothing went upstream.
    BadRequest,
    /// The client's body broke off or was malformed after the request had started upstream.
    RequestBody,
    /// limpid is draining and takes no more requests.
    Draining,
    /// The upstream's host name did not resolve.
    Dns,
    /// The upstream refused the connection.
    ConnectRefused,
    /// No connection within the connect timeout.
    ConnectTimeout,
    /// The connection could not be made for another reason.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The connection closed or was reset before a response head came.
    ResetBeforeHeaders,
    /// What came back was not HTTP.
    BadResponse,
    /// No response head within the head timeout.
    HeadersTimeout,
    /// No token within the first-token timeout.
    FirstTokenTimeout,
    /// No byte within the idle timeout in mid-body.
    IdleTimeout,
    /// The body broke off: fewer bytes than announced, or no final chunk.
    BodyCutOff,
    /// limpid's own fault.
    Internal,
}

impl RelayFailure {
    /// The record's `outcome.reason`.
    pub const fn reason(self) -> &'static str {
        match self {
            RelayFailure::NoRoute => "no_route",
            RelayFailure::BadRequest => "bad_request",
            RelayFailure::RequestBody => "request_body",
            RelayFailure::Draining => "draining",
            RelayFailure::Dns => "dns",
            RelayFailure::ConnectRefused => "connect_refused",
            RelayFailure::ConnectTimeout => "connect_timeout",
            RelayFailure::Connect => "connect_failed",
            RelayFailure::Tls => "tls",
            RelayFailure::ResetBeforeHeaders => "reset_before_headers",
            RelayFailure::BadResponse => "bad_response",
            RelayFailure::HeadersTimeout => "headers_timeout",
            RelayFailure::FirstTokenTimeout => "first_token_timeout",
            RelayFailure::IdleTimeout => "idle_timeout",
            RelayFailure::BodyCutOff => "cut_off",
            RelayFailure::Internal => "internal",
        }
    }

    /// The record's `outcome.category`.
    pub const fn category(self) -> Category {
        match self {
            RelayFailure::NoRoute | RelayFailure::BadRequest | RelayFailure::Draining => Category::Rejected,
            RelayFailure::RequestBody => Category::ClientRequest,
            RelayFailure::Dns
            | RelayFailure::ConnectRefused
            | RelayFailure::Connect
            | RelayFailure::Tls
            | RelayFailure::ResetBeforeHeaders
            | RelayFailure::BadResponse => Category::Network,
            RelayFailure::ConnectTimeout
            | RelayFailure::HeadersTimeout
            | RelayFailure::FirstTokenTimeout
            | RelayFailure::IdleTimeout => Category::Timeout,
            RelayFailure::BodyCutOff => Category::StreamError,
            RelayFailure::Internal => Category::Internal,
        }
    }
}
