//! The bytes beside those of the messages.

use std::sync::Arc;

use limpid_core::{Category, Content, ContentSlot, Ending, Endpoint, Outcome, OwnLabel, TextBudget, Tick, Unsent};
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;

use super::*;
use crate::fixture::{ms, record};
use crate::otlp::spans_of;

/// The bytes, and those of the messages.
fn same(all: &[ExchangeRecord], scope: &InstrumentationScope, limits: AttributeLimits) {
    let resource = Resource::builder_empty()
        .with_schema_url([KeyValue::new("service.name", "x"), KeyValue::new("n", 5)], "https://schema.example")
        .build();
    let resource = ResourceAttributesWithSchema::from(&resource);
    // Content leaves a record once, so each side gets its own.
    let fill = |r: &ExchangeRecord| {
        let budget = TextBudget::new(1_000_000);
        let content = || Content {
            input: Some("[\"ä\"]".repeat(60)),
            stop_sequences: vec!["END".into()],
            redactions: 2,
            output_missing: Some("too_large"),
            ..Content::default()
        };
        let content = (r.attempts == 3).then(|| ContentSlot::new(content(), &budget));
        ExchangeRecord { content: content.unwrap_or_default(), ..r.clone() }
    };
    let (ours, theirs): (Vec<_>, Vec<_>) = all.iter().map(|r| (fill(r), fill(r))).unzip();
    let bytes = SpanWriter::new(&resource, scope, limits).request(ours.iter());
    let spans = theirs.iter().flat_map(|r| spans_of(r, scope, &limits)).collect();
    let message = ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(spans, &resource) };
    assert_eq!(ExportTraceServiceRequest::decode(&*bytes).unwrap(), message);
    assert_eq!(bytes, message.encode_to_vec());
}

fn records() -> Vec<ExchangeRecord> {
    let good = record();
    let mut bad = record();
    bad.timeline.unsent = vec![Unsent { began: Tick(1), ended: Tick(2_000_000) }];
    bad.attempts = 2;
    bad.caller.trace = None;
    bad.request.seed = Some(-7);
    bad.request.top_k = Some(0.5);
    bad.response_id = Some("é".repeat(200).into());
    bad.model.requested = Some("m".repeat(126).into());
    bad.outcome = Outcome::new(Category::StreamError, "cut_off", Ending::UpstreamError);
    bad.outcome.fault = Some(limpid_core::Fault::Network);
    let mut early = bad.clone();
    // What went wrong stands before the marks.
    early.timeline.marks.error = Some(ms(1));
    early.outcome.fault = None;
    let mut captured = record();
    captured.attempts = 3;
    captured.labels = ["gold".into(), "ä".repeat(32)]
        .into_iter()
        .filter_map(|value: String| OwnLabel::new(&Arc::from("n".repeat(value.len() * 3)), &value))
        .collect();
    let mut embeddings = record();
    embeddings.endpoint = Endpoint::Embeddings;
    embeddings.stream = false;
    embeddings.model = <_>::default();
    embeddings.request.encoding_formats = vec!["".into(), "x".repeat(200).into(), "int8".into()];
    embeddings.finish_reasons.clear();
    embeddings.caller = <_>::default();
    let mut first = record();
    (first.started_at, first.timeline) = (SystemTime::UNIX_EPOCH, <_>::default());
    first.timeline.marks.first_token = Some(Tick(0));
    first.usage = None;
    first.price = None;
    vec![good, bad, early, captured, embeddings, first]
}

#[test]
fn the_bytes_are_those_of_the_messages() {
    for semconv in [Semconv::V1_41, Semconv::Latest] {
        let scope = InstrumentationScope::builder("limpid").with_version("1.2.3");
        let scope = scope.with_schema_url(semconv.schema_url()).build();
        same(&records(), &scope, AttributeLimits::default());
        for r in records() {
            same(&[r], &scope, AttributeLimits::default());
        }
    }
    same(&records(), &InstrumentationScope::builder("").build(), AttributeLimits::default());
}

#[test]
fn so_they_are_within_limits() {
    let scope = InstrumentationScope::builder("limpid").build();
    for value_length in [None, Some(0), Some(1), Some(3), Some(20), Some(300)] {
        for count in [None, Some(0), Some(1), Some(20), Some(60), Some(70), Some(1_000)] {
            same(&records(), &scope, AttributeLimits { value_length, count });
        }
    }
}

#[test]
fn a_length_takes_as_many_bytes_as_it_needs() {
    let scope = InstrumentationScope::builder("limpid").build();
    for length in (0..300).chain(16_300..16_400) {
        let mut r = record();
        r.response_id = Some("x".repeat(length).into());
        r.request.encoding_formats = vec!["x".repeat(length).into()];
        r.endpoint = Endpoint::Embeddings;
        same(&[r], &scope, AttributeLimits::default());
    }
}
