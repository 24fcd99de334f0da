//! What a request's head decides: the kind of API, the upstream, the path there, and who is asking.
//!
//! Input: a byte that chooses the method and the target, then lines: the path, and fields as `name:value`.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Uri};
use limpid_route::{KeyNames, Match, ModelPattern, RouteTable, Subject, Target, classify};

const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::OPTIONS, Method::HEAD];
const TARGETS: [&str; 4] = ["http://h:1", "https://h/base", "http://[::1]:8/a/b/", "http://h/api/v1"];
const REWRITES: [Option<(&str, &str)>; 4] =
    [None, Some(("/openai", "")), Some(("/openai", "/y/")), Some(("/v1", "/api/v1"))];

/// Panics if an invariant does not hold.
pub fn check(input: &[u8]) {
    let [choice, rest @ ..] = input else { return };
    let mut lines = rest.split(|b| *b == b'\n');
    let path = lines.next().unwrap_or_default();
    let fields = fields(lines);
    caller(&fields);
    let text = String::from_utf8_lossy(path);
    configured(&text);
    let Ok(uri) = Uri::try_from(path) else { return };
    let Some(asked) = uri.path_and_query() else { return };
    let method = &METHODS[usize::from(choice & 3)];
    assert_eq!(classify(method, asked.path()), classify(method, asked.path()), "one path, one kind");
    if *method != Method::POST {
        assert!(!classify(method, asked.path()).streams_tokens(), "nothing but a POST makes tokens");
    }
    forwarded(asked, *choice);
    chosen(&uri, asked, &fields);
}

fn fields<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in lines.take(64) {
        let Some(at) = line.iter().position(|b| *b == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..at]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[at + 1..].trim_ascii())) {
            fields.append(name, value);
        }
    }
    fields
}

/// No part of a key is kept, and what is kept is short.
fn caller(fields: &HeaderMap) {
    let names = KeyNames::with_secret("fuzz");
    let caller = names.identify(fields);
    assert_eq!(caller, names.identify(fields), "one head, one caller");
    if let Some(key) = &caller.key {
        let digits = key.strip_prefix("k-").unwrap_or_default();
        assert!(digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "a key's name is {key}");
    }
    let texts =
        [&caller.project, &caller.user, &caller.template, &caller.session, &caller.priority, &caller.request_id];
    for text in texts.into_iter().flatten() {
        assert!((1..=128).contains(&text.len()), "a field of {} bytes", text.len());
    }
    if let Some(trace) = caller.trace {
        assert!(trace.trace_id != 0 && trace.span_id != 0);
        // What is read is what stands there.
        let field = fields.get("traceparent").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let again = format!("-{:032x}-{:016x}-", trace.trace_id, trace.span_id);
        assert!(field.contains(&again), "{field} is read as {again}");
    }
}

/// The client's path and query stay as they are, behind the configured prefixes, and never name another host.
fn forwarded(asked: &PathAndQuery, choice: u8) {
    let target = Target::parse(TARGETS[usize::from(choice >> 2 & 3)]).expect("these are URLs");
    let rewrite = REWRITES[usize::from(choice >> 4 & 3)];
    let under =
        |prefix: &str| asked.path().strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let rewrite = rewrite.filter(|(from, _)| under(from));
    let Ok(sent) = target.path(asked, rewrite) else { panic!("{asked} does not join") };
    let rest = asked.as_str().strip_prefix(rewrite.map_or("", |(from, _)| from)).unwrap_or_default();
    // What the base path says already stands once: slashes before it, and the client's `/v1`.
    let kept = rest.trim_start_matches('/');
    let kept = kept.strip_prefix("v1").filter(|_| choice >> 2 & 3 == 3).unwrap_or(kept);
    assert!(sent.as_str().ends_with(kept), "{asked} became {sent}");
    let twice = sent.path().starts_with("/api/v1/v1/") && !asked.path().contains("v1/v1") && rewrite.is_none();
    assert!(!twice, "{asked} became {sent}");
    assert_eq!(sent.query(), asked.query(), "{asked} became {sent}");
    // As it is written: of `http://host?query` the slash is not in `as_str`.
    let written = sent.to_string();
    assert!(written.starts_with('/') || written == "*", "{asked} became {sent}");
}

/// The choice is one of the table's, and the default where nothing else matches.
fn chosen(uri: &Uri, asked: &PathAndQuery, fields: &HeaderMap) {
    let table = RouteTable::new(vec![
        Match::default(),
        Match { path_prefix: Some("/openai".into()), ..Match::default() },
        Match { host: Some("example.org".into()), ..Match::default() },
        Match { models: vec![ModelPattern::parse("gpt-*"), ModelPattern::parse("x")], ..Match::default() },
    ]);
    let host =
        fields.get("host").and_then(|v| v.to_str().ok()).or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let model = fields.get("model").and_then(|v| v.to_str().ok());
    let chosen = table.choose(Subject { host, path: asked.path(), model });
    assert!(matches!(chosen, Some(0..=3)), "{chosen:?}");
    if chosen == Some(3) {
        assert!(model.is_some_and(|m| m == "x" || m.starts_with("gpt-")));
    }
}

/// A URL of the settings gives a target or an error.
fn configured(text: &str) {
    if let Ok(target) = Target::parse(text) {
        assert!(!target.host().is_empty() && !target.origin().contains('@'));
        assert!(target.path(&PathAndQuery::from_static("/x?y=/z"), None).is_ok_and(|p| p.query() == Some("y=/z")));
    }
}
