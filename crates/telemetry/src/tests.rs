//! One fully known record through the metrics, and what must not happen when names run wild.

mod conventions;
mod scrape;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use limpid_core::{
    Caller, Category, Ending, Endpoint, ExchangeSink as _, GapHistogram, Handover, ModelNames, Outcome,
    RecordConsumer as _, Refusal, Source, Timeline, Unreadable, Usage,
};

use crate::fixture::{ms, record};
use crate::names::{METRICS, spelling};
use crate::{Format, LiveCounts, Metrics, MetricsConfig, MetricsConsumer};

fn metrics() -> (Arc<Metrics>, MetricsConsumer, LiveCounts) {
    let live = LiveCounts::default();
    let (metrics, consumer) = Metrics::new(&MetricsConfig::default(), live.clone());
    (metrics, consumer, live)
}

/// The samples of a text but for buckets, zeros and what the process takes, by name and sorted labels.
pub(crate) fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.contains("_bucket{") && !l.starts_with("process_"));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let mut labels: Vec<_> = labels.trim_end_matches('}').split(',').collect();
        labels.sort_unstable();
        (format!("{name}{{{}}}", labels.join(",")), value.parse::<f64>().unwrap())
    };
    lines.map(sample).filter(|(_, value)| *value != 0.0).collect()
}

/// What [`record`] must give: the metric in Prometheus' spelling, its labels beside the common four, its value, which
/// for a histogram is the sum, and its count.
pub(crate) const EXPECTED: &[(&str, &str, f64, Option<f64>)] = &[
    ("gen_ai_client_operation_duration_seconds", "", 0.204, Some(1.0)),
    ("gen_ai_client_operation_time_to_first_chunk_seconds", "", 0.07, Some(1.0)),
    ("gen_ai_client_operation_time_per_output_chunk_seconds", "", 0.1, Some(3.0)),
    ("gen_ai_client_token_usage", "gen_ai_token_type=input", 100.0, Some(1.0)),
    ("gen_ai_client_token_usage", "gen_ai_token_type=output", 11.0, Some(1.0)),
    ("gen_ai_server_request_duration_seconds", "", 0.204, Some(1.0)),
    ("gen_ai_server_time_to_first_token_seconds", "input_tokens_band=<=128", 0.1, Some(1.0)),
    ("gen_ai_server_time_per_output_token_seconds", "", 0.01, Some(1.0)),
    (
        "limpid_requests_total",
        "endpoint=chat,category=ok,reason=stop,status_code=200,stream=true,key=team,project=search",
        1.0,
        None,
    ),
    ("limpid_tokens_total", "type=input,source=reported,key=team,project=search", 100.0, None),
    ("limpid_tokens_total", "type=output,source=reported,key=team,project=search", 11.0, None),
    ("limpid_tokens_total", "type=cached_input,source=reported,key=team,project=search", 60.0, None),
    ("limpid_tokens_total", "type=cache_write_input,source=reported,key=team,project=search", 20.0, None),
    ("limpid_tokens_total", "type=reasoning_output,source=reported,key=team,project=search", 5.0, None),
    ("limpid_tokens_total", "type=audio_input,source=reported,key=team,project=search", 1.0, None),
    ("limpid_tokens_total", "type=image_input,source=reported,key=team,project=search", 2.0, None),
    ("limpid_tokens_total", "type=audio_output,source=reported,key=team,project=search", 3.0, None),
    ("limpid_cost_total", "type=input,source=catalogue,key=team,project=search", 0.5, None),
    ("limpid_cost_total", "type=output,source=catalogue,key=team,project=search", 0.25, None),
    ("limpid_refusals_total", "verdict=certain,source=refusal_field", 1.0, None),
    ("limpid_queue_duration_seconds", "", 0.001, Some(1.0)),
    ("limpid_time_to_first_byte_seconds", "", 0.06, Some(1.0)),
    ("limpid_time_to_first_content_seconds", "", 0.12, Some(1.0)),
    ("limpid_stall_seconds", "", 0.05, Some(1.0)),
    ("limpid_reader_lag_seconds", "", 0.003, Some(1.0)),
    ("limpid_overhead_seconds", "", 0.001, Some(1.0)),
    ("limpid_unpriced_total", "why=unknown_model", 1.0, None),
    ("limpid_unestimated_total", "why=too_large", 1.0, None),
    ("limpid_observer_errors_total", "why=json", 1.0, None),
    ("limpid_usage_asked_total", "why=asked", 1.0, None),
    ("limpid_route_fallback_total", "why=not_told", 1.0, None),
];

/// [`EXPECTED`] in the form of [`samples`].
pub(crate) fn expected() -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for (name, more, value, count) in EXPECTED {
        let common = "gen_ai_operation_name=chat,gen_ai_provider_name=openai,gen_ai_request_model=m,upstream=oa";
        let mut labels: Vec<_> = common
            .split(',')
            .chain(more.split(',').filter(|l| !l.is_empty()))
            .map(|l| l.split_once('=').map(|(name, value)| format!("{name}=\"{value}\"")).unwrap())
            .collect();
        labels.sort_unstable();
        let labels = labels.join(",");
        match count {
            Some(count) => {
                all.insert(format!("{name}_sum{{{labels}}}"), *value);
                all.insert(format!("{name}_count{{{labels}}}"), *count);
            }
            None => drop(all.insert(format!("{name}{{{labels}}}"), *value)),
        }
    }
    all
}

pub(crate) fn assert_close(got: &BTreeMap<String, f64>, want: &BTreeMap<String, f64>) {
    assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
    for (series, value) in want {
        assert!((got[series] - value).abs() < 1e-9, "{series}: {} is not {value}", got[series]);
    }
}

#[test]
fn a_full_record_gives_every_metric_its_value_under_its_labels() {
    let (metrics, mut consumer, _) = metrics();
    consumer.consume(&Arc::new(record()));
    assert_close(&samples(&metrics.render(Format::Text)), &expected());
    for d in METRICS.iter().filter(|d| !d.is_latest_only()) {
        let name = spelling(d.name);
        assert!(EXPECTED.iter().any(|(e, ..)| e.starts_with(&name)), "{name} is not in the table of this test");
    }
}

#[test]
fn what_is_not_known_is_not_there() {
    let (metrics, mut consumer, _) = metrics();
    let mut r = record();
    r.timeline = Timeline { ended: ms(5), ..Timeline::default() };
    (r.usage, r.price, r.unpriced, r.observer_fault, r.upstream) = (None, None, None, None, None);
    (r.caller, r.model, r.refusal) = (Caller::default(), ModelNames::default(), Refusal::NONE);
    (r.status, r.stream, r.request.usage_asked, r.unestimated) = (None, false, None, None);
    r.request.route_fallback = None;
    r.outcome = Outcome::new(Category::Cancelled, "client_gone", Ending::ClientGone);
    consumer.consume(&Arc::new(r));
    let got: Vec<_> = samples(&metrics.render(Format::Text)).into_keys().collect();
    let want = [
        r#"gen_ai_client_operation_duration_seconds_count{error_type="client_gone",gen_ai_operation_name="chat"}"#,
        r#"gen_ai_client_operation_duration_seconds_sum{error_type="client_gone",gen_ai_operation_name="chat"}"#,
        r#"limpid_requests_total{category="cancelled",endpoint="chat",gen_ai_operation_name="chat",reason="client_gone",stream="false"}"#,
    ];
    assert_eq!(got, want);
}

#[test]
fn only_inference_feeds_the_conventions_metrics() {
    let (metrics, mut consumer, _) = metrics();
    let mut r = record();
    r.endpoint = Endpoint::Models;
    consumer.consume(&Arc::new(r));
    let text = metrics.render(Format::Text);
    assert!(text.contains("limpid_requests_total{"));
    assert!(!text.contains("# TYPE gen_ai_"), "{text}");
}

#[test]
fn an_estimate_is_told_from_a_report_and_stays_out_of_the_conventions_tokens() {
    let (metrics, mut consumer, _) = metrics();
    let mut r = record();
    r.usage = Some(Usage { input_tokens: Some(9), ..Usage::empty(Source::Estimated) });
    consumer.consume(&Arc::new(r));
    let text = metrics.render(Format::Text);
    assert!(text.contains(r#"source="estimated",key="team",project="search"} 9"#), "{text}");
    assert!(!text.contains("gen_ai_client_token_usage"));
}

#[test]
fn a_failed_stream_has_no_first_token_time_but_an_error_type() {
    let (metrics, mut consumer, _) = metrics();
    let mut r = record();
    r.outcome = Outcome::new(Category::StreamError, "cut_off", Ending::UpstreamError);
    consumer.consume(&Arc::new(r));
    let text = metrics.render(Format::Text);
    assert!(!text.contains("gen_ai_server_time_to_first_token"));
    assert!(!text.contains("gen_ai_server_time_per_output_token"));
    assert!(
        text.contains(r#"gen_ai_client_operation_time_to_first_chunk_seconds_count{gen_ai_operation_name="chat","#)
    );
    for name in ["gen_ai_client_operation_duration_seconds_count", "gen_ai_server_request_duration_seconds_count"] {
        let line = text.lines().find(|l| l.starts_with(name)).unwrap();
        assert!(line.contains(r#"error_type="cut_off""#), "{line}");
    }
}

#[test]
fn both_formats_are_well_formed_and_only_open_metrics_has_exemplars() {
    let (metrics, mut consumer, live) = metrics();
    consumer.consume(&Arc::new(record()));
    let (handover, _) = Handover::new(1, Vec::new(), live.handover);
    handover.started(Endpoint::Chat);
    handover.unreadable(Unreadable::TooLarge);

    let text = metrics.render(Format::Text);
    for line in [
        "# HELP limpid_requests_total Finished exchanges.",
        "# TYPE limpid_requests_total counter",
        "# TYPE gen_ai_client_operation_duration_seconds histogram",
        "# TYPE limpid_in_flight gauge",
        r#"limpid_in_flight{endpoint="chat"} 1"#,
        r#"limpid_records_dropped_total{why="queue_full"} 0"#,
        r#"limpid_requests_unreadable_total{why="malformed"} 0"#,
        r#"limpid_requests_unreadable_total{why="too_large"} 1"#,
        r#"limpid_export_failed_total{what="spans",why="queue_full"} 0"#,
        r#"limpid_labels_overflow_total{label="model"} 0"#,
    ] {
        assert!(text.lines().any(|l| l == line), "no line {line} in\n{text}");
    }
    assert!(!text.contains(" # {") && !text.contains("# EOF") && !text.contains("# UNIT"));

    let open = metrics.render(Format::OpenMetrics);
    assert!(open.ends_with("# EOF\n"));
    assert!(open.contains("# UNIT limpid_stall_seconds seconds\n"));
    assert!(open.contains("# TYPE limpid_requests counter\n"));
    let bucket = open.lines().find(|l| l.starts_with("gen_ai_server_time_to_first_token_seconds_bucket{le=\"0.1\""));
    let exemplar = r#"1 # {trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"} 0.1 1700000000.204"#;
    assert!(bucket.unwrap().ends_with(exemplar), "{bucket:?}");
}

#[test]
fn promtool_finds_no_fault() {
    let (metrics, mut consumer, _) = metrics();
    consumer.consume(&Arc::new(record()));
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        // `print_stderr` is for the program; a test that did nothing must say so.
        io::stderr().write_all(b"skipped: promtool is not installed\n").unwrap();
        return;
    };
    promtool.stdin.take().unwrap().write_all(metrics.render(Format::Text).as_bytes()).unwrap();
    let out = promtool.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}");
    assert_eq!(said, "");
}

#[test]
fn a_hundred_thousand_models_stay_within_the_caps_and_are_counted() {
    let live = LiveCounts::default();
    let config = MetricsConfig { max_models: 50, max_label_sets: 120, ..MetricsConfig::default() };
    let (metrics, mut consumer) = Metrics::new(&config, live);
    for i in 0..100_000 {
        let mut r = record();
        r.model.requested = Some(format!("model-{i}\n\"{}\"", "x".repeat(i % 300)).into());
        r.timeline.gaps = GapHistogram::default();
        consumer.consume(&Arc::new(r));
    }
    let text = metrics.render(Format::Text);
    let models: std::collections::BTreeSet<_> = text
        .lines()
        .filter_map(|l| l.split_once("gen_ai_request_model=\"")?.1.split_once("\",upstream").map(|(model, _)| model))
        .collect();
    assert!(models.len() <= 51 && models.contains("other"), "{}", models.len());
    assert!(models.iter().all(|m| m.len() <= 128 + 3), "cut, with three bytes of escapes");
    let got = samples(&text);
    assert!((got[r#"limpid_labels_overflow_total{label="model"}"#] - 99_950.0).abs() < 0.5);
    assert!(got[r#"limpid_labels_overflow_total{label="label_sets"}"#] > 0.0);
    let requests = |(series, value): (&String, &f64)| series.starts_with("limpid_requests_total").then_some(*value);
    let all: f64 = got.iter().filter_map(requests).sum();
    assert!((all - 100_000.0).abs() < 0.5, "none is lost, each is somewhere: {all}");
    let sets: std::collections::BTreeSet<_> =
        got.keys().filter_map(|s| s.split_once('{')).map(|(_, labels)| labels).collect();
    assert!(sets.len() <= 120 + 30, "{}", sets.len());
}
