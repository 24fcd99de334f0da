//! Why a relay ended badly, from limpid's own point of view.
//!
//! One table, [`RelayFailure::facts`], has the reason, the category and the status of each; `proxy/reply.rs` has the text
//! that a client gets, and docs/numbers.md shows all of it. There is no catch-all in any of them: a failure that is added
//! must be given words of its own.

use crate::Category;

/// A failure that limpid itself saw or caused, as opposed to one that the upstream told in its reply.
///
/// Each has a fixed reason (a label of low cardinality) and names the side at fault through its category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelayFailure {
    /// No configured upstream matches the request.
    NoRoute,
    /// Upstreams are chosen by model, and the request names none that can be told; nothing went upstream.
    UnknownModel,
    /// The request's framing or a field is not acceptable; nothing went upstream.
    BadRequest,
    /// It is CONNECT.
    ConnectMethod,
    /// The method may show the upstream's own key, with which it would go.
    KeyMethod,
    /// The path could lead out of what the upstream may be asked for: it has dot segments, or is `*`.
    PathRefused,
    /// The client's body broke off or was malformed after the request had started upstream.
    RequestBody,
    /// The client's body paused for longer than the limit on that.
    RequestBodyTimeout,
    /// The `Host` is none that the listener answers to.
    ForeignHost,
    /// A page of another origin asks, through somebody's browser.
    ForeignOrigin,
    /// limpid is draining and takes no more requests.
    Draining,
    /// The upstream's host name did not resolve.
    Dns,
    /// The upstream's host name was not looked up within the connect timeout, and no address of it is known.
    DnsTimeout,
    /// The upstream refused the connection.
    ConnectRefused,
    /// No connection within the connect timeout.
    ConnectTimeout,
    /// There is no way to the upstream's address: its network or host is unreachable.
    Unreachable,
    /// The connection could not be made for another reason.
    Connect,
    /// TLS failed, in the handshake or with an alert behind it.
    Tls(TlsFault),
    /// The connection closed or was reset before a response head came.
    ResetBeforeHeaders,
    /// Over HTTP/2, the upstream refused it without having processed it, each time that it was sent.
    StreamRefused,
    /// The same once, but more of its body had gone up than is kept to send it again.
    ResendTooLarge,
    /// What came back was not HTTP.
    BadResponse,
    /// It was TLS, where plain HTTP was spoken.
    UnaskedTls,
    /// The response's head has more bytes or fields than are taken.
    ResponseHeadTooLarge,
    /// No response head within the head timeout.
    HeadersTimeout,
    /// No token within the first-token timeout.
    FirstTokenTimeout,
    /// No byte within the idle timeout in mid-body.
    IdleTimeout,
    /// Over HTTP/2, a PING was not answered in time, and the connection was given up.
    PingTimeout,
    /// The body broke off: fewer bytes than announced, or no final chunk.
    BodyCutOff,
    /// limpid itself has run out of something.
    Shortage(Shortage),
    /// limpid's own fault.
    Internal,
}

/// What was wrong with TLS. One reason for all (`tls`), words of their own for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsFault {
    /// The upstream's certificate has expired, or is not valid yet.
    Expired,
    /// Its certificate comes from an authority that is not trusted.
    UnknownAuthority,
    /// Its certificate is for another name.
    WrongName,
    /// Its certificate cannot be accepted for another reason.
    Certificate,
    /// It demands a certificate of limpid's, and there is none.
    ClientCertificate,
    /// It answered in plain text.
    PlainText,
    /// It closed the connection in the handshake.
    Closed,
    /// It ended TLS with an alert.
    Alert,
    /// No version, cipher or protocol that both sides speak, or a message that is none.
    Handshake,
}

/// What limpid has run out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shortage {
    /// Open files: the process's limit, or the machine's.
    Descriptors,
    /// Local ports towards one address.
    Ports,
    /// The kernel's memory for sockets.
    Memory,
    /// Threads.
    Threads,
}

impl Shortage {
    /// What it is, in the plural.
    pub const fn name(self) -> &'static str {
        match self {
            Shortage::Descriptors => "file descriptors",
            Shortage::Ports => "local ports",
            Shortage::Memory => "memory for connections",
            Shortage::Threads => "threads",
        }
    }
}

/// What is fixed about a [`RelayFailure`].
struct Facts(&'static str, Category, u16);

impl RelayFailure {
    /// Every failure, in the order of docs/numbers.md.
    pub const ALL: &'static [RelayFailure] = &[
        RelayFailure::NoRoute,
        RelayFailure::UnknownModel,
        RelayFailure::BadRequest,
        RelayFailure::ConnectMethod,
        RelayFailure::KeyMethod,
        RelayFailure::PathRefused,
        RelayFailure::RequestBody,
        RelayFailure::RequestBodyTimeout,
        RelayFailure::ForeignHost,
        RelayFailure::ForeignOrigin,
        RelayFailure::Draining,
        RelayFailure::Dns,
        RelayFailure::DnsTimeout,
        RelayFailure::ConnectRefused,
        RelayFailure::ConnectTimeout,
        RelayFailure::Unreachable,
        RelayFailure::Connect,
        RelayFailure::Tls(TlsFault::Expired),
        RelayFailure::Tls(TlsFault::UnknownAuthority),
        RelayFailure::Tls(TlsFault::WrongName),
        RelayFailure::Tls(TlsFault::Certificate),
        RelayFailure::Tls(TlsFault::ClientCertificate),
        RelayFailure::Tls(TlsFault::PlainText),
        RelayFailure::Tls(TlsFault::Closed),
        RelayFailure::Tls(TlsFault::Alert),
        RelayFailure::Tls(TlsFault::Handshake),
        RelayFailure::ResetBeforeHeaders,
        RelayFailure::StreamRefused,
        RelayFailure::ResendTooLarge,
        RelayFailure::BadResponse,
        RelayFailure::UnaskedTls,
        RelayFailure::ResponseHeadTooLarge,
        RelayFailure::HeadersTimeout,
        RelayFailure::FirstTokenTimeout,
        RelayFailure::IdleTimeout,
        RelayFailure::PingTimeout,
        RelayFailure::BodyCutOff,
        RelayFailure::Shortage(Shortage::Descriptors),
        RelayFailure::Shortage(Shortage::Ports),
        RelayFailure::Shortage(Shortage::Memory),
        RelayFailure::Shortage(Shortage::Threads),
        RelayFailure::Internal,
    ];

    #[expect(clippy::match_same_arms, reason = "an arm for each row of the table")]
    const fn facts(self) -> Facts {
        use Category::{ClientRequest, Internal, Network, Rejected, StreamError, Timeout};
        match self {
            RelayFailure::NoRoute => Facts("no_route", Rejected, 404),
            RelayFailure::UnknownModel => Facts("unknown_model", Rejected, 400),
            RelayFailure::BadRequest => Facts("bad_request", Rejected, 400),
            RelayFailure::ConnectMethod => Facts("method_refused", Rejected, 405),
            RelayFailure::KeyMethod => Facts("method_refused", Rejected, 405),
            RelayFailure::PathRefused => Facts("path_refused", Rejected, 400),
            RelayFailure::RequestBody => Facts("request_body", ClientRequest, 400),
            RelayFailure::RequestBodyTimeout => Facts("request_body_timeout", ClientRequest, 408),
            RelayFailure::ForeignHost => Facts("foreign_host", Rejected, 403),
            RelayFailure::ForeignOrigin => Facts("foreign_origin", Rejected, 403),
            RelayFailure::Draining => Facts("draining", Rejected, 503),
            RelayFailure::Dns => Facts("dns", Network, 502),
            RelayFailure::DnsTimeout => Facts("dns_timeout", Timeout, 504),
            RelayFailure::ConnectRefused => Facts("connect_refused", Network, 502),
            RelayFailure::ConnectTimeout => Facts("connect_timeout", Timeout, 504),
            RelayFailure::Unreachable => Facts("unreachable", Network, 502),
            RelayFailure::Connect => Facts("connect_failed", Network, 502),
            RelayFailure::Tls(_) => Facts("tls", Network, 502),
            RelayFailure::ResetBeforeHeaders => Facts("reset_before_headers", Network, 502),
            RelayFailure::StreamRefused => Facts("stream_refused", Network, 502),
            RelayFailure::ResendTooLarge => Facts("resend_too_large", Network, 502),
            RelayFailure::BadResponse => Facts("bad_response", Network, 502),
            RelayFailure::UnaskedTls => Facts("bad_response", Network, 502),
            RelayFailure::ResponseHeadTooLarge => Facts("response_head_too_large", Network, 502),
            RelayFailure::HeadersTimeout => Facts("headers_timeout", Timeout, 504),
            RelayFailure::FirstTokenTimeout => Facts("first_token_timeout", Timeout, 504),
            RelayFailure::IdleTimeout => Facts("idle_timeout", Timeout, 504),
            RelayFailure::PingTimeout => Facts("ping_timeout", Timeout, 504),
            RelayFailure::BodyCutOff => Facts("cut_off", StreamError, 502),
            RelayFailure::Shortage(Shortage::Descriptors) => Facts("no_descriptors", Internal, 503),
            RelayFailure::Shortage(Shortage::Ports) => Facts("no_ports", Internal, 503),
            RelayFailure::Shortage(Shortage::Memory) => Facts("no_memory", Internal, 503),
            RelayFailure::Shortage(Shortage::Threads) => Facts("no_threads", Internal, 503),
            RelayFailure::Internal => Facts("internal", Internal, 500),
        }
    }

    /// The record's `outcome.reason`.
    pub const fn reason(self) -> &'static str {
        self.facts().0
    }

    /// The record's `outcome.category`.
    pub const fn category(self) -> Category {
        self.facts().1
    }

    /// The HTTP status that a client gets for it, where none went to it before.
    pub const fn status(self) -> u16 {
        self.facts().2
    }
}
