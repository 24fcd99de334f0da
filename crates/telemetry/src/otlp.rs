//! OTLP: starting the export of spans and metrics, and ending it within a bound.
//!
//! Spans leave by a thread of limpid's own (see `span_queue`), metrics by the SDK's periodic reader. HTTP blocks
//! those threads and nothing else. gRPC needs a tokio runtime: it gets a small one of its own, so that neither a busy
//! collector nor the flavour of the application's runtime has any effect.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use limpid_core::RecordConsumer;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::trace::SpanExporter;
use tokio::runtime::Runtime;

use crate::counts::ExportCounts;
use crate::exporters::{CountedMetrics, metric_exporter, prepare_tls, span_exporter};
use crate::instruments::{Instruments, observe_live};
use crate::labels::{Caps, Overflow};
use crate::names::SCOPE;
use crate::prometheus::{LiveCounts, MetricsConfig};
use crate::recorder::Recorder;
use crate::settings::{Environment, OtlpConfig, Protocol, Signal, process_environment};
use crate::span_queue::{SpanConsumer, SpanQueue, export_spans};

/// Sets beyond limpid's caps that an instrument may see: the collapsed ones, see `labels`.
const COLLAPSED_SETS: usize = 256;

/// Why OTLP could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtlpError {
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`, or its kin per signal, names no protocol that limpid speaks.
    Protocol(String),
    /// A header's name or value cannot be sent; this is its name.
    Header(String),
    /// The exporter refused its settings: what it said.
    Exporter(String),
    /// A thread could not be started: what the system said.
    Thread(String),
}

impl fmt::Display for OtlpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OtlpError::Protocol(name) => {
                write!(f, "OTLP protocol `{name}` is not known, use `http/protobuf` or `grpc`")
            }
            OtlpError::Header(name) => write!(f, "the OTLP header `{name}` cannot be sent"),
            OtlpError::Exporter(why) => write!(f, "OTLP: {why}"),
            OtlpError::Thread(why) => write!(f, "OTLP could not start a thread: {why}"),
        }
    }
}

impl std::error::Error for OtlpError {}

/// What was lost at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShutdownReport {
    /// Spans that were not exported when the time ran out.
    pub spans_lost: u64,
    /// The last export of metrics failed or did not end in time.
    pub metrics_lost: bool,
}

/// The running export. End it with [`Otlp::shutdown`]; dropped without, it gives up what is not exported.
pub struct Otlp {
    spans: Option<Spans>,
    metrics: Option<SdkMeterProvider>,
    counts: Arc<ExportCounts>,
    runtime: Option<Runtime>,
}

struct Spans {
    queue: Arc<SpanQueue>,
    /// Says nothing; it breaks when the exporting thread ends.
    ended: Receiver<()>,
}

impl Otlp {
    /// Starts the exports that the settings want, and returns the consumers that feed them: at most two. Nothing is
    /// connected yet; a collector that is not there is no error here.
    pub fn start(
        config: &OtlpConfig,
        labels: &MetricsConfig,
        live: LiveCounts,
    ) -> Result<(Otlp, Vec<Box<dyn RecordConsumer>>), OtlpError> {
        Otlp::start_in(config, labels, live, &process_environment)
    }

    fn start_in(
        config: &OtlpConfig,
        labels: &MetricsConfig,
        live: LiveCounts,
        env: Environment,
    ) -> Result<(Otlp, Vec<Box<dyn RecordConsumer>>), OtlpError> {
        let protocol = |signal| {
            if !config.wants(signal, env) {
                return Ok(None);
            }
            config.protocol(signal, env).map(Some).map_err(OtlpError::Protocol)
        };
        let (traces, metrics) = (protocol(Signal::Traces)?, protocol(Signal::Metrics)?);
        let grpc = [traces, metrics].contains(&Some(Protocol::Grpc));
        prepare_tls();
        let counts = Arc::clone(&live.exports);
        let mut otlp = Otlp { spans: None, metrics: None, counts, runtime: if grpc { Some(runtime()?) } else { None } };
        let entered = otlp.runtime.as_ref().map(Runtime::enter);
        let resource = resource(config);
        let mut consumers: Vec<Box<dyn RecordConsumer>> = Vec::new();
        if let Some(protocol) = traces {
            let mut exporter = span_exporter(config, protocol)?;
            exporter.set_resource(&resource);
            let (spans, consumer) = start_spans(config, exporter, &otlp.counts, env)?;
            otlp.spans = Some(spans);
            consumers.push(Box::new(consumer));
        }
        if let Some(protocol) = metrics {
            let exporter = metric_exporter(config, protocol)?;
            let (provider, consumer) = start_metrics(config, exporter, resource, labels, &live);
            otlp.metrics = Some(provider);
            consumers.push(Box::new(consumer));
        }
        drop(entered);
        Ok((otlp, consumers))
    }

    /// What was exported and lost so far.
    pub fn counts(&self) -> Arc<ExportCounts> {
        Arc::clone(&self.counts)
    }

    /// Exports what waits, and returns when that is done or `within` has passed. End the hand-over first: a span that
    /// comes later is dropped and counted. Blocks; not to be called on a thread that drives an async runtime.
    pub fn shutdown(mut self, within: Duration) -> ShutdownReport {
        let deadline = Instant::now() + within;
        let metrics = self.metrics.take().map(shutdown_metrics);
        let mut report = ShutdownReport::default();
        if let Some(spans) = self.spans.take() {
            spans.queue.close();
            let left = deadline.saturating_duration_since(Instant::now());
            // Whether it ended or the time ran out, what is left is lost; after a clean end nothing is.
            let _ = spans.ended.recv_timeout(left);
            report.spans_lost = spans.queue.abandon();
        }
        if let Some(result) = metrics {
            let left = deadline.saturating_duration_since(Instant::now());
            report.metrics_lost = result.recv_timeout(left) != Ok(true);
        }
        report
    }
}

impl Drop for Otlp {
    fn drop(&mut self) {
        if let Some(spans) = self.spans.take() {
            spans.queue.abandon();
        }
        if let Some(metrics) = self.metrics.take() {
            // Dropping the provider would flush it here, for up to five seconds.
            drop(shutdown_metrics(metrics));
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The SDK waits five seconds, whatever it is told; so it waits on a thread of its own.
fn shutdown_metrics(provider: SdkMeterProvider) -> Receiver<bool> {
    let (done, result) = channel();
    let spawned = thread::Builder::new().name("limpid-otlp-end".into()).spawn(move || {
        // Nobody may be waiting any more.
        let _ = done.send(provider.shutdown().is_ok());
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "the last metrics were not exported");
    }
    result
}

fn runtime() -> Result<Runtime, OtlpError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("limpid-otlp-grpc")
        .enable_all()
        .build()
        .map_err(|e| OtlpError::Thread(e.to_string()))
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build()
}

/// The SDK's detectors read the environment; the settings go over it.
fn resource(config: &OtlpConfig) -> Resource {
    const SERVICE_NAME: &str = "service.name";
    let detected = Resource::builder().build();
    let named = detected.get(&Key::new(SERVICE_NAME)).map(|v| v.as_str().into_owned());
    let named = named.filter(|name| !name.starts_with("unknown_service"));
    let name = config.service_name.clone().or(named).unwrap_or_else(|| "limpid".to_owned());
    Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_service_name(name)
        .with_attributes(config.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone())))
        .build()
}

fn start_spans(
    config: &OtlpConfig,
    exporter: impl SpanExporter + 'static,
    counts: &Arc<ExportCounts>,
    env: Environment,
) -> Result<(Spans, SpanConsumer), OtlpError> {
    let queue = Arc::new(SpanQueue::new(config.batching(env), Arc::clone(counts)));
    let (alive, ended) = channel();
    let of_thread = Arc::clone(&queue);
    thread::Builder::new()
        .name("limpid-otlp-span".into())
        .spawn(move || {
            let _alive = alive;
            export_spans(&of_thread, &exporter, &scope());
        })
        .map_err(|e| OtlpError::Thread(e.to_string()))?;
    let consumer = SpanConsumer { queue: Arc::clone(&queue), sampling: config.sampling(env) };
    Ok((Spans { queue, ended }, consumer))
}

fn start_metrics(
    config: &OtlpConfig,
    exporter: impl PushMetricExporter,
    resource: Resource,
    labels: &MetricsConfig,
    live: &LiveCounts,
) -> (SdkMeterProvider, Recorder<Instruments>) {
    let mut reader = PeriodicReader::builder(CountedMetrics::new(exporter, Arc::clone(&live.exports)));
    if let Some(interval) = config.metric_interval {
        reader = reader.with_interval(interval);
    }
    let caps = Caps::from(*labels);
    let limit = caps.label_sets.saturating_add(COLLAPSED_SETS).min(usize::MAX / 2);
    let provider = SdkMeterProvider::builder()
        .with_reader(reader.build())
        .with_resource(resource)
        .with_view(move |_: &Instrument| Stream::builder().with_cardinality_limit(limit).build().ok())
        .build();
    let meter = provider.meter_with_scope(scope());
    let overflow = Arc::<Overflow>::default();
    observe_live(&meter, live, Arc::clone(&overflow));
    (provider, Recorder::new(Instruments::new(&meter), caps, overflow))
}

#[cfg(test)]
mod tests;
