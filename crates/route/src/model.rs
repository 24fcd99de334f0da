//! Where a request names its model. This is the one place that knows; records and routes ask here.
//!
//! | requests | the model is |
//! |---|---|
//! | `…/deployments/{m}/…` (Azure), `…/engines/{m}/…` | in the path |
//! | `POST …/models/{m}:verb`, `…/tunedModels/{m}:verb`, `…/endpoints/{m}:verb` (Gemini, Vertex AI, `KServe`) | in the path |
//! | `POST …/model/{m}/invoke`, `converse`, `…-stream` (Bedrock; an ARN may have slashes) | in the path |
//! | `POST …/models/{m}/…` (Hugging Face, Replicate, `KServe`), `…/ai/run/{m}`, `…/v1/inference/{m}`, `…/endpoints/{m}/invocations` | in the path; with slashes up to a segment that belongs to the API |
//! | `GET`, `HEAD`, `DELETE`, `PATCH …/models/{m}` | in the path: all that follows, slashes too |
//! | `…/realtime`, `…/listen`, `…/speak` | in the query: `model`, or Azure's `deployment` |
//! | other `GET`, `HEAD`, `DELETE` with `?model=` (llama.cpp's router) | in the query |
//! | other requests without a body by their method; files, uploads, batches | nowhere |
//! | all else | in the body: `model` of a JSON object, of a form, of a multipart form |
//!
//! Names are percent-decoded, as the servers do that read them. **A path goes before a body that names another model**, for
//! whoever has the name in the path reads it there and passes over the body's. A query counts only where this table says so. A
//! name that stands twice in a query with two values could be read in two ways, and is none.

use std::borrow::Cow;

use http::Method;
use limpid_core::Endpoint;

/// What a request's head tells of its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelIn<'a> {
    /// It names it.
    Head(Cow<'a, str>),
    /// The body may name it.
    Body,
    /// Requests of this kind name none.
    Nowhere,
    /// It should be in the head, and is not, or not so that it can be told.
    Missing,
}

/// The longest name that is one, bytes.
const MOST: usize = 256;

/// What Bedrock's paths end in.
const BEDROCK: [&str; 6] = [
    "invoke",
    "invoke-with-response-stream",
    "invoke-with-bidirectional-stream",
    "converse",
    "converse-stream",
    "count-tokens",
];

/// Segments behind a name that are no part of it.
const BEHIND: [&str; 16] = [
    "v1",
    "pipeline",
    "versions",
    "predictions",
    "infer",
    "generate",
    "generate_stream",
    "generate_batch",
    "chat",
    "completions",
    "embeddings",
    "responses",
    "endpoints",
    "ready",
    "config",
    "stats",
];

/// Calls on all models; their bodies name one.
const ON_MODELS: [&str; 4] = ["load", "unload", "download", "status"];

/// Where a request with this head names its model.
pub fn model_in<'a>(endpoint: Endpoint, method: &Method, path: &'a str, query: Option<&'a str>) -> ModelIn<'a> {
    if let Some(raw) = in_path(method, path) {
        return decoded(raw, false).map_or(ModelIn::Missing, ModelIn::Head);
    }
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if endpoint == Endpoint::Realtime || matches!(last, "listen" | "speak") {
        return match in_query(query, "model") {
            InQuery::Absent => in_query(query, "deployment").or(ModelIn::Missing),
            found => found.or(ModelIn::Missing),
        };
    }
    let bodiless = [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE, Method::TRACE, Method::CONNECT];
    match endpoint {
        Endpoint::Files | Endpoint::Batches => ModelIn::Nowhere,
        _ if *method == Method::POST => ModelIn::Body,
        _ if *method == Method::OPTIONS => ModelIn::Nowhere,
        _ if bodiless.contains(method) => in_query(query, "model").or(ModelIn::Nowhere),
        _ => ModelIn::Body,
    }
}

/// The name as it stands in the path.
fn in_path<'a>(method: &Method, path: &'a str) -> Option<&'a str> {
    let post = *method == Method::POST;
    let (mut at, mut before) = (0, "");
    for segment in path.split('/') {
        let rest = path.get(at + segment.len() + 1..).unwrap_or_default();
        let found = match segment {
            "deployments" | "engines" => rest.split_once('/').map(|(name, _)| name),
            "models" | "tunedModels" | "endpoints" if post && verb(rest).is_some() => verb(rest),
            "models" if post => before_api(rest).filter(|name| !ON_MODELS.contains(name)),
            "models" if *method != Method::OPTIONS => Some(reads(rest)),
            "endpoints" if post => rest.split_once('/').filter(|(_, b)| b.starts_with("invocations")).map(|(n, _)| n),
            "model" if post => rest.rsplit_once('/').filter(|(_, end)| BEDROCK.contains(end)).map(|(name, _)| name),
            "run" if post && before == "ai" => Some(rest),
            "inference" if post && before == "v1" => Some(rest),
            _ => None,
        };
        if let Some(name) = found.map(|name| name.trim_end_matches('/')).filter(|name| !name.is_empty()) {
            return Some(name);
        }
        at += segment.len() + 1;
        before = segment;
    }
    None
}

/// `{m}:verb`, at the path's end.
fn verb(rest: &str) -> Option<&str> {
    let (name, verb) = rest.rsplit_once(':')?;
    let whole = !name.contains('/') && !verb.is_empty() && verb.bytes().all(|b| b.is_ascii_alphabetic());
    whole.then_some(name)
}

/// A name that may have slashes, up to a segment of the API's.
fn before_api(rest: &str) -> Option<&str> {
    let mut end = 0;
    for (number, segment) in rest.split('/').enumerate() {
        if number > 0 && BEHIND.contains(&segment) {
            break;
        }
        end += segment.len() + usize::from(number > 0);
    }
    rest.get(..end)
}

/// The name that is read or deleted: all that follows, but for what is asked about it.
fn reads(rest: &str) -> &str {
    match rest.rsplit_once('/') {
        Some((name, "endpoints" | "ready" | "config" | "stats")) => name,
        _ => rest,
    }
}

enum InQuery<'a> {
    Absent,
    Unclear,
    Named(Cow<'a, str>),
}

impl<'a> InQuery<'a> {
    fn or(self, absent: ModelIn<'a>) -> ModelIn<'a> {
        match self {
            InQuery::Absent => absent,
            InQuery::Unclear => ModelIn::Missing,
            InQuery::Named(name) => ModelIn::Head(name),
        }
    }
}

fn in_query<'a>(query: Option<&'a str>, member: &str) -> InQuery<'a> {
    let mut found: Option<Cow<'a, str>> = None;
    for pair in query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decoded(name, true).is_some_and(|name| name == member) && !value.is_empty() {
            let value = decoded(value, true);
            match (value, &found) {
                (None, _) => return InQuery::Unclear,
                (Some(value), Some(first)) if value != *first => return InQuery::Unclear,
                (value, _) => found = value,
            }
        }
    }
    found.map_or(InQuery::Absent, InQuery::Named)
}

/// What it names, if that is text and not too long. `plus`: a blank may stand as `+`, as in queries. A `%` that escapes nothing
/// stands for itself (WHATWG URL, percent-decode).
fn decoded(raw: &str, plus: bool) -> Option<Cow<'_, str>> {
    let name = if raw.bytes().any(|b| b == b'%' || (plus && b == b'+')) {
        let mut bytes = Vec::with_capacity(raw.len().min(MOST + 1));
        let mut rest = raw.as_bytes();
        while let [first, behind @ ..] = rest {
            let hex = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let escaped = match (first, behind) {
                (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
                _ => None,
            };
            rest = if escaped.is_some() { behind.get(2..).unwrap_or_default() } else { behind };
            bytes.push(escaped.unwrap_or(if plus && *first == b'+' { b' ' } else { *first }));
            if bytes.len() > MOST {
                return None;
            }
        }
        Cow::Owned(String::from_utf8(bytes).ok()?)
    } else {
        Cow::Borrowed(raw)
    };
    (!name.is_empty() && name.len() <= MOST).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify;

    /// The name, or `body`, `nowhere`, `missing` in brackets.
    fn of(method: &str, target: &str) -> String {
        let method: Method = method.parse().unwrap();
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        match model_in(classify(&method, path), &method, path, query) {
            ModelIn::Head(name) => name.into_owned(),
            ModelIn::Body => "[body]".into(),
            ModelIn::Nowhere => "[nowhere]".into(),
            ModelIn::Missing => "[missing]".into(),
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table")]
    #[test]
    fn each_api_names_its_model_where_the_table_says() {
        let cases = [
            ("POST", "/v1/chat/completions", "[body]"),
            ("POST", "/v1/chat/completions?model=x", "[body]"),
            ("POST", "/v1/messages", "[body]"),
            ("POST", "/v1/audio/transcriptions", "[body]"),
            ("POST", "/api/chat", "[body]"),
            ("POST", "/unheard/of", "[body]"),
            ("PUT", "/unheard/of", "[body]"),
            // Azure.
            ("POST", "/openai/deployments/gpt-4o/chat/completions?api-version=1", "gpt-4o"),
            ("POST", "/openai/deployments/my%20dep%2Fa/embeddings", "my dep/a"),
            ("POST", "/openai/deployments/w/audio/transcriptions", "w"),
            ("POST", "/openai/v1/chat/completions", "[body]"),
            ("GET", "/openai/deployments", "[nowhere]"),
            ("POST", "/v1/engines/davinci/completions", "davinci"),
            // Google.
            ("POST", "/v1beta/models/gemini-2.5-flash:generateContent", "gemini-2.5-flash"),
            ("POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "gemini-2.5-flash"),
            ("POST", "/v1beta/tunedModels/mine-1:generateContent", "mine-1"),
            ("POST", "/v1/projects/p/locations/l/publishers/google/models/g@001:generateContent", "g@001"),
            ("POST", "/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict", "c"),
            ("POST", "/v1/projects/p/locations/l/endpoints/42:predict", "42"),
            ("POST", "/v1/projects/p/locations/l/endpoints/openapi/chat/completions", "[body]"),
            // Bedrock.
            ("POST", "/model/anthropic.claude-v2%3A1/invoke", "anthropic.claude-v2:1"),
            ("POST", "/model/us.amazon.nova/converse-stream", "us.amazon.nova"),
            (
                "POST",
                "/model/arn:aws:bedrock:eu:1:inference-profile/eu.x/converse",
                "arn:aws:bedrock:eu:1:inference-profile/eu.x",
            ),
            ("POST", "/model/arn%3Aaws%3Abedrock%3A%3A%3Ax%2Fy/invoke-with-response-stream", "arn:aws:bedrock:::x/y"),
            ("GET", "/model/x/invoke", "[nowhere]"),
            // Others with the name in the path.
            ("POST", "/models/gpt2", "gpt2"),
            ("POST", "/hf-inference/models/org/m/v1/chat/completions", "org/m"),
            ("POST", "/hf-inference/models/org/m/pipeline/feature-extraction", "org/m"),
            ("POST", "/v1/models/org/m/predictions", "org/m"),
            ("POST", "/v2/models/m/generate_stream", "m"),
            ("POST", "/v2/models/m/versions/1/infer", "m"),
            ("POST", "/v1/models/m:predict", "m"),
            ("POST", "/client/v4/accounts/a/ai/run/@cf/meta/llama-3", "@cf/meta/llama-3"),
            ("POST", "/v1/inference/org/m", "org/m"),
            ("POST", "/endpoints/e/invocations-response-stream", "e"),
            ("POST", "/models/load", "[body]"),
            ("POST", "/v1/models", "[body]"),
            // Reading.
            ("GET", "/v1/models", "[nowhere]"),
            ("GET", "/v1/models/", "[nowhere]"),
            ("HEAD", "/v1/models", "[nowhere]"),
            ("GET", "/v1/models/gpt-4o", "gpt-4o"),
            ("GET", "/v1/models/org/m", "org/m"),
            ("GET", "/v1/models/org%2Fm", "org/m"),
            ("DELETE", "/v1/models/ft:gpt:x", "ft:gpt:x"),
            ("GET", "/v1/models/accounts/a/models/m", "accounts/a/models/m"),
            ("GET", "/api/v1/models/org/m/endpoints", "org/m"),
            ("OPTIONS", "/v1/models/gpt-4o", "[nowhere]"),
            ("OPTIONS", "/v1/chat/completions", "[nowhere]"),
            ("OPTIONS", "*", "[nowhere]"),
            ("GET", "/health", "[nowhere]"),
            ("GET", "/v1/models/%FF", "[missing]"),
            // The query.
            ("GET", "/v1/realtime?model=gpt-realtime", "gpt-realtime"),
            ("GET", "/v1/realtime?x=1&model=org%2Fa+b", "org/a b"),
            ("GET", "/openai/realtime?api-version=1&deployment=d", "d"),
            ("GET", "/v1/realtime", "[missing]"),
            ("GET", "/v1/realtime?model=a&model=b", "[missing]"),
            ("GET", "/v1/realtime?model=a&model=a", "a"),
            ("POST", "/v1/listen?model=nova-3", "nova-3"),
            ("GET", "/props?model=a", "a"),
            ("GET", "/props?models=a", "[nowhere]"),
            // Nowhere.
            ("POST", "/v1/files", "[nowhere]"),
            ("POST", "/v1/batches", "[nowhere]"),
            ("POST", "/v1/uploads/u/parts", "[nowhere]"),
            ("POST", "/v1/messages/batches", "[nowhere]"),
        ];
        for (method, target, want) in cases {
            assert_eq!(of(method, target), want, "{method} {target}");
        }
        assert_eq!(of("GET", &format!("/v1/models/{}", "x".repeat(257))), "[missing]");
    }
}
