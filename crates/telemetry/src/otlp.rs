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
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::SpanExporter;
use tokio::runtime::Runtime;

use crate::counts::ExportCounts;
use crate::exporters::{CountedMetrics, metric_exporter, prepare_tls, span_exporter};
use crate::instruments::{Instruments, observe_live};
use crate::labels::{Caps, Overflow};
use crate::names::SCOPE;
use crate::prometheus::{LiveCounts, MetricsConfig};
use crate::recorder::Recorder;
use crate::settings::{OtlpConfig, Protocol};
use crate::span_queue::{SpanConsumer, SpanQueue, export_spans};

/// Sets beyond limpid's caps that an instrument may see: the collapsed ones, see `labels`.
const COLLAPSED_SETS: usize = 256;

/// Why OTLP could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtlpError {
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
    /// Spans whose export failed at the end, or had not ended when the time ran out.
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
    /// Starts the exports that the settings name, and returns the consumers that feed them: at most two. `labels` caps
    /// the labels of the metrics. Nothing is connected yet; a collector that is not there is no error here.
    pub fn start(
        config: &OtlpConfig,
        labels: &MetricsConfig,
        live: &LiveCounts,
    ) -> Result<(Otlp, Vec<Box<dyn RecordConsumer>>), OtlpError> {
        prepare_tls();
        let grpc = [&config.traces, &config.metrics].into_iter().flatten().any(|to| to.protocol == Protocol::Grpc);
        let runtime = if grpc { Some(runtime()?) } else { None };
        let mut otlp = Otlp { spans: None, metrics: None, counts: Arc::clone(&live.exports), runtime };
        let entered = otlp.runtime.as_ref().map(Runtime::enter);
        let spans = config.traces.as_ref().map(span_exporter).transpose()?;
        let metrics = config.metrics.as_ref().map(metric_exporter).transpose()?;
        drop(entered);

        let mut consumers: Vec<Box<dyn RecordConsumer>> = Vec::new();
        if let Some(exporter) = spans {
            let (spans, consumer) = start_spans(config, exporter, &otlp.counts)?;
            otlp.spans = Some(spans);
            consumers.push(Box::new(consumer));
        }
        if let Some(exporter) = metrics {
            let (provider, consumer) = start_metrics(config, exporter, labels, live);
            otlp.metrics = Some(provider);
            consumers.push(Box::new(consumer));
        }
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
            let lost = self.counts.spans_lost();
            spans.queue.close();
            let left = deadline.saturating_duration_since(Instant::now());
            // Whether it ended or the time ran out, what is left is lost; after a clean end nothing is.
            let _ = spans.ended.recv_timeout(left);
            spans.queue.abandon();
            report.spans_lost = self.counts.spans_lost().saturating_sub(lost);
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

/// Made from the settings alone; the SDK's own detectors would read the environment once more.
fn resource(config: &OtlpConfig) -> Resource {
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(config.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone())))
        .with_service_name(config.service_name.clone())
        .build()
}

fn start_spans(
    config: &OtlpConfig,
    mut exporter: impl SpanExporter + 'static,
    counts: &Arc<ExportCounts>,
) -> Result<(Spans, SpanConsumer), OtlpError> {
    exporter.set_resource(&resource(config));
    let queue = Arc::new(SpanQueue::new(config.into(), Arc::clone(counts)));
    let (alive, ended) = channel();
    let of_thread = Arc::clone(&queue);
    thread::Builder::new()
        .name("limpid-otlp-span".into())
        .spawn(move || {
            let _alive = alive;
            export_spans(&of_thread, &exporter, &scope());
        })
        .map_err(|e| OtlpError::Thread(e.to_string()))?;
    let consumer = SpanConsumer { queue: Arc::clone(&queue), sample_ratio: config.sample_ratio };
    Ok((Spans { queue, ended }, consumer))
}

fn start_metrics(
    config: &OtlpConfig,
    exporter: impl PushMetricExporter,
    labels: &MetricsConfig,
    live: &LiveCounts,
) -> (SdkMeterProvider, Recorder<Instruments>) {
    let counted = CountedMetrics::new(exporter, Arc::clone(&live.exports));
    let reader = PeriodicReader::builder(counted).with_interval(config.metric_interval);
    let caps = Caps::from(*labels);
    let limit = caps.label_sets.saturating_add(COLLAPSED_SETS).min(usize::MAX / 2);
    let provider = SdkMeterProvider::builder()
        .with_reader(reader.build())
        .with_resource(resource(config))
        .with_view(move |_: &Instrument| Stream::builder().with_cardinality_limit(limit).build().ok())
        .build();
    let meter = provider.meter_with_scope(scope());
    let overflow = Arc::<Overflow>::default();
    observe_live(&meter, live, Arc::clone(&overflow));
    (provider, Recorder::new(Instruments::new(&meter), caps, overflow))
}

#[cfg(test)]
mod tests;
