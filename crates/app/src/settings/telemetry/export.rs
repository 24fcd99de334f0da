//! Where each signal goes, from the general settings and the signal's own variables.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use limpid_telemetry::{IdentityError, OtlpTls};

use super::super::env::{Env, otel, pairs};
use super::super::faults::{Fault, Origin};
use super::super::kinds::{Kind, Secret, named_kind};
use super::super::reader::{Checked, Reader, Refused, positive};
use super::super::upstreams::check_url;
use super::standard::{boolean, milliseconds};

/// The largest file of certificates, bytes.
const MAX_PEM: u64 = 4 << 20;

/// Where and how one signal is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The complete URL: over HTTP the signal's path (`/v1/traces`) is in it. Written without a scheme, it is `https`, or
    /// `http` with `insecure = true`.
    pub endpoint: String,
    /// Default `http/protobuf`.
    pub protocol: Protocol,
    /// Default `none`: a collector beside limpid is cheaper to reach than to compress for.
    pub compression: Compression,
    /// Sent with each export, such as an API key. Default: none.
    pub headers: BTreeMap<Arc<str>, Secret>,
    /// How long one export may take, with all its tries. Default 10 s; then it is counted as failed.
    pub timeout: Duration,
    /// From `ca_file`, `client_certificate_file` and `client_key_file`, read at the start. Default: the machine's
    /// authorities, and no certificate of limpid's own.
    pub tls: OtlpTls,
}

named_kind! {
    /// How OTLP travels.
    Protocol, "write \"http/protobuf\", \"http/json\" or \"grpc\"" {
        /// Over HTTP/1.1; port 4318 by custom.
        HttpProtobuf = "http/protobuf",
        /// The same as JSON: larger, for receivers that read nothing else.
        HttpJson = "http/json",
        /// gRPC; port 4317 by custom.
        Grpc = "grpc",
    }
}

named_kind! {
    /// How exports are compressed.
    Compression, "write \"none\" or \"gzip\"" {
        /// Not at all.
        None = "none",
        /// With gzip.
        Gzip = "gzip",
    }
}

/// A file's name, with its origin; absent by default.
type Path = Option<(Arc<str>, Origin)>;

/// What a signal's variables may override: each value with its origin.
pub(super) struct General {
    endpoint: Option<(Arc<str>, Origin)>,
    insecure: (bool, Origin),
    protocol: (Protocol, Origin),
    compression: (Compression, Origin),
    headers: (BTreeMap<Arc<str>, Secret>, Origin),
    timeout: (Duration, Origin),
    ca: Path,
    certificate: Path,
    key: Path,
}

impl General {
    pub(super) fn read(env: &Env, r: &mut Reader<'_>) -> General {
        let endpoint = otel(env, r.report, "OTEL_EXPORTER_OTLP_ENDPOINT", url);
        let endpoint = r.optional_or("endpoint", endpoint, |text: &Arc<str>| {
            url(text).map(drop).map_err(|why| Refused::new(why, "write a URL such as \"http://127.0.0.1:4318\""))
        });
        let insecure = otel(env, r.report, "OTEL_EXPORTER_OTLP_INSECURE", boolean);
        let protocol = otel(env, r.report, "OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let compression = otel(env, r.report, "OTEL_EXPORTER_OTLP_COMPRESSION", compression);
        let headers = otel(env, r.report, "OTEL_EXPORTER_OTLP_HEADERS", headers);
        let timeout = otel(env, r.report, "OTEL_EXPORTER_OTLP_TIMEOUT", milliseconds);
        let mut path = |key, variable: &str| {
            let standard = otel(env, r.report, variable, |text| Ok(Arc::from(text)));
            r.optional_or(key, standard, |_: &Arc<str>| Ok(()))
        };
        let ca = path("ca_file", "OTEL_EXPORTER_OTLP_CERTIFICATE");
        let certificate = path("client_certificate_file", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE");
        let key = path("client_key_file", "OTEL_EXPORTER_OTLP_CLIENT_KEY");
        General {
            endpoint,
            insecure: taken(r, "insecure", insecure, false, |_| Ok(())),
            protocol: taken(r, "protocol", protocol, Protocol::HttpProtobuf, |_| Ok(())),
            compression: taken(r, "compression", compression, Compression::None, |_| Ok(())),
            headers: taken(r, "headers", headers, BTreeMap::new(), good_headers),
            timeout: taken(r, "timeout", timeout, Duration::from_secs(10), positive),
            ca,
            certificate,
            key,
        }
    }

    /// One signal's export; `None` without an endpoint. `signal` as variables have it, `path` as URLs.
    pub(super) fn signal(&self, env: &Env, r: &mut Reader<'_>, signal: &str, path: &str) -> Option<Export> {
        let variable = |name| format!("OTEL_EXPORTER_OTLP_{signal}_{name}");
        let protocol = own(&self.protocol, otel(env, r.report, &variable("PROTOCOL"), protocol));
        let insecure = own(&self.insecure, otel(env, r.report, &variable("INSECURE"), boolean));
        let own_endpoint = otel(env, r.report, &variable("ENDPOINT"), url);
        let endpoint = match (&self.endpoint, own_endpoint) {
            (Some((general, origin)), own) if !overridable(origin) || own.is_none() => match protocol {
                // The general endpoint is a base; the signal's path is joined to it.
                Protocol::HttpProtobuf | Protocol::HttpJson => format!("{}/v1/{path}", general.trim_end_matches('/')),
                Protocol::Grpc => general.to_string(),
            },
            (_, Some((own, _))) => own.to_string(),
            (_, None) => return None,
        };
        let endpoint = match (endpoint.contains("://"), insecure) {
            (true, _) => endpoint,
            (false, true) => format!("http://{endpoint}"),
            (false, false) => format!("https://{endpoint}"),
        };
        let timeout = own(&self.timeout, otel(env, r.report, &variable("TIMEOUT"), milliseconds));
        let of_batch = match signal {
            "TRACES" => "OTEL_BSP_EXPORT_TIMEOUT",
            "LOGS" => "OTEL_BLRP_EXPORT_TIMEOUT",
            _ => "OTEL_METRIC_EXPORT_TIMEOUT",
        };
        let of_batch = otel(env, r.report, of_batch, milliseconds).filter(|_| overridable(&self.timeout.1));
        let mut file = |general: &Path, name| {
            let own = otel(env, r.report, &variable(name), |text| Ok(Arc::from(text)));
            own.filter(|_| general.as_ref().is_none_or(|(_, origin)| overridable(origin))).or_else(|| general.clone())
        };
        let ca = file(&self.ca, "CERTIFICATE");
        let certificate = file(&self.certificate, "CLIENT_CERTIFICATE");
        let key = file(&self.key, "CLIENT_KEY");
        let is_tls = endpoint.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
        Some(Export {
            endpoint,
            protocol,
            compression: own(&self.compression, otel(env, r.report, &variable("COMPRESSION"), compression)),
            headers: own(&self.headers, otel(env, r.report, &variable("HEADERS"), headers)),
            timeout: of_batch.map_or(timeout, |(of_batch, _)| timeout.min(of_batch)),
            tls: if is_tls { tls(r, &ca, certificate, key) } else { OtlpTls::default() },
        })
    }
}

/// A setting whose origin matters, for a signal's variable may yet win over it.
fn taken<T: Kind>(
    r: &mut Reader<'_>,
    key: &'static str,
    standard: Option<(T, Origin)>,
    default: T,
    rule: impl Fn(&T) -> Checked,
) -> (T, Origin) {
    let fallback = standard.unwrap_or((default, Origin::Default));
    r.value_and_origin(key, fallback, rule)
}

/// Whether a signal's own variable wins over a value of this origin.
fn overridable(origin: &Origin) -> bool {
    match origin {
        Origin::Default => true,
        Origin::Env(name) => name.starts_with("OTEL_"),
        _ => false,
    }
}

fn own<T: Clone>((general, origin): &(T, Origin), own: Option<(T, Origin)>) -> T {
    match own {
        Some((own, _)) if overridable(origin) => own,
        _ => general.clone(),
    }
}

/// What the files hold. One that cannot be used is a fault, or a warning where a standard variable names it.
fn tls(r: &mut Reader<'_>, ca: &Path, certificate: Path, key: Path) -> OtlpTls {
    let mut tls = OtlpTls::default();
    if let Some((path, at)) = ca
        && let Err(why) = read_bounded(path).and_then(|pem| tls.trust(pem))
    {
        complain(r, at, "ca_file", path, why);
    }
    match (certificate, key) {
        (Some((certificate, of_certificate)), Some((key, of_key))) => {
            let read = |path| read_bounded(path);
            let result = match (read(&certificate), read(&key)) {
                (Err(why), _) => Err(IdentityError::Certificate(why)),
                (_, Err(why)) => Err(IdentityError::Key(why)),
                (Ok(certificate), Ok(key)) => tls.identify(certificate, key),
            };
            match result {
                Ok(()) => {}
                Err(IdentityError::Certificate(why)) => {
                    complain(r, &of_certificate, "client_certificate_file", &certificate, why);
                }
                Err(IdentityError::Key(why)) => complain(r, &of_key, "client_key_file", &key, why),
            }
        }
        (Some((path, at)), None) => {
            complain(r, &at, "client_certificate_file", &path, "there is no client_key_file to it".to_owned());
        }
        (None, Some((path, at))) => {
            complain(r, &at, "client_key_file", &path, "there is no client_certificate_file to it".to_owned());
        }
        (None, None) => {}
    }
    tls
}

/// Once, although each signal finds it.
fn complain(r: &mut Reader<'_>, at: &Origin, key: &str, path: &Arc<str>, why: String) {
    let mend = "name a PEM file, or take the setting out".to_owned();
    let what = format!("telemetry.{key} = {}", path.show());
    let fault = Fault { at: at.clone(), what, why, mend };
    let known = if overridable(at) { &mut r.report.warnings } else { &mut r.report.faults };
    if !known.contains(&fault) {
        known.push(fault);
    }
}

fn read_bounded(path: &str) -> Result<Vec<u8>, String> {
    let read = || {
        let mut content = Vec::new();
        File::open(path)?.take(MAX_PEM + 1).read_to_end(&mut content)?;
        if content.len() as u64 > MAX_PEM {
            return Err(io::Error::other("larger than 4 MiB"));
        }
        Ok(content)
    };
    read().map_err(|error| format!("it cannot be read ({error})"))
}

fn good_headers(headers: &BTreeMap<Arc<str>, Secret>) -> Checked {
    checked_headers(headers).map_err(|why| Refused::new(why, "write { \"x-api-key\" = \"…\" }"))
}

fn checked_headers(headers: &BTreeMap<Arc<str>, Secret>) -> Result<(), String> {
    for (name, value) in headers {
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err("a name is not that of an HTTP field".to_owned());
        }
        if HeaderValue::from_str(value.expose()).is_err() {
            return Err(format!("the value of `{name}` cannot stand in an HTTP field"));
        }
    }
    Ok(())
}

/// A URL, or a host and port alone.
fn url(text: &str) -> Result<Arc<str>, String> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    if whole.parse::<Uri>().is_err() {
        // A zone of an address, which is for upstreams alone.
        return Err("it is not a URL".to_owned());
    }
    check_url(&whole).map(|()| Arc::from(text))
}

fn protocol(text: &str) -> Result<Protocol, String> {
    Protocol::from_name(text).ok_or_else(|| "limpid speaks http/protobuf, http/json and grpc".to_owned())
}

fn compression(text: &str) -> Result<Compression, String> {
    Compression::from_name(text).ok_or_else(|| "limpid compresses with gzip, or not at all (none)".to_owned())
}

fn headers(text: &str) -> Result<BTreeMap<Arc<str>, Secret>, String> {
    let pairs = pairs(text)?;
    let headers = pairs.iter().map(|(name, value)| (Arc::from(name.as_str()), Secret::new(value))).collect();
    checked_headers(&headers).map(|()| headers)
}
