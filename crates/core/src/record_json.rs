//! The record as JSON: the exchange log's line, what `inspect` prints, what the API returns.
//!
//! Members that are not known are left out. Durations are milliseconds with microsecond digits.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use crate::{ExchangeRecord, Timeline};

impl Serialize for ExchangeRecord {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Line::from(self).serialize(s)
    }
}

#[derive(Serialize)]
struct Line<'a> {
    id: String,
    started_at: String,
    endpoint: crate::Endpoint,
    method: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    answered_by_limpid: bool,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Model::is_empty")]
    model: Model<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    trace_id: String,
    span_id: String,
    outcome: &'a crate::Outcome,
    refusal: &'a crate::Refusal,
    timing: Timing<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunks: Option<Chunks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    finish_reasons: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a crate::Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens_band: Option<crate::InputTokensBand>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<&'a crate::Price>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unpriced: Option<&'static str>,
    attempts: u32,
    bytes: crate::ByteCounts,
    #[serde(skip_serializing_if = "Option::is_none")]
    observer_fault: Option<&'static str>,
}

impl<'a> From<&'a ExchangeRecord> for Line<'a> {
    fn from(r: &'a ExchangeRecord) -> Self {
        let upstream = r.upstream.as_deref();
        let caller = &r.caller;
        Line {
            id: r.id.to_string(),
            started_at: rfc3339(r.started_at),
            endpoint: r.endpoint,
            method: &r.method,
            path: &r.path,
            status: r.status,
            answered_by_limpid: r.answered_by_limpid,
            stream: r.stream,
            upstream: upstream.map(|u| &*u.name),
            provider: upstream.map(|u| &*u.provider),
            region: upstream.and_then(|u| u.region.as_deref()),
            model: Model { requested: r.model.requested.as_deref(), responded: r.model.responded.as_deref() },
            key: caller.key.as_deref(),
            project: caller.project.as_deref(),
            user: caller.user.as_deref(),
            template: caller.template.as_deref(),
            session: caller.session.as_deref(),
            priority: caller.priority.as_deref(),
            request_id: caller.request_id.as_deref(),
            trace_id: format!("{:032x}", r.trace_id),
            span_id: format!("{:016x}", r.span_id),
            outcome: &r.outcome,
            refusal: &r.refusal,
            timing: Timing(r),
            chunks: r.events.map(|events| Chunks { events, tokens_events: r.token_events }),
            response_id: r.response_id.as_deref(),
            finish_reasons: r.finish_reasons.iter().map(|f| &*f.reason).collect(),
            service_tier: r.service_tier.as_deref(),
            usage: r.usage.as_ref(),
            input_tokens_band: r.input_tokens_band(),
            price: r.price.as_ref(),
            unpriced: r.unpriced,
            attempts: r.attempts,
            bytes: r.bytes,
            observer_fault: r.observer_fault.map(crate::ObserverFault::as_str),
        }
    }
}

#[derive(Serialize)]
struct Model<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    requested: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    responded: Option<&'a str>,
}

impl Model<'_> {
    fn is_empty(&self) -> bool {
        self.requested.is_none() && self.responded.is_none()
    }
}

#[derive(Serialize)]
struct Chunks {
    events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_events: Option<u64>,
}

struct Timing<'a>(&'a ExchangeRecord);

impl Serialize for Timing<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let r = self.0;
        let t: &Timeline = &r.timeline;
        let members = [
            ("queue_ms", t.queue()),
            ("connect_ms", t.connect),
            ("upstream_headers_ms", t.upstream_headers()),
            ("first_byte_ms", t.first_byte()),
            ("first_event_ms", t.first_event()),
            ("ttft_ms", t.ttft()),
            ("first_content_ms", t.first_content()),
            ("upstream_ttft_ms", t.upstream_ttft()),
            ("tpot_ms", r.tpot()),
            ("stall_ms", t.stall),
            ("reader_lag_ms", t.reader_lag),
            ("overhead_ms", t.overhead()),
            ("total_ms", Some(t.total())),
        ];
        let mut out = s.serialize_struct("timing", members.len() + 1)?;
        for (name, duration) in members {
            match duration {
                Some(d) => out.serialize_field(name, &millis(d))?,
                None => out.skip_field(name)?,
            }
        }
        match r.output_tokens_per_s() {
            Some(speed) => out.serialize_field("output_tokens_per_s", &((speed * 1e3).round() / 1e3))?,
            None => out.skip_field("output_tokens_per_s")?,
        }
        out.end()
    }
}

/// Milliseconds with microsecond digits.
fn millis(d: Duration) -> f64 {
    (d.as_nanos() as f64 / 1e3).round() / 1e3
}

/// RFC 3339 in UTC with microseconds.
fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_micros(at).to_string()
}
