//! `[telemetry]`: export by OTLP, and the caps of all labels.
//!
//! A setting of the file, a flag or `LIMPID_…` wins over the standard `OTEL_*` variable; of those, the one of a signal
//! (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) wins over the general one, as the specification has it. The SDK never reads
//! them itself: what is resolved here is what `limpid check` shows and what is used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::env::{Env, otel, pairs};
use super::faults::Origin;
use super::kinds::{Kind, Secret, named_kind};
use super::reader::{Checked, Reader, Refused, positive};
use super::upstreams::check_url;

/// Export by OTLP, and the caps of all labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// Where spans go: from `endpoint`, `protocol`, `headers` and `timeout`. Default: nowhere, without an endpoint or
    /// with `traces = false`.
    pub traces: Option<Export>,
    /// Where metrics go, likewise; `metrics = false` stops the export, not `/metrics`.
    pub metrics: Option<Export>,
    /// `service.name`. Default `limpid`.
    pub service_name: Arc<str>,
    /// Further attributes of the resource. Default: none. Given here, it replaces `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource: Attributes,
    /// How often metrics are exported. Default 60 s.
    pub metric_interval: Duration,
    /// The share of traces that are exported, 0 to 1, unless the client's trace decides. Default 1. Metrics count all.
    pub sample_ratio: f64,
    /// How many finished spans may wait for export. Default 2048. When it is full, spans are dropped and counted.
    pub span_queue: usize,
    /// How many spans go in one export at most. Default 512.
    pub span_batch: usize,
    /// How long a span waits for others to go with. Default 5 s. Shorter shows spans sooner, in smaller exports.
    pub span_delay: Duration,
    /// How many label sets all metrics may have together. Default 2000, some 20 MB. What comes later is counted under `other`.
    pub max_label_sets: usize,
    /// How many models have a label of their own. Default 200; the rest share `other`.
    pub max_models: usize,
    /// How many API keys have a label of their own. Default 200; the rest share `other`.
    pub max_keys: usize,
    /// How many projects have a label of their own. Default 200; the rest share `other`.
    pub max_projects: usize,
}

/// Where and how one signal is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The complete URL: with `http/protobuf` the signal's path (`/v1/traces`) is in it.
    pub endpoint: String,
    /// Default `http/protobuf`.
    pub protocol: Protocol,
    /// Sent with each export, such as an API key. Default: none.
    pub headers: BTreeMap<Arc<str>, Secret>,
    /// How long one export may take. Default 10 s; then it is counted as failed.
    pub timeout: Duration,
}

/// Names and values.
pub type Attributes = BTreeMap<Arc<str>, Arc<str>>;

named_kind! {
    /// How OTLP travels.
    Protocol, "write \"http/protobuf\" or \"grpc\"" {
        /// Over HTTP/1.1; port 4318 by custom.
        HttpProtobuf = "http/protobuf",
        /// gRPC; port 4317 by custom.
        Grpc = "grpc",
    }
}

/// What a signal's variables may override: each value with its origin.
struct General {
    endpoint: Option<(Arc<str>, Origin)>,
    protocol: (Protocol, Origin),
    headers: (BTreeMap<Arc<str>, Secret>, Origin),
    timeout: (Duration, Origin),
}

impl Telemetry {
    pub(super) fn read(env: &Env, mut r: Reader<'_>) -> Telemetry {
        let general = General::read(env, &mut r);
        let traces = enabled(env, &mut r, "traces", "OTEL_TRACES_EXPORTER");
        let metrics = enabled(env, &mut r, "metrics", "OTEL_METRICS_EXPORTER");
        let traces = traces.then(|| general.signal(env, &mut r, "TRACES", "traces")).flatten();
        let metrics = metrics.then(|| general.signal(env, &mut r, "METRICS", "metrics")).flatten();
        explain(&mut r, "export of traces", traces.as_ref());
        explain(&mut r, "export of metrics", metrics.as_ref());

        let attributes = otel(env, r.report, "OTEL_RESOURCE_ATTRIBUTES", attributes);
        let telemetry = Telemetry {
            traces,
            metrics,
            service_name: service_name(env, &mut r, attributes.as_ref()),
            resource: r.value_or("resource", attributes.unwrap_or_else(by_default), |_| Ok(())),
            metric_interval: {
                let interval = otel(env, r.report, "OTEL_METRIC_EXPORT_INTERVAL", milliseconds);
                r.value_or("metric_interval", interval.unwrap_or((Duration::from_secs(60), Origin::Default)), positive)
            },
            sample_ratio: {
                let ratio = sampler(env, &mut r);
                r.value_or("sample_ratio", ratio.unwrap_or((1.0, Origin::Default)), |ratio| share(*ratio))
            },
            span_queue: span_count(env, &mut r, "span_queue", "OTEL_BSP_MAX_QUEUE_SIZE", 2048),
            span_batch: span_count(env, &mut r, "span_batch", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
            span_delay: {
                let delay = otel(env, r.report, "OTEL_BSP_SCHEDULE_DELAY", milliseconds);
                r.value_or("span_delay", delay.unwrap_or((Duration::from_secs(5), Origin::Default)), positive)
            },
            max_label_sets: r.count("max_label_sets", 2000, 1..=1_000_000),
            max_models: r.count("max_models", 200, 1..=100_000),
            max_keys: r.count("max_keys", 200, 1..=100_000),
            max_projects: r.count("max_projects", 200, 1..=100_000),
        };
        r.finish();
        telemetry
    }
}

const MAX_SPAN_QUEUE: usize = 1_000_000;

fn span_count(env: &Env, r: &mut Reader<'_>, key: &'static str, variable: &str, default: usize) -> usize {
    let standard = otel(env, r.report, variable, queue_size);
    r.value_or(key, standard.unwrap_or((default, Origin::Default)), |n| match n {
        1..=MAX_SPAN_QUEUE => Ok(()),
        _ => Err(Refused::new("it is not from 1 to 1000000", "write a number such as 2048")),
    })
}

impl General {
    fn read(env: &Env, r: &mut Reader<'_>) -> General {
        let endpoint = otel(env, r.report, "OTEL_EXPORTER_OTLP_ENDPOINT", url);
        let endpoint = r.optional_or("endpoint", endpoint, |text: &Arc<str>| {
            check_url(text).map_err(|why| Refused::new(why, "write a URL such as \"http://127.0.0.1:4318\""))
        });
        let protocol = otel(env, r.report, "OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let headers = otel(env, r.report, "OTEL_EXPORTER_OTLP_HEADERS", headers);
        let timeout = otel(env, r.report, "OTEL_EXPORTER_OTLP_TIMEOUT", milliseconds);
        General {
            endpoint,
            protocol: taken(r, "protocol", protocol, Protocol::HttpProtobuf, |_| Ok(())),
            headers: taken(r, "headers", headers, BTreeMap::new(), good_headers),
            timeout: taken(r, "timeout", timeout, Duration::from_secs(10), positive),
        }
    }

    /// One signal's export; `None` without an endpoint.
    fn signal(&self, env: &Env, r: &mut Reader<'_>, signal: &str, path: &str) -> Option<Export> {
        let variable = |name| format!("OTEL_EXPORTER_OTLP_{signal}_{name}");
        let protocol = own(&self.protocol, otel(env, r.report, &variable("PROTOCOL"), protocol));
        let own_endpoint = otel(env, r.report, &variable("ENDPOINT"), url);
        let endpoint = match (&self.endpoint, own_endpoint) {
            (Some((general, origin)), own) if !overridable(origin) || own.is_none() => match protocol {
                // The general endpoint is a base; the signal's path is joined to it.
                Protocol::HttpProtobuf => format!("{}/v1/{path}", general.trim_end_matches('/')),
                Protocol::Grpc => general.to_string(),
            },
            (_, Some((own, _))) => own.to_string(),
            (_, None) => return None,
        };
        Some(Export {
            endpoint,
            protocol,
            headers: own(&self.headers, otel(env, r.report, &variable("HEADERS"), headers)),
            timeout: own(&self.timeout, otel(env, r.report, &variable("TIMEOUT"), milliseconds)),
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

fn by_default<T: Default>() -> (T, Origin) {
    (T::default(), Origin::Default)
}

fn explain(r: &mut Reader<'_>, what: &'static str, export: Option<&Export>) {
    let value = match export {
        Some(export) => format!("{} ({})", export.endpoint, export.protocol.as_str()),
        None => "none".to_owned(),
    };
    r.explain(what, value, Origin::Derived("from the settings above"));
}

fn enabled(env: &Env, r: &mut Reader<'_>, key: &'static str, exporter: &str) -> bool {
    let disabled = otel(env, r.report, "OTEL_SDK_DISABLED", |text| Ok(text.eq_ignore_ascii_case("true")));
    let none = otel(env, r.report, exporter, |text| Ok(text == "none"));
    let off = [disabled, none].into_iter().flatten().find(|(off, _)| *off);
    let fallback = off.map_or((true, Origin::Default), |(_, origin)| (false, origin));
    r.value_or(key, fallback, |_| Ok(()))
}

fn service_name(env: &Env, r: &mut Reader<'_>, attributes: Option<&(Attributes, Origin)>) -> Arc<str> {
    let named = otel(env, r.report, "OTEL_SERVICE_NAME", |text| Ok(Arc::from(text)));
    let among = attributes.and_then(|(all, origin)| Some((Arc::clone(all.get("service.name")?), origin.clone())));
    let fallback = named.or(among).unwrap_or((Arc::from("limpid"), Origin::Default));
    r.value_or("service_name", fallback, |_| Ok(()))
}

/// `OTEL_TRACES_SAMPLER` with its argument, as a ratio. A client's sampled trace is followed in any case.
fn sampler(env: &Env, r: &mut Reader<'_>) -> Option<(f64, Origin)> {
    let ratio = || env.get("OTEL_TRACES_SAMPLER_ARG").map_or(Ok(1.0), |arg| arg.trim().parse::<f64>());
    otel(env, r.report, "OTEL_TRACES_SAMPLER", |name| match name.trim_start_matches("parentbased_") {
        "always_on" => Ok(1.0),
        "always_off" => Ok(0.0),
        "traceidratio" => match ratio() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            _ => Err("OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1".to_owned()),
        },
        _ => Err("limpid has no such sampler".to_owned()),
    })
}

fn share(ratio: f64) -> Checked {
    if (0.0..=1.0).contains(&ratio) {
        return Ok(());
    }
    Err(Refused::new("it is not from 0 to 1", "write a share such as 0.1"))
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

fn url(text: &str) -> Result<Arc<str>, String> {
    check_url(text).map(|()| Arc::from(text))
}

fn protocol(text: &str) -> Result<Protocol, String> {
    Protocol::from_name(text).ok_or_else(|| "limpid speaks http/protobuf and grpc".to_owned())
}

fn headers(text: &str) -> Result<BTreeMap<Arc<str>, Secret>, String> {
    let pairs = pairs(text)?;
    let headers = pairs.iter().map(|(name, value)| (Arc::from(name.as_str()), Secret::new(value))).collect();
    checked_headers(&headers).map(|()| headers)
}

fn attributes(text: &str) -> Result<Attributes, String> {
    Ok(pairs(text)?.iter().map(|(name, value)| (Arc::from(name.as_str()), Arc::from(value.as_str()))).collect())
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err("it is not a number of milliseconds above 0".to_owned()),
    }
}

fn queue_size(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=MAX_SPAN_QUEUE).contains(n))
        .ok_or_else(|| "it is not a number from 1 to 1000000".to_owned())
}
