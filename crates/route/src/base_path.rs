//! Joining an upstream's base path and a request's path, so that what both write stands once.
//!
//! Clients write `/v1` in front of every path, for their own base URL ends in it. So do the URLs that providers print:
//! `https://api.openai.com/v1`, `https://openrouter.ai/api/v1`, `https://api.groq.com/openai/v1`. Joined as they stand, the two
//! make `/v1/v1/chat/completions`, which nobody serves. Three rules, in this order:
//!
//! 1. The longest run of segments that ends the base path and begins the request's stands once.
//! 2. If the base path has a version of its own where clients write theirs, the client's `/v1` gives way to it: the base path
//!    ends in a version (`/api/paas/v4`), in a version and `openai` (Gemini's `/v1beta/openai`), or in `endpoints/openapi`
//!    (Vertex AI).
//! 3. Else the base path stands in front of the request's.
//!
//! Segments are compared byte for byte. Slashes that stand doubled at the request's beginning (a base URL that ends in one) do
//! not hide a segment from 1 and 2. Behind what is joined every byte stays.

/// `base` has no slash at its end; `path` is a path with its query, if it has one.
pub(crate) fn join(base: &str, path: &str) -> String {
    let shared = shared(base, path).or_else(|| version(base, path)).unwrap_or(0);
    [base, path.get(shared..).unwrap_or_default()].concat()
}

/// How many bytes of the request's path the base path's end says already.
fn shared(base: &str, path: &str) -> Option<usize> {
    let (begin, own) = own(path);
    let starts = base.match_indices('/').map(|(at, _)| at);
    starts.filter_map(|at| base.get(at..)).find(|end| is_prefix(end, own)).map(|end| begin + end.len())
}

/// The length of the client's `/v1`, where the base path has a version in its place.
fn version(base: &str, path: &str) -> Option<usize> {
    const CLIENTS: &str = "/v1";
    let (begin, own) = own(path);
    let mut ends = base.rsplit('/');
    let placed = match (ends.next(), ends.next()) {
        (Some("openapi"), Some("endpoints")) => true,
        (Some("openai"), Some(before)) => is_version(before),
        (Some(last), _) => is_version(last),
        (None, _) => false,
    };
    (placed && is_prefix(CLIENTS, own)).then_some(begin + CLIENTS.len())
}

/// Where the path begins behind all but one of its first slashes, and the path from there, without its query.
fn own(path: &str) -> (usize, &str) {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let slashes = path.len() - path.trim_start_matches('/').len();
    let begin = slashes.saturating_sub(1);
    (begin, path.get(begin..).unwrap_or_default())
}

/// `end` begins the path, on a segment's bound.
fn is_prefix(end: &str, path: &str) -> bool {
    end.len() > 1 && path.strip_prefix(end).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `v1`, `v4`, `v1beta`, `v1beta1`, `v2alpha`.
fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('v') else { return false };
    let name = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    rest.starts_with(|c: char| c.is_ascii_digit()) && matches!(name, "" | "alpha" | "beta")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_write_stands_once() {
        let chat = "/v1/chat/completions";
        let cases = [
            // Nothing is shared.
            ("/api", chat, "/api/v1/chat/completions"),
            ("/openai", chat, "/openai/v1/chat/completions"),
            ("/client/v4/accounts/a/ai", chat, "/client/v4/accounts/a/ai/v1/chat/completions"),
            ("/v1/account/gateway/anthropic", "/v1/messages", "/v1/account/gateway/anthropic/v1/messages"),
            ("/ollama", "/api/chat", "/ollama/api/chat"),
            ("/v1", "/chat/completions", "/v1/chat/completions"),
            ("/v1", "/v10/x", "/v1/v10/x"),
            ("/v1", "/v2/rerank", "/v1/v2/rerank"),
            ("/v1", "/v1beta/models/g:generateContent", "/v1/v1beta/models/g:generateContent"),
            ("/v1", "/", "/v1/"),
            ("/v1", "?x=1", "/v1?x=1"),
            ("/v1", "", "/v1"),
            // The end of the one is the beginning of the other.
            ("/v1", chat, "/v1/chat/completions"),
            ("/v1", "/v1", "/v1"),
            ("/v1", "/v1/", "/v1/"),
            ("/v1", "/v1?limit=1", "/v1?limit=1"),
            ("/v1", "/v1/v1/x", "/v1/v1/x"),
            ("/v1", "/v1/models/a%2Fb//c?q=/v1/", "/v1/models/a%2Fb//c?q=/v1/"),
            ("/api/v1", chat, "/api/v1/chat/completions"),
            ("/api/v1", "/api/v1/chat/completions", "/api/v1/chat/completions"),
            ("/openai/v1", chat, "/openai/v1/chat/completions"),
            ("/openai/v1", "/openai/v1/responses", "/openai/v1/responses"),
            ("/client/v4/accounts/a/ai/v1", chat, "/client/v4/accounts/a/ai/v1/chat/completions"),
            ("/v1/v1", chat, "/v1/v1/chat/completions"),
            ("/a/b/a/b", "/a/b/c", "/a/b/a/b/c"),
            ("/v1beta/openai", "/v1beta/openai/chat/completions", "/v1beta/openai/chat/completions"),
            ("/v1beta/openai", "/openai/chat/completions", "/v1beta/openai/chat/completions"),
            // A client's base URL that ends in a slash.
            ("/v1", "//v1/chat/completions", "/v1/chat/completions"),
            ("/v1", "//chat/completions", "/v1//chat/completions"),
            // The base path's own version.
            ("/api/paas/v4", chat, "/api/paas/v4/chat/completions"),
            ("/api/v3", chat, "/api/v3/chat/completions"),
            ("/v2", chat, "/v2/chat/completions"),
            ("/v1beta/openai", chat, "/v1beta/openai/chat/completions"),
            (
                "/v1/projects/p/locations/l/endpoints/openapi",
                chat,
                "/v1/projects/p/locations/l/endpoints/openapi/chat/completions",
            ),
            ("/v1/account/gateway/openai", chat, "/v1/account/gateway/openai/v1/chat/completions"),
            ("/voice", chat, "/voice/v1/chat/completions"),
        ];
        for (base, path, want) in cases {
            assert_eq!(join(base, path), want, "{base} and {path}");
        }
    }
}
