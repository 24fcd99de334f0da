//! Spans and metrics as a collector gets them, held to the written conventions in both texts.
//!
//! The tables here are written from the texts, not from the code: v1.41.1 of `open-telemetry/semantic-conventions`
//! (`docs/gen-ai/gen-ai-spans.md`, `gen-ai-metrics.md`, `openai.md`, `azure-ai-inference.md`), and commit 88eccb155ca7 of
//! `open-telemetry/semantic-conventions-genai` (`docs/gen-ai/openai.md`, `azure-ai-inference.md`, `client-embeddings.md`,
//! `gen-ai-metrics.md`, `gen-ai-token-metrics.md`). Its `client-inference.md` was read at 024a4f944a12, the newest that
//! could be had; its attributes are those that `openai.md` repeats.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use limpid_core::{
    Category, Content, ContentSlot, Ending, Endpoint, ExchangeRecord, Fault, Outcome, TextBudget, Unsent, UpstreamInfo,
    in_share,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use prost::Message as _;

use crate::fixture::{SPAN_ID, TRACE_ID, ms, record};
use crate::names::attr::{ATTRIBUTES, Level};
use crate::names::{self, Kind};
use crate::record_queue::is_sampled;
use crate::settings::OtlpExport;
use crate::tls::OtlpTls;
use crate::{LiveCounts, MetricsConfig, Otlp, OtlpConfig, Protocol, Semconv};

const LONG: Duration = Duration::from_secs(60);
const BOTH: [Semconv; 2] = [Semconv::V1_41, Semconv::Latest];

/// An attribute: its name and type in v1.41.1, in the newer text, how much it is wanted, and where that is written. An
/// empty name: that text does not have it on such spans, and limpid puts it out under the other's name.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const SPAN: &[Row] = &[
    ("gen_ai.operation.name", "string", "gen_ai.operation.name", "string", "required", "inference"),
    ("gen_ai.provider.name", "string", "gen_ai.provider.name", "string", "required", "inference"),
    ("error.type", "string", "error.type", "string", "conditional", "inference"),
    ("gen_ai.conversation.id", "string", "gen_ai.conversation.id", "string", "conditional", "inference"),
    ("gen_ai.output.type", "string", "gen_ai.output.type", "string", "conditional", "inference"),
    ("", "", "gen_ai.prompt.name", "string", "conditional", "inference"),
    ("gen_ai.request.choice.count", "int", "gen_ai.request.choice.count", "int", "conditional", "inference"),
    ("gen_ai.request.model", "string", "gen_ai.request.model", "string", "conditional", "inference"),
    ("gen_ai.request.seed", "int", "gen_ai.request.seed", "int", "conditional", "inference"),
    ("gen_ai.request.stream", "boolean", "gen_ai.request.stream", "boolean", "conditional", "inference"),
    // Recommended in v1.41.1.
    ("gen_ai.request.top_k", "double", "gen_ai.request.top_k", "int", "conditional", "inference"),
    ("server.port", "int", "server.port", "int", "conditional", "inference"),
    (
        "gen_ai.request.frequency_penalty",
        "double",
        "gen_ai.request.frequency_penalty",
        "double",
        "recommended",
        "inference",
    ),
    ("gen_ai.request.max_tokens", "int", "gen_ai.request.max_tokens", "int", "recommended", "inference"),
    (
        "gen_ai.request.presence_penalty",
        "double",
        "gen_ai.request.presence_penalty",
        "double",
        "recommended",
        "inference",
    ),
    ("", "", "gen_ai.request.previous_response.id", "string", "recommended", "inference"),
    ("", "", "gen_ai.request.reasoning.level", "string", "recommended", "inference"),
    ("gen_ai.request.temperature", "double", "gen_ai.request.temperature", "double", "recommended", "inference"),
    ("gen_ai.request.top_p", "double", "gen_ai.request.top_p", "double", "recommended", "inference"),
    (
        "gen_ai.response.finish_reasons",
        "string[]",
        "gen_ai.response.finish_reasons",
        "string[]",
        "recommended",
        "inference",
    ),
    ("gen_ai.response.id", "string", "gen_ai.response.id", "string", "recommended", "inference"),
    ("gen_ai.response.model", "string", "gen_ai.response.model", "string", "recommended", "inference"),
    (
        "gen_ai.response.time_to_first_chunk",
        "double",
        "gen_ai.response.time_to_first_chunk",
        "double",
        "recommended",
        "inference",
    ),
    ("", "", "gen_ai.usage.audio.input_tokens", "int", "recommended", "inference"),
    ("", "", "gen_ai.usage.audio.output_tokens", "int", "recommended", "inference"),
    ("", "", "gen_ai.usage.image.input_tokens", "int", "recommended", "inference"),
    (
        "gen_ai.usage.cache_read.input_tokens",
        "int",
        "gen_ai.usage.cache_read.input_tokens",
        "int",
        "recommended",
        "inference",
    ),
    (
        "gen_ai.usage.cache_creation.input_tokens",
        "int",
        "gen_ai.usage.cache_write.input_tokens",
        "int",
        "recommended",
        "inference",
    ),
    ("gen_ai.usage.input_tokens", "int", "gen_ai.usage.input_tokens", "int", "recommended", "inference"),
    ("gen_ai.usage.output_tokens", "int", "gen_ai.usage.output_tokens", "int", "recommended", "inference"),
    (
        "gen_ai.usage.reasoning.output_tokens",
        "int",
        "gen_ai.usage.reasoning.output_tokens",
        "int",
        "recommended",
        "inference",
    ),
    ("server.address", "string", "server.address", "string", "recommended", "inference"),
    // Only with captured content.
    (
        "gen_ai.request.stop_sequences",
        "string[]",
        "gen_ai.request.stop_sequences",
        "string[]",
        "recommended",
        "inference",
    ),
    ("gen_ai.input.messages", "string", "gen_ai.input.messages", "string", "opt-in", "inference"),
    ("gen_ai.output.messages", "string", "gen_ai.output.messages", "string", "opt-in", "inference"),
    ("gen_ai.system_instructions", "string", "gen_ai.system_instructions", "string", "opt-in", "inference"),
    (
        "gen_ai.embeddings.dimension.count",
        "int",
        "gen_ai.embeddings.dimension.count",
        "int",
        "recommended",
        "embeddings",
    ),
    (
        "gen_ai.request.encoding_formats",
        "string[]",
        "gen_ai.request.encoding_formats",
        "string[]",
        "recommended",
        "embeddings",
    ),
    ("openai.api.type", "string", "openai.api.type", "string", "recommended", "openai"),
    ("openai.request.service_tier", "string", "openai.request.service_tier", "string", "conditional", "openai"),
    ("openai.response.service_tier", "string", "openai.response.service_tier", "string", "conditional", "openai"),
    (
        "openai.response.system_fingerprint",
        "string",
        "openai.response.system_fingerprint",
        "string",
        "recommended",
        "openai",
    ),
    (
        "azure.resource_provider.namespace",
        "string",
        "azure.resource_provider.namespace",
        "string",
        "recommended",
        "azure",
    ),
];

/// What the texts have on such spans and limpid does not put out, with the reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("gen_ai.tool.definitions", "a prompt"),
    ("gen_ai.prompt.variable", "a prompt"),
    ("gen_ai.prompt.version", "no request tells it"),
    ("gen_ai.conversation.compacted", "no request tells it"),
    ("gen_ai.usage.image.output_tokens", "no part of the usage that limpid reads"),
    ("gen_ai.usage.text.input_tokens", "the total less the others"),
    ("gen_ai.usage.text.output_tokens", "the total less the others"),
    ("gen_ai.usage.text.cache_read.input_tokens", "no part of the usage that limpid reads"),
    ("gen_ai.usage.audio.cache_read.input_tokens", "no part of the usage that limpid reads"),
    ("gen_ai.usage.image.cache_read.input_tokens", "no part of the usage that limpid reads"),
];

const DURATION: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const FIRST_TOKEN: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const PER_TOKEN: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

/// A metric: its names in the two texts, empty where one has none; its instrument, its unit, the attribute that it has
/// beside the common ones, the advised buckets.
type MetricRow = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static [f64]);

const METRICS: &[MetricRow] = &[
    ("gen_ai.client.operation.duration", "gen_ai.client.inference.duration", "histogram", "s", "error.type", DURATION),
    (
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.inference.time_to_first_chunk",
        "histogram",
        "s",
        "",
        DURATION,
    ),
    (
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.inference.time_per_output_chunk",
        "histogram",
        "s",
        "",
        DURATION,
    ),
    ("gen_ai.client.token.usage", "", "histogram", "{token}", "gen_ai.token.type", TOKENS),
    ("", "gen_ai.client.embeddings.duration", "histogram", "s", "error.type", DURATION),
    ("", "gen_ai.client.embeddings.operation.input_tokens", "histogram", "{token}", "", TOKENS),
    ("", "gen_ai.client.inference.operation.input_tokens", "histogram", "{token}", "", TOKENS),
    ("", "gen_ai.client.inference.operation.output_tokens", "histogram", "{token}", "", TOKENS),
    ("", "gen_ai.client.inference.usage.input_tokens", "counter", "{token}", "gen_ai.token.modality", &[]),
    ("", "gen_ai.client.inference.usage.output_tokens", "counter", "{token}", "gen_ai.token.modality", &[]),
    ("", "gen_ai.client.inference.usage.cache_read.input_tokens", "counter", "{token}", "gen_ai.token.modality", &[]),
    ("", "gen_ai.client.inference.usage.cache_write.input_tokens", "counter", "{token}", "gen_ai.token.modality", &[]),
    ("", "gen_ai.client.inference.usage.reasoning.output_tokens", "counter", "{token}", "gen_ai.token.modality", &[]),
    ("gen_ai.server.request.duration", "gen_ai.server.request.duration", "histogram", "s", "error.type", DURATION),
    ("gen_ai.server.time_to_first_token", "gen_ai.server.time_to_first_token", "histogram", "s", "", FIRST_TOKEN),
    ("gen_ai.server.time_per_output_token", "gen_ai.server.time_per_output_token", "histogram", "s", "", PER_TOKEN),
];

/// Attributes that limpid adds to the conventions' metrics.
const OWN_LABELS: [&str; 2] = ["upstream", "input_tokens_band"];

/// One exchange a kind of attributes: OpenAI's chat, Azure, embeddings, one that failed in its stream.
fn all_kinds() -> Vec<ExchangeRecord> {
    let provided = |provider: &str| {
        let info = record().upstream.unwrap();
        Some(Arc::new(UpstreamInfo { provider: provider.into(), ..(*info).clone() }))
    };
    let content = Content {
        input: Some("[]".into()),
        system: Some("[]".into()),
        output: Some("[]".into()),
        stop_sequences: vec!["END".into()],
        ..Content::default()
    };
    let captured = ExchangeRecord { content: ContentSlot::new(content, &TextBudget::new(1000)), ..record() };
    let azure = ExchangeRecord { upstream: provided("azure.ai.inference"), ..record() };
    vec![record(), azure, embeddings(), failed(), captured]
}

fn embeddings() -> ExchangeRecord {
    ExchangeRecord { endpoint: Endpoint::Embeddings, stream: false, ..record() }
}

/// The first of two choices came to its end, then the stream broke.
fn failed() -> ExchangeRecord {
    let mut r = record();
    r.outcome = Outcome {
        fault: Some(Fault::Network),
        ..Outcome::new(Category::StreamError, "cut_off", Ending::UpstreamError)
    };
    r.finish_reasons.truncate(1);
    r
}

/// Answers every POST with 200 and passes its path and body on.
fn receiver(got: Sender<(String, Vec<u8>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, got) = (stream.unwrap(), got.clone());
            thread::spawn(move || while serve(&stream, &got).is_some() {});
        }
    });
    format!("http://{address}")
}

fn serve(mut stream: &TcpStream, got: &Sender<(String, Vec<u8>)>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(asked) = line.strip_prefix("post ") {
            path = asked.split(' ').next()?.to_owned();
        } else if let Some(n) = line.strip_prefix("content-length:") {
            length = n.trim().parse().ok()?;
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    got.send((path, body)).ok()?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
}

/// What a collector gets of these records.
struct Exported {
    spans: Vec<Span>,
    metrics: Vec<Metric>,
    schemas: BTreeSet<String>,
}

fn export(records: &[ExchangeRecord], semconv: Semconv) -> Exported {
    let (got, posts) = channel();
    let base = receiver(got);
    let to = |path: &str| {
        Some(OtlpExport {
            endpoint: format!("{base}{path}"),
            protocol: Protocol::HttpProtobuf,
            gzip: false,
            headers: Vec::new(),
            timeout: LONG,
            tls: OtlpTls::default(),
        })
    };
    let (traces, metrics) = (to("/v1/traces"), to("/v1/metrics"));
    let config = OtlpConfig { traces, metrics, semconv, ..OtlpConfig::default() };
    let (otlp, mut consumers) = Otlp::start(&config, &MetricsConfig::default(), &LiveCounts::default()).unwrap();
    for r in records.iter().cloned().map(Arc::new) {
        for consumer in &mut consumers {
            consumer.consume(&r);
        }
    }
    otlp.shutdown(LONG);
    let mut all = Exported { spans: Vec::new(), metrics: Vec::new(), schemas: BTreeSet::new() };
    for (path, body) in posts.try_iter() {
        if path == "/v1/traces" {
            let request = ExportTraceServiceRequest::decode(&*body).unwrap();
            for scope in request.resource_spans.into_iter().flat_map(|r| r.scope_spans) {
                all.schemas.insert(scope.schema_url);
                all.spans.extend(scope.spans);
            }
        } else {
            let request = ExportMetricsServiceRequest::decode(&*body).unwrap();
            for scope in request.resource_metrics.into_iter().flat_map(|r| r.scope_metrics) {
                all.schemas.insert(scope.schema_url);
                all.metrics.extend(scope.metrics);
            }
        }
    }
    all
}

fn type_of(kv: &KeyValue) -> &'static str {
    match kv.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(_) => "string",
        Value::IntValue(_) => "int",
        Value::DoubleValue(_) => "double",
        Value::BoolValue(_) => "boolean",
        Value::ArrayValue(a) if a.values.iter().all(|v| matches!(v.value, Some(Value::StringValue(_)))) => "string[]",
        other => panic!("{}: {other:?}", kv.key),
    }
}

fn is_conventional(name: &str) -> bool {
    ["gen_ai.", "openai.", "azure.", "server.", "error."].iter().any(|prefix| name.starts_with(prefix))
}

/// A row's name and type in one text.
fn of_row(row: &Row, semconv: Semconv) -> (&'static str, &'static str) {
    match semconv {
        Semconv::V1_41 if !row.0.is_empty() => (row.0, row.1),
        _ => (row.2, row.3),
    }
}

#[test]
fn every_span_attribute_is_as_the_conventions_have_it() {
    for semconv in BOTH {
        let exported = export(&all_kinds(), semconv);
        assert_eq!(exported.spans.len(), all_kinds().len());
        let attributes = exported.spans.iter().flat_map(|span| &span.attributes);
        let got: BTreeSet<_> = (attributes.filter(|kv| is_conventional(&kv.key)))
            .map(|kv| (kv.key.clone(), type_of(kv).to_owned()))
            .collect();
        let want: BTreeSet<_> = SPAN.iter().map(|row| of_row(row, semconv)).collect();
        let want: BTreeSet<_> = want.into_iter().map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
        assert_eq!(got, want, "{semconv:?}");
        for (name, why) in LEFT_OUT {
            assert!(!got.iter().any(|(there, _)| there == name), "{name} is there: {why}");
        }
        let url = match semconv {
            Semconv::V1_41 => "https://opentelemetry.io/schemas/1.41.0",
            Semconv::Latest => "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
        };
        assert_eq!(exported.schemas, BTreeSet::from([url.to_owned()]));
    }
}

#[test]
fn the_table_in_the_code_says_the_same() {
    let conventional: Vec<_> = ATTRIBUTES.iter().filter(|a| is_conventional(a.name())).collect();
    assert_eq!(conventional.len(), SPAN.len());
    for row in SPAN {
        let (latest, _) = of_row(row, Semconv::Latest);
        let attr = conventional.iter().find(|a| a.of(Semconv::Latest).text == latest).unwrap();
        for semconv in BOTH {
            let name = attr.of(semconv);
            assert_eq!((name.text, name.kind.name()), of_row(row, semconv));
        }
        assert_eq!(attr.level.name(), row.4, "{latest}, {}", row.5);
    }
    let names: BTreeSet<_> = ATTRIBUTES.iter().map(|attr| attr.name()).collect();
    assert_eq!(names.len(), ATTRIBUTES.len(), "a name is there twice");
    for attr in ATTRIBUTES {
        assert_eq!(attr.level == Level::Own, attr.name().starts_with("limpid."), "{}", attr.name());
    }
}

#[test]
fn what_a_sampler_may_ask_for_stands_first() {
    let exported = export(&[record()], Semconv::V1_41);
    let first: Vec<_> = exported.spans[0].attributes.iter().take(5).map(|kv| kv.key.as_str()).collect();
    let want =
        ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address", "server.port"];
    assert_eq!(first.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(want));
}

fn points(metric: &Metric) -> (&'static str, Vec<&[KeyValue]>, Vec<f64>) {
    match metric.data.as_ref().unwrap() {
        Data::Histogram(h) => {
            let bounds = h.data_points[0].explicit_bounds.clone();
            ("histogram", h.data_points.iter().map(|p| &*p.attributes).collect(), bounds)
        }
        Data::Sum(s) if s.is_monotonic => {
            ("counter", s.data_points.iter().map(|p| &*p.attributes).collect(), Vec::new())
        }
        other => panic!("{}: {other:?}", metric.name),
    }
}

/// Buckets are the advised ones, continued: none of these is left out, and none is put between them.
fn assert_continues(bounds: &[f64], advised: &[f64], name: &str) {
    let begin = bounds.iter().position(|bound| advised.first() == Some(bound)).unwrap_or(0);
    let run: Vec<_> = bounds.iter().skip(begin).take(advised.len()).copied().collect();
    assert_eq!(run, advised, "{name} has {bounds:?}");
}

#[test]
fn every_metric_is_as_the_conventions_have_it() {
    for semconv in BOTH {
        let exported = export(&[record(), failed(), embeddings()], semconv);
        let got: BTreeMap<_, _> =
            (exported.metrics.iter().filter(|m| m.name.starts_with("gen_ai."))).map(|m| (m.name.as_str(), m)).collect();
        let name = |row: &MetricRow| if semconv == Semconv::V1_41 { row.0 } else { row.1 };
        let want: BTreeSet<_> = METRICS.iter().map(name).filter(|name| !name.is_empty()).collect();
        assert_eq!(got.keys().copied().collect::<BTreeSet<_>>(), want, "{semconv:?}");
        for row in METRICS.iter().filter(|row| !name(row).is_empty()) {
            let metric = got[name(row)];
            let (instrument, points, bounds) = points(metric);
            assert_eq!((instrument, metric.unit.as_str()), (row.2, row.3), "{}", metric.name);
            assert_continues(&bounds, row.5, &metric.name);
            if row.3 == "s" {
                assert_eq!(bounds.last(), Some(&600.0), "{}", metric.name);
            }
            for point in points {
                let has: BTreeMap<_, _> = point.iter().map(|kv| (kv.key.as_str(), type_of(kv))).collect();
                for (name, kind) in [
                    ("gen_ai.operation.name", "string"),
                    ("gen_ai.provider.name", "string"),
                    ("gen_ai.request.model", "string"),
                    ("server.address", "string"),
                    ("server.port", "int"),
                ] {
                    assert_eq!(has.get(name), Some(&kind), "{name} of {}", metric.name);
                }
                let more: Vec<_> = has.keys().filter(|n| !OWN_LABELS.contains(n)).skip(5).collect();
                let allowed = |name: &&&str| **name == row.4 || is_conventional(name);
                assert!(more.iter().all(allowed), "{more:?} of {}", metric.name);
                if row.4 != "error.type" && !row.4.is_empty() {
                    assert_eq!(has.get(row.4), Some(&"string"), "{}", metric.name);
                }
                assert!(row.4 == "error.type" || !has.contains_key("error.type"), "{}", metric.name);
            }
        }
    }
}

/// Values of a counter by the attribute.
fn counts(exported: &Exported, name: &str, by: &str) -> BTreeMap<String, i64> {
    let metric = exported.metrics.iter().find(|m| m.name == name).unwrap();
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{name} is no counter") };
    let value = |kv: &KeyValue| match kv.value.clone().unwrap().value {
        Some(Value::StringValue(text)) => text,
        other => panic!("{other:?}"),
    };
    let label = |attributes: &[KeyValue]| attributes.iter().find(|kv| kv.key == by).map(value).unwrap();
    let points = sum.data_points.iter().map(|p| match p.value {
        Some(opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt(n)) => (label(&p.attributes), n),
        other => panic!("{other:?}"),
    });
    points.collect()
}

#[test]
fn the_newer_counters_add_up_over_modalities() {
    let exported = export(&[record()], Semconv::Latest);
    let of = |name: &str| {
        let name = format!("gen_ai.client.inference.usage.{name}");
        let counts = counts(&exported, &name, "gen_ai.token.modality");
        counts.into_iter().map(|(modality, n)| format!("{modality} {n}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(of("input_tokens"), "audio 1, image 2, unknown 97");
    assert_eq!(of("output_tokens"), "audio 3, unknown 8");
    assert_eq!(of("cache_read.input_tokens"), "unknown 60");
    assert_eq!(of("cache_write.input_tokens"), "unknown 20");
    assert_eq!(of("reasoning.output_tokens"), "unknown 5");
}

#[test]
fn the_newer_text_has_names_for_each_kind_of_call() {
    let client = |endpoint| {
        let exported = export(&[ExchangeRecord { endpoint, ..record() }], Semconv::Latest);
        let names = exported.metrics.into_iter().map(|m| m.name).filter(|name| name.starts_with("gen_ai.client."));
        names.collect::<BTreeSet<_>>()
    };
    let embeddings = ["gen_ai.client.embeddings.duration", "gen_ai.client.embeddings.operation.input_tokens"];
    assert_eq!(client(Endpoint::Embeddings), BTreeSet::from(embeddings.map(str::to_owned)));
    for endpoint in [Endpoint::Rerank, Endpoint::Moderations] {
        assert_eq!(client(endpoint), BTreeSet::from(["gen_ai.client.operation.duration".to_owned()]), "{endpoint}");
    }
    for endpoint in [Endpoint::Chat, Endpoint::Images, Endpoint::Audio, Endpoint::Realtime] {
        let names = client(endpoint);
        assert_eq!(names.len(), 10, "{endpoint}");
        assert!(names.iter().all(|name| name.starts_with("gen_ai.client.inference.")), "{endpoint}: {names:?}");
    }
}

#[test]
fn a_broken_stream_has_its_error_at_its_time_and_in_the_place_of_its_choice() {
    let mut told = failed();
    told.timeline.marks.error = Some(ms(150));
    let exported = export(&[failed(), told], Semconv::Latest);
    for (span, at) in exported.spans.iter().zip([204, 150]) {
        let status = span.status.as_ref().unwrap();
        assert_eq!(status.code, i32::from(StatusCode::Error));
        assert_eq!(status.message, "stream_error, fault of the network side");
        let events: Vec<_> = span.events.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(events, ["limpid.first_token", "limpid.first_content", "limpid.stream_error"]);
        assert_eq!(span.events[2].time_unix_nano - span.start_time_unix_nano, at * 1_000_000);
        let reasons = span.attributes.iter().find(|kv| kv.key == "gen_ai.response.finish_reasons").unwrap();
        let Some(Value::ArrayValue(reasons)) = reasons.value.clone().unwrap().value else { panic!() };
        let reasons: Vec<_> = reasons.values.into_iter().map(|v| v.value.unwrap()).collect();
        assert_eq!(reasons, ["stop", "error"].map(|text| Value::StringValue(text.to_owned())));
    }
}

#[test]
fn a_trace_is_continued_with_its_state() {
    let exported = export(&[record()], Semconv::V1_41);
    let span = &exported.spans[0];
    assert_eq!((&*span.trace_id, &*span.span_id), (&TRACE_ID.to_be_bytes()[..], &SPAN_ID.to_be_bytes()[..]));
    assert_eq!(span.parent_span_id, 0x99_u64.to_be_bytes());
    assert_eq!(span.trace_state, "vendor=1,other=a:b");
    assert_eq!((span.name.as_str(), span.kind), ("chat m", i32::from(SpanKind::Client)));
    assert_eq!(span.status.clone().unwrap_or_default().code, i32::from(StatusCode::Unset));

    // Without a client's trace, or with a state that does not read, there is none.
    let mut new = record();
    new.caller.trace = None;
    let mut broken = record();
    broken.caller.trace_state = Some("no state".into());
    for span in export(&[new, broken], Semconv::V1_41).spans {
        assert_eq!(span.trace_state, "");
    }
}

/// The flag of a trace that the relay begins, and whether a span of it is exported.
#[test]
fn the_relay_and_the_export_decide_alike() {
    let mut r = record();
    r.caller.trace = None;
    for share in [0.0, 1e-9, 0.25, 0.5, 0.999, 1.0] {
        for i in 0..2_000_u128 {
            r.trace_id = i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            assert_eq!(in_share(r.trace_id, share), is_sampled(&r, share), "{share} {:032x}", r.trace_id);
        }
    }
}

#[test]
fn several_attempts_are_children_in_the_order_of_time() {
    let mut r = record();
    r.attempts = 2;
    r.timeline.unsent = vec![Unsent { began: ms(1), ended: ms(2) }];
    let mut given_up = r.clone();
    given_up.attempts = 1;
    let spans = export(&[r], Semconv::V1_41).spans;
    let [first, second, whole] = &spans[..] else { panic!("{} spans", spans.len()) };
    let text = |span: &Span, name: &str| {
        let found = span.attributes.iter().find(|kv| kv.key == name);
        found.map(|kv| format!("{:?}", kv.value.as_ref().unwrap().value.as_ref().unwrap()))
    };
    for (number, child) in [(1, first), (2, second)] {
        assert_eq!((child.name.as_str(), &child.parent_span_id), ("attempt", &whole.span_id));
        assert_eq!(child.trace_id, whole.trace_id);
        assert_eq!(text(child, "limpid.attempt.number"), Some(format!("IntValue({number})")));
        assert!(!child.attributes.iter().any(|kv| kv.key.starts_with("gen_ai.")));
    }
    assert_ne!(first.span_id, second.span_id);
    assert_eq!(text(first, "error.type").as_deref(), Some("StringValue(\"connection_closed\")"));
    assert_eq!(text(second, "error.type"), None);
    let after = |span: &Span| (span.start_time_unix_nano - whole.start_time_unix_nano) / 1_000_000;
    assert_eq!((after(first), after(second)), (1, 4));
    assert_eq!(second.end_time_unix_nano, whole.end_time_unix_nano);

    // No connection could be had for the second: there is one attempt.
    assert_eq!(export(&[given_up], Semconv::V1_41).spans.len(), 2);
    assert_eq!(export(&[record()], Semconv::V1_41).spans.len(), 1);
}

/// The table of docs/telemetry.md.
fn markdown() -> String {
    let rows = ATTRIBUTES.iter().map(|attr| {
        let (name, latest) = (attr.of(Semconv::V1_41), attr.of(Semconv::Latest));
        let kind = match (name.kind.name(), latest.kind.name()) {
            (kind, latest) if kind == latest => kind.to_owned(),
            (kind, latest) => format!("{kind}; latest: {latest}"),
        };
        let (name, latest) = (name.text, latest.text);
        let name = if name == latest { format!("`{name}`") } else { format!("`{name}`; latest: `{latest}`") };
        format!("| {name} | {kind} | {} | {} |\n", attr.level.name(), attr.note)
    });
    let head = "| attribute | type | level | |\n|---|---|---|---|\n".to_owned();
    std::iter::once(head).chain(rows).collect()
}

/// Its table of limpid's own metrics.
fn own_metrics() -> String {
    let counted = names::METRICS.iter().filter(|d| d.name.starts_with("limpid.")).map(|d| {
        let labels = d.shape.labels()[4..].iter().map(|label| format!("`{}`", label.name()));
        let labels: Vec<_> = labels.chain(d.shape.has_own().then(|| "your own".to_owned())).collect();
        let kind = if matches!(d.kind, Kind::Histogram(_)) { "histogram" } else { "counter" };
        format!("| `{}` | {kind}, {} | {} | {} |\n", d.name, d.unit.ucum(), labels.join(", "), d.help)
    });
    let live = [
        (names::IN_FLIGHT, "up-down counter", "`endpoint`"),
        (names::RECORDS_DROPPED, "counter", "`why`"),
        (names::UNREADABLE, "counter", "`why`"),
        (names::EXPORT_FAILED, "counter", "`what`, `why`"),
        (names::EXPORT_SENT, "counter", "`what`"),
        (names::LOG_DROPPED, "counter", "`why`"),
        (names::LABELS_OVERFLOW, "counter", "`label`"),
    ];
    let live =
        live.map(|(d, kind, labels)| format!("| `{}` | {kind}, {} | {labels} | {} |\n", d.name, d.unit.ucum(), d.help));
    let head = "| metric | instrument, unit | labels | |\n|---|---|---|---|\n".to_owned();
    std::iter::once(head).chain(counted).chain(live).collect()
}

#[test]
fn the_documentation_has_the_tables_of_the_code() {
    let docs = include_str!("../../../../docs/telemetry.md");
    for table in [markdown(), own_metrics()] {
        assert!(docs.contains(&table), "docs/telemetry.md lacks this table:\n{table}");
    }
    for (name, _) in LEFT_OUT {
        assert!(docs.contains(name), "docs/telemetry.md does not say that {name} is left out");
    }
    for row in METRICS {
        assert!([row.0, row.1].iter().all(|name| docs.contains(name)), "docs/telemetry.md lacks {} {}", row.0, row.1);
    }
}
