//! Who is asking: the key's name, and what the `x-limpid-*` fields say.
//!
//! An API key is a secret, so no part of it is kept. A key that the settings name is known by that name; another by
//! `k-` and 8 hexadecimal digits of its SipHash-2-4 under a secret. A secret from the settings keeps the digits the same
//! from one start to the next; without one they hold until the process ends. Nobody can get a key back from them.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use limpid_core::{Caller, TraceParent};
use siphasher::sip::SipHasher24;

/// Whether a request field is limpid's own: read, and taken out before the request goes upstream.
pub fn is_limpid_field(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "x-limpid-project" | "x-limpid-user" | "x-limpid-template" | "x-limpid-session" | "x-limpid-priority"
    )
}

const MAX_FIELD: usize = 128;
const MAX_TRACE_STATE: usize = 512;

/// The configured keys, and the secret for the others.
pub struct KeyNames {
    named: HashMap<String, NamedKey>,
    secret: [u8; 16],
}

struct NamedKey {
    name: Box<str>,
    project: Option<Box<str>>,
}

impl KeyNames {
    /// No keys are named yet. Hashes of unnamed keys stay the same wherever the same secret is set.
    pub fn with_secret(secret: &str) -> KeyNames {
        let half = |n| {
            let mut hasher = SipHasher24::new_with_keys(0, n);
            hasher.write(secret.as_bytes());
            u128::from(hasher.finish())
        };
        KeyNames { named: HashMap::new(), secret: (half(0) << 64 | half(1)).to_ne_bytes() }
    }

    /// No keys are named yet. Hashes of unnamed keys are of use until the process ends, and then mean nothing.
    pub fn of_this_start() -> KeyNames {
        let random = RandomState::new();
        let secret = u128::from(random.hash_one(0)) << 64 | u128::from(random.hash_one(1));
        KeyNames { named: HashMap::new(), secret: secret.to_ne_bytes() }
    }

    /// Names a key, and the project of its requests unless they name one themselves.
    pub fn name(&mut self, key: String, name: &str, project: Option<&str>) {
        self.named.insert(key, NamedKey { name: name.into(), project: project.map(Into::into) });
    }

    /// Reads a request's fields. Values longer than 128 bytes are cut.
    pub fn identify(&self, fields: &HeaderMap) -> Caller {
        let told = Told::read(fields);
        let key = told.key();
        let named = key.and_then(|k| self.named.get(k));
        let trace = told.traced.then(|| trace_of(fields)).flatten();
        Caller {
            key: named.map(|n| n.name.clone()).or_else(|| key.map(|k| self.hashed(k))),
            project: text(told.project).or_else(|| named.and_then(|n| n.project.clone())),
            user: text(told.user),
            template: text(told.template),
            session: text(told.session),
            priority: text(told.priority),
            request_id: text(told.request_id),
            trace,
            trace_state: trace.and_then(|_| trace_state(fields)),
        }
    }

    fn hashed(&self, key: &str) -> Box<str> {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write(key.as_bytes());
        let digits = (hasher.finish() >> 32) as u32;
        let digit = |n: u32| char::from(b"0123456789abcdef"[(digits >> (28 - 4 * n) & 15) as usize]);
        "k-".chars().chain((0..8).map(digit)).collect()
    }
}

/// The fields that tell of the caller, each as it came first. One walk over a head's few fields takes a third of the time of
/// looking each of these up.
#[derive(Default)]
struct Told<'a> {
    authorization: Option<&'a HeaderValue>,
    x_api_key: Option<&'a HeaderValue>,
    api_key: Option<&'a HeaderValue>,
    x_goog_api_key: Option<&'a HeaderValue>,
    project: Option<&'a HeaderValue>,
    user: Option<&'a HeaderValue>,
    template: Option<&'a HeaderValue>,
    session: Option<&'a HeaderValue>,
    priority: Option<&'a HeaderValue>,
    request_id: Option<&'a HeaderValue>,
    /// There is a `traceparent`.
    traced: bool,
}

impl<'a> Told<'a> {
    fn read(fields: &'a HeaderMap) -> Told<'a> {
        let mut told = Told::default();
        for (name, value) in fields {
            let place = match name.as_str() {
                "authorization" => &mut told.authorization,
                "x-api-key" => &mut told.x_api_key,
                "api-key" => &mut told.api_key,
                "x-goog-api-key" => &mut told.x_goog_api_key,
                "x-limpid-project" => &mut told.project,
                "x-limpid-user" => &mut told.user,
                "x-limpid-template" => &mut told.template,
                "x-limpid-session" => &mut told.session,
                "x-limpid-priority" => &mut told.priority,
                "x-request-id" => &mut told.request_id,
                "traceparent" => {
                    told.traced = true;
                    continue;
                }
                _ => continue,
            };
            place.get_or_insert(value);
        }
        told
    }

    /// The key, wherever the known APIs carry it: `Authorization: Bearer`, Anthropic's `x-api-key`, Azure's `api-key`,
    /// Google's `x-goog-api-key`.
    fn key(&self) -> Option<&'a str> {
        let bearer = self.authorization.and_then(|v| v.to_str().ok()).map(|v| match v.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
            _ => v,
        });
        let others = [self.x_api_key, self.api_key, self.x_goog_api_key];
        bearer.or_else(|| others.into_iter().flatten().find_map(|v| v.to_str().ok())).filter(|key| !key.is_empty())
    }
}

fn text(value: Option<&HeaderValue>) -> Option<Box<str>> {
    let value = value?.to_str().ok()?;
    let end = value.len().min(MAX_FIELD);
    (end > 0).then(|| value[..end].into())
}

/// The client's trace. Two `traceparent` fields are none (Trace Context §3.2).
fn trace_of(fields: &HeaderMap) -> Option<TraceParent> {
    let mut all = fields.get_all("traceparent").iter();
    match (all.next(), all.next()) {
        (Some(only), None) => traceparent(only.to_str().ok()?),
        _ => None,
    }
}

/// Its `tracestate` fields, joined in their order (Trace Context §3.3). What is longer than the 512 bytes that everybody
/// must take is left out whole: entries must not be cut.
fn trace_state(fields: &HeaderMap) -> Option<Box<str>> {
    let mut joined = String::new();
    for value in fields.get_all("tracestate") {
        let value = value.to_str().ok()?.trim();
        if joined.len() + value.len() >= MAX_TRACE_STATE {
            return None;
        }
        if !joined.is_empty() && !value.is_empty() {
            joined.push(',');
        }
        joined.push_str(value);
    }
    (!joined.is_empty()).then(|| joined.into())
}

/// W3C Trace Context: `00-<32 hex>-<16 hex>-<2 hex>`; later versions may append fields.
fn traceparent(value: &str) -> Option<TraceParent> {
    let mut parts = value.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex =
        |s: &str, len| s.len() == len && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !lower_hex(version, 2) || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    if !(lower_hex(trace, 32) && lower_hex(span, 16) && lower_hex(flags, 2)) {
        return None;
    }
    let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
    let span_id = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    Some(TraceParent { trace_id, span_id, sampled })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    #[test]
    fn a_named_key_has_its_name_and_project() {
        let mut names = KeyNames::with_secret("s");
        names.name("sk-secret".into(), "team-a", Some("search"));
        for f in [[("authorization", "Bearer sk-secret")], [("x-api-key", "sk-secret")], [("api-key", "sk-secret")]] {
            let caller = names.identify(&fields(&f));
            assert_eq!(caller.key.as_deref(), Some("team-a"));
            assert_eq!(caller.project.as_deref(), Some("search"));
        }
        let own = names.identify(&fields(&[("authorization", "bearer sk-secret"), ("x-limpid-project", "p")]));
        assert_eq!(own.project.as_deref(), Some("p"));
    }

    #[test]
    fn an_unnamed_key_is_a_keyed_hash_and_nothing_of_it_is_kept() {
        let f = fields(&[("authorization", "Bearer sk-canary")]);
        let a = KeyNames::with_secret("a").identify(&f);
        let b = KeyNames::with_secret("b").identify(&f);
        assert_ne!(a.key, b.key);
        assert!(!format!("{a:?}").contains("canary"));
        assert_eq!(a.key.as_deref().map(str::len), Some(10));
        assert_eq!(KeyNames::with_secret("a").identify(&f).key, a.key);
        assert_eq!(KeyNames::of_this_start().identify(&fields(&[])).key, None);
    }

    #[test]
    fn a_trace_state_stands_beside_one_valid_traceparent_only() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let state = |list: &[(&'static str, &str)]| {
            let caller = KeyNames::of_this_start().identify(&fields(list));
            (caller.trace.is_some(), caller.trace_state.as_deref().map(str::to_owned))
        };
        assert_eq!(
            state(&[("traceparent", parent), ("tracestate", "a=1"), ("tracestate", "b=2,c=3")]),
            (true, Some("a=1,b=2,c=3".into()))
        );
        assert_eq!(state(&[("traceparent", parent), ("traceparent", parent), ("tracestate", "a=1")]), (false, None));
        assert_eq!(state(&[("traceparent", "junk"), ("tracestate", "a=1")]), (false, None));
        assert_eq!(state(&[("traceparent", parent), ("tracestate", &"x".repeat(600))]), (true, None));
    }

    #[test]
    fn trace_contexts() {
        let ok = traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(ok.span_id, 0xb7ad_6b71_6920_3331);
        assert!(ok.sampled);
        assert!(traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-future").is_some());
        for bad in [
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "junk",
        ] {
            assert_eq!(traceparent(bad), None, "{bad}");
        }
    }
}
