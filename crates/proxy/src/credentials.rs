//! The upstream's own API key in place of the client's.
//!
//! With a key configured, clients need none of the upstream's: what they send as theirs names them in the records and goes
//! no further. Whoever can reach the listener can use the key, so such a listener belongs behind a network that knows its
//! callers. The value is marked sensitive, so that hyper keeps it out of HPACK's tables and of debug output.
//!
//! **What of the client's is taken off** when the own key goes up; without one everything passes untouched. [`names`] has
//! the lists.
//!
//! | where | what |
//! |---|---|
//! | fields | `Authorization`, `Proxy-Authorization`, `Cookie`, and all whose words name a credential: `x-api-key`, `api-key`, `x-goog-api-key`, `x-litellm-api-key`, `ocp-apim-subscription-key`, `helicone-auth`, `x-auth-token`, `x-amz-security-token`, …; not `Idempotency-Key`, `Sec-WebSocket-Key` and their like |
//! | query | parameters that are called so: `key`, `api_key`, `api-key`, `access_token`, `subscription-key`, `code` (Azure Functions), `sig`, …, in any case, encoded or not; not `pageToken` and its like |
//! | WebSocket subprotocols | `openai-insecure-api-key.…` and all that begin with words of a credential; behind a bare `token` or `bearer` the one that follows; keys that stand alone |
//! | trailers | never go up, own key or not (`limpid_http1::trailers`) |
//!
//! **Where the own key goes**, where the client's first one stood, or behind the others:
//!
//! | provider | path, as it goes up | field |
//! |---|---|---|
//! | `anthropic` | `…/chat/completions` (its OpenAI dialect) | `Authorization: Bearer` |
//! | `anthropic` | any other | `x-api-key` |
//! | `azure.ai.openai`, `azure.ai.inference` | with a segment `anthropic` | `x-api-key` |
//! | `azure.ai.openai`, `azure.ai.inference` | any other | `api-key` |
//! | `gcp.gemini`, `gcp.gen_ai` | with a segment `openai` (its OpenAI dialect) | `Authorization: Bearer` |
//! | `gcp.gemini`, `gcp.gen_ai` | any other | `x-goog-api-key` |
//! | any other | any | `Authorization: Bearer` |
//!
//! **What it goes with**: GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS, for any other may show it (TRACE sends it back);
//! and paths below the upstream's base path, without dot segments however they are written (`life.rs`, `confined`).

mod names;

use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::uri::PathAndQuery;
use limpid_core::RelayFailure;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Whose rule says which field carries the key.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Anthropic,
    Azure,
    Gemini,
    Bearer,
}

/// A key and the fields that may carry it.
#[derive(Debug, Clone)]
pub struct UpstreamKey {
    rule: Rule,
    bare: HeaderValue,
    bearer: HeaderValue,
}

/// What goes up with the own key: the path without the client's. Nothing but the API's methods.
///
/// # Errors
///
/// [`RelayFailure::KeyMethod`].
pub(crate) fn before_own_key(method: &Method, path: PathAndQuery) -> Result<PathAndQuery, RelayFailure> {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS => {
            names::without_keys(path)
        }
        _ => Err(RelayFailure::KeyMethod),
    }
}

impl UpstreamKey {
    /// As the provider wants it; see the module's table.
    ///
    /// Errors if the key cannot stand in an HTTP field; the error does not hold it.
    pub fn new(provider: &str, key: &str) -> Result<UpstreamKey, InvalidHeaderValue> {
        let rule = match provider {
            "anthropic" => Rule::Anthropic,
            "azure.ai.openai" | "azure.ai.inference" => Rule::Azure,
            "gcp.gemini" | "gcp.gen_ai" => Rule::Gemini,
            _ => Rule::Bearer,
        };
        let (mut bare, mut bearer) = (HeaderValue::from_str(key)?, HeaderValue::from_str(&format!("Bearer {key}"))?);
        bare.set_sensitive(true);
        bearer.set_sensitive(true);
        Ok(UpstreamKey { rule, bare, bearer })
    }

    /// The field for a request of this path, and what it says.
    fn place(&self, path: &str) -> (HeaderName, &HeaderValue) {
        let segment = |name: &str| path.split('/').any(|s| s == name);
        match self.rule {
            Rule::Anthropic if !path.trim_end_matches('/').ends_with("/chat/completions") => (X_API_KEY, &self.bare),
            Rule::Azure if segment("anthropic") => (X_API_KEY, &self.bare),
            Rule::Azure => (API_KEY, &self.bare),
            Rule::Gemini if !segment("openai") => (X_GOOG_API_KEY, &self.bare),
            Rule::Anthropic | Rule::Gemini | Rule::Bearer => (AUTHORIZATION, &self.bearer),
        }
    }

    /// The fields with this key where the client's first one stood, and none of the client's. `path`: as it goes up.
    pub(crate) fn replace(&self, fields: &HeaderMap, path: &str) -> HeaderMap {
        let (field, key) = self.place(path);
        let mut out = HeaderMap::with_capacity(fields.keys_len() + 1);
        for (name, value) in fields {
            if *name == SEC_WEBSOCKET_PROTOCOL {
                if let Some(value) = names::without_secrets(value) {
                    out.append(name.clone(), value);
                }
            } else if !names::is_field(name.as_str()) {
                out.append(name.clone(), value.clone());
            } else if !out.contains_key(&field) {
                out.insert(field.clone(), key.clone());
            }
        }
        out.entry(&field).or_insert_with(|| key.clone());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(provider: &str, path: &str, list: &[(&'static str, &'static str)]) -> Vec<String> {
        let fields: HeaderMap =
            list.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
        let out = UpstreamKey::new(provider, "ours").unwrap().replace(&fields, path);
        out.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect()
    }

    #[test]
    fn it_stands_where_the_clients_stood_and_none_of_the_clients_goes_on() {
        let sent = [("accept", "a"), ("authorization", "Bearer theirs"), ("x-api-key", "theirs"), ("host", "h")];
        assert_eq!(replaced("openai", "/", &sent), ["accept: a", "authorization: Bearer ours", "host: h"]);
        assert_eq!(replaced("anthropic", "/", &sent), ["accept: a", "x-api-key: ours", "host: h"]);
        assert_eq!(replaced("azure.ai.openai", "/", &[("host", "h")]), ["host: h", "api-key: ours"]);
    }

    /// The rows of the module's second table.
    #[test]
    fn each_api_gets_it_where_it_looks() {
        for (provider, path, want) in [
            ("anthropic", "/v1/messages", "x-api-key: ours"),
            ("anthropic", "/v1/chat/completions", "authorization: Bearer ours"),
            ("azure.ai.openai", "/openai/deployments/d/chat/completions", "api-key: ours"),
            ("azure.ai.inference", "/models/chat/completions", "api-key: ours"),
            ("azure.ai.inference", "/anthropic/v1/messages", "x-api-key: ours"),
            ("gcp.gemini", "/v1beta/models/g:streamGenerateContent", "x-goog-api-key: ours"),
            ("gcp.gemini", "/v1beta/models", "x-goog-api-key: ours"),
            ("gcp.gemini", "/v1beta/openai/chat/completions", "authorization: Bearer ours"),
            ("gcp.gen_ai", "/v1/models/g:generateContent", "x-goog-api-key: ours"),
            ("gcp.vertex_ai", "/v1/projects/p/x:generateContent", "authorization: Bearer ours"),
            ("openai", "/v1/responses", "authorization: Bearer ours"),
            ("vllm", "/v1/messages", "authorization: Bearer ours"),
        ] {
            assert_eq!(replaced(provider, path, &[("x-goog-api-key", "theirs")]), [want], "{provider} {path}");
        }
    }

    #[test]
    fn subprotocols_lose_the_clients_key() {
        let sent = [("sec-websocket-protocol", "realtime, openai-insecure-api-key.theirs, openai-beta.realtime-v1")];
        assert_eq!(
            replaced("openai", "/v1/realtime", &sent),
            ["sec-websocket-protocol: realtime, openai-beta.realtime-v1", "authorization: Bearer ours"]
        );
        assert_eq!(
            replaced("openai", "/", &[("sec-websocket-protocol", "token, theirs")]),
            ["authorization: Bearer ours"]
        );
    }

    #[test]
    fn it_goes_with_the_apis_methods_alone() {
        let asked = |method: &str| before_own_key(&method.parse().unwrap(), PathAndQuery::from_static("/x"));
        for good in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert!(asked(good).is_ok(), "{good}");
        }
        for bad in ["TRACE", "TRACK", "CONNECT", "DEBUG", "PROPFIND", "get"] {
            assert_eq!(asked(bad), Err(RelayFailure::KeyMethod), "{bad}");
        }
    }

    #[test]
    fn it_shows_nowhere() {
        assert!(!format!("{:?}", UpstreamKey::new("openai", "ours").unwrap()).contains("ours"));
        assert!(UpstreamKey::new("openai", "a\nb").is_err());
    }
}
