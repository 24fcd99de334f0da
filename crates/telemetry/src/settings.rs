//! The settings of OTLP, complete: whoever reads the file and the standard `OTEL_*` variables has resolved them.
//!
//! Nothing here or below reads those variables again for what a setting decides, so that what `limpid check` shows is
//! what is used. The exporter library still reads two kinds that no setting covers: `OTEL_EXPORTER_OTLP_*COMPRESSION`
//! and `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.

use std::time::Duration;

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Protocol buffers over HTTP/1.1.
    HttpProtobuf,
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
    /// Headers to send, for authorization. Only these are sent. They are secrets and appear nowhere.
    pub headers: Vec<(String, String)>,
    /// How long one export may take. Tries after a failure begin only within this time.
    pub timeout: Duration,
}

/// Without the values of headers.
impl std::fmt::Debug for OtlpExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("OtlpExport")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .field("headers", &headers)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// The settings of OTLP.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpConfig {
    /// Where spans go; nowhere if absent.
    pub traces: Option<OtlpExport>,
    /// Where metrics go; nowhere if absent.
    pub metrics: Option<OtlpExport>,
    /// `service.name`. Default `limpid`.
    pub service_name: String,
    /// Further attributes of the resource. They replace the SDK's own, such as `telemetry.sdk.name`, but not
    /// `service_name`.
    pub resource: Vec<(String, String)>,
    /// Time between exports of metrics. Default 60 s.
    pub metric_interval: Duration,
    /// The share of traces to export, 0 to 1, where the client did not decide already. Default 1.
    pub sample_ratio: f64,
    /// How many spans may wait; a further one is dropped and counted. Default 2,048.
    pub span_queue: usize,
    /// How many spans go in one export at most. Default 512.
    pub span_batch: usize,
    /// How long a span waits for others to go with. Default 5 s.
    pub span_delay: Duration,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        OtlpConfig {
            traces: None,
            metrics: None,
            service_name: "limpid".to_owned(),
            resource: Vec::new(),
            metric_interval: Duration::from_secs(60),
            sample_ratio: 1.0,
            span_queue: 2_048,
            span_batch: 512,
            span_delay: Duration::from_secs(5),
        }
    }
}
