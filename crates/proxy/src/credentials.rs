//! The upstream's own API key in place of the client's.
//!
//! With a key configured, clients need none of the upstream's: what they send as theirs names them in the records and goes
//! no further. Whoever can reach the listener can use the key, so such a listener belongs behind a network that knows its
//! callers. The value is marked sensitive, so that hyper keeps it out of HPACK's tables and of debug output.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// The fields that carry keys in the known APIs.
const CREDENTIALS: [HeaderName; 4] = [AUTHORIZATION, X_API_KEY, API_KEY, X_GOOG_API_KEY];

/// A key and the field that carries it.
#[derive(Debug, Clone)]
pub struct UpstreamKey {
    field: HeaderName,
    value: HeaderValue,
}

impl UpstreamKey {
    /// As the provider wants it: `x-api-key` for Anthropic, `api-key` for Azure, `Authorization: Bearer` for all others.
    ///
    /// Errors if the key cannot stand in an HTTP field; the error does not hold it.
    pub fn new(provider: &str, key: &str) -> Result<UpstreamKey, InvalidHeaderValue> {
        let (field, text) = match provider {
            "anthropic" => (X_API_KEY, key.to_owned()),
            "azure.ai.openai" | "azure.ai.inference" => (API_KEY, key.to_owned()),
            _ => (AUTHORIZATION, format!("Bearer {key}")),
        };
        let mut value = HeaderValue::from_str(&text)?;
        value.set_sensitive(true);
        Ok(UpstreamKey { field, value })
    }

    /// The fields with this key where the client's first one stood, and none of the client's.
    pub(crate) fn replace(&self, fields: &HeaderMap) -> HeaderMap {
        let mut out = HeaderMap::with_capacity(fields.keys_len() + 1);
        for (name, value) in fields {
            if !CREDENTIALS.contains(name) {
                out.append(name.clone(), value.clone());
            } else if !out.contains_key(&self.field) {
                out.insert(self.field.clone(), self.value.clone());
            }
        }
        out.entry(&self.field).or_insert_with(|| self.value.clone());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(provider: &str, list: &[(&'static str, &'static str)]) -> Vec<String> {
        let fields: HeaderMap =
            list.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
        let out = UpstreamKey::new(provider, "ours").unwrap().replace(&fields);
        out.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect()
    }

    #[test]
    fn it_stands_where_the_clients_stood_and_none_of_the_clients_goes_on() {
        let sent = [("accept", "a"), ("authorization", "Bearer theirs"), ("x-api-key", "theirs"), ("host", "h")];
        assert_eq!(replaced("openai", &sent), ["accept: a", "authorization: Bearer ours", "host: h"]);
        assert_eq!(replaced("anthropic", &sent), ["accept: a", "x-api-key: ours", "host: h"]);
        assert_eq!(replaced("azure.ai.openai", &[("host", "h")]), ["host: h", "api-key: ours"]);
    }

    #[test]
    fn it_shows_nowhere() {
        assert!(!format!("{:?}", UpstreamKey::new("openai", "ours").unwrap()).contains("ours"));
        assert!(UpstreamKey::new("openai", "a\nb").is_err());
    }
}
