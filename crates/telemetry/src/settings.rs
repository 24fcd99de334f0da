//! The settings of OTLP, complete: whoever reads the file and the standard `OTEL_*` variables has resolved them.
//!
//! Nothing here or below reads those variables, so what `limpid check` shows is what is used.

use std::time::Duration;

use limpid_core::Batching;

use crate::semconv::Semconv;
use crate::tls::OtlpTls;

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Protocol buffers over HTTP/1.1.
    HttpProtobuf,
    /// JSON over HTTP/1.1.
    HttpJson,
    /// gRPC.
    Grpc,
}

/// Where one signal goes.
#[derive(Clone, PartialEq, Eq)]
pub struct OtlpExport {
    /// The complete URL, for HTTP with its path: `http://127.0.0.1:4318/v1/traces`, or `http://127.0.0.1:4317` for gRPC.
    pub endpoint: String,
    /// The protocol.
    pub protocol: Protocol,
    /// Whether exports are compressed, with gzip.
    pub gzip: bool,
    /// Headers to send, for authorization. They are secrets and appear nowhere.
    pub headers: Vec<(String, String)>,
    /// How long one export may take, with all its tries.
    pub timeout: Duration,
    /// What an `https` endpoint is held to, and what it is shown.
    pub tls: OtlpTls,
}

/// Without the values of headers.
impl std::fmt::Debug for OtlpExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("OtlpExport")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .field("gzip", &self.gzip)
            .field("headers", &headers)
            .field("timeout", &self.timeout)
            .field("tls", &self.tls)
            .finish()
    }
}

/// What a value of a counter or histogram counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Temporality {
    /// The start of the process: a lost export is made up for by the next.
    #[default]
    Cumulative,
    /// The last export.
    Delta,
    /// The last export for counters and histograms, the start for what is read at the export.
    LowMemory,
}

/// Bounds on what a span or a log record may carry. Default: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttributeLimits {
    /// The longest text, in characters; a longer one is cut.
    pub value_length: Option<usize>,
    /// How many attributes; further ones are left out, and their number told.
    pub count: Option<usize>,
}

/// The settings of OTLP.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpConfig {
    /// Where spans go; nowhere if absent.
    pub traces: Option<OtlpExport>,
    /// Where metrics go; nowhere if absent.
    pub metrics: Option<OtlpExport>,
    /// Where log records go, one an exchange; nowhere if absent.
    pub logs: Option<OtlpExport>,
    /// Which names spans, metrics and log records have. Default: those of v1.41.1.
    pub semconv: Semconv,
    /// `service.name`. Default `limpid`.
    pub service_name: String,
    /// Further attributes of the resource. They replace the SDK's own, such as `telemetry.sdk.name`, but not
    /// `service_name`.
    pub resource: Vec<(String, String)>,
    /// Time between exports of metrics. Default 60 s.
    pub metric_interval: Duration,
    /// What metrics count from. Default: the start.
    pub temporality: Temporality,
    /// Whether histograms have exponential buckets instead of the conventions'. Default: no.
    pub exponential_histograms: bool,
    /// The share of traces to export, 0 to 1, where the client did not decide already. Default 1.
    pub sample_ratio: f64,
    /// How spans wait. Default: 2,048, 512 and 5 s.
    pub spans: Batching,
    /// How log records wait. Default: the same, but 1 s.
    pub log_records: Batching,
    /// What a span may carry.
    pub span_limits: AttributeLimits,
    /// What a log record may carry.
    pub log_limits: AttributeLimits,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        let spans = Batching { queue: 2_048, batch: 512, delay: Duration::from_secs(5) };
        OtlpConfig {
            traces: None,
            metrics: None,
            logs: None,
            semconv: Semconv::default(),
            service_name: "limpid".to_owned(),
            resource: Vec::new(),
            metric_interval: Duration::from_secs(60),
            temporality: Temporality::Cumulative,
            exponential_histograms: false,
            sample_ratio: 1.0,
            spans,
            log_records: Batching { delay: Duration::from_secs(1), ..spans },
            span_limits: AttributeLimits::default(),
            log_limits: AttributeLimits::default(),
        }
    }
}
