//! What collectors get, by every protocol, and what those that fail, refuse or hang cost.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::Sender;

use flate2::read::GzDecoder;
use limpid_core::Endpoint;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, metric};
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tonic::codec::CompressionEncoding::Gzip;

use super::super::*;
use crate::fixture::{TRACE_ID, record};
use crate::settings::{OtlpExport, Temporality};
use crate::tls::OtlpTls;

/// Long enough that a test which waits for it has failed.
const LONG: Duration = Duration::from_secs(60);

/// A request as a receiver got it: the path, the headers, the body without its compression.
#[derive(Debug)]
struct Posted {
    path: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Posted {
    fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|h| h == header)
    }

    fn read<M: Message + Default + serde::de::DeserializeOwned>(&self) -> M {
        if self.has("content-type: application/json") {
            serde_json::from_slice(&self.body).unwrap()
        } else {
            M::decode(&*self.body).unwrap()
        }
    }
}

const TAKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Answers the POSTs with these in turn, the last one again and again, and passes them on.
fn http_receiver(got: Sender<Posted>, answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let seen = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for stream in listener.incoming() {
            let (stream, got, seen) = (stream.unwrap(), got.clone(), Arc::clone(&seen));
            thread::spawn(move || {
                let answer = || answers[seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst).min(answers.len() - 1)];
                serve_http(stream, &got, answer);
            });
        }
    });
    format!("http://{address}")
}

fn serve_http(stream: impl Read + Write, got: &Sender<Posted>, answer: impl Fn() -> &'static str) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.trim_end() {
                "" => break,
                line => headers.push(line.to_ascii_lowercase()),
            }
        }
        let length = headers.iter().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        if headers.contains(&"content-encoding: gzip".to_owned()) {
            let mut plain = Vec::new();
            GzDecoder::new(&*body).read_to_end(&mut plain).unwrap();
            body = plain;
        }
        let path = headers.remove(0);
        // The test may be over.
        drop(got.send(Posted { path, headers, body }));
        let answer = answer();
        let written = reader.get_mut().write_all(answer.as_bytes()).and_then(|()| reader.get_mut().flush());
        if written.is_err() || answer.contains("x-then: close") {
            return;
        }
    }
}

fn export_to(endpoint: String, protocol: Protocol, timeout: Duration) -> OtlpExport {
    let headers = vec![("x-token".into(), "secret".into())];
    OtlpExport { endpoint, protocol, gzip: false, headers, timeout, tls: OtlpTls::default() }
}

fn config_to(base: &str, protocol: Protocol, timeout: Duration) -> OtlpConfig {
    let to = |path: &str| match protocol {
        Protocol::HttpProtobuf | Protocol::HttpJson => Some(export_to(format!("{base}{path}"), protocol, timeout)),
        Protocol::Grpc => Some(export_to(base.to_owned(), protocol, timeout)),
    };
    OtlpConfig {
        traces: to("/v1/traces"),
        metrics: to("/v1/metrics"),
        logs: to("/v1/logs"),
        resource: vec![("telemetry.sdk.name".into(), "other".into()), ("service.name".into(), "not this".into())],
        ..OtlpConfig::default()
    }
}

fn with_gzip(mut config: OtlpConfig, gzip: bool) -> OtlpConfig {
    [&mut config.traces, &mut config.metrics, &mut config.logs].into_iter().flatten().for_each(|to| to.gzip = gzip);
    config
}

/// Spans alone.
fn spans_to(base: &str, timeout: Duration) -> OtlpConfig {
    OtlpConfig { metrics: None, logs: None, ..config_to(base, Protocol::HttpProtobuf, timeout) }
}

fn start(config: &OtlpConfig) -> (Otlp, Vec<Box<dyn RecordConsumer>>) {
    Otlp::start(config, &MetricsConfig::default(), &LiveCounts::default()).unwrap()
}

fn check_traces(request: &ExportTraceServiceRequest) {
    let resource = &request.resource_spans[0].resource.as_ref().unwrap().attributes;
    let value = |name: &str| format!("{:?}", resource.iter().find(|kv| kv.key == name).unwrap().value);
    assert!(value("service.name").contains("\"limpid\""));
    assert!(value("telemetry.sdk.name").contains("\"other\""));
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.name, "chat m");
    assert_eq!(span.trace_id, TRACE_ID.to_be_bytes());
    assert_eq!(span.parent_span_id, 0x99_u64.to_be_bytes());
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 204_000_000);
}

fn check_metrics(request: &ExportMetricsServiceRequest) {
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    for name in ["gen_ai.client.operation.duration", "limpid.requests", "limpid.in_flight"] {
        assert!(metrics.iter().any(|m| m.name == name), "{name}");
    }
}

fn check_logs(request: &ExportLogsServiceRequest) {
    let resource = &request.resource_logs[0].resource.as_ref().unwrap().attributes;
    assert!(resource.iter().any(|kv| kv.key == "service.name"));
    let log = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((log.event_name.as_str(), log.severity_number), ("gen_ai.client.inference.operation.details", 9));
    assert_eq!(log.trace_id, TRACE_ID.to_be_bytes());
}

/// One record through all three signals.
fn export_one(config: &OtlpConfig) -> Arc<ExportCounts> {
    let (otlp, mut consumers) = start(config);
    assert_eq!(consumers.len(), 3);
    for consumer in &mut consumers {
        consumer.consume(&Arc::new(record()));
    }
    let counts = otlp.counts();
    assert_eq!(otlp.shutdown(LONG), ShutdownReport::default());
    let sent: Vec<_> = counts.sent().collect();
    assert_eq!(sent, [("spans", 1), ("log_records", 1), ("metrics", 1), ("log_lines", 0)]);
    assert!(counts.failed().all(|(.., n)| n == 0));
    counts
}

fn check_posts(protocol: Protocol, gzip: bool) {
    let (got, posts) = channel();
    let base = http_receiver(got, &[TAKEN]);
    export_one(&with_gzip(config_to(&base, protocol, LONG), gzip));
    let mut posts: Vec<_> = posts.try_iter().collect();
    posts.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<_> = posts.iter().map(|post| &*post.path).collect();
    assert_eq!(paths, ["post /v1/logs http/1.1", "post /v1/metrics http/1.1", "post /v1/traces http/1.1"]);
    let json = protocol == Protocol::HttpJson;
    let content_type = if json { "application/json" } else { "application/x-protobuf" };
    for post in &posts {
        assert!(post.has("x-token: secret"), "{post:?}");
        assert!(post.has(&format!("content-type: {content_type}")), "{post:?}");
        assert_eq!(post.has("content-encoding: gzip"), gzip, "{post:?}");
        assert!(!post.headers.iter().any(|h| h.starts_with("x-evil")), "{post:?}");
    }
    check_logs(&posts[0].read());
    check_metrics(&posts[1].read());
    check_traces(&posts[2].read());
}

#[test]
fn a_collector_gets_all_signals_over_http() {
    check_posts(Protocol::HttpProtobuf, false);
    check_posts(Protocol::HttpProtobuf, true);
    check_posts(Protocol::HttpJson, false);
    check_posts(Protocol::HttpJson, true);
}

/// What a gRPC receiver got: the message, the token and the encoding.
struct Called {
    message: Payload,
    token: String,
    encoding: String,
}

#[derive(Clone)]
struct Grpc {
    got: Sender<Called>,
    rejected: i64,
}

impl Grpc {
    fn note<T>(&self, request: tonic::Request<T>, payload: impl Fn(T) -> Payload) {
        let header =
            |name: &str| request.metadata().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        let (token, encoding) = (header("x-token"), header("grpc-encoding"));
        drop(self.got.send(Called { message: payload(request.into_inner()), token, encoding }));
    }
}

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.note(request, Payload::Traces);
        let partial = ExportTracePartialSuccess { rejected_spans: self.rejected, error_message: String::new() };
        let partial_success = (self.rejected > 0).then_some(partial);
        Ok(tonic::Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl MetricsService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        self.note(request, Payload::Metrics);
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        self.note(request, Payload::Logs);
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// Serves until the runtime is dropped; its address.
fn grpc_receiver(
    server: &tokio::runtime::Runtime,
    grpc: &Grpc,
    tls: Option<tonic::transport::ServerTlsConfig>,
) -> std::net::SocketAddr {
    let incoming =
        server.block_on(async { tonic::transport::server::TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap() });
    let address = incoming.local_addr().unwrap();
    let mut builder = tonic::transport::Server::builder();
    if let Some(tls) = tls {
        builder = builder.tls_config(tls).unwrap();
    }
    server.spawn(
        builder
            .add_service(TraceServiceServer::new(grpc.clone()).accept_compressed(Gzip))
            .add_service(MetricsServiceServer::new(grpc.clone()).accept_compressed(Gzip))
            .add_service(LogsServiceServer::new(grpc.clone()).accept_compressed(Gzip))
            .serve_with_incoming(incoming),
    );
    address
}

#[test]
fn a_collector_gets_all_signals_over_grpc_without_a_runtime_of_the_application() {
    for gzip in [false, true] {
        let (got, calls) = channel();
        let server = runtime().unwrap();
        let address = grpc_receiver(&server, &Grpc { got, rejected: 0 }, None);
        export_one(&with_gzip(config_to(&format!("http://{address}"), Protocol::Grpc, LONG), gzip));
        let calls: Vec<_> = calls.try_iter().collect();
        assert_eq!(calls.len(), 3);
        for Called { message, token, encoding } in calls {
            assert_eq!((token.as_str(), encoding.as_str()), ("secret", if gzip { "gzip" } else { "" }));
            match message {
                Payload::Traces(traces) => check_traces(&traces),
                Payload::Metrics(metrics) => check_metrics(&metrics),
                Payload::Logs(logs) => check_logs(&logs),
                Payload::Spans(_) => panic!("gRPC has messages"),
            }
        }
        server.shutdown_background();
    }
}

/// The tests before this one once more, in a process whose environment says otherwise.
#[test]
fn the_environment_does_not_change_what_the_settings_decided() {
    let environment = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=wrong,x-evil=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-token=wrong"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_SERVICE_NAME", "wrong"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=wrong,telemetry.sdk.name=wrong"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        // A bare container: a collector without TLS needs no certificates.
        ("SSL_CERT_FILE", "/nonexistent"),
        ("SSL_CERT_DIR", "/nonexistent"),
    ];
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["a_collector_gets_all_signals", "histograms_and_temporality", "--test-threads=1"])
        .envs(environment)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}");
    assert!(said.contains("3 passed"), "{said}");
}

#[test]
fn spans_pass_the_queue_and_only_those_of_inference() {
    let (got, posts) = channel();
    let (otlp, mut consumers) = start(&spans_to(&http_receiver(got, &[TAKEN]), LONG));
    let counts = otlp.counts();
    let mut other = record();
    other.endpoint = Endpoint::Models;
    consumers[0].consume(&Arc::new(record()));
    consumers[0].consume(&Arc::new(other));
    assert_eq!(otlp.shutdown(LONG), ShutdownReport::default());
    assert_eq!((counts.spans_exported(), counts.spans_lost()), (1, 0));
    // A late one is counted.
    consumers[0].consume(&Arc::new(record()));
    assert_eq!(counts.spans_lost(), 1);
    assert_eq!(posts.try_iter().count(), 1);
}

/// Five spans to a receiver that answers so; how often it was asked, and the losses by cause.
fn five_spans(answers: &'static [&'static str], timeout: Duration) -> (usize, Vec<(&'static str, u64)>, u64) {
    let (got, posts) = channel();
    let (otlp, mut consumers) = start(&spans_to(&http_receiver(got, answers), timeout));
    for _ in 0..5 {
        consumers[0].consume(&Arc::new(record()));
    }
    let counts = otlp.counts();
    otlp.shutdown(LONG);
    let lost = counts.failed().filter(|(.., n)| *n > 0).map(|(_, why, n)| (why, n)).collect();
    (posts.try_iter().count(), lost, counts.spans_exported())
}

#[test]
fn what_a_collector_rejects_or_refuses_is_counted_apart() {
    const PARTIAL: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 41\r\n\r\n\
                           {\"partialSuccess\":{\"rejectedSpans\":\"2\"}} ";
    const BAD: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\n\r\nhush";
    const REDIRECT: &str = "HTTP/1.1 307 Temporary Redirect\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(five_spans(&[PARTIAL], LONG), (1, vec![("rejected", 2)], 3));
    assert_eq!(five_spans(&[BAD], LONG), (1, vec![("refused", 5)], 0));
    assert_eq!(five_spans(&[REDIRECT], LONG), (1, vec![("refused", 5)], 0));

    let (got, _calls) = channel();
    let server = runtime().unwrap();
    let address = grpc_receiver(&server, &Grpc { got, rejected: 1 }, None);
    let (otlp, mut consumers) = start(&config_to(&format!("http://{address}"), Protocol::Grpc, LONG));
    consumers[0].consume(&Arc::new(record()));
    let counts = otlp.counts();
    otlp.shutdown(LONG);
    assert_eq!((counts.spans_exported(), counts.spans_lost()), (0, 1));
    assert!(counts.failed().any(|(what, why, n)| (what, why, n) == ("spans", "rejected", 1)));
    server.shutdown_background();
}

#[test]
fn a_busy_collector_is_asked_again_but_not_for_ever() {
    const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
    const LATER: &str = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(five_spans(&[BUSY, TAKEN], LONG), (2, vec![], 5));
    assert_eq!(five_spans(&[BUSY], LONG), (4, vec![("refused", 5)], 0));
    let begun = Instant::now();
    assert_eq!(five_spans(&[LATER, TAKEN], LONG), (1, vec![("refused", 5)], 0));
    assert!(begun.elapsed() < LONG / 2, "waited for an hour that it does not have");
}

/// An authority, and a certificate of 127.0.0.1 from it for either side, in PEM.
struct Authority {
    own: String,
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Authority { own: issuer.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Trusts this authority, and shows its certificate if so.
    fn client(&self, shows: bool) -> OtlpTls {
        let mut tls = OtlpTls::default();
        tls.trust(self.own.clone().into()).unwrap();
        if shows {
            tls.identify(self.certificate.clone().into(), self.key.clone().into()).unwrap();
        }
        tls
    }

    /// A server that wants a certificate of this authority's.
    fn server(&self) -> ServerConfig {
        let certificates = |pem: &str| {
            rustls::pki_types::CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect::<Vec<_>>()
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&self.own));
        let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let builder = ServerConfig::builder().with_client_cert_verifier(clients);
        builder.with_single_cert(certificates(&self.certificate), key).unwrap()
    }
}

fn https_receiver(got: Sender<Posted>, authority: &Authority) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(authority.server());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve_http(StreamOwned::new(connection, stream.unwrap()), &got, || TAKEN);
        }
    });
    format!("https://{address}")
}

/// How many spans were exported and lost where a collector answers so, and how often it was asked.
fn answered(answers: &'static [&'static str], timeout: Duration) -> (u64, u64, usize) {
    let (got, posts) = channel();
    let (otlp, mut consumers) = start(&spans_to(&http_receiver(got, answers), timeout));
    consumers[0].consume(&Arc::new(record()));
    let counts = otlp.counts();
    otlp.shutdown(LONG);
    (counts.spans_exported(), counts.spans_lost(), posts.try_iter().count())
}

#[test]
fn an_answer_that_breaks_off_or_is_none_takes_nothing() {
    const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx-then: close\r\n\r\n\n\x02";
    const IN_CHUNKS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-then: close\r\n\r\n2\r\n\n\x02\r\n";
    const A_PAGE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    const HALF_JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{\"partial";
    for bad in [CUT, IN_CHUNKS, A_PAGE, HALF_JSON] {
        let once: &'static [&'static str] = Box::leak(vec![bad, TAKEN].into_boxed_slice());
        assert_eq!(answered(once, LONG), (1, 0, 2), "sent again: {bad}");
        let always: &'static [&'static str] = Box::leak(vec![bad].into_boxed_slice());
        let (exported, lost, _) = answered(always, Duration::from_secs(1));
        assert_eq!((exported, lost), (0, 1), "counted as lost: {bad}");
    }
    let empty_json = &["HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n"];
    assert_eq!(answered(empty_json, LONG), (1, 0, 1));
}

/// Whether a span arrives.
fn arrives(mut config: OtlpConfig, tls: OtlpTls) -> bool {
    (config.metrics, config.logs) = (None, None);
    config.traces.as_mut().unwrap().tls = tls;
    let (otlp, mut consumers) = start(&config);
    consumers[0].consume(&Arc::new(record()));
    let counts = otlp.counts();
    otlp.shutdown(LONG);
    assert_eq!(counts.spans_exported() + counts.spans_lost(), 1);
    counts.spans_exported() == 1
}

#[test]
fn tls_trusts_the_given_authority_and_shows_the_given_certificate() {
    prepare_tls();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (got, _posts) = channel();
    let https = https_receiver(got, &authority);
    let (got, _calls) = channel();
    let server = runtime().unwrap();
    let tls = tonic::transport::ServerTlsConfig::new()
        .identity(tonic::transport::Identity::from_pem(&authority.certificate, &authority.key))
        .client_ca_root(tonic::transport::Certificate::from_pem(&authority.own));
    let grpc = format!("https://{}", grpc_receiver(&server, &Grpc { got, rejected: 0 }, Some(tls)));
    for (base, protocol) in [(https, Protocol::HttpProtobuf), (grpc, Protocol::Grpc)] {
        let config = |within| config_to(&base, protocol, within);
        let short = Duration::from_secs(1);
        assert!(arrives(config(LONG), authority.client(true)), "{protocol:?}");
        assert!(!arrives(config(short), authority.client(false)), "{protocol:?}: the server wants a certificate");
        assert!(!arrives(config(short), stranger.client(true)), "{protocol:?}: another authority");
    }
    server.shutdown_background();
}

#[test]
fn histograms_and_temporality_are_as_set() {
    let (got, posts) = channel();
    let base = http_receiver(got, &[TAKEN]);
    let mut config = config_to(&base, Protocol::HttpProtobuf, LONG);
    (config.traces, config.logs) = (None, None);
    (config.temporality, config.exponential_histograms) = (Temporality::Delta, true);
    let (otlp, mut consumers) = start(&config);
    let metric = |name: &str| {
        let request: ExportMetricsServiceRequest = posts.try_iter().last().unwrap().read();
        let all = request.resource_metrics.into_iter().flat_map(|r| r.scope_metrics).flat_map(|s| s.metrics);
        all.filter(|m| m.name == name).map(|m| m.data.unwrap()).next()
    };
    for _ in 0..2 {
        consumers[0].consume(&Arc::new(record()));
        otlp.metrics.as_ref().unwrap().force_flush().unwrap();
        match metric("gen_ai.client.operation.duration") {
            Some(metric::Data::ExponentialHistogram(h)) => {
                assert_eq!(h.aggregation_temporality, AggregationTemporality::Delta as i32);
                assert_eq!(h.data_points[0].count, 1, "since the last export");
            }
            other => panic!("{other:?}"),
        }
    }
    otlp.metrics.as_ref().unwrap().force_flush().unwrap();
    assert_eq!(metric("gen_ai.client.operation.duration"), None, "nothing since");
    assert_eq!(otlp.shutdown(LONG), ShutdownReport::default());
}

/// Connections are accepted by the system and nobody answers.
fn silent_collector_costs_only_its_telemetry(protocol: Protocol) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let few = Batching { queue: 100, batch: 10, delay: Duration::from_secs(5) };
    let config = OtlpConfig { spans: few, log_records: few, ..config_to(&base, protocol, LONG) };
    let (otlp, mut consumers) = start(&config);
    let begun = Instant::now();
    let one = Arc::new(record());
    for _ in 0..10_000 {
        for consumer in &mut consumers {
            consumer.consume(&one);
        }
    }
    let held = Arc::strong_count(&one);
    assert!(held <= 1 + 2 * (100 + 10), "{held} records are held");
    let counts = otlp.counts();
    assert!(counts.spans_lost() >= 10_000 - 110, "{counts:?}");
    assert!(counts.log_records_lost() >= 10_000 - 110, "{counts:?}");
    let report = otlp.shutdown(Duration::from_millis(300));
    assert!(begun.elapsed() < LONG / 2, "waited for the collector: {:?}", begun.elapsed());
    assert!(report.metrics_lost);
    assert!((100..=110).contains(&report.spans_lost), "{report:?}");
    assert!((100..=110).contains(&report.log_records_lost), "{report:?}");
    assert_eq!((counts.spans_exported(), counts.spans_lost()), (0, 10_000));
    assert_eq!((counts.log_records_exported(), counts.log_records_lost()), (0, 10_000));
    drop(listener);
}

#[test]
fn a_silent_http_collector_holds_nothing_up() {
    silent_collector_costs_only_its_telemetry(Protocol::HttpProtobuf);
}

#[test]
fn a_silent_grpc_collector_holds_nothing_up() {
    silent_collector_costs_only_its_telemetry(Protocol::Grpc);
}

#[test]
fn a_collector_that_is_gone_is_counted_and_the_end_says_what_was_lost() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (otlp, mut consumers) = start(&config_to(&format!("http://{address}"), Protocol::HttpProtobuf, LONG));
    for consumer in &mut consumers {
        consumer.consume(&Arc::new(record()));
    }
    let counts = otlp.counts();
    let report = otlp.shutdown(LONG);
    assert_eq!(report, ShutdownReport { spans_lost: 1, log_records_lost: 1, metrics_lost: true });
    assert_eq!((counts.spans_exported(), counts.spans_lost()), (0, 1));
    assert_eq!(counts.metrics_failed(), 1);
}

#[test]
fn settings_that_cannot_work_are_refused_without_their_secrets() {
    let with = |endpoint: &str, header: &str| {
        let mut to = export_to(endpoint.into(), Protocol::HttpProtobuf, LONG);
        to.headers = vec![("x-token".into(), header.into())];
        let config = OtlpConfig { traces: Some(to), ..OtlpConfig::default() };
        assert!(!format!("{config:?}").contains("se\ncret"));
        Otlp::start(&config, &MetricsConfig::default(), &LiveCounts::default()).err()
    };
    let refused = with("http://127.0.0.1:1/v1/traces", "se\ncret");
    assert_eq!(refused, Some(OtlpError::Header("x-token".into())));
    assert!(matches!(with("not a url", "x"), Some(OtlpError::Exporter(_))));
}
