//! `[telemetry]`: export by OTLP, and the caps of all labels.
//!
//! A setting of the file, a flag or `LIMPID_…` wins over the standard `OTEL_*` variable; of those, the one of a signal
//! (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) wins over the general one, as the specification has it. Nothing below reads
//! them again: what is resolved here is what `limpid check` shows and what is used. docs/export.md lists the variables.

mod conventions;
mod export;
mod standard;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::env::{Env, otel};
use super::faults::Origin;
use super::kinds::named_kind;
use super::reader::{Checked, Reader, Refused, positive};
pub use conventions::{Propagate, Semconv};
use export::General;
pub use export::{Compression, Export, Protocol};
pub use standard::Propagator;
use standard::{attributes, exporter, milliseconds, number, sampler};

/// Export by OTLP, and the caps of all labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// Where spans go: from `endpoint` and what follows it. Default: nowhere, without an endpoint or with
    /// `traces = false`.
    pub traces: Option<Export>,
    /// Where metrics go, likewise; `metrics = false` stops the export, not `/metrics`.
    pub metrics: Option<Export>,
    /// Where log records go, one an exchange; nowhere without `logs = true`, for a span says the same.
    pub logs: Option<Export>,
    /// Which names spans, log records and exported metrics have. Default `v1.41`. `/metrics` always has those of v1.41.
    pub semconv: Semconv,
    /// What goes upstream of the client's trace context. Default `as-is`: not a byte changes.
    pub propagate: Propagate,
    /// `service.name`. Default `limpid`.
    pub service_name: Arc<str>,
    /// Further attributes of the resource. Default: none. Given here, it replaces `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource: Attributes,
    /// How often metrics are exported. Default 60 s.
    pub metric_interval: Duration,
    /// What a metric counts from. Default `cumulative`: a lost export is made up for by the next.
    pub temporality: Temporality,
    /// The buckets of exported histograms. Default `explicit`; those of `/metrics` always are.
    pub histograms: Histograms,
    /// The share of traces that are exported, 0 to 1, unless the client's trace decides. Default 1. Metrics count all.
    pub sample_ratio: f64,
    /// How finished spans wait for export. Default: up to 2048, 512 at once, for 5 s. When the queue is full, spans are
    /// dropped and counted. A shorter wait shows spans sooner, in smaller exports.
    pub spans: Waiting,
    /// How log records wait, likewise. Default: up to 2048, 512 at once, for 1 s.
    pub log_records: Waiting,
    /// The longest text of an attribute of spans, characters. Default: absent, no bound.
    pub span_text: Option<usize>,
    /// The same of log records.
    pub log_text: Option<usize>,
    /// How many attributes a span may have. Default: absent, as many as there are; limpid knows some 80.
    pub span_attributes: Option<usize>,
    /// The same of log records.
    pub log_attributes: Option<usize>,
    /// `OTEL_PROPAGATORS`: in which spellings a client's trace is looked for. Default `tracecontext` and `baggage`.
    pub propagators: Vec<Propagator>,
    /// How many label sets all metrics may have together. Default 2000, some 20 MB. What comes later is counted under `other`.
    pub max_label_sets: usize,
    /// How many models have a label of their own. Default 200; the rest share `other`.
    pub max_models: usize,
    /// How many API keys have a label of their own. Default 200; the rest share `other`.
    pub max_keys: usize,
    /// How many projects have a label of their own. Default 200; the rest share `other`.
    pub max_projects: usize,
}

/// How many may wait for export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// How many at most.
    pub queue: usize,
    /// How many go in one export at most.
    pub batch: usize,
    /// How long the first waits for others.
    pub delay: Duration,
}

named_kind! {
    /// What an exported metric counts from.
    Temporality, "write \"cumulative\", \"delta\" or \"lowmemory\"" {
        /// The start of the process.
        Cumulative = "cumulative",
        /// The last export.
        Delta = "delta",
        /// The last export, but for what is read at the export.
        LowMemory = "lowmemory",
    }
}

named_kind! {
    /// The buckets of exported histograms.
    Histograms, "write \"explicit\" or \"exponential\"" {
        /// Those that the conventions advise, and more above.
        Explicit = "explicit",
        /// Base-2 exponential ones: no bound to saturate at, and percentiles within a few percent.
        Exponential = "exponential",
    }
}

/// Names and values.
pub type Attributes = BTreeMap<Arc<str>, Arc<str>>;

impl Telemetry {
    pub(super) fn read(env: &Env, mut r: Reader<'_>) -> Telemetry {
        let general = General::read(env, &mut r);
        let disabled = otel(env, r.report, "OTEL_SDK_DISABLED", standard::boolean).filter(|(off, _)| *off);
        let disabled = disabled.map(|(_, origin)| origin);
        let [traces, metrics, logs] =
            [("traces", "TRACES", true), ("metrics", "METRICS", true), ("logs", "LOGS", false)].map(
                |(key, signal, default)| {
                    let on = enabled(env, &mut r, disabled.as_ref(), key, signal, default);
                    on.then(|| general.signal(env, &mut r, signal, key)).flatten()
                },
            );
        for (what, export) in
            [("export of traces", &traces), ("export of metrics", &metrics), ("export of logs", &logs)]
        {
            explain(&mut r, what, export.as_ref());
        }

        let propagators = standard::propagators(env, r.report);
        let attributes = otel(env, r.report, "OTEL_RESOURCE_ATTRIBUTES", attributes);
        let telemetry = Telemetry {
            semconv: conventions::semconv(env, &mut r),
            propagate: conventions::propagate(&mut r, traces.as_ref(), &propagators),
            traces,
            metrics,
            logs,
            service_name: service_name(env, &mut r, attributes.as_ref()),
            resource: r.value_or("resource", attributes.unwrap_or_else(by_default), |_| Ok(())),
            metric_interval: duration(env, &mut r, "metric_interval", "OTEL_METRIC_EXPORT_INTERVAL", 60_000),
            temporality: temporality(env, &mut r),
            histograms: histograms(env, &mut r),
            sample_ratio: {
                let ratio = sampler(env, r.report);
                r.value_or("sample_ratio", ratio.unwrap_or((1.0, Origin::Default)), |ratio| share(*ratio))
            },
            spans: Waiting::read(env, &mut r, ["span_queue", "span_batch", "span_delay"], "OTEL_BSP", 5_000),
            log_records: Waiting::read(env, &mut r, ["log_queue", "log_batch", "log_delay"], "OTEL_BLRP", 1_000),
            span_text: bound(env, &mut r, "max_span_text", "SPAN", "VALUE_LENGTH", 0),
            log_text: bound(env, &mut r, "max_log_text", "LOGRECORD", "VALUE_LENGTH", 0),
            span_attributes: bound(env, &mut r, "max_span_attributes", "SPAN", "COUNT", 1),
            log_attributes: bound(env, &mut r, "max_log_attributes", "LOGRECORD", "COUNT", 1),
            propagators,
            max_label_sets: r.count("max_label_sets", 2000, 1..=1_000_000),
            max_models: r.count("max_models", 200, 1..=100_000),
            max_keys: r.count("max_keys", 200, 1..=100_000),
            max_projects: r.count("max_projects", 200, 1..=100_000),
        };
        r.finish();
        telemetry
    }
}

const MAX_QUEUE: usize = 1_000_000;

impl Waiting {
    /// `keys` name queue, batch and delay; `variables` is what their variables begin with.
    fn read(env: &Env, r: &mut Reader<'_>, keys: [&'static str; 3], variables: &str, delay_ms: u64) -> Waiting {
        let [queue, batch, delay] = keys;
        let mut count = |key, name: &str, default| {
            let standard = otel(env, r.report, &format!("{variables}_{name}"), |text| number(text, 1..=MAX_QUEUE));
            r.value_or(key, standard.unwrap_or((default, Origin::Default)), |n| match n {
                1..=MAX_QUEUE => Ok(()),
                _ => Err(Refused::new("it is not from 1 to 1000000", "write a number such as 2048")),
            })
        };
        Waiting {
            queue: count(queue, "MAX_QUEUE_SIZE", 2048),
            batch: count(batch, "MAX_EXPORT_BATCH_SIZE", 512),
            delay: duration(env, r, delay, &format!("{variables}_SCHEDULE_DELAY"), delay_ms),
        }
    }
}

fn duration(env: &Env, r: &mut Reader<'_>, key: &'static str, variable: &str, default_ms: u64) -> Duration {
    let standard = otel(env, r.report, variable, milliseconds);
    r.value_or(key, standard.unwrap_or((Duration::from_millis(default_ms), Origin::Default)), positive)
}

/// A bound on attributes: of the signal's own variable, else of the general one.
fn bound(env: &Env, r: &mut Reader<'_>, key: &'static str, of: &str, what: &str, least: usize) -> Option<usize> {
    let read = |text: &str| number(text, least..=usize::MAX);
    let own = otel(env, r.report, &format!("OTEL_{of}_ATTRIBUTE_{what}_LIMIT"), read);
    let standard = own.or_else(|| otel(env, r.report, &format!("OTEL_ATTRIBUTE_{what}_LIMIT"), read));
    let found = r.optional_or(key, standard, |n| match *n {
        n if n >= least => Ok(()),
        _ => Err(Refused::new("nothing would be left", "write a number such as 128, or take the setting out")),
    });
    found.map(|(n, _)| n)
}

fn temporality(env: &Env, r: &mut Reader<'_>) -> Temporality {
    let standard = otel(env, r.report, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", |text| {
        let known = Temporality::from_name(&text.to_ascii_lowercase());
        known.ok_or_else(|| "it is not cumulative, delta or lowmemory".to_owned())
    });
    r.value_or("temporality", standard.unwrap_or((Temporality::Cumulative, Origin::Default)), |_| Ok(()))
}

fn histograms(env: &Env, r: &mut Reader<'_>) -> Histograms {
    let variable = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    let standard = otel(env, r.report, variable, |text| match text.to_ascii_lowercase().as_str() {
        "explicit_bucket_histogram" => Ok(Histograms::Explicit),
        "base2_exponential_bucket_histogram" => Ok(Histograms::Exponential),
        _ => Err("it is not explicit_bucket_histogram or base2_exponential_bucket_histogram".to_owned()),
    });
    r.value_or("histograms", standard.unwrap_or((Histograms::Explicit, Origin::Default)), |_| Ok(()))
}

fn by_default<T: Default>() -> (T, Origin) {
    (T::default(), Origin::Default)
}

fn explain(r: &mut Reader<'_>, what: &'static str, export: Option<&Export>) {
    let value = match export {
        Some(export) => {
            let gzip = if export.compression == Compression::Gzip { ", gzip" } else { "" };
            format!("{} ({}{gzip})", export.endpoint, export.protocol.as_str())
        }
        None => "none".to_owned(),
    };
    r.explain(what, value, Origin::Derived("from the settings above"));
}

/// Whether a signal is exported: the setting, else not if the SDK is disabled, else as its variable has it.
fn enabled(
    env: &Env,
    r: &mut Reader<'_>,
    disabled: Option<&Origin>,
    key: &'static str,
    signal: &str,
    default: bool,
) -> bool {
    let named = otel(env, r.report, &format!("OTEL_{signal}_EXPORTER"), exporter);
    let fallback = match disabled {
        Some(origin) => (false, origin.clone()),
        None => named.unwrap_or((default, Origin::Default)),
    };
    r.value_or(key, fallback, |_| Ok(()))
}

fn service_name(env: &Env, r: &mut Reader<'_>, attributes: Option<&(Attributes, Origin)>) -> Arc<str> {
    let named = otel(env, r.report, "OTEL_SERVICE_NAME", |text| Ok(Arc::from(text)));
    let among = attributes.and_then(|(all, origin)| Some((Arc::clone(all.get("service.name")?), origin.clone())));
    let fallback = named.or(among).unwrap_or((Arc::from("limpid"), Origin::Default));
    r.value_or("service_name", fallback, |_| Ok(()))
}

fn share(ratio: f64) -> Checked {
    if (0.0..=1.0).contains(&ratio) {
        return Ok(());
    }
    Err(Refused::new("it is not from 0 to 1", "write a share such as 0.1"))
}
