//! The OTLP exporters, made from the settings, and the wrapper that counts the metrics' failures.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::{
    MetricExporter, Protocol as LibraryProtocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use crate::counts::{ExportCounts, Throttle, add};
use crate::otlp::OtlpError;
use crate::settings::{OtlpConfig, Protocol};
use crate::span_queue::COMPLAIN_EVERY;

pub(crate) fn span_exporter(config: &OtlpConfig, protocol: Protocol) -> Result<SpanExporter, OtlpError> {
    let built = match protocol {
        Protocol::HttpProtobuf => {
            let builder = SpanExporter::builder().with_http().with_protocol(LibraryProtocol::HttpBinary);
            configured(builder, config, Some("v1/traces")).with_headers(http_headers(config)?).build()
        }
        Protocol::Grpc => configured(SpanExporter::builder().with_tonic(), config, None)
            .with_metadata(MetadataMap::from_headers(headers(config)?))
            .build(),
    };
    built.map_err(|e| OtlpError::Exporter(e.to_string()))
}

pub(crate) fn metric_exporter(config: &OtlpConfig, protocol: Protocol) -> Result<MetricExporter, OtlpError> {
    let built = match protocol {
        Protocol::HttpProtobuf => {
            let builder = MetricExporter::builder().with_http().with_protocol(LibraryProtocol::HttpBinary);
            configured(builder, config, Some("v1/metrics")).with_headers(http_headers(config)?).build()
        }
        Protocol::Grpc => configured(MetricExporter::builder().with_tonic(), config, None)
            .with_metadata(MetadataMap::from_headers(headers(config)?))
            .build(),
    };
    built.map_err(|e| OtlpError::Exporter(e.to_string()))
}

/// Sees to it that TLS can be had: both exporters ask rustls for the process's provider and fail without one.
pub(crate) fn prepare_tls() {
    // reqwest is named here only to be built with TLS; the exporter library makes the client.
    use reqwest as _;
    // An error says that there is one already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// What is not set here, the library takes from the environment.
fn configured<B: WithExportConfig>(mut builder: B, config: &OtlpConfig, path: Option<&str>) -> B {
    if let Some(endpoint) = &config.endpoint {
        let base = endpoint.trim_end_matches('/');
        builder = builder.with_endpoint(path.map_or_else(|| base.to_owned(), |path| format!("{base}/{path}")));
    }
    if let Some(timeout) = config.timeout {
        builder = builder.with_timeout(timeout);
    }
    builder
}

/// The headers, checked here because the library drops those that it cannot send without a word. The error names the
/// header and never its value.
fn headers(config: &OtlpConfig) -> Result<HeaderMap, OtlpError> {
    let mut map = HeaderMap::new();
    for (name, value) in &config.headers {
        let key = HeaderName::try_from(name).map_err(|_| OtlpError::Header(name.clone()))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| OtlpError::Header(name.clone()))?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

fn http_headers(config: &OtlpConfig) -> Result<HashMap<String, String>, OtlpError> {
    headers(config)?;
    Ok(config.headers.iter().cloned().collect())
}

/// Counts what becomes of the exports of metrics.
pub(crate) struct CountedMetrics<E> {
    inner: E,
    counts: Arc<ExportCounts>,
    failures: Throttle,
}

impl<E> CountedMetrics<E> {
    pub(crate) fn new(inner: E, counts: Arc<ExportCounts>) -> Self {
        CountedMetrics { inner, counts, failures: Throttle::new(COMPLAIN_EVERY) }
    }
}

impl<E: PushMetricExporter> PushMetricExporter for CountedMetrics<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.inner.export(metrics).await;
        match &result {
            Ok(()) => add(&self.counts.metrics_exported, 1),
            Err(error) => {
                add(&self.counts.metrics_failed, 1);
                if let Some(failed) = self.failures.note(1, Instant::now()) {
                    tracing::warn!(failed, %error, "OTLP export of metrics failed");
                }
            }
        }
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}
