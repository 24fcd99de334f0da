//! A span as the SDK's type: what is sent as JSON and by gRPC is made of it, and log records take its attributes.

use std::borrow::Cow;
use std::sync::Arc;

use limpid_core::{ExchangeRecord, OwnLabel};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceId};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanLinks};

use crate::names::attr::{self, Name};
use crate::semconv::Semconv;
use crate::span::{self, Sink};
use crate::span_parts::events;

/// So many attributes there are seldom more of.
const EXPECTED: usize = 56;

/// The span of an exchange, as sampled. The scope's schema says which names are used.
pub(crate) fn span(r: &ExchangeRecord, scope: &InstrumentationScope) -> SpanData {
    let operation = r.endpoint.operation();
    let name: Cow<'static, str> = match r.model.name() {
        Some(model) => format!("{operation} {model}").into(),
        None => operation.into(),
    };
    let parent = span::parent(r);
    SpanData {
        span_context: SpanContext::new(
            TraceId::from_bytes(r.trace_id.to_be_bytes()),
            SpanId::from_bytes(r.span_id.to_be_bytes()),
            TraceFlags::SAMPLED,
            false,
            span::trace_state(r),
        ),
        parent_span_id: parent.map_or(SpanId::INVALID, |t| SpanId::from_bytes(t.span_id.to_be_bytes())),
        parent_span_is_remote: parent.is_some(),
        span_kind: SpanKind::Client,
        name,
        start_time: r.started_at,
        end_time: r.started_at + r.timeline.total(),
        attributes: attributes(r, Semconv::of(scope)),
        dropped_attributes_count: 0,
        events: events(r),
        links: SpanLinks::default(),
        status: span::status(r),
        instrumentation_scope: scope.clone(),
    }
}

/// The attributes alone.
pub(crate) fn attributes(r: &ExchangeRecord, semconv: Semconv) -> Vec<KeyValue> {
    let mut known = Vec::with_capacity(EXPECTED);
    span::attributes(r, semconv, &mut known);
    known
}

impl Sink for Vec<KeyValue> {
    fn text(&mut self, name: &Name, value: &str) {
        self.push(KeyValue::new(name.text, value.to_owned()));
    }

    fn fixed(&mut self, name: &Name, value: &'static str) {
        self.push(KeyValue::new(name.text, value));
    }

    fn shared(&mut self, name: &Name, value: &Arc<str>) {
        self.push(KeyValue::new(name.text, Arc::clone(value)));
    }

    fn int(&mut self, name: &Name, value: i64) {
        self.push(KeyValue::new(name.text, value));
    }

    fn double(&mut self, name: &Name, value: f64) {
        self.push(KeyValue::new(name.text, value));
    }

    fn flag(&mut self, name: &Name) {
        self.push(KeyValue::new(name.text, true));
    }

    fn texts<'a>(&mut self, name: &Name, values: impl Iterator<Item = &'a str> + Clone) {
        let values = values.map(|text| StringValue::from(text.to_owned())).collect();
        self.push(KeyValue::new(name.text, Value::Array(Array::String(values))));
    }

    fn own(&mut self, label: &OwnLabel) {
        self.push(KeyValue::new(format!("{}{}", attr::OWN_LABEL, label.name), label.value.to_string()));
    }
}
