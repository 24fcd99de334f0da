//! Spans and metrics as a collector gets them, and collectors that fail.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::Sender;

use limpid_core::{Category, Ending, Endpoint, ExchangeRecord, ModelNames, Outcome, Refusal};
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::trace::InMemorySpanExporter;
use prost::Message as _;

use super::*;
use crate::fixture::{SPAN_ID, TRACE_ID, record};
use crate::names::spelling;
use crate::settings::OtlpExport;
use crate::span::span;
use crate::span_queue::is_sampled;
use crate::tests::{assert_close, expected};

/// Long enough that a test which waits for it has failed.
const LONG: Duration = Duration::from_secs(60);

fn attributes(r: &ExchangeRecord) -> BTreeMap<String, String> {
    let span = span(r, &scope());
    let count = span.attributes.len();
    let all: BTreeMap<_, _> =
        span.attributes.into_iter().map(|kv| (kv.key.to_string(), format!("{:?}", kv.value))).collect();
    assert_eq!(all.len(), count, "an attribute is there twice");
    all
}

/// A value as `Debug` prints it, less the wrapping of strings.
fn plain(value: &str) -> String {
    value
        .replace("String(Static(\"", "\"")
        .replace("String(Owned(\"", "\"")
        .replace("String(RefCounted(\"", "\"")
        .replace("\"))", "\"")
}

/// What [`record`] gives.
const ATTRIBUTES: &str = "\
gen_ai.conversation.id = \"conv\"
gen_ai.operation.name = \"chat\"
gen_ai.provider.name = \"openai\"
gen_ai.request.choice.count = I64(2)
gen_ai.request.frequency_penalty = F64(0.1)
gen_ai.request.max_tokens = I64(256)
gen_ai.request.model = \"m\"
gen_ai.request.presence_penalty = F64(0.2)
gen_ai.request.reasoning.level = \"high\"
gen_ai.request.seed = I64(7)
gen_ai.request.stream = Bool(true)
gen_ai.request.temperature = F64(0.5)
gen_ai.request.top_k = F64(40.0)
gen_ai.request.top_p = F64(0.9)
gen_ai.response.finish_reasons = stop,length
gen_ai.response.id = \"chatcmpl-1\"
gen_ai.response.model = \"m-2026\"
gen_ai.response.time_to_first_chunk = F64(0.07)
gen_ai.usage.cache_creation.input_tokens = I64(20)
gen_ai.usage.cache_read.input_tokens = I64(60)
gen_ai.usage.input_tokens = I64(100)
gen_ai.usage.output_tokens = I64(11)
gen_ai.usage.reasoning.output_tokens = I64(5)
http.response.status_code = I64(200)
limpid.attempts = I64(1)
limpid.endpoint = \"chat\"
limpid.exchange.id = \"00000000000000000000000001\"
limpid.key = \"team\"
limpid.outcome.category = \"ok\"
limpid.outcome.ending = \"end\"
limpid.outcome.reason = \"stop\"
limpid.output_tokens_per_s = F64(110.0)
limpid.price.matched = \"openai/m\"
limpid.price.source = \"catalogue\"
limpid.price.usd = F64(0.75)
limpid.priority = \"low\"
limpid.project = \"search\"
limpid.queue.duration = F64(0.001)
limpid.reader_lag = F64(0.003)
limpid.refusal.kind = \"model\"
limpid.refusal.source = \"refusal_field\"
limpid.refusal.verdict = \"certain\"
limpid.region = \"eu\"
limpid.request_id = \"rid\"
limpid.session = \"s\"
limpid.stall = F64(0.05)
limpid.template = \"t\"
limpid.tpot = F64(0.01)
limpid.ttft = F64(0.1)
limpid.unpriced = \"unknown_model\"
limpid.upstream = \"oa\"
limpid.usage.source = \"reported\"
limpid.user = \"u\"
openai.api.type = \"chat_completions\"
openai.request.service_tier = \"flex\"
openai.response.service_tier = \"default\"
server.address = \"api.example\"
server.port = I64(443)";

#[test]
fn a_span_has_every_attribute_that_the_record_knows() {
    let got: Vec<_> = attributes(&record()).iter().map(|(name, value)| format!("{name} = {}", plain(value))).collect();
    let want: Vec<_> = ATTRIBUTES.lines().collect();
    let got: Vec<_> = got
        .iter()
        .map(|line| match line.split_once(" = Array") {
            Some((name, array)) => {
                assert!(array.find("stop").unwrap() < array.find("length").unwrap());
                format!("{name} = stop,length")
            }
            None => line.clone(),
        })
        .collect();
    assert_eq!(got, want);
}

#[test]
fn a_span_continues_the_clients_trace_and_tells_the_times() {
    let r = record();
    let s = span(&r, &scope());
    assert_eq!(s.name, "chat m");
    assert_eq!(s.span_kind, SpanKind::Client);
    assert_eq!(s.span_context.trace_id().to_bytes(), TRACE_ID.to_be_bytes());
    assert_eq!(s.span_context.span_id().to_bytes(), SPAN_ID.to_be_bytes());
    assert!(s.span_context.is_sampled());
    assert_eq!(s.parent_span_id.to_bytes(), 0x99_u64.to_be_bytes());
    assert!(s.parent_span_is_remote);
    assert_eq!(s.start_time, r.started_at);
    assert_eq!(s.end_time, r.started_at + Duration::from_millis(204));
    assert_eq!(s.status, Status::Unset);
    let events: Vec<_> = s.events.iter().map(|e| (&*e.name, e.timestamp)).collect();
    let at = |ms| r.started_at + Duration::from_millis(ms);
    assert_eq!(events, [("limpid.first_token", at(100)), ("limpid.first_content", at(120))]);
}

#[test]
fn a_failed_span_has_an_error_and_the_unknown_is_left_out() {
    let mut r = record();
    r.outcome = Outcome::new(Category::StreamError, "cut_off", Ending::UpstreamError);
    r.finish_reasons.clear();
    r.caller.trace = None;
    r.model = ModelNames::default();
    (r.usage, r.price, r.upstream, r.refusal) = (None, None, None, Refusal::NONE);
    let s = span(&r, &scope());
    assert_eq!(s.name, "chat");
    assert_eq!(s.status, Status::error("cut_off"));
    assert_eq!(s.parent_span_id, opentelemetry::trace::SpanId::INVALID);
    assert!(!s.parent_span_is_remote);
    let all = attributes(&r);
    assert!(all["error.type"].contains("cut_off"));
    assert!(all["gen_ai.response.finish_reasons"].contains("\"error\""));
    for prefix in ["gen_ai.usage", "gen_ai.provider", "server.", "openai.", "limpid.price", "limpid.refusal"] {
        assert!(!all.keys().any(|name| name.starts_with(prefix)), "{prefix} in {all:?}");
    }
}

#[test]
fn a_failure_says_whose_fault_it_is_and_what_the_limits_were() {
    let mut r = record();
    r.outcome = Outcome {
        fault: Some(limpid_core::Fault::Client),
        retryable: Some(limpid_core::Retryable::Later),
        ..Outcome::new(Category::RateLimit, "rate_limit_tokens", Ending::End)
    };
    let tokens = limpid_core::RateLimit { limit: Some(30_000), remaining: Some(0), reset: Some(Duration::from_millis(12)) };
    r.rate_limits = Some(Box::new(limpid_core::RateLimits {
        retry_after: Some(Duration::from_secs(2)),
        tokens,
        ..limpid_core::RateLimits::default()
    }));
    let all = attributes(&r);
    for (name, value) in [
        ("limpid.outcome.fault", "client"),
        ("limpid.outcome.retryable", "later"),
        ("limpid.retry_after", "2"),
        ("limpid.rate_limit.tokens.limit", "30000"),
        ("limpid.rate_limit.tokens.remaining", "0"),
        ("limpid.rate_limit.tokens.reset", "0.012"),
    ] {
        assert!(all[name].contains(value), "{name} is {}", all[name]);
    }
    assert!(!all.keys().any(|name| name.starts_with("limpid.rate_limit.requests")), "{all:?}");
}

#[test]
fn the_clients_decision_goes_before_the_ratio() {
    let mut r = record();
    assert!(is_sampled(&r, 0.0));
    if let Some(trace) = &mut r.caller.trace {
        trace.sampled = false;
    }
    assert!(!is_sampled(&r, 1.0));
    r.caller.trace = None;
    assert!(is_sampled(&r, 1.0) && !is_sampled(&r, 0.0));
    let sampled = (0..1_000_u128).filter(|i| {
        r.trace_id = i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        is_sampled(&r, 0.25)
    });
    let sampled = sampled.count();
    assert!((200..300).contains(&sampled), "{sampled} of 1000 at a quarter");
}

#[test]
fn spans_pass_the_queue_and_only_those_of_inference() {
    let exporter = InMemorySpanExporter::default();
    let counts = Arc::<ExportCounts>::default();
    let (spans, mut consumer) = start_spans(&OtlpConfig::default(), exporter.clone(), &counts).unwrap();
    let mut other = record();
    other.endpoint = Endpoint::Models;
    consumer.consume(&Arc::new(record()));
    consumer.consume(&Arc::new(other));
    spans.queue.close();
    assert!(spans.ended.recv_timeout(LONG).is_err());
    spans.queue.abandon();
    assert_eq!((counts.spans_exported(), counts.spans_lost()), (1, 0));
    // A late one is counted.
    consumer.consume(&Arc::new(record()));
    assert_eq!(counts.spans_lost(), 1);
}

/// Sums and counts in Prometheus' spelling, as [`expected`] has them.
fn flatten(all: &ResourceMetrics) -> BTreeMap<String, f64> {
    let mut out = BTreeMap::new();
    for m in all.scope_metrics().flat_map(opentelemetry_sdk::metrics::data::ScopeMetrics::metrics) {
        let seconds = if m.unit() == "s" { "_seconds" } else { "" };
        let name = format!("{}{seconds}", spelling(m.name()));
        let key = |attributes: &mut dyn Iterator<Item = &KeyValue>| {
            let mut labels: Vec<_> =
                attributes.map(|kv| format!("{}=\"{}\"", spelling(kv.key.as_str()), kv.value.as_str())).collect();
            labels.sort_unstable();
            labels.join(",")
        };
        match m.data() {
            AggregatedMetrics::F64(MetricData::Histogram(h)) => {
                for p in h.data_points() {
                    let labels = key(&mut p.attributes());
                    out.insert(format!("{name}_count{{{labels}}}"), p.count() as f64);
                    out.insert(format!("{name}_sum{{{labels}}}"), p.sum());
                }
            }
            AggregatedMetrics::F64(MetricData::Sum(s)) => {
                for p in s.data_points() {
                    out.insert(format!("{name}_total{{{}}}", key(&mut p.attributes())), p.value());
                }
            }
            AggregatedMetrics::U64(MetricData::Sum(s)) => {
                for p in s.data_points() {
                    out.insert(format!("{name}_total{{{}}}", key(&mut p.attributes())), p.value() as f64);
                }
            }
            AggregatedMetrics::I64(MetricData::Sum(s)) => {
                for p in s.data_points() {
                    out.insert(format!("{name}{{{}}}", key(&mut p.attributes())), p.value() as f64);
                }
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    out
}

#[test]
fn otlp_metrics_are_those_of_the_prometheus_side() {
    let exporter = InMemoryMetricExporter::default();
    let live = LiveCounts::default();
    let labels = MetricsConfig::default();
    let (provider, mut consumer) = start_metrics(&OtlpConfig::default(), exporter.clone(), &labels, &live);
    consumer.consume(&Arc::new(record()));
    provider.force_flush().unwrap();
    let finished = exporter.get_finished_metrics().unwrap();
    let mut got = flatten(finished.last().unwrap());
    let live_names = [
        "limpid_in_flight",
        "limpid_records_dropped",
        "limpid_requests_unreadable",
        "limpid_export_failed",
        "limpid_labels_overflow",
    ];
    for name in live_names {
        assert!(got.keys().any(|k| k.starts_with(name)), "{name}");
    }
    got.retain(|_, value| *value != 0.0);
    assert_close(&got, &expected());
    assert_eq!(live.exports.metrics_exported(), 1);

    let bounds = |name: &str| {
        let metrics = finished.last().unwrap().scope_metrics().flat_map(|s| s.metrics().collect::<Vec<_>>());
        let found = metrics.into_iter().find(|m| m.name() == name);
        match found.unwrap().data() {
            AggregatedMetrics::F64(MetricData::Histogram(h)) => {
                h.data_points().next().unwrap().bounds().collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(bounds("gen_ai.client.operation.time_per_output_chunk"), limpid_core::GapHistogram::BOUNDS);
    assert_eq!(bounds("gen_ai.client.operation.duration").last(), Some(&600.0));
    provider.shutdown().unwrap();
}

/// What a receiver got: the path, the headers, the body.
type Posted = (String, Vec<String>, Vec<u8>);

/// Answers every POST with 200 and passes it on, until the process ends.
fn http_receiver(got: Sender<Posted>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, got) = (stream.unwrap(), got.clone());
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                loop {
                    let mut lines = Vec::new();
                    loop {
                        let mut line = String::new();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                        match line.trim_end() {
                            "" => break,
                            line => lines.push(line.to_ascii_lowercase()),
                        }
                    }
                    let length = lines.iter().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
                    let mut body = vec![0; length.parse().unwrap()];
                    reader.read_exact(&mut body).unwrap();
                    let path = lines.remove(0);
                    got.send((path, lines, body)).unwrap();
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                }
            });
        }
    });
    format!("http://{address}")
}

fn export_to(endpoint: String, protocol: Protocol, timeout: Duration) -> OtlpExport {
    OtlpExport { endpoint, protocol, headers: vec![("x-token".into(), "secret".into())], timeout }
}

fn config_to(base: &str, protocol: Protocol, timeout: Duration) -> OtlpConfig {
    let url = |path: &str| match protocol {
        Protocol::HttpProtobuf => format!("{base}{path}"),
        Protocol::Grpc => base.to_owned(),
    };
    OtlpConfig {
        traces: Some(export_to(url("/v1/traces"), protocol, timeout)),
        metrics: Some(export_to(url("/v1/metrics"), protocol, timeout)),
        resource: vec![("telemetry.sdk.name".into(), "other".into()), ("service.name".into(), "not this".into())],
        ..OtlpConfig::default()
    }
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

#[test]
fn a_collector_gets_both_signals_over_http_with_the_settings_headers() {
    let (got, posts) = channel();
    let base = http_receiver(got);
    let (otlp, mut consumers) = start(&config_to(&base, Protocol::HttpProtobuf, LONG));
    for consumer in &mut consumers {
        consumer.consume(&Arc::new(record()));
    }
    let counts = otlp.counts();
    assert_eq!(otlp.shutdown(LONG), ShutdownReport::default());
    assert_eq!((counts.spans_exported(), counts.spans_lost()), (1, 0));
    assert_eq!((counts.metrics_exported(), counts.metrics_failed()), (1, 0));
    let mut posts: Vec<_> = posts.try_iter().collect();
    posts.sort();
    let paths: Vec<_> = posts.iter().map(|(path, ..)| &**path).collect();
    assert_eq!(paths, ["post /v1/metrics http/1.1", "post /v1/traces http/1.1"]);
    for (_, headers, _) in &posts {
        assert!(headers.contains(&"x-token: secret".to_owned()), "{headers:?}");
        assert!(headers.contains(&"content-type: application/x-protobuf".to_owned()), "{headers:?}");
        assert!(!headers.iter().any(|h| h.starts_with("x-evil")), "{headers:?}");
    }
    check_metrics(&ExportMetricsServiceRequest::decode(&*posts[0].2).unwrap());
    check_traces(&ExportTraceServiceRequest::decode(&*posts[1].2).unwrap());
}

struct Grpc(Sender<(Option<ExportTraceServiceRequest>, Option<ExportMetricsServiceRequest>, String)>);

fn token<T>(request: &tonic::Request<T>) -> String {
    request.metadata().get("x-token").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let token = token(&request);
        self.0.send((Some(request.into_inner()), None, token)).unwrap();
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        let token = token(&request);
        self.0.send((None, Some(request.into_inner()), token)).unwrap();
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[test]
fn a_collector_gets_both_signals_over_grpc_without_a_runtime_of_the_application() {
    let (got, calls) = channel();
    let server = runtime().unwrap();
    let incoming =
        server.block_on(async { tonic::transport::server::TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap() });
    let base = format!("http://{}", incoming.local_addr().unwrap());
    server.spawn(
        tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(Grpc(got.clone())))
            .add_service(MetricsServiceServer::new(Grpc(got)))
            .serve_with_incoming(incoming),
    );
    let (otlp, mut consumers) = start(&config_to(&base, Protocol::Grpc, LONG));
    for consumer in &mut consumers {
        consumer.consume(&Arc::new(record()));
    }
    assert_eq!(otlp.shutdown(LONG), ShutdownReport::default());
    let calls: Vec<_> = calls.try_iter().collect();
    assert_eq!(calls.len(), 2);
    for (traces, metrics, token) in calls {
        assert_eq!(token, "secret");
        traces.iter().for_each(check_traces);
        metrics.iter().for_each(check_metrics);
    }
    server.shutdown_background();
}

/// The two tests before this one once more, in a process whose environment says otherwise.
#[test]
fn the_environment_does_not_change_what_the_settings_decided() {
    let environment = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=wrong,x-evil=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-token=wrong"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_SERVICE_NAME", "wrong"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=wrong,telemetry.sdk.name=wrong"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        // A bare container: a collector without TLS needs no certificates.
        ("SSL_CERT_FILE", "/nonexistent"),
        ("SSL_CERT_DIR", "/nonexistent"),
    ];
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["a_collector_gets_both_signals", "--test-threads=1"])
        .envs(environment)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}");
    assert!(said.contains("2 passed"), "{said}");
}

/// Connections are accepted by the system and nobody answers.
fn silent_collector_costs_only_its_telemetry(protocol: Protocol) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let config = OtlpConfig { span_queue: 100, span_batch: 10, ..config_to(&base, protocol, LONG) };
    let (otlp, mut consumers) = start(&config);
    let begun = Instant::now();
    let one = Arc::new(record());
    for _ in 0..10_000 {
        for consumer in &mut consumers {
            consumer.consume(&one);
        }
    }
    assert!(Arc::strong_count(&one) <= 1 + 100 + 10, "{} records are held", Arc::strong_count(&one));
    let counts = otlp.counts();
    assert!(counts.spans_lost() >= 10_000 - 110, "{counts:?}");
    let report = otlp.shutdown(Duration::from_millis(300));
    assert!(begun.elapsed() < LONG / 2, "waited for the collector: {:?}", begun.elapsed());
    assert!(report.metrics_lost);
    assert!((100..=110).contains(&report.spans_lost), "{report:?}");
    assert_eq!((counts.spans_exported(), counts.spans_lost()), (0, 10_000));
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
    assert!(report.metrics_lost);
    assert_eq!((counts.spans_exported(), counts.spans_lost()), (0, 1));
    assert_eq!(report.spans_lost, 1, "what failed during the end was lost at the end");
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
