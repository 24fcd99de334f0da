//! Spans and metrics as the record gives them.

mod collectors;

use std::collections::BTreeMap;

use limpid_core::{Category, Discount, Ending, ExchangeRecord, ModelNames, Outcome, Refusal};
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};

use super::*;
use crate::fixture::{SPAN_ID, TRACE_ID, record};
use crate::names::spelling;
use crate::tests::{assert_close, expected};

fn attributes(r: &ExchangeRecord) -> BTreeMap<String, String> {
    let span = span(r, &scope(Semconv::default()));
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
gen_ai.output.type = \"json\"
gen_ai.prompt.name = \"t\"
gen_ai.provider.name = \"openai\"
gen_ai.request.choice.count = I64(2)
gen_ai.request.frequency_penalty = F64(0.1)
gen_ai.request.max_tokens = I64(256)
gen_ai.request.model = \"m\"
gen_ai.request.presence_penalty = F64(0.2)
gen_ai.request.previous_response.id = \"resp_0\"
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
gen_ai.usage.audio.input_tokens = I64(1)
gen_ai.usage.audio.output_tokens = I64(3)
gen_ai.usage.cache_creation.input_tokens = I64(20)
gen_ai.usage.cache_read.input_tokens = I64(60)
gen_ai.usage.image.input_tokens = I64(2)
gen_ai.usage.input_tokens = I64(100)
gen_ai.usage.output_tokens = I64(11)
gen_ai.usage.reasoning.output_tokens = I64(5)
http.response.status_code = I64(200)
limpid.attempts = I64(1)
limpid.endpoint = \"chat\"
limpid.exchange.id = \"00000000000000000000000001\"
limpid.key = \"team\"
limpid.label.segment = \"gold\"
limpid.outcome.category = \"ok\"
limpid.outcome.ending = \"end\"
limpid.outcome.reason = \"stop\"
limpid.output_tokens_per_s = F64(110.0)
limpid.price.discount = \"20%\"
limpid.price.matched = \"openai/m\"
limpid.price.source = \"catalogue\"
limpid.price.table = \"2026-11-20\"
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
limpid.unestimated = \"too_large\"
limpid.unpriced = \"unknown_model\"
limpid.upstream = \"oa\"
limpid.usage.asked = \"asked\"
limpid.usage.source = \"reported\"
limpid.user = \"u\"
openai.api.type = \"chat_completions\"
openai.request.service_tier = \"flex\"
openai.response.service_tier = \"default\"
openai.response.system_fingerprint = \"fp_1\"
server.address = \"api.example\"
server.port = I64(443)";

#[test]
fn a_span_has_every_attribute_that_the_record_knows() {
    let mut r = record();
    r.price.as_mut().unwrap().discount = Discount::parse("20%");
    let got: Vec<_> = attributes(&r).iter().map(|(name, value)| format!("{name} = {}", plain(value))).collect();
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
    let s = span(&r, &scope(Semconv::default()));
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
    let s = span(&r, &scope(Semconv::default()));
    assert_eq!(s.name, "chat");
    assert_eq!(s.status, Status::error("stream_error"));
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
    let tokens =
        limpid_core::RateLimit { limit: Some(30_000), remaining: Some(0), reset: Some(Duration::from_millis(12)) };
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

/// Sums and counts in Prometheus' spelling, as [`expected`] has them.
fn flatten(all: &ResourceMetrics) -> BTreeMap<String, f64> {
    let mut out = BTreeMap::new();
    for m in all.scope_metrics().flat_map(opentelemetry_sdk::metrics::data::ScopeMetrics::metrics) {
        let seconds = if m.unit() == "s" { "_seconds" } else { "" };
        let name = format!("{}{seconds}", spelling(m.name()));
        let key = |attributes: &mut dyn Iterator<Item = &KeyValue>| {
            // OTLP alone has the server's address beside the upstream's name.
            let attributes = attributes.filter(|kv| !kv.key.as_str().starts_with("server."));
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
        "limpid_export_sent",
        "limpid_labels_overflow",
    ];
    for name in live_names {
        assert!(got.keys().any(|k| k.starts_with(name)), "{name}");
    }
    got.retain(|_, value| *value != 0.0);
    assert_close(&got, &expected());

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
