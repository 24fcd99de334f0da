//! What goes wrong on the admin listener, and its one translation into HTTP.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Why a request is not answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// The query cannot be decoded.
    Query,
    /// A parameter that this path does not know.
    UnknownParameter { name: String, allowed: Vec<&'static str> },
    /// A parameter given twice that takes one value.
    Repeated { name: &'static str },
    /// A parameter that must be there.
    Missing { name: &'static str, allowed: Vec<&'static str> },
    /// A value of a closed list.
    NotOneOf { name: &'static str, value: String, allowed: Vec<&'static str> },
    /// Not a duration.
    Duration { name: &'static str, value: String },
    /// A duration out of range.
    DurationRange { name: &'static str, value: String, least: Duration, most: Duration },
    /// Not a number in range.
    Number { name: &'static str, value: String, least: usize, most: usize },
    /// No such path.
    NoSuchPath,
    /// A `Host` that a stranger could own.
    ForeignHost { host: String },
    /// Not GET or HEAD.
    OnlyGet,
    /// Too many watchers.
    TooManyWatchers { most: usize },
    /// A query or a rendering panicked.
    Internal,
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            ApiError::NoSuchPath => StatusCode::NOT_FOUND,
            ApiError::ForeignHost { .. } => StatusCode::MISDIRECTED_REQUEST,
            ApiError::OnlyGet => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::TooManyWatchers { .. } => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn message(&self) -> String {
        match self {
            ApiError::Query => {
                "the query string cannot be read; write name=value pairs joined by &, with % escapes".into()
            }
            ApiError::UnknownParameter { name, allowed } => {
                format!("`{}` is not a query parameter of this path; use {}", shown(name), allowed.join(", "))
            }
            ApiError::Repeated { name } => format!("`{name}` is in the query more than once; give it one value"),
            ApiError::Missing { name, allowed } => {
                format!("`{name}` is missing in the query; add {name}= one of {}", allowed.join(", "))
            }
            ApiError::NotOneOf { name, value, allowed } => {
                format!("`{name}={}` in the query is not known; use one of {}", shown(value), allowed.join(", "))
            }
            ApiError::Duration { name, value } => format!(
                "`{name}={}` in the query is not a duration; write a whole number and s, m or h, such as 30s, 5m or 1h",
                shown(value)
            ),
            ApiError::DurationRange { name, value, least, most } => format!(
                "`{name}={}` in the query is out of range; use {} to {}",
                shown(value),
                humantime::format_duration(*least),
                humantime::format_duration(*most)
            ),
            ApiError::Number { name, value, least, most } => {
                format!("`{name}={}` in the query is not a number in range; use {least} to {most}", shown(value))
            }
            ApiError::NoSuchPath => {
                "there is nothing at this path; see /, /healthz, /readyz, /metrics, /api/v1/about, \
                                     /api/v1/summary, /api/v1/series, /api/v1/exchanges, /api/v1/events"
                    .into()
            }
            ApiError::ForeignHost { host } => format!(
                "dashboard and API do not answer to the name `{}`; ask by IP address or localhost, or add the name to admin.hosts",
                shown(host)
            ),
            ApiError::OnlyGet => "the admin listener only reads; use GET".into(),
            ApiError::TooManyWatchers { most } => {
                format!(
                    "{most} watchers of live events are connected, which is the limit; close one or poll /api/v1/exchanges"
                )
            }
            ApiError::Internal => "limpid failed to work this out; please report it with the request's URL".into(),
        }
    }
}

/// The begin of a value that came from outside.
fn shown(value: &str) -> String {
    let mut shown: String = value.chars().take(64).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status(), Json(serde_json::json!({ "error": { "message": self.message() } }))).into_response()
    }
}
