//! What an error's codes and message tell beyond their category. Codes first: a message may quote the user.
//!
//! The phrases are those of the servers named beside them, matched in lower case in the first 2 KiB.

use limpid_core::ErrorHint;

use crate::seen::head;

const LOOK_AT: usize = 2048;

/// Codes and types that are exact names.
const CODES: &[(&str, ErrorHint)] = &[
    ("context_length_exceeded", ErrorHint::ContextLength),
    ("exceed_context_size_error", ErrorHint::ContextLength),
    ("model_not_found", ErrorHint::ModelNotFound),
    ("deploymentnotfound", ErrorHint::ModelNotFound),
    ("content_filter", ErrorHint::ContentFilter),
    ("content_policy_violation", ErrorHint::ContentFilter),
    ("responsibleaipolicyviolation", ErrorHint::ContentFilter),
    // Responses that failed for what was asked.
    ("bio_policy", ErrorHint::ContentFilter),
    ("invalid_prompt", ErrorHint::ContentFilter),
    // OpenAI's 429 has what was exceeded as its type.
    ("tokens", ErrorHint::RateLimitTokens),
    ("requests", ErrorHint::RateLimitRequests),
];

/// Phrases of messages, lower case, the more specific first.
const PHRASES: &[(&str, ErrorHint)] = &[
    // OpenAI, vLLM: "maximum context length"; llama.cpp: "available context size"; Anthropic: "prompt is too long".
    ("maximum context length", ErrorHint::ContextLength),
    ("context length", ErrorHint::ContextLength),
    ("context size", ErrorHint::ContextLength),
    ("context window", ErrorHint::ContextLength),
    ("prompt is too long", ErrorHint::ContextLength),
    ("input is too long", ErrorHint::ContextLength),
    ("longer than the model", ErrorHint::ContextLength),
    // SGLang: "Input length (9 tokens) exceeds the maximum allowed length (8 tokens)".
    ("exceeds the maximum allowed length", ErrorHint::ContextLength),
    // Gemini: "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)".
    ("exceeds the maximum number of tokens allowed", ErrorHint::ContextLength),
    // TGI: "`inputs` tokens + `max_new_tokens` must be <= …".
    ("tokens + `max_new_tokens` must be", ErrorHint::ContextLength),
    ("`inputs` must have less than", ErrorHint::ContextLength),
    // SGLang; Ollama: "server busy, please try again. maximum pending requests exceeded".
    ("queue is full", ErrorHint::QueueFull),
    ("maximum pending requests", ErrorHint::QueueFull),
    ("server busy", ErrorHint::QueueFull),
    // llama.cpp: "Loading model".
    ("loading model", ErrorHint::Loading),
    ("model is loading", ErrorHint::Loading),
    ("is currently loading", ErrorHint::Loading),
    ("out of memory", ErrorHint::OutOfMemory),
    // Ollama: "model requires more system memory (…) than is available".
    ("requires more system memory", ErrorHint::OutOfMemory),
    // vLLM, new and old.
    ("enginecore encountered an issue", ErrorHint::EngineDead),
    ("enginedeaderror", ErrorHint::EngineDead),
    ("engine is dead", ErrorHint::EngineDead),
    ("background loop has errored", ErrorHint::EngineDead),
    // Ollama.
    ("runner process has terminated", ErrorHint::EngineDead),
    // Azure; OpenAI's images.
    ("content management policy", ErrorHint::ContentFilter),
    ("our safety system", ErrorHint::ContentFilter),
    // Anthropic (400), DeepSeek, OpenRouter.
    ("credit balance is too low", ErrorHint::Quota),
    ("insufficient balance", ErrorHint::Quota),
    ("insufficient credits", ErrorHint::Quota),
    ("exceeded your current quota", ErrorHint::Quota),
    // Gemini (400).
    ("api key not valid", ErrorHint::ApiKey),
    // Azure: "have exceeded token rate limit of your current … pricing tier"; Anthropic's older messages.
    ("exceeded token rate limit", ErrorHint::RateLimitTokens),
    ("exceeded call rate limit", ErrorHint::RateLimitRequests),
    ("number of request tokens has exceeded", ErrorHint::RateLimitTokens),
    ("number of requests has exceeded", ErrorHint::RateLimitRequests),
    // OpenAI: "Rate limit reached for … on tokens per min (TPM)".
    ("tokens per min", ErrorHint::RateLimitTokens),
    ("tokens per day", ErrorHint::RateLimitTokens),
    ("(tpm)", ErrorHint::RateLimitTokens),
    ("input tokens per minute", ErrorHint::RateLimitTokens),
    ("requests per min", ErrorHint::RateLimitRequests),
    ("requests per day", ErrorHint::RateLimitRequests),
    ("(rpm)", ErrorHint::RateLimitRequests),
    ("rate limit reached for requests", ErrorHint::RateLimitRequests),
    // OpenAI: "The engine is currently overloaded"; TGI: "Model is overloaded"; Gemini: "The model is overloaded". Azure:
    // "The system is currently experiencing high demand".
    ("currently overloaded", ErrorHint::Overloaded),
    ("is overloaded", ErrorHint::Overloaded),
    ("server overloaded", ErrorHint::Overloaded),
    ("experiencing high demand", ErrorHint::Overloaded),
];

/// The hint of an error with these codes and this message.
pub(super) fn of(codes: &[&str], message: &str) -> Option<ErrorHint> {
    let by_code = |code: &&str| CODES.iter().find(|(name, _)| code.eq_ignore_ascii_case(name)).map(|(_, hint)| *hint);
    if let Some(hint) = codes.iter().find_map(by_code) {
        return Some(hint);
    }
    let message = head(message, LOOK_AT).to_lowercase();
    if names_missing_model(&message) {
        return Some(ErrorHint::ModelNotFound);
    }
    PHRASES.iter().find(|(phrase, _)| message.contains(phrase)).map(|(_, hint)| *hint)
}

/// "The model `x` does not exist" (OpenAI, vLLM), "model 'x' not found" (Ollama), "model: x" (Anthropic's 404).
fn names_missing_model(message: &str) -> bool {
    let missing = ["does not exist", "not found", "do not have access"];
    let early = head(message, 300);
    early.starts_with("model: ")
        || early.contains("no such model")
        || early.contains("unknown model")
        || early
            .find("model")
            .and_then(|at| early.get(at..))
            .is_some_and(|rest| missing.iter().any(|m| rest.contains(m)))
}
