//! The Prometheus side: a registry that the recorder feeds and a scrape reads.
//!
//! `prometheus-client` keeps the series and writes OpenMetrics, with exemplars; [`crate::text`] turns that into the
//! classic text format for scrapers that do not ask for OpenMetrics. A scrape takes each histogram's lock for a moment;
//! only the hand-over thread can wait for it, never the relay.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use limpid_core::{Endpoint, ExchangeRecord, HandoverCounts, OwnLabel, RecordConsumer, Unreadable, UpstreamInfo};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, LabelSetEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit as PrometheusUnit};

use crate::counts::{ExportCounts, OwnLogCounts};
use crate::histogram::Histogram;
use crate::labels::{Caps, Overflow};
use crate::names::{self, Definition, Kind, LabelName, LiveDefinition, METRICS, Metric, Unit};
use crate::process::ProcessCollector;
use crate::recorder::{Backend, Recorder, Trace, Value};
use crate::text::classic;

/// The bounds on labels. What is beyond them is counted under the value `other`, and in `limpid.labels.overflow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsConfig {
    /// How many label sets there may be, over all metrics. A label set costs some 10 KB with its histograms. Exchanges that
    /// failed get new ones only up to the half of it. Default 2,000.
    pub max_label_sets: usize,
    /// How many model names. Default 200.
    pub max_models: usize,
    /// How many API keys. Default 200.
    pub max_keys: usize,
    /// How many projects. Default 200.
    pub max_projects: usize,
    /// The operator's own labels that metrics have: each name, with how many values it may have. At most
    /// [`OwnLabel::MOST`]; none of them [reserved](crate::is_reserved_label). Default: none.
    pub own_labels: Vec<(Arc<str>, usize)>,
    /// Model names of the settings: they have their places among `max_models` before anybody asks for one. Default: none.
    pub known_models: Vec<Arc<str>>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        MetricsConfig {
            max_label_sets: 2_000,
            max_models: 200,
            max_keys: 200,
            max_projects: 200,
            own_labels: Vec::new(),
            known_models: Vec::new(),
        }
    }
}

impl From<&MetricsConfig> for Caps {
    fn from(c: &MetricsConfig) -> Caps {
        Caps {
            label_sets: c.max_label_sets,
            models: c.max_models,
            keys: c.max_keys,
            projects: c.max_projects,
            own: c.own_labels.iter().take(OwnLabel::MOST).cloned().collect(),
            known_models: c.known_models.clone(),
        }
    }
}

/// Counts that are kept elsewhere and read when somebody asks.
#[derive(Debug, Clone, Default)]
pub struct LiveCounts {
    /// `limpid.in_flight`, `limpid.records.dropped`, `limpid.requests.unreadable`.
    pub handover: Arc<HandoverCounts>,
    /// `limpid.export.failed` and `limpid.export.sent`.
    pub exports: Arc<ExportCounts>,
    /// `limpid.log.dropped`.
    pub own_log: Arc<OwnLogCounts>,
}

/// How to write the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' classic text format, 0.0.4.
    Text,
    /// OpenMetrics 1.0, with exemplars.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` of what [`Metrics::render`] returns.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// All metrics, for `/metrics`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// The metrics, and the consumer that feeds them.
    pub fn new(config: &MetricsConfig, live: LiveCounts) -> (Arc<Metrics>, MetricsConsumer) {
        let mut registry = Registry::default();
        let backend = PrometheusBackend::new(&mut registry);
        let caps = Caps::from(config);
        let overflow = Overflow::new(&caps);
        registry.register_collector(Box::new(Live { counts: live, overflow: Arc::clone(&overflow) }));
        registry.register_collector(Box::new(ProcessCollector));
        let recorder = Recorder::new(backend, &caps, overflow);
        (Arc::new(Metrics { registry }), MetricsConsumer(recorder))
    }

    /// Every series, as it is now. Send it with [`Format::content_type`].
    pub fn render(&self, format: Format) -> String {
        let mut out = String::new();
        if text::encode(&mut out, &self.registry).is_err() {
            // Writing to a string does not fail; if a metric refused, what was written before it is still right.
            tracing::warn!("the metrics could not be written in full");
        }
        match format {
            Format::OpenMetrics => out,
            Format::Text => classic(&out),
        }
    }
}

/// Feeds [`Metrics`] with records.
pub struct MetricsConsumer(Recorder<PrometheusBackend>);

impl RecordConsumer for MetricsConsumer {
    fn consume(&mut self, record: &Arc<ExchangeRecord>) {
        self.0.consume(record);
    }
}

type Traced = HistogramWithExemplars<TraceLabels>;
type Amount = Counter<f64, AtomicU64>;

struct PrometheusBackend {
    families: Vec<AnyFamily>,
}

enum AnyFamily {
    Counter(Family<SeriesLabels, Counter>),
    Amount(Family<SeriesLabels, Amount>),
    Histogram(Family<SeriesLabels, Histogram, Bounds>),
    Traced(Family<SeriesLabels, Traced, Bounds>),
}

impl PrometheusBackend {
    fn new(registry: &mut Registry) -> PrometheusBackend {
        let families = METRICS.iter().zip(Metric::ALL).map(|(definition, metric)| match definition.kind {
            Kind::Counter => {
                let family = Family::default();
                register(registry, definition, family.clone());
                AnyFamily::Counter(family)
            }
            Kind::Amount => {
                let family = Family::default();
                register(registry, definition, family.clone());
                AnyFamily::Amount(family)
            }
            Kind::Histogram(bounds) if metric.has_exemplars() => {
                let family = Family::new_with_constructor(Bounds(bounds));
                register(registry, definition, family.clone());
                AnyFamily::Traced(family)
            }
            Kind::Histogram(bounds) => {
                let family = Family::new_with_constructor(Bounds(bounds));
                register(registry, definition, family.clone());
                AnyFamily::Histogram(family)
            }
        });
        PrometheusBackend { families: families.collect() }
    }
}

/// Makes a metric visible; the names of v1.41.1 alone are on `/metrics`.
fn register(registry: &mut Registry, definition: &Definition, metric: impl prometheus_client::registry::Metric) {
    let (name, help) = (names::spelling(definition.name), definition.help);
    match prometheus_unit(definition.unit) {
        _ if definition.is_latest_only() => {}
        Some(unit) => registry.register_with_unit(name, help, unit, metric),
        None => registry.register(name, help, metric),
    }
}

const fn prometheus_unit(unit: Unit) -> Option<PrometheusUnit> {
    match unit {
        Unit::Seconds => Some(PrometheusUnit::Seconds),
        // UCUM annotations, in braces, are not units.
        Unit::Tokens | Unit::Usd | Unit::Requests | Unit::Records | Unit::Items | Unit::Events => None,
    }
}

enum PrometheusSeries {
    Counter(Counter),
    Amount(Amount),
    Histogram(Histogram),
    Traced(Traced),
}

impl Backend for PrometheusBackend {
    type Series = PrometheusSeries;

    fn bind(&self, metric: Metric, labels: &[(LabelName, Arc<str>)], _: Option<&UpstreamInfo>) -> PrometheusSeries {
        let labels = SeriesLabels(Arc::from(labels));
        match &self.families[metric as usize] {
            AnyFamily::Counter(family) => PrometheusSeries::Counter(family.get_or_create_owned(&labels)),
            AnyFamily::Amount(family) => PrometheusSeries::Amount(family.get_or_create_owned(&labels)),
            AnyFamily::Histogram(family) => PrometheusSeries::Histogram(family.get_or_create_owned(&labels)),
            AnyFamily::Traced(family) => PrometheusSeries::Traced(family.get_or_create_owned(&labels)),
        }
    }

    fn record(series: &PrometheusSeries, value: Value, times: u32, trace: &Trace) {
        match (series, value) {
            (PrometheusSeries::Counter(counter), Value::Whole(n)) => {
                counter.inc_by(n.saturating_mul(times.into()));
            }
            // The recorder gives counters whole numbers only.
            (PrometheusSeries::Counter(_), Value::Real(_)) => {}
            (PrometheusSeries::Amount(counter), value) => {
                counter.inc_by(value.as_f64() * f64::from(times));
            }
            (PrometheusSeries::Histogram(histogram), value) => histogram.observe(value.as_f64(), times),
            (PrometheusSeries::Traced(histogram), value) => {
                for _ in 0..times {
                    histogram.observe(value.as_f64(), Some(TraceLabels(*trace)), Some(trace.at));
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Bounds(&'static [f64]);

impl MetricConstructor<Traced> for Bounds {
    fn new_metric(&self) -> Traced {
        HistogramWithExemplars::new(self.0.iter().copied())
    }
}

impl MetricConstructor<Histogram> for Bounds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SeriesLabels(Arc<[(LabelName, Arc<str>)]>);

impl EncodeLabelSet for SeriesLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> std::fmt::Result {
        self.0.iter().try_for_each(|(label, value)| encode_label(encoder, label.as_str(), value))
    }
}

#[derive(Debug, Clone, Copy)]
struct TraceLabels(Trace);

impl EncodeLabelSet for TraceLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> std::fmt::Result {
        encode_label(encoder, "trace_id", &format!("{:032x}", self.0.id))?;
        encode_label(encoder, "span_id", &format!("{:016x}", self.0.span))
    }
}

fn encode_label(encoder: &mut LabelSetEncoder, name: &str, value: &str) -> std::fmt::Result {
    use std::fmt::Write as _;
    let mut label = encoder.encode_label();
    let mut key = label.encode_label_key()?;
    for (i, part) in name.split('.').enumerate() {
        if i > 0 {
            key.write_char('_')?;
        }
        key.write_str(part)?;
    }
    let mut text = key.encode_label_value()?;
    text.write_str(value)?;
    text.finish()
}

/// The metrics that are read at the scrape.
#[derive(Debug)]
struct Live {
    counts: LiveCounts,
    overflow: Arc<Overflow>,
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let handover = &self.counts.handover;
        let in_flight = Endpoint::ALL.iter().map(|e| ([(names::ENDPOINT, e.as_str())], handover.in_flight(*e)));
        self.family(&mut encoder, names::IN_FLIGHT, MetricType::Gauge, in_flight, ConstGauge::new)?;
        let dropped = [([(names::WHY, "queue_full")], handover.dropped())];
        self.family(&mut encoder, names::RECORDS_DROPPED, MetricType::Counter, dropped, ConstCounter::new)?;
        let unreadable = Unreadable::ALL.map(|why| ([(names::WHY, why.as_str())], handover.unreadable(why)));
        self.family(&mut encoder, names::UNREADABLE, MetricType::Counter, unreadable, ConstCounter::new)?;
        let failed = self.counts.exports.failed();
        let failed = failed.map(|(what, why, n)| ([(names::WHAT, what), (names::WHY, why)], n));
        self.family(&mut encoder, names::EXPORT_FAILED, MetricType::Counter, failed, ConstCounter::new)?;
        let sent = self.counts.exports.sent().map(|(what, n)| ([(names::WHAT, what)], n));
        self.family(&mut encoder, names::EXPORT_SENT, MetricType::Counter, sent, ConstCounter::new)?;
        let lost = self.counts.own_log.lost().map(|(why, n)| ([(names::WHY, why)], n));
        self.family(&mut encoder, names::LOG_DROPPED, MetricType::Counter, lost, ConstCounter::new)?;
        let overflow = self.overflow.counts().map(|(label, n)| ([(names::LABEL, label)], n));
        self.family(&mut encoder, names::LABELS_OVERFLOW, MetricType::Counter, overflow, ConstCounter::new)
    }
}

impl Live {
    #[expect(clippy::unused_self, reason = "reads as the encoder of this collector")]
    fn family<'a, const N: usize, V, M: EncodeMetric>(
        &self,
        encoder: &mut DescriptorEncoder,
        definition: LiveDefinition,
        kind: MetricType,
        series: impl IntoIterator<Item = ([(&'static str, &'a str); N], V)>,
        constant: impl Fn(V) -> M,
    ) -> std::fmt::Result {
        let (name, help) = (names::spelling(definition.name), format!("{}.", definition.help));
        let unit = prometheus_unit(definition.unit);
        let mut encoder = encoder.encode_descriptor(&name, &help, unit.as_ref(), kind)?;
        for (labels, value) in series {
            constant(value).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
