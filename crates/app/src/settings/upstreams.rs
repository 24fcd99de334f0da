//! `[upstreams.NAME]`: the backends, and which requests each serves.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::uri::PathAndQuery;
use limpid_core::{Discount, Endpoint};
use limpid_proxy::Authorities;
use limpid_route::{Match, ModelPattern, Target, TargetError, classify};

use super::env::Env;
use super::faults::Origin;
use super::keys::Variable;
use super::kinds::{Kind, Secret, Share, named_kind};
use super::reader::{Checked, Reader, Refused, positive};
use super::server::keepalive;

/// The largest file of certificates, bytes; a system's whole bundle has a quarter of a megabyte.
const MAX_CA_FILE: u64 = 4 << 20;

named_kind! {
    /// Which HTTP an upstream is spoken to with.
    UpstreamHttp2, "write \"auto\", \"always\" or \"never\"" {
        /// HTTP/2 where an https upstream chooses it, else HTTP/1.1.
        Auto = "auto",
        /// HTTP/2 only; on http by prior knowledge.
        Always = "always",
        /// HTTP/1.1 only.
        Never = "never",
    }
}

/// A backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name in records, labels and variables: letters, digits, `-`, `_` and `.`, at most 64.
    pub name: Arc<str>,
    /// `http://` or `https://`, a host, and the API's base path if it has one, with or without the `/v1` that clients write.
    /// No default.
    pub url: Target,
    /// `gen_ai.provider.name`. Default: by the URL's host, else `custom`. It chooses the prices.
    pub provider: Arc<str>,
    /// A label for where it stands. Default: absent.
    pub region: Option<Arc<str>>,
    /// Which requests it serves: `host` (the request's `Host` without port), `path_prefix` and `models` (names, or
    /// beginnings with a trailing `*`). Default: all that no other upstream matches.
    pub serves: Match,
    /// What stands in place of `path_prefix` on the way up. Default: absent, the path goes as it came.
    pub rewrite_prefix: Option<String>,
    /// Its own API key, from the variable that `api_key_env` names; it takes the place of the client's, so whoever can reach
    /// the data listener can use it. It goes where the provider's API looks for it, and nothing that may be a credential of the
    /// client's goes beside it; docs/transparency.md. Default: absent, the client's own key goes up as it came.
    pub api_key: Option<Secret>,
    /// Which HTTP it is spoken to with. Default `auto`: what an https upstream prefers is what it is built for, and one
    /// connection for many streams spares handshakes; on http there is no way to ask, and inference servers speak HTTP/1.1.
    pub http2: UpstreamHttp2,
    /// How long nothing may come by an HTTP/2 connection, used or not, before a PING is sent. Default 10 s. `0s`: no PINGs, and
    /// a connection whose other side has vanished is not noticed.
    pub http2_ping_interval: Duration,
    /// How long its answer may take. Default 20 s: behind an upload on a slow line it may have to wait. Then the connection is
    /// given up, and its exchanges end as `ping_timeout`.
    pub http2_ping_timeout: Duration,
    /// How much of a request's body is kept over HTTP/2 until the upstream answers, to send it again if the upstream says that
    /// it did nothing for it, bytes. Default 64 KiB for each such request; a larger body fails as `resend_too_large`.
    pub max_resend_bytes: usize,
    /// Certificate authorities beside the machine's, from the PEM file that `tls_ca_file` names, read at the start. Default:
    /// absent, the machine's alone.
    pub tls_authorities: Option<Authorities>,
    /// How long a connection may take to come up, TLS included. Default 5 s. Then the client gets 504.
    pub connect_timeout: Duration,
    /// How long nothing may come by a connection before it is probed (TCP keep-alive). Default 60 s; four probes 15 s apart
    /// follow, so a host that has vanished is noticed after two minutes, in mid-stream too. `0s`: no probes.
    pub tcp_keepalive: Duration,
    /// How long the response's head may take after the request's last byte. Default: absent, no limit, for a model may
    /// think for many minutes. Then the client gets 504.
    pub headers_timeout: Option<Duration>,
    /// How long the first token of a stream may take after the request was sent. Default: absent, no limit. Then the client
    /// gets 504, or the stream breaks off if its head has come.
    pub first_token_timeout: Option<Duration>,
    /// How long the response's body may be silent; any byte counts, a comment too. Default: absent, no limit. Then the body
    /// breaks off. Some servers keep a connection open and say nothing more when they are shut down.
    pub idle_timeout: Option<Duration>,
    /// How long a WebSocket session may be silent in both directions; any byte counts, a ping too. Default: absent, no limit.
    /// Then both connections are closed.
    pub websocket_idle_timeout: Option<Duration>,
    /// How long an unused connection is kept. Default 4 s: below the 5 s after which uvicorn (vLLM, SGLang) closes,
    /// for a request that meets a closing connection fails. `0s` keeps none.
    pub pool_idle_timeout: Duration,
    /// How many unused connections are kept. Default 256. Running requests have no limit here.
    pub max_idle_connections: usize,
    /// How old a connection may be that takes another request; each a tenth more or less. Default 5 min: constant traffic
    /// follows its name to other addresses, and a handshake in five minutes costs nothing. What a connection carries runs to
    /// its end. `0s`: any age.
    pub max_connection_age: Duration,
    /// The largest head of a response, bytes, with the interim ones before it. Default 64 KiB; clouds send up to 8 KiB. For a
    /// larger one the client gets 502 (`response_head_too_large`).
    pub max_response_head_bytes: usize,
    /// Whether its streams of chat and completions are asked for their usage where the client does not say
    /// (`stream_options.include_usage`), and the answer taken out again. Default `false`: it is the one case in which bytes of
    /// a body change.
    pub ask_for_usage: bool,
    /// Whether prompts and replies of a share of its exchanges go to their spans, redacted and cut (`[capture]`). Default
    /// `false`: they are the users' own.
    pub capture: bool,
    /// That share. Default: absent, that of `[capture]`.
    pub capture_sample: Option<Share>,
    /// What is taken off the catalogue's prices of what it serves. Default `0%`. Own prices, and those that its replies
    /// tell, stay as they are.
    pub discount: Discount,
    /// Where the section stands.
    pub(super) at: Origin,
}

impl Upstream {
    /// `None` after a fault in the name or URL.
    pub(super) fn read(name: &str, env: &Env, mut r: Reader<'_>) -> Option<Upstream> {
        let at = r.origin();
        let named = good_name(name);
        if !named {
            let why = "a name has letters, digits, `-`, `_` and `.`, at most 64 of them";
            r.fault(at.clone(), format!("upstream {name:?}"), why, "choose a name such as vllm-a");
        }
        let url: Option<Arc<str>> = r.required("url", "write url = \"http://127.0.0.1:8000\"", good_url);
        let url = url.and_then(|text| Target::parse(&text).ok());
        let known = url.as_ref().and_then(|u| provider_of(u.host()));
        let by_host = known.map_or((Arc::from("custom"), Origin::Default), |known| {
            (Arc::from(known), Origin::Derived("by the URL's host"))
        });
        if let Some(url) = url.as_ref().filter(|u| !u.base_path().is_empty()) {
            explain_paths(url, &mut r);
        }
        let provider = r.value_or("provider", by_host, good_provider);
        let region = r.optional("region", |_| Ok(()));
        let serves = serves(&mut r);
        let rewrite = r.optional_or("rewrite_prefix", None, good_prefix);
        if let (Some((prefix, at)), None) = (&rewrite, &serves.path_prefix) {
            let what = format!("upstreams.{name}.rewrite_prefix = {}", prefix.show());
            let why = "there is no path_prefix that it could replace";
            r.fault(at.clone(), what, why, "add path_prefix, or take it out");
        }
        let api_key = api_key(name, env, &mut r);
        let provider_name = Arc::clone(&provider);
        let upstream = Upstream {
            name: Arc::from(name),
            url: url?,
            provider,
            region,
            serves,
            rewrite_prefix: rewrite.map(|(p, _): (Arc<str>, _)| p.to_string()),
            api_key,
            http2: r.value("http2", UpstreamHttp2::Auto),
            http2_ping_interval: r.value("http2_ping_interval", Duration::from_secs(10)),
            http2_ping_timeout: r.value_if("http2_ping_timeout", Duration::from_secs(20), positive),
            max_resend_bytes: r.size("max_resend_bytes", 64 << 10, 0..=16 << 20),
            tls_authorities: authorities(name, &mut r),
            connect_timeout: r.value_if("connect_timeout", Duration::from_secs(5), positive),
            tcp_keepalive: r.value_if("tcp_keepalive", Duration::from_secs(60), keepalive),
            headers_timeout: r.optional("headers_timeout", positive),
            first_token_timeout: r.optional("first_token_timeout", positive),
            idle_timeout: r.optional("idle_timeout", positive),
            websocket_idle_timeout: r.optional("websocket_idle_timeout", positive),
            pool_idle_timeout: r.value("pool_idle_timeout", Duration::from_secs(4)),
            max_idle_connections: r.count("max_idle_connections", 256, 0..=65_536),
            max_connection_age: r.value("max_connection_age", Duration::from_secs(5 * 60)),
            max_response_head_bytes: r.size("max_response_head_bytes", 64 << 10, 8 << 10..=16 << 20),
            ask_for_usage: ask_for_usage(name, &provider_name, &mut r),
            capture: r.value("capture", false),
            capture_sample: r.optional("capture_sample", |_| Ok(())),
            discount: r.value("discount", Discount::NONE),
            at,
        };
        r.finish();
        named.then_some(upstream)
    }

    /// The share of its exchanges whose content is captured; `None` where it is off. `of_all`: that of `[capture]`.
    pub fn captured(&self, of_all: Share) -> Option<Share> {
        self.capture.then(|| self.capture_sample.unwrap_or(of_all))
    }

    /// Whether it takes what no other upstream matches.
    pub fn is_default(&self) -> bool {
        self.serves == Match::default()
    }
}

/// Which requests it serves.
fn serves(r: &mut Reader<'_>) -> Match {
    Match {
        host: r.optional("host", good_host).map(|h: Arc<str>| h.to_ascii_lowercase()),
        path_prefix: r.optional("path_prefix", good_prefix).map(|p: Arc<str>| p.to_string()),
        models: r
            .value_if("models", Vec::new(), |m: &Vec<Arc<str>>| good_models(m))
            .iter()
            .map(|m| ModelPattern::parse(m))
            .collect(),
    }
}

/// What becomes of the path that clients ask for, where the URL has one of its own.
fn explain_paths(url: &Target, r: &mut Reader<'_>) {
    const ASKED: &str = "/v1/chat/completions";
    if let Ok(sent) = url.path(&PathAndQuery::from_static(ASKED), None) {
        r.explain(ASKED, format!("goes up as {sent}"), Origin::Derived("by the URL's path"));
    }
}

/// The setting, or a fault: these providers refuse to be asked, or tell unasked what would be taken out then.
fn ask_for_usage(name: &str, provider: &str, r: &mut Reader<'_>) -> bool {
    let (ask, at) = r.value_and_origin("ask_for_usage", (false, Origin::Default), |_| Ok(()));
    let why = match provider {
        "mistral_ai" => "Mistral refuses requests that ask, and tells the usage unasked",
        "openrouter" => "OpenRouter tells the usage unasked, and the client would lose it",
        _ => return ask,
    };
    if ask {
        r.fault(at, format!("upstreams.{name}.ask_for_usage = true"), why, "take it out");
    }
    ask
}

/// The key, or a fault: without it every request would fail, or go up with a key of the client's.
fn api_key(name: &str, env: &Env, r: &mut Reader<'_>) -> Option<Secret> {
    let Variable(variable) = r.optional("api_key_env", |_| Ok(()))?;
    let value = env.get(&*variable).map(|v| v.trim()).filter(|v| !v.is_empty());
    let good = value.filter(|v| v.bytes().all(|b| (b'!'..=b'~').contains(&b)));
    let why = match (value, good) {
        (_, Some(key)) => return Some(Secret::new(key)),
        (None, _) => "that variable is not set",
        (Some(_), None) => "what that variable holds cannot stand in an HTTP field",
    };
    let what = format!("upstreams.{name}.api_key_env = {variable:?}");
    r.fault(r.origin(), what, why, format!("set {variable} to the upstream's key, or take the setting out"));
    None
}

/// What the file holds, or a fault: without it every handshake would fail.
fn authorities(name: &str, r: &mut Reader<'_>) -> Option<Authorities> {
    let (path, at): (Arc<str>, _) = r.optional_or("tls_ca_file", None, |_| Ok(()))?;
    let why = match read_bounded(&path).map(|pem| Authorities::from_pem(&pem)) {
        Ok(Ok(found)) => return Some(found),
        Ok(Err(why)) => why,
        Err(error) => format!("it cannot be read ({error})"),
    };
    let what = format!("upstreams.{name}.tls_ca_file = {}", path.show());
    r.fault(at, what, why, "name a PEM file of the authority's certificate, or take the setting out");
    None
}

fn read_bounded(path: &str) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_CA_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_CA_FILE {
        return Err(io::Error::other("larger than 4 MiB"));
    }
    Ok(content)
}

/// Refuses an upstream that is limpid's own listener: each request would be asked of limpid again, until nothing is left
/// (RFC 9110 §7.6). What only a look-up or another proxy would show is not seen here.
pub(super) fn refuse_loops(upstreams: &[Upstream], listen: SocketAddr, r: &mut Reader<'_>) {
    for upstream in upstreams {
        let host = upstream.url.host();
        let here = match host.parse::<IpAddr>() {
            Ok(address) => {
                address == listen.ip()
                    || address.is_unspecified()
                    || address.is_loopback() && listen.ip().is_unspecified()
            }
            Err(_) => {
                host.eq_ignore_ascii_case("localhost") && (listen.ip().is_loopback() || listen.ip().is_unspecified())
            }
        };
        if here && listen.port() != 0 && upstream.url.port() == listen.port() {
            let what = format!("upstreams.{}.url and server.listen = \"{listen}\"", upstream.name);
            r.fault(upstream.at.clone(), what, "limpid would forward to itself", "name the server behind limpid");
        }
    }
}

/// Refuses upstreams that match the same requests: which one serves would be chance.
pub(super) fn refuse_twins(upstreams: &[Upstream], r: &mut Reader<'_>) {
    for (i, upstream) in upstreams.iter().enumerate() {
        let Some(twin) = upstreams.iter().take(i).find(|other| overlap(&other.serves, &upstream.serves)) else {
            continue;
        };
        let what = format!("upstreams.{} and upstreams.{}", twin.name, upstream.name);
        let (why, mend) = if upstream.is_default() {
            (
                "neither has a host, path_prefix or models, and only one can serve the rest",
                "add host, path_prefix or models to one of them",
            )
        } else {
            ("both match the same requests", "make host, path_prefix or models differ")
        };
        r.fault(upstream.at.clone(), what, why, mend);
    }
}

fn overlap(a: &Match, b: &Match) -> bool {
    let prefix = |m: &Match| m.path_prefix.as_deref().map(|p| p.trim_end_matches('/').to_owned());
    let models = a.models.is_empty() && b.models.is_empty() || a.models.iter().any(|m| b.models.contains(m));
    a.host == b.host && prefix(a) == prefix(b) && models
}

/// The provider that a public API's host belongs to.
fn provider_of(host: &str) -> Option<&'static str> {
    let host = host.to_ascii_lowercase();
    Some(match host.as_str() {
        "api.openai.com" => "openai",
        "api.anthropic.com" => "anthropic",
        "openrouter.ai" => "openrouter",
        "api.groq.com" => "groq",
        "api.deepseek.com" => "deepseek",
        "api.mistral.ai" => "mistral_ai",
        "generativelanguage.googleapis.com" => "gcp.gemini",
        azure if azure.ends_with(".openai.azure.com") => "azure.ai.openai",
        _ => return None,
    })
}

pub(super) fn good_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(good)
}

/// Whether it is the URL of something to speak HTTP with; also the rule of OTLP endpoints.
pub(super) fn check_url(text: &str) -> Result<(), String> {
    Target::parse(text).map_err(|e| match e {
        TargetError::Invalid(_) => "it is not a URL".to_owned(),
        TargetError::Port => "its port is not from 1 to 65535".to_owned(),
        other => format!("it {other}"),
    })?;
    if text.contains('#') {
        return Err("it must not carry a fragment".to_owned());
    }
    Ok(())
}

fn good_url(text: &Arc<str>) -> Checked {
    check_url(text).map_err(|why| Refused::new(why, "write a URL such as \"http://127.0.0.1:8000\""))?;
    let Ok(target) = Target::parse(text) else { return Ok(()) };
    match target.base_path().split_once("/v1/") {
        Some((before, _)) if classify(&Method::POST, target.base_path()) != Endpoint::Other => {
            let mend = format!("write \"{}{before}/v1\"", target.origin());
            Err(Refused::new("that is the URL of one endpoint, in front of which no path can stand", mend))
        }
        _ => Ok(()),
    }
}

fn good_provider(name: &Arc<str>) -> Checked {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    if name.len() <= 64 && name.bytes().all(good) {
        return Ok(());
    }
    Err(Refused::new("a provider's name has small letters, digits, `.`, `_` and `-`", "write a name such as \"vllm\""))
}

fn good_host(host: &Arc<str>) -> Checked {
    // An IPv6 address stands in brackets in `Host`, and so here.
    let bare = host.starts_with('[') && host.ends_with(']') || !host.contains(':');
    if bare && !host.contains(['/', '*', ' ', '@', '?']) {
        return Ok(());
    }
    Err(Refused::new("a host has no scheme, port, path or wildcard", "write a host such as \"llm.example.com\""))
}

fn good_prefix(prefix: &Arc<str>) -> Checked {
    let plain = prefix.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#'));
    if prefix.starts_with('/') && plain {
        return Ok(());
    }
    Err(Refused::new("that is not the beginning of a path", "write a path such as \"/openai\""))
}

pub(super) fn good_models(models: &[Arc<str>]) -> Checked {
    match models.iter().find(|m| m.strip_suffix('*').unwrap_or(m).contains('*')) {
        None => Ok(()),
        Some(_) => {
            Err(Refused::new("a `*` stands only at the end", "write exact names, or beginnings such as \"gpt-*\""))
        }
    }
}
