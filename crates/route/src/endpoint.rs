//! The kind of API, told from method and path.
//!
//! Providers put the same API under different prefixes (`/v1`, `/openai/v1`, `/api/v1`, Azure's
//! `/openai/deployments/{name}`), so only the path's last segments count. A call that merely *reads* an earlier reply
//! (`GET /v1/responses/{id}`) is not an inference: counting its usage again would bill it twice. It is [`Endpoint::Other`].

use http::Method;
use limpid_core::Endpoint;

/// The kind of API that a request calls.
pub fn classify(method: &Method, path: &str) -> Endpoint {
    let mut segments = path.rsplit('/').skip_while(|s| s.is_empty());
    let last = segments.next().unwrap_or("");
    let before = segments.next().unwrap_or("");
    let inference = *method == Method::POST;
    match (before, last) {
        ("messages", "count_tokens") | (_, "tokenize" | "detokenize") => Endpoint::Tokenize,
        ("messages", "batches") => Endpoint::Batches,
        ("chat", "completions") if inference => Endpoint::Chat,
        (_, "completions") if inference => Endpoint::Completions,
        (_, "responses") if inference => Endpoint::Responses,
        (_, "messages") if inference && !path.contains("/threads/") => Endpoint::Messages,
        (_, "embeddings") | ("api", "embed") if inference => Endpoint::Embeddings,
        ("api", "chat" | "generate") if inference => Endpoint::Generate,
        (_, "rerank" | "score") if inference => Endpoint::Rerank,
        (_, "moderations") if inference => Endpoint::Moderations,
        ("audio", "speech" | "transcriptions" | "translations") if inference => Endpoint::Audio,
        ("images", "generations" | "edits" | "variations") if inference => Endpoint::Images,
        (_, "realtime") => Endpoint::Realtime,
        (_, "models") | ("models", _) if *method == Method::GET => Endpoint::Models,
        _ => by_collection(path),
    }
}

/// Calls on stored things: `/files/{id}/content`, `/batches/{id}`, `/uploads/{id}/parts`.
fn by_collection(path: &str) -> Endpoint {
    for segment in path.split('/') {
        match segment {
            "files" | "uploads" => return Endpoint::Files,
            "batches" => return Endpoint::Batches,
            _ => {}
        }
    }
    Endpoint::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_known_providers() {
        let cases = [
            ("POST", "/v1/chat/completions", Endpoint::Chat),
            ("POST", "/chat/completions/", Endpoint::Chat),
            ("POST", "/openai/deployments/gpt/chat/completions", Endpoint::Chat),
            ("POST", "/api/v1/chat/completions", Endpoint::Chat),
            ("GET", "/v1/chat/completions/abc", Endpoint::Other),
            ("POST", "/v1/completions", Endpoint::Completions),
            ("POST", "/completion", Endpoint::Other),
            ("POST", "/v1/responses", Endpoint::Responses),
            ("GET", "/v1/responses/resp_1", Endpoint::Other),
            ("POST", "/v1/responses/resp_1/cancel", Endpoint::Other),
            ("POST", "/v1/messages", Endpoint::Messages),
            ("POST", "/v1/threads/t/messages", Endpoint::Other),
            ("POST", "/v1/messages/count_tokens", Endpoint::Tokenize),
            ("POST", "/v1/messages/batches", Endpoint::Batches),
            ("POST", "/v1/embeddings", Endpoint::Embeddings),
            ("POST", "/api/embed", Endpoint::Embeddings),
            ("POST", "/api/chat", Endpoint::Generate),
            ("POST", "/api/generate", Endpoint::Generate),
            ("POST", "/v1/rerank", Endpoint::Rerank),
            ("POST", "/v1/moderations", Endpoint::Moderations),
            ("POST", "/v1/audio/transcriptions", Endpoint::Audio),
            ("POST", "/v1/images/generations", Endpoint::Images),
            ("GET", "/v1/files/f/content", Endpoint::Files),
            ("POST", "/v1/batches/b/cancel", Endpoint::Batches),
            ("GET", "/v1/models", Endpoint::Models),
            ("GET", "/v1/models/m", Endpoint::Models),
            ("POST", "/tokenize", Endpoint::Tokenize),
            ("GET", "/v1/realtime", Endpoint::Realtime),
            ("GET", "/health", Endpoint::Other),
            ("GET", "/", Endpoint::Other),
            ("OPTIONS", "*", Endpoint::Other),
        ];
        for (method, path, want) in cases {
            assert_eq!(classify(&method.parse().unwrap(), path), want, "{method} {path}");
        }
    }
}
