//! Spans as the body of an OTLP export in protocol buffers, written straight from the SDK's type.
//!
//! The messages of `opentelemetry-proto` own every text, so a span becomes some 150 allocations, and each length is worked
//! out once a level. Here a span is written once, behind the others of its batch; what all batches share is written at
//! the start. A test holds the bytes to those of the messages, which JSON and gRPC still use.

use std::time::SystemTime;

use opentelemetry::trace::{Event, SpanId, SpanKind, Status};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope as ScopeMessage};
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceMessage;
use opentelemetry_proto::tonic::trace::v1::{SpanFlags, status::StatusCode};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;

/// Wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// What one export's body is made of.
#[derive(Debug)]
pub(crate) struct SpanWriter {
    resource: Vec<u8>,
    resource_schema: String,
    scope: Vec<u8>,
    scope_schema: String,
}

impl SpanWriter {
    pub(crate) fn new(
        resource: &ResourceAttributesWithSchema,
        scope: &opentelemetry::InstrumentationScope,
    ) -> SpanWriter {
        let of = ResourceMessage { attributes: resource.attributes.0.clone(), ..ResourceMessage::default() };
        SpanWriter {
            resource: of.encode_to_vec(),
            resource_schema: resource.schema_url.clone().unwrap_or_default(),
            scope: ScopeMessage::from((scope, None)).encode_to_vec(),
            scope_schema: scope.schema_url().unwrap_or_default().to_owned(),
        }
    }

    /// An `ExportTraceServiceRequest` of these spans, which are all of the one scope.
    pub(crate) fn request(&self, spans: impl Iterator<Item = SpanData>) -> Vec<u8> {
        let (mut all, mut one) = (Vec::new(), Vec::with_capacity(4096));
        for data in spans {
            one.clear();
            span(&mut one, &data);
            message(&mut all, 2, &one);
        }
        // Of the messages around the spans only the heads are new, so the spans are copied once.
        let mut scope_spans = Vec::with_capacity(self.scope.len() + all.len() + 128);
        message(&mut scope_spans, 1, &self.scope);
        scope_spans.append(&mut all);
        text(&mut scope_spans, 3, &self.scope_schema);
        let mut schema = Vec::new();
        text(&mut schema, 3, &self.resource_schema);
        let inner = field_length(1, self.resource.len()) + field_length(2, scope_spans.len()) + schema.len();
        let mut out = Vec::with_capacity(inner + 16);
        key(&mut out, 1, BYTES);
        varint(&mut out, inner as u64);
        message(&mut out, 1, &self.resource);
        message(&mut out, 2, &scope_spans);
        out.extend_from_slice(&schema);
        out
    }
}

/// The members of a span, in the order of their numbers. What is zero or empty is left out, as protocol buffers do.
fn span(out: &mut Vec<u8>, s: &SpanData) {
    let context = &s.span_context;
    message(out, 1, &context.trace_id().to_bytes());
    message(out, 2, &context.span_id().to_bytes());
    text(out, 3, &context.trace_state().header());
    if s.parent_span_id != SpanId::INVALID {
        message(out, 4, &s.parent_span_id.to_bytes());
    }
    text(out, 5, &s.name);
    number(out, 6, kind(&s.span_kind));
    fixed64(out, 7, nanos(s.start_time));
    fixed64(out, 8, nanos(s.end_time));
    s.attributes.iter().for_each(|kv| attribute(out, 9, kv));
    number(out, 10, s.dropped_attributes_count.into());
    s.events.events.iter().for_each(|e| event(out, e));
    number(out, 12, s.events.dropped_count.into());
    status(out, &s.status);
    let remote = if s.parent_span_is_remote { SpanFlags::ContextIsRemoteMask as u32 } else { 0 };
    let flags = u32::from(context.trace_flags().to_u8()) | SpanFlags::ContextHasIsRemoteMask as u32 | remote;
    key(out, 16, FIXED32);
    out.extend_from_slice(&flags.to_le_bytes());
}

const fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn event(out: &mut Vec<u8>, e: &Event) {
    let mut one = Vec::with_capacity(128);
    fixed64(&mut one, 1, nanos(e.timestamp));
    text(&mut one, 2, &e.name);
    e.attributes.iter().for_each(|kv| attribute(&mut one, 3, kv));
    number(&mut one, 4, e.dropped_attributes_count.into());
    message(out, 11, &one);
}

fn status(out: &mut Vec<u8>, status: &Status) {
    let mut one = Vec::new();
    match status {
        Status::Unset => {}
        Status::Ok => number(&mut one, 3, StatusCode::Ok as u64),
        Status::Error { description } => {
            text(&mut one, 2, description);
            number(&mut one, 3, StatusCode::Error as u64);
        }
    }
    message(out, 15, &one);
}

fn attribute(out: &mut Vec<u8>, tag: u32, kv: &KeyValue) {
    let name = kv.key.as_str();
    match &kv.value {
        Value::String(value) => {
            let value = value.as_str();
            let inner = field_length(1, value.len());
            begin(out, tag, name, inner);
            message(out, 1, value.as_bytes());
        }
        Value::Bool(value) => {
            begin(out, tag, name, 2);
            key(out, 2, VARINT);
            out.push(u8::from(*value));
        }
        Value::I64(value) => {
            let value = value.cast_unsigned();
            begin(out, tag, name, 1 + varint_length(value));
            key(out, 3, VARINT);
            varint(out, value);
        }
        Value::F64(value) => {
            begin(out, tag, name, 9);
            key(out, 4, FIXED64);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Array(Array::String(values)) => {
            let one = |value: &opentelemetry::StringValue| field_length(1, value.as_str().len());
            let list: usize = values.iter().map(|value| field_length(1, one(value))).sum();
            begin(out, tag, name, field_length(5, list));
            key(out, 5, BYTES);
            varint(out, list as u64);
            for value in values {
                key(out, 1, BYTES);
                varint(out, one(value) as u64);
                message(out, 1, value.as_str().as_bytes());
            }
        }
        // A span of ours has no other.
        other => {
            let any = AnyValue::from(other.clone()).encode_to_vec();
            begin(out, tag, name, any.len());
            out.extend_from_slice(&any);
        }
    }
}

/// A `KeyValue` up to its value's content, which has so many bytes.
fn begin(out: &mut Vec<u8>, tag: u32, name: &str, value: usize) {
    let named = if name.is_empty() { 0 } else { field_length(1, name.len()) };
    key(out, tag, BYTES);
    varint(out, (named + field_length(2, value)) as u64);
    text(out, 1, name);
    key(out, 2, BYTES);
    varint(out, value as u64);
}

fn nanos(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

/// The bytes of a member of so many, its head included.
fn field_length(tag: u32, bytes: usize) -> usize {
    varint_length(u64::from(tag) << 3) + varint_length(bytes as u64) + bytes
}

const fn varint_length(number: u64) -> usize {
    // Seven bits a byte, and one byte for 0.
    (70 - (number | 1).leading_zeros() as usize) / 7
}

#[inline]
fn key(out: &mut Vec<u8>, tag: u32, wire: u64) {
    varint(out, u64::from(tag) << 3 | wire);
}

#[inline]
fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// Bytes, a text or a message, even if there are none.
#[inline]
fn message(out: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    key(out, tag, BYTES);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn text(out: &mut Vec<u8>, tag: u32, text: &str) {
    if !text.is_empty() {
        message(out, tag, text.as_bytes());
    }
}

fn number(out: &mut Vec<u8>, tag: u32, number: u64) {
    if number != 0 {
        key(out, tag, VARINT);
        varint(out, number);
    }
}

fn fixed64(out: &mut Vec<u8>, tag: u32, number: u64) {
    if number != 0 {
        key(out, tag, FIXED64);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::time::Duration;

    use limpid_core::{Category, Ending, Outcome, Tick, Unsent};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
    use opentelemetry_sdk::Resource;

    use super::*;
    use crate::fixture::record;
    use crate::semconv::Semconv;
    use crate::span::span;
    use crate::span_parts::attempts;

    fn same(spans: &[SpanData], scope: &opentelemetry::InstrumentationScope) {
        let resource = Resource::builder_empty()
            .with_schema_url([KeyValue::new("service.name", "x"), KeyValue::new("n", 5)], "https://schema.example")
            .build();
        let resource = ResourceAttributesWithSchema::from(&resource);
        let bytes = SpanWriter::new(&resource, scope).request(spans.iter().cloned());
        let resource_spans = group_spans_by_resource_and_scope(spans.to_vec(), &resource);
        let message = ExportTraceServiceRequest { resource_spans };
        assert_eq!(ExportTraceServiceRequest::decode(&*bytes).unwrap(), message);
        assert_eq!(bytes, message.encode_to_vec());
    }

    #[test]
    fn the_bytes_are_those_of_the_messages() {
        let scope = opentelemetry::InstrumentationScope::builder("limpid")
            .with_version("1.2.3")
            .with_schema_url(Semconv::default().schema_url())
            .build();
        let mut r = record();
        let good = span(&r, &scope);
        r.timeline.unsent = vec![Unsent { began: Tick(1), ended: Tick(2_000_000) }];
        r.attempts = 2;
        r.caller.trace = None;
        r.request.seed = Some(-7);
        r.path = "x".repeat(300).into();
        r.response_id = Some("é".repeat(200).into());
        r.outcome = Outcome::new(Category::StreamError, "cut_off", Ending::UpstreamError);
        let mut bad = span(&r, &scope);
        bad.dropped_attributes_count = 300;
        bad.attributes.push(KeyValue::new("", ""));
        bad.attributes.push(KeyValue::new("list", Value::Array(Array::I64(vec![1, -1]))));
        bad.attributes.push(KeyValue::new("none", Value::Array(Array::String(Vec::new()))));
        bad.attributes.push(KeyValue::new("not", false));
        for status in [Status::Ok, Status::Unset, Status::Error { description: Cow::Borrowed("") }] {
            let mut all = attempts(&r, &bad);
            all.extend([good.clone(), bad.clone(), SpanData { status, ..bad.clone() }]);
            same(&all, &scope);
        }
        let begin = SpanData { start_time: SystemTime::UNIX_EPOCH, name: Cow::Borrowed(""), ..good };
        let before = SpanData { end_time: SystemTime::UNIX_EPOCH + Duration::from_nanos(1), ..begin };
        same(&[before], &scope);
        let nameless = opentelemetry::InstrumentationScope::builder("").build();
        same(&[SpanData { instrumentation_scope: nameless.clone(), ..bad }], &nameless);
    }
}
