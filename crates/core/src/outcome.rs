//! How an exchange ended: one category, one reason, one ending; and, apart from these, whether the model refused.

use std::borrow::Cow;

use crate::endpoint::named_enum;

named_enum! {
    /// The closed list of outcomes. Who is at fault follows from it.
    Category {
        /// The reply came whole.
        Ok = "ok",
        /// The request was at fault: 400, 404, 413, 422.
        ClientRequest = "client_request",
        /// 401, 403.
        Auth = "auth",
        /// Out of credit or budget: retrying does not help.
        Quota = "quota",
        /// Too many requests or tokens for now: retrying later helps.
        RateLimit = "rate_limit",
        /// The server had no capacity: 503 queue full, 529.
        Overloaded = "overloaded",
        /// The server was not ready or is gone: loading, 502, 503, 504 of something before it.
        Unavailable = "unavailable",
        /// The server failed: 500.
        UpstreamError = "upstream_error",
        /// No connection, or it broke before a response head.
        Network = "network",
        /// One of limpid's time limits ran out.
        Timeout = "timeout",
        /// A 200 that failed in its body: an error event, or a stream cut short.
        StreamError = "stream_error",
        /// A content filter stopped the request.
        Policy = "policy",
        /// The client went away.
        Cancelled = "cancelled",
        /// limpid itself refused: no route, bad framing, a limit.
        Rejected = "rejected",
        /// A fault of limpid.
        Internal = "internal",
    }
}

named_enum! {
    /// How the response body (or the wait for it) ended.
    Ending {
        /// As announced.
        End = "end",
        /// The upstream broke off, or no response came.
        UpstreamError = "upstream_error",
        /// The client went away first.
        ClientGone = "client_gone",
        /// limpid was shut down in mid-stream.
        Shutdown = "shutdown",
    }
}

named_enum! {
    /// Whose side has to look at a failure.
    Fault {
        /// The caller: its request, its key, its budget, its going away.
        Client = "client",
        /// The upstream.
        Upstream = "upstream",
        /// The way to the upstream, or the upstream itself: from here a lost connection looks the same.
        Network = "network",
        /// limpid or its settings.
        Limpid = "limpid",
    }
}

named_enum! {
    /// Whether the same request may succeed if it is sent again.
    Retryable {
        /// It would fail again: something has to change first.
        No = "no",
        /// After a wait, which the response may tell (`retry_after`).
        Later = "later",
        /// At once.
        Yes = "yes",
    }
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Outcome {
    /// One of the closed list.
    pub category: Category,
    /// The finish reason of a good reply; the most specific known cause of a bad one. Of low cardinality: from a fixed
    /// list, or a finish reason of at most 64 bytes.
    pub reason: Cow<'static, str>,
    /// How the body ended.
    pub ending: Ending,
    /// Whose fault a failure is; absent on success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Whether sending it again may help; absent on success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<Retryable>,
}

impl Outcome {
    /// Without a fault; `settle` says whose it is.
    pub fn new(category: Category, reason: impl Into<Cow<'static, str>>, ending: Ending) -> Outcome {
        Outcome { category, reason: reason.into(), ending, fault: None, retryable: None }
    }

    /// The value of `error.type` on spans and metrics: absent on success, else the reason.
    pub fn error_type(&self) -> Option<&str> {
        (self.category != Category::Ok).then_some(&*self.reason)
    }
}

named_enum! {
    /// Whether the reply was a refusal.
    Verdict {
        /// No sign of one.
        None = "none",
        /// The text reads like one.
        Suspected = "suspected",
        /// The reply's structure says so.
        Certain = "certain",
    }
}

named_enum! {
    /// Who refused.
    RefusalKind {
        /// The model.
        Model = "model",
        /// A content filter beside it.
        Filter = "filter",
    }
}

/// Whether the model refused; orthogonal to the outcome, for most refusals are a 200.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refusal {
    /// The verdict.
    pub verdict: Verdict,
    /// What told it: `refusal_field`, `finish_reason`, `stop_reason`, `error_code`, `text`…
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'static str>,
    /// Who refused, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<RefusalKind>,
}

impl Refusal {
    /// No sign of a refusal.
    pub const NONE: Refusal = Refusal { verdict: Verdict::None, source: None, kind: None };
}
