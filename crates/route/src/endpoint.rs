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
    if let Some(endpoint) = last.rsplit_once(':').filter(|_| inference).and_then(|(_, verb)| by_verb(verb, path)) {
        return endpoint;
    }
    match (before, last) {
        ("messages", "count_tokens") | (_, "tokenize" | "detokenize") => Endpoint::Tokenize,
        ("messages", "batches") => Endpoint::Batches,
        ("chat", "completions") if inference => Endpoint::Chat,
        (_, "completions") if inference => Endpoint::Completions,
        (_, "responses") if inference => Endpoint::Responses,
        (_, "messages") if inference && !path.contains("/threads/") => Endpoint::Messages,
        (_, "embeddings" | "embed") if inference => Endpoint::Embeddings,
        ("api", "chat") | (_, "generate" | "generate_stream") if inference => Endpoint::Generate,
        (_, "rerank" | "score") if inference => Endpoint::Rerank,
        (_, "moderations") if inference => Endpoint::Moderations,
        ("audio", "speech" | "transcriptions" | "translations") if inference => Endpoint::Audio,
        ("images", "generations" | "edits" | "variations") if inference => Endpoint::Images,
        (_, "realtime") => Endpoint::Realtime,
        (_, "models") | ("models", _) if *method == Method::GET => Endpoint::Models,
        _ => by_collection(path),
    }
}

/// Google's `models/{model}:verb`, of Gemini and of Vertex AI, which also has Anthropic's models.
fn by_verb(verb: &str, path: &str) -> Option<Endpoint> {
    match verb {
        "generateContent" | "streamGenerateContent" => Some(Endpoint::GenerateContent),
        "embedContent" | "batchEmbedContents" => Some(Endpoint::Embeddings),
        "countTokens" => Some(Endpoint::Tokenize),
        "rawPredict" | "streamRawPredict" if path.contains("/publishers/anthropic/") => Some(Endpoint::Messages),
        _ => None,
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
            ("POST", "/api/embeddings", Endpoint::Embeddings),
            ("POST", "/v2/embed", Endpoint::Embeddings),
            ("POST", "/generate", Endpoint::Generate),
            ("POST", "/generate_stream", Endpoint::Generate),
            ("GET", "/generate", Endpoint::Other),
            ("POST", "/v1beta/models/gemini-2.5-flash:generateContent", Endpoint::GenerateContent),
            ("POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", Endpoint::GenerateContent),
            (
                "POST",
                "/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
                Endpoint::GenerateContent,
            ),
            ("POST", "/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict", Endpoint::Messages),
            ("POST", "/v1/projects/p/locations/l/publishers/google/models/g:rawPredict", Endpoint::Other),
            ("POST", "/v1beta/models/e:batchEmbedContents", Endpoint::Embeddings),
            ("POST", "/v1beta/models/g:countTokens", Endpoint::Tokenize),
            ("GET", "/v1beta/models/g:generateContent", Endpoint::Models),
            ("POST", "/v1/audio/speech", Endpoint::Audio),
            ("POST", "/v2/rerank", Endpoint::Rerank),
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
