//! What the codes in an error's body mean.
//!
//! Only codes that decide alone are here. `invalid_request_error`, `not_found_error`, `server_error` and their kin are
//! not: the same type comes with a 401, a 404 and a 400, so there the message's hint or the status tells more.

use limpid_core::{Category, ErrorHint, ReportedError};

use super::Class;

/// Codes and types in lower case, by what they mean. From the APIs of OpenAI, Azure, Anthropic, Gemini, Bedrock,
/// Mistral, Moonshot, OpenRouter, vLLM, llama.cpp and TGI.
const CODES: &[(&[&str], Class)] = &[
    (
        &[
            "context_length_exceeded",
            "context_window_exceeded",
            "exceed_context_size_error",
            "context_length_error",
            "model_context_window_exceeded",
        ],
        (Category::ClientRequest, "context_length"),
    ),
    (
        &["model_not_found", "deploymentnotfound", "deployment_not_found", "model_not_exist", "unknown_model"],
        (Category::ClientRequest, "model_not_found"),
    ),
    (&["request_too_large", "payload_too_large"], (Category::ClientRequest, "too_large")),
    (&["unknown_url"], (Category::ClientRequest, "not_found")),
    (&["method_not_allowed"], (Category::ClientRequest, "method_not_allowed")),
    (
        &[
            "invalid_api_key",
            "incorrect_api_key",
            "authentication_error",
            "invalid_authentication_error",
            "unauthenticated",
            "token_expired",
            "account_deactivated",
            "unauthorized",
            "unrecognizedclientexception",
        ],
        (Category::Auth, "invalid_api_key"),
    ),
    (
        &[
            "permission_error",
            "permission_denied",
            "accessdeniedexception",
            "insufficient_permissions",
            "access_denied",
            "unsupported_country_region_territory",
        ],
        (Category::Auth, "permission"),
    ),
    (
        &[
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "billing_error",
            "billing_hard_limit_reached",
            "billing_not_active",
            "servicequotaexceededexception",
            "insufficient_credits",
            "insufficient_balance",
            "exceeded_current_quota_error",
            "payment_required",
        ],
        (Category::Quota, "insufficient_quota"),
    ),
    (
        &[
            "rate_limit_exceeded",
            "rate_limit_error",
            "rate_limit_reached_error",
            "too_many_requests",
            "resource_exhausted",
            "throttlingexception",
            "ratelimitreached",
        ],
        (Category::RateLimit, "rate_limit"),
    ),
    (
        &[
            "overloaded_error",
            "overloaded",
            "engine_overloaded",
            "engine_overloaded_error",
            "server_overloaded",
            "nocapacity",
            "slow_down",
            "model_overloaded",
        ],
        (Category::Overloaded, "overloaded"),
    ),
    (
        &["timeout_error", "gateway_timeout", "deadline_exceeded", "modeltimeoutexception"],
        (Category::Unavailable, "gateway_timeout"),
    ),
    (&["modelnotreadyexception"], (Category::Unavailable, "loading")),
    (POLICY, (Category::Policy, "content_filter")),
];

/// Codes of a content filter that stopped the request: a certain refusal.
const POLICY: &[&str] = &[
    "content_filter",
    "responsibleaipolicyviolation",
    "content_policy_violation",
    "bio_policy",
    "invalid_prompt",
    "moderation_blocked",
    "data_inspection_failed",
];

fn words(error: &ReportedError) -> impl Iterator<Item = &str> {
    [error.code.as_deref(), error.kind.as_deref()].into_iter().flatten()
}

fn among(word: &str, codes: &[&str]) -> bool {
    codes.iter().any(|c| c.eq_ignore_ascii_case(word))
}

/// What the code says, else the type; `None` where neither decides alone.
pub(super) fn class(error: &ReportedError) -> Option<Class> {
    let known = |word: &str| CODES.iter().find(|(codes, _)| among(word, codes)).map(|(_, class)| *class);
    let class = words(error).find_map(known)?;
    if class.0 == Category::RateLimit {
        return Some((Category::RateLimit, limited(error)));
    }
    Some(class)
}

/// Which limit it was. OpenAI's type says it, others' messages do.
fn limited(error: &ReportedError) -> &'static str {
    match (error.kind.as_deref(), error.hint) {
        (Some("tokens"), _) | (_, Some(ErrorHint::RateLimitTokens)) => "rate_limit_tokens",
        (Some("requests"), _) | (_, Some(ErrorHint::RateLimitRequests)) => "rate_limit_requests",
        _ => "rate_limit",
    }
}

/// Whether a hint may speak at this status. It is read out of a message, which can mention a context length or a model in
/// passing: a refused key stays one, and a rate limit is no fault of the request.
pub(super) const fn hint_holds(hint: ErrorHint, status: u16) -> bool {
    match status {
        401 | 402 => false,
        429 => !matches!(hint, ErrorHint::ContextLength | ErrorHint::ModelNotFound),
        _ => true,
    }
}

/// What the message's hint says.
pub(super) const fn hinted(hint: ErrorHint) -> Class {
    match hint {
        ErrorHint::ContextLength => (Category::ClientRequest, "context_length"),
        ErrorHint::ModelNotFound => (Category::ClientRequest, "model_not_found"),
        ErrorHint::Overloaded => (Category::Overloaded, "overloaded"),
        ErrorHint::QueueFull => (Category::Overloaded, "queue_full"),
        ErrorHint::Loading => (Category::Unavailable, "loading"),
        ErrorHint::OutOfMemory => (Category::UpstreamError, "out_of_memory"),
        ErrorHint::EngineDead => (Category::UpstreamError, "engine_dead"),
        ErrorHint::ContentFilter => (Category::Policy, "content_filter"),
        ErrorHint::RateLimitTokens => (Category::RateLimit, "rate_limit_tokens"),
        ErrorHint::RateLimitRequests => (Category::RateLimit, "rate_limit_requests"),
        ErrorHint::Quota => (Category::Quota, "insufficient_quota"),
        ErrorHint::ApiKey => (Category::Auth, "invalid_api_key"),
    }
}

/// Whether the error's code is that of a content filter.
pub(crate) fn is_filter(error: &ReportedError) -> bool {
    words(error).any(|word| among(word, POLICY))
}

/// A code that is a status: vLLM's and OpenRouter's errors inside a 200.
pub(super) fn status(error: &ReportedError) -> Option<u16> {
    error.code.as_deref()?.parse().ok().filter(|s| (400..600).contains(s))
}
