//! Spans as the body of an OTLP export in protocol buffers, written straight from the record.
//!
//! The messages of `opentelemetry-proto` own every text, and so does the SDK's span, so a span would become some 150
//! allocations. Here its attributes are told one by one and written as they come: an attribute's name is there in protocol
//! buffers since compile time, and all that is worked out is a length or two. What all exports share is written at the
//! start. Only what is rare takes the way by the messages: attempts, and captured content. A test holds the bytes to those
//! of the messages, which JSON and gRPC are made of.

use std::time::SystemTime;

use limpid_core::{ExchangeRecord, OwnLabel};
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::Status;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope as ScopeMessage;
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceMessage;
use opentelemetry_proto::tonic::trace::v1::{Span, SpanFlags, span::SpanKind, status::StatusCode};
use opentelemetry_proto::transform::common::tonic::{Attributes, ResourceAttributesWithSchema};
use prost::Message as _;

use crate::content;
use crate::names::attr::{self, Name};
use crate::protobuf::{
    begin, bytes_member, fixed64, fixed64_member, member_length, message, number, text, varint, varint_length,
    varint_member,
};
use crate::semconv::Semconv;
use crate::settings::AttributeLimits;
use crate::span::{Sink, attributes, parent, status, trace_state};
use crate::span_data::span as span_data;
use crate::span_parts::{Moment, attempts, error, moments};

/// The members of a span that repeat: `attributes` and `events`.
const ATTRIBUTE: u8 = bytes_member(9);
const EVENT: u8 = bytes_member(11);
/// The member `attributes` of an event.
const EVENT_ATTRIBUTE: u8 = bytes_member(3);
/// The members of a value: `string_value`, `bool_value`, `int_value`, `double_value`, `array_value`.
const STRING: u8 = bytes_member(1);
const BOOL: u8 = varint_member(2);
const INT: u8 = varint_member(3);
const DOUBLE: u8 = fixed64_member(4);
const ARRAY: u8 = bytes_member(5);
/// What a span takes; a guess.
const EXPECTED: usize = 2048;

/// What one export's body is made of.
#[derive(Debug)]
pub(crate) struct SpanWriter {
    resource: Vec<u8>,
    resource_schema: String,
    scope: InstrumentationScope,
    scope_message: Vec<u8>,
    semconv: Semconv,
    limits: AttributeLimits,
}

impl SpanWriter {
    pub(crate) fn new(
        resource: &ResourceAttributesWithSchema,
        scope: &InstrumentationScope,
        limits: AttributeLimits,
    ) -> SpanWriter {
        let of = ResourceMessage { attributes: resource.attributes.0.clone(), ..ResourceMessage::default() };
        SpanWriter {
            resource: of.encode_to_vec(),
            resource_schema: resource.schema_url.clone().unwrap_or_default(),
            scope: scope.clone(),
            scope_message: ScopeMessage::from((scope, None)).encode_to_vec(),
            semconv: Semconv::of(scope),
            limits,
        }
    }

    /// An `ExportTraceServiceRequest` of these exchanges' spans.
    pub(crate) fn request<'a>(&self, records: impl ExactSizeIterator<Item = &'a ExchangeRecord>) -> Vec<u8> {
        let mut scope_spans = Vec::with_capacity(self.scope_message.len() + records.len() * EXPECTED + 128);
        message(&mut scope_spans, bytes_member(1), &self.scope_message);
        let mut one = Vec::with_capacity(2 * EXPECTED);
        for r in records {
            self.attempts(&mut scope_spans, r);
            one.clear();
            self.span(&mut one, r);
            message(&mut scope_spans, bytes_member(2), &one);
        }
        text(&mut scope_spans, bytes_member(3), self.scope.schema_url().unwrap_or_default());
        let mut schema = Vec::new();
        text(&mut schema, bytes_member(3), &self.resource_schema);
        let inner = member_length(self.resource.len()) + member_length(scope_spans.len()) + schema.len();
        let mut out = Vec::with_capacity(inner + 16);
        begin(&mut out, bytes_member(1), inner);
        message(&mut out, bytes_member(1), &self.resource);
        message(&mut out, bytes_member(2), &scope_spans);
        out.extend_from_slice(&schema);
        out
    }

    /// The spans of its attempts, where there were several.
    fn attempts(&self, out: &mut Vec<u8>, r: &ExchangeRecord) {
        if r.timeline.unsent.is_empty() {
            return;
        }
        for attempt in attempts(r, &span_data(r, &self.scope)) {
            message(out, bytes_member(2), &Span::from(attempt).encode_to_vec());
        }
    }

    /// The members of its span, in the order of their numbers. What is zero or empty is left out, as protocol buffers do.
    fn span(&self, out: &mut Vec<u8>, r: &ExchangeRecord) {
        message(out, bytes_member(1), &r.trace_id.to_be_bytes());
        message(out, bytes_member(2), &r.span_id.to_be_bytes());
        let parent = parent(r);
        if parent.is_some() {
            text(out, bytes_member(3), &trace_state(r).header());
        }
        if let Some(parent) = parent.filter(|parent| parent.span_id != 0) {
            message(out, bytes_member(4), &parent.span_id.to_be_bytes());
        }
        name(out, r);
        out.extend_from_slice(&[varint_member(6), SpanKind::Client as u8]);
        fixed64(out, fixed64_member(7), nanos(r.started_at));
        fixed64(out, fixed64_member(8), nanos(r.started_at + r.timeline.total()));
        let dropped = self.attributes(out, r);
        number(out, varint_member(10), dropped as u64);
        moments(r).for_each(|moment| event(out, r, &moment));
        end(out, &status(r));
        let remote = if parent.is_some() { SpanFlags::ContextIsRemoteMask as u32 } else { 0 };
        let flags = SAMPLED | SpanFlags::ContextHasIsRemoteMask as u32 | remote;
        // A number above 15 takes two bytes: 16, and the wire type of four bytes.
        out.extend_from_slice(&[0x85, 1]);
        out.extend_from_slice(&flags.to_le_bytes());
    }

    /// Its attributes; returns how many the limits left out.
    fn attributes(&self, out: &mut Vec<u8>, r: &ExchangeRecord) -> usize {
        let room = self.limits.count.unwrap_or(usize::MAX);
        let longest = self.limits.value_length.unwrap_or(usize::MAX);
        let mut members = Members { out, member: ATTRIBUTE, longest, room, dropped: 0 };
        attributes(r, self.semconv, &mut members);
        let (room, dropped) = (members.room, members.dropped);
        let Some(content) = r.content.take() else { return dropped };
        let mut captured = content::attributes(*content, self.semconv, &self.limits);
        let beyond = captured.len().saturating_sub(room);
        captured.truncate(room);
        for one in Attributes::from(captured).0 {
            message(out, ATTRIBUTE, &one.encode_to_vec());
        }
        dropped + beyond
    }
}

/// The W3C flag of a sampled trace.
const SAMPLED: u32 = 1;

fn name(out: &mut Vec<u8>, r: &ExchangeRecord) {
    let operation = r.endpoint.operation();
    let Some(model) = r.model.name() else { return text(out, bytes_member(5), operation) };
    begin(out, bytes_member(5), operation.len() + 1 + model.len());
    out.extend_from_slice(operation.as_bytes());
    out.push(b' ');
    out.extend_from_slice(model.as_bytes());
}

fn event(out: &mut Vec<u8>, r: &ExchangeRecord, moment: &Moment) {
    let mut more = Vec::new();
    if moment.failed {
        let (longest, room) = (usize::MAX, usize::MAX);
        error(r, &mut Members { out: &mut more, member: EVENT_ATTRIBUTE, longest, room, dropped: 0 });
    }
    let at = nanos(moment.at);
    let time = if at == 0 { 0 } else { 9 };
    begin(out, EVENT, time + member_length(moment.name.len()) + more.len());
    fixed64(out, fixed64_member(1), at);
    text(out, bytes_member(2), moment.name);
    out.extend_from_slice(&more);
}

/// The member `status`, which is there if nothing is in it too.
fn end(out: &mut Vec<u8>, status: &Status) {
    let mut one = Vec::new();
    match status {
        Status::Unset => {}
        Status::Ok => number(&mut one, varint_member(3), StatusCode::Ok as u64),
        Status::Error { description } => {
            text(&mut one, bytes_member(2), description);
            number(&mut one, varint_member(3), StatusCode::Error as u64);
        }
    }
    message(out, bytes_member(15), &one);
}

fn nanos(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

/// Writes attributes as members of a message, within limits.
struct Members<'a> {
    out: &'a mut Vec<u8>,
    /// The head of the member that each attribute is.
    member: u8,
    /// The longest text, in characters.
    longest: usize,
    /// For so many there is room.
    room: usize,
    /// So many had none.
    dropped: usize,
}

impl Members<'_> {
    /// An attribute up to its value's content, which has so many bytes. Whether there is room for it.
    #[inline]
    fn begin(&mut self, name: &Name, value: usize) -> bool {
        if !self.has_room() {
            return false;
        }
        // Where all of it is short, so is the value.
        match u8::try_from(name.encoded.len() + 1 + value) {
            Ok(all) if all < 0x80 => self.out.extend_from_slice(&[self.member, all]),
            _ => begin(self.out, self.member, name.encoded.len() + varint_length(value as u64) + value),
        }
        self.out.extend_from_slice(name.encoded);
        true
    }

    #[inline]
    fn has_room(&mut self) -> bool {
        if self.room == 0 {
            self.dropped += 1;
            return false;
        }
        self.room -= 1;
        true
    }

    #[inline]
    fn cut<'b>(&self, value: &'b str) -> &'b str {
        if value.len() <= self.longest {
            return value;
        }
        value.char_indices().nth(self.longest).map_or(value, |(end, _)| &value[..end])
    }

    /// A value that is a text.
    #[inline]
    fn value(&mut self, value: &str) {
        match u8::try_from(value.len()) {
            Ok(length) if length < 0x80 - 2 => self.out.extend_from_slice(&[length + 2, STRING, length]),
            _ => {
                varint(self.out, member_length(value.len()) as u64);
                begin(self.out, STRING, value.len());
            }
        }
        self.out.extend_from_slice(value.as_bytes());
    }
}

impl Sink for Members<'_> {
    fn text(&mut self, name: &Name, value: &str) {
        let value = self.cut(value);
        if self.begin(name, member_length(value.len())) {
            self.value(value);
        }
    }

    fn int(&mut self, name: &Name, value: i64) {
        let value = value.cast_unsigned();
        let length = 1 + varint_length(value);
        if self.begin(name, length) {
            varint(self.out, length as u64);
            self.out.push(INT);
            varint(self.out, value);
        }
    }

    fn double(&mut self, name: &Name, value: f64) {
        if self.begin(name, 9) {
            let mut all = [9, DOUBLE, 0, 0, 0, 0, 0, 0, 0, 0];
            all[2..].copy_from_slice(&value.to_le_bytes());
            self.out.extend_from_slice(&all);
        }
    }

    fn flag(&mut self, name: &Name) {
        if self.begin(name, 2) {
            self.out.extend_from_slice(&[2, BOOL, 1]);
        }
    }

    fn texts<'a>(&mut self, name: &Name, values: impl Iterator<Item = &'a str> + Clone) {
        let one = |text: &str| member_length(self.cut(text).len());
        let list: usize = values.clone().map(|text| member_length(one(text))).sum();
        if !self.begin(name, member_length(list)) {
            return;
        }
        varint(self.out, member_length(list) as u64);
        begin(self.out, ARRAY, list);
        for text in values {
            self.out.push(bytes_member(1));
            self.value(self.cut(text));
        }
    }

    fn own(&mut self, label: &OwnLabel) {
        if !self.has_room() {
            return;
        }
        let (key, value) = (attr::OWN_LABEL.len() + label.name.len(), self.cut(&label.value));
        begin(self.out, self.member, member_length(key) + member_length(member_length(value.len())));
        begin(self.out, bytes_member(1), key);
        self.out.extend_from_slice(attr::OWN_LABEL.as_bytes());
        self.out.extend_from_slice(label.name.as_bytes());
        self.out.push(bytes_member(2));
        self.value(value);
    }
}

#[cfg(test)]
mod tests;
