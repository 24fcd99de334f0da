//! Error replies in each API's shape, and the list of models.

use std::time::Duration;

use serde_json::{Value, json};

use crate::behaviour::Fault;
use crate::overrides::PRESETS;
use crate::request::Api;

/// An error reply.
#[derive(Debug)]
pub(crate) struct ErrorReply {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) retry_after: Option<Duration>,
}

/// What an error is, before it takes an API's shape.
struct Error {
    status: u16,
    /// OpenAI's `type`.
    kind: &'static str,
    /// OpenAI's `code`.
    code: Option<&'static str>,
    param: Option<&'static str>,
    message: String,
}

impl Error {
    fn new(status: u16, kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Error {
        Error { status, kind, code, param: None, message: message.into() }
    }

    fn in_shape_of(self, api: Option<Api>) -> ErrorReply {
        let body = match api {
            Some(Api::Messages) => json!({
                "type": "error",
                "error": {"type": anthropic_type(self.status), "message": self.message},
                "request_id": "req_sim",
            }),
            Some(Api::OllamaChat | Api::OllamaGenerate) => json!({"error": self.message}),
            _ => json!({"error": {
                "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
            }}),
        };
        ErrorReply { status: self.status, body: body.to_string(), retry_after: None }
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}

/// An error of that status; `api` picks the shape, OpenAI's where no API was called.
pub(crate) fn error_reply(api: Option<Api>, status: u16, message: impl Into<String>) -> ErrorReply {
    let (kind, code) = match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        403 => ("invalid_request_error", Some("unsupported_country_region_territory")),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        503 | 529 => ("server_error", Some("overloaded")),
        500..=599 => ("server_error", None),
        _ => ("invalid_request_error", None),
    };
    Error::new(status, kind, code, message).in_shape_of(api)
}

/// The error reply of a fault, if it is one that answers with an error.
pub(crate) fn error_of_fault(api: Api, fault: Fault) -> Option<ErrorReply> {
    let invalid = "invalid_request_error";
    let error = match fault {
        Fault::Status(status) => return Some(error_reply(Some(api), status, "The simulated backend fails as asked.")),
        Fault::RateLimited { retry_after } => {
            let message = "Rate limit reached for requests. Please try again later.";
            let reply = Error::new(429, "requests", Some("rate_limit_exceeded"), message).in_shape_of(Some(api));
            return Some(ErrorReply { retry_after: Some(Duration::from_secs(u64::from(retry_after))), ..reply });
        }
        Fault::Quota => {
            let status = if api == Api::Messages { 402 } else { 429 };
            let message = "You exceeded your current quota, please check your plan and billing details.";
            Error::new(status, "insufficient_quota", Some("insufficient_quota"), message)
        }
        Fault::ContextLength => {
            let message = match api {
                Api::Messages => "prompt is too long: 200001 tokens > 200000 maximum",
                _ => "This model's maximum context length is 8192 tokens. Please reduce the length of the messages.",
            };
            let param = Some("messages");
            Error { param, ..Error::new(400, invalid, Some("context_length_exceeded"), message) }
        }
        Fault::ContentFilter => {
            let message = "The response was filtered due to the prompt triggering the content management policy.";
            Error { param: Some("prompt"), ..Error::new(400, invalid, Some("content_filter"), message) }
        }
        _ => return None,
    };
    Some(error.in_shape_of(Some(api)))
}

/// `GET …/models`.
pub(crate) fn models() -> String {
    let names = PRESETS.iter().map(|(name, _)| *name).chain(["sim"]);
    let data: Vec<Value> = names
        .map(|id| json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "limpid-sim"}))
        .collect();
    json!({"object": "list", "data": data}).to_string()
}
