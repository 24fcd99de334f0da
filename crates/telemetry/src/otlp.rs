//! OTLP: starting the export of spans, metrics and log records, and ending it within a bound.
//!
//! Spans and log records leave by a thread each (see `record_queue`), metrics by the SDK's periodic reader. Sending
//! blocks those threads and nothing else. gRPC needs a tokio runtime: it gets a small one of its own, so that neither a
//! busy collector nor the flavour of the application's runtime has any effect.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use limpid_core::{Batching, ExchangeRecord, RecordConsumer};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceMessage;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, PeriodicReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::SpanData;

use crate::content;
use crate::counts::{ExportCounts, Ledger};
use crate::grpc_thread::GrpcThread;
use crate::instruments::{Instruments, observe_live};
use crate::labels::{Caps, Overflow};
use crate::limits::limit;
use crate::log_record::log_record;
use crate::metric_exporter::MetricExporter;
use crate::names::SCOPE;
use crate::prometheus::{LiveCounts, MetricsConfig};
use crate::record_queue::{QueueConsumer, RecordQueue, export, is_sampled};
use crate::recorder::Recorder;
use crate::semconv::Semconv;
use crate::settings::{AttributeLimits, OtlpConfig, Protocol};
use crate::span_bytes::SpanWriter;
use crate::span_data::span;
use crate::span_parts::attempts;
use crate::transport::{Payload, Transport, prepare_tls};

/// Sets beyond limpid's caps that an instrument may see: the collapsed ones, see `labels`.
const COLLAPSED_SETS: usize = 256;
/// The specification's defaults.
const EXPONENTIAL: Aggregation =
    Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true };

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
    /// Log records, likewise.
    pub log_records_lost: u64,
    /// The last export of metrics failed or did not end in time.
    pub metrics_lost: bool,
}

/// The running export. End it with [`Otlp::shutdown`]; dropped without, it gives up what is not exported.
pub struct Otlp {
    spans: Option<Arc<RecordQueue>>,
    log_records: Option<Arc<RecordQueue>>,
    metrics: Option<SdkMeterProvider>,
    counts: Arc<ExportCounts>,
    grpc: Option<GrpcThread>,
}

impl Otlp {
    /// Starts the exports that the settings name, and returns the consumers that feed them: at most three. `labels`
    /// caps the labels of the metrics. Nothing is connected yet; a collector that is not there is no error here.
    pub fn start(
        config: &OtlpConfig,
        labels: &MetricsConfig,
        live: &LiveCounts,
    ) -> Result<(Otlp, Vec<Box<dyn RecordConsumer>>), OtlpError> {
        prepare_tls();
        let all = [&config.traces, &config.metrics, &config.logs];
        let grpc = all.into_iter().flatten().any(|to| to.protocol == Protocol::Grpc);
        let counts = Arc::clone(&live.exports);
        let grpc = if grpc { Some(GrpcThread::start()?) } else { None };
        let mut otlp = Otlp { spans: None, log_records: None, metrics: None, counts, grpc };
        let handle = otlp.grpc.as_ref().map(GrpcThread::runtime);
        let [traces, metrics, logs] = all.map(|to| to.as_ref().map(|to| Transport::new(to, handle)).transpose());
        let (traces, metrics, logs) = (traces?, metrics?, logs?);

        let mut consumers: Vec<Box<dyn RecordConsumer>> = Vec::new();
        if let Some(transport) = traces {
            let consumer = start_spans(config, transport, &otlp.counts)?;
            otlp.spans = Some(Arc::clone(&consumer.queue));
            consumers.push(Box::new(consumer));
        }
        if let Some(transport) = logs {
            let consumer = start_log_records(config, transport, &otlp.counts)?;
            otlp.log_records = Some(Arc::clone(&consumer.queue));
            consumers.push(Box::new(consumer));
        }
        if let Some(transport) = metrics {
            let counts = Arc::clone(&otlp.counts);
            let exporter = MetricExporter { transport, counts, temporality: config.temporality };
            // The SDK's own thread: where it cannot be had, the SDK goes on without.
            one_more_thread()?;
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

    /// Exports what waits, and returns when that is done or `within` has passed. End the hand-over first: what comes
    /// later is dropped and counted. Blocks; not to be called on a thread that drives an async runtime.
    pub fn shutdown(mut self, within: Duration) -> ShutdownReport {
        let deadline = Instant::now() + within;
        let metrics = self.metrics.take().map(shutdown_metrics);
        let (spans, log_records) = (self.spans.take(), self.log_records.take());
        let lost = (self.counts.spans_lost(), self.counts.log_records_lost());
        let both = || [&spans, &log_records].into_iter().flatten();
        both().for_each(|queue| queue.close());
        both().for_each(|queue| queue.end(deadline));
        ShutdownReport {
            spans_lost: self.counts.spans_lost().saturating_sub(lost.0),
            log_records_lost: self.counts.log_records_lost().saturating_sub(lost.1),
            metrics_lost: metrics.is_some_and(|result| {
                let left = deadline.saturating_duration_since(Instant::now());
                result.recv_timeout(left) != Ok(true)
            }),
        }
    }
}

impl Drop for Otlp {
    fn drop(&mut self) {
        for queue in [self.spans.take(), self.log_records.take()].into_iter().flatten() {
            queue.abandon();
        }
        if let Some(metrics) = self.metrics.take() {
            // Dropping the provider would flush it here, for up to five seconds.
            drop(shutdown_metrics(metrics));
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

fn scope(semconv: Semconv) -> InstrumentationScope {
    let scope = InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION"));
    scope.with_schema_url(semconv.schema_url()).build()
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

/// Whether there is a thread to be had.
fn one_more_thread() -> Result<(), OtlpError> {
    let one = thread::Builder::new().name("limpid-otlp-probe".into()).spawn(|| {});
    let one = one.map_err(|e| OtlpError::Thread(e.to_string()))?;
    // It does nothing that could fail.
    let _ended = one.join();
    Ok(())
}

/// Starts the thread that sends what comes into a queue.
fn start_queue(
    name: &str,
    batching: Batching,
    ledger: &Arc<Ledger>,
    transport: Transport,
    payload: impl Fn(&[Arc<ExchangeRecord>]) -> Payload + Send + 'static,
) -> Result<Arc<RecordQueue>, OtlpError> {
    RecordQueue::start(name, batching, ledger, export(transport, payload)).map_err(|e| OtlpError::Thread(e.to_string()))
}

/// An exchange's span, behind those of its attempts.
pub(crate) fn spans_of(r: &ExchangeRecord, scope: &InstrumentationScope, limits: &AttributeLimits) -> Vec<SpanData> {
    let mut span = span(r, scope);
    span.dropped_attributes_count += limit(&mut span.attributes, limits);
    let mut all = attempts(r, &span);
    content::add(&mut span, r, limits);
    all.push(span);
    all
}

/// The spans of exchanges, as an export sends them: for measurements.
#[derive(Debug)]
pub struct SpanBatch(SpanWriter);

impl SpanBatch {
    /// With the resource, the names and the bounds of these settings.
    pub fn new(config: &OtlpConfig) -> SpanBatch {
        let (resource, scope) = (ResourceAttributesWithSchema::from(&resource(config)), scope(config.semconv));
        SpanBatch(SpanWriter::new(&resource, &scope, config.span_limits))
    }

    /// The body of an export in protocol buffers.
    pub fn body(&self, records: &[Arc<ExchangeRecord>]) -> Vec<u8> {
        self.0.request(records.iter().map(Arc::as_ref))
    }
}

fn start_spans(config: &OtlpConfig, transport: Transport, counts: &ExportCounts) -> Result<QueueConsumer, OtlpError> {
    let resource = ResourceAttributesWithSchema::from(&resource(config));
    let (scope, limits, ratio) = (scope(config.semconv), config.span_limits, config.sample_ratio);
    let writer = transport.takes_protobuf().then(|| SpanWriter::new(&resource, &scope, limits));
    let payload = move |records: &[Arc<ExchangeRecord>]| {
        if let Some(writer) = &writer {
            return Payload::Spans(writer.request(records.iter().map(Arc::as_ref)).into());
        }
        let spans = records.iter().flat_map(|r| spans_of(r, &scope, &limits));
        let resource_spans = group_spans_by_resource_and_scope(spans.collect(), &resource);
        Payload::Traces(ExportTraceServiceRequest { resource_spans })
    };
    let queue = start_queue("limpid-otlp-span", config.spans, &counts.spans, transport, payload)?;
    let wanted = Box::new(move |r: &ExchangeRecord| r.endpoint.is_inference() && is_sampled(r, ratio));
    Ok(QueueConsumer { queue, wanted, takes_content: true })
}

fn start_log_records(
    config: &OtlpConfig,
    transport: Transport,
    counts: &ExportCounts,
) -> Result<QueueConsumer, OtlpError> {
    let attributes = ResourceAttributesWithSchema::from(&resource(config)).attributes.0;
    let (scope, limits, ratio) = (scope(config.semconv), config.log_limits, config.sample_ratio);
    let payload = move |records: &[Arc<ExchangeRecord>]| {
        let log_records = records.iter().map(|r| log_record(r, &scope, &limits, ratio)).collect();
        let schema_url = scope.schema_url().unwrap_or_default().to_owned();
        let scope_logs = ScopeLogs { scope: Some((&scope, None).into()), log_records, schema_url };
        let resource = ResourceMessage { attributes: attributes.clone(), ..ResourceMessage::default() };
        let one = ResourceLogs { resource: Some(resource), scope_logs: vec![scope_logs], ..ResourceLogs::default() };
        Payload::Logs(ExportLogsServiceRequest { resource_logs: vec![one] })
    };
    let queue = start_queue("limpid-otlp-log", config.log_records, &counts.log_records, transport, payload)?;
    Ok(QueueConsumer { queue, wanted: Box::new(|_| true), takes_content: false })
}

fn start_metrics(
    config: &OtlpConfig,
    exporter: impl PushMetricExporter,
    labels: &MetricsConfig,
    live: &LiveCounts,
) -> (SdkMeterProvider, Recorder<Instruments>) {
    let reader = PeriodicReader::builder(exporter).with_interval(config.metric_interval);
    let caps = Caps::from(labels);
    let limit = caps.label_sets.saturating_add(COLLAPSED_SETS).min(usize::MAX / 2);
    let exponential = config.exponential_histograms;
    let provider = SdkMeterProvider::builder()
        .with_reader(reader.build())
        .with_resource(resource(config))
        .with_view(move |instrument: &Instrument| {
            let stream = Stream::builder().with_cardinality_limit(limit);
            if exponential && instrument.kind() == InstrumentKind::Histogram {
                return stream.with_aggregation(EXPONENTIAL).build().ok();
            }
            stream.build().ok()
        })
        .build();
    let meter = provider.meter_with_scope(scope(config.semconv));
    let overflow = Overflow::new(&caps);
    observe_live(&meter, live, Arc::clone(&overflow));
    (provider, Recorder::new(Instruments::new(&meter), &caps, overflow).following(config.semconv))
}

#[cfg(test)]
mod tests;
