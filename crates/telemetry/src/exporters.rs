//! The OTLP exporters, made from the settings, and the wrapper that counts the metrics' failures.
//!
//! The exporter library adds headers from `OTEL_EXPORTER_OTLP_HEADERS` last, over those it was given. The settings have
//! taken that variable into account and may have decided against it, so the headers are set once more after the
//! library: in the HTTP client, and in gRPC's interceptor.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{
    MetricExporter, Protocol as LibraryProtocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use reqwest::redirect::Policy;
use tonic::metadata::MetadataMap;
use tonic::transport::ClientTlsConfig;

use crate::counts::{ExportCounts, Throttle, add};
use crate::otlp::OtlpError;
use crate::settings::{OtlpExport, Protocol};
use crate::span_queue::COMPLAIN_EVERY;

/// An exporter of spans. For gRPC, call it in the runtime that is to drive it.
pub(crate) fn span_exporter(to: &OtlpExport) -> Result<SpanExporter, OtlpError> {
    let headers = headers(to)?;
    let built = match to.protocol {
        Protocol::HttpProtobuf => http(SpanExporter::builder().with_http(), to, headers)?.build(),
        Protocol::Grpc => grpc(SpanExporter::builder().with_tonic(), to, headers).build(),
    };
    built.map_err(|e| OtlpError::Exporter(e.to_string()))
}

/// An exporter of metrics; likewise.
pub(crate) fn metric_exporter(to: &OtlpExport) -> Result<MetricExporter, OtlpError> {
    let headers = headers(to)?;
    let built = match to.protocol {
        Protocol::HttpProtobuf => http(MetricExporter::builder().with_http(), to, headers)?.build(),
        Protocol::Grpc => grpc(MetricExporter::builder().with_tonic(), to, headers).build(),
    };
    built.map_err(|e| OtlpError::Exporter(e.to_string()))
}

/// The headers, checked. The error names the header and never its value.
fn headers(to: &OtlpExport) -> Result<HeaderMap, OtlpError> {
    let mut map = HeaderMap::new();
    for (name, value) in &to.headers {
        let key = HeaderName::try_from(name).map_err(|_| OtlpError::Header(name.clone()))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| OtlpError::Header(name.clone()))?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

fn http<B: WithExportConfig + WithHttpConfig>(builder: B, to: &OtlpExport, headers: HeaderMap) -> Result<B, OtlpError> {
    let builder =
        builder.with_protocol(LibraryProtocol::HttpBinary).with_endpoint(&to.endpoint).with_timeout(to.timeout);
    Ok(builder.with_http_client(Client::new(headers, to)?))
}

fn grpc<B: WithExportConfig + WithTonicConfig>(builder: B, to: &OtlpExport, headers: HeaderMap) -> B {
    let builder = builder.with_endpoint(&to.endpoint).with_timeout(to.timeout).with_interceptor(
        move |mut request: tonic::Request<()>| {
            *request.metadata_mut() = MetadataMap::from_headers(headers.clone());
            Ok(request)
        },
    );
    if is_tls(to) {
        // The library would trust no certificate.
        builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots())
    } else {
        builder
    }
}

/// Without a scheme the library means TLS too.
fn is_tls(to: &OtlpExport) -> bool {
    !to.endpoint.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"))
}

/// The HTTP client of an exporter. Blocking: the asynchronous one does not run on the exporters' threads.
#[derive(Debug)]
struct Client {
    inner: reqwest::blocking::Client,
    headers: HeaderMap,
}

impl Client {
    fn new(headers: HeaderMap, to: &OtlpExport) -> Result<Client, OtlpError> {
        // A POST is not sent again to where somebody points, least of all with a secret in it.
        let mut builder = reqwest::blocking::Client::builder().timeout(to.timeout).redirect(Policy::none());
        if !is_tls(to) {
            // The system's certificates are not wanted, and a bare container has none, which would be an error.
            builder = builder.tls_certs_only([]);
        }
        // A blocking client cannot be made on a thread that drives an async runtime.
        let made = thread::spawn(move || builder.build());
        match made.join() {
            Ok(Ok(inner)) => Ok(Client { inner, headers }),
            Ok(Err(error)) => Err(OtlpError::Exporter(error.to_string())),
            Err(_) => Err(OtlpError::Exporter("the HTTP client could not be made".to_owned())),
        }
    }
}

impl HttpClient for Client {
    fn send_bytes<'a: 'b, 'b>(
        &'a self,
        mut request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        Self: 'b,
    {
        let mut headers = self.headers.clone();
        for own in [CONTENT_TYPE, CONTENT_ENCODING, USER_AGENT] {
            if let Some(value) = request.headers_mut().remove(&own) {
                headers.insert(own, value);
            }
        }
        *request.headers_mut() = headers;
        self.inner.send_bytes(request)
    }
}

/// Sees to it that TLS can be had: both protocols ask rustls for the process's provider and fail without one.
pub(crate) fn prepare_tls() {
    // An error says that there is one already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
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
