//! The record as JSON: the exchange log's line, what `inspect` prints, what the API returns.
//!
//! Members that are not known are left out. Durations are milliseconds with microsecond digits.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use crate::rate_limit::seconds;
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
    #[serde(skip_serializing_if = "OwnLabels::is_empty")]
    labels: OwnLabels<'a>,
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
    system_fingerprint: Option<&'a str>,
    /// Seconds, as in the field of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limits: Option<&'a crate::RateLimits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a crate::Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_asked: Option<crate::UsageAsked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_fallback: Option<crate::RouteFallback>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens_band: Option<crate::InputTokensBand>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unestimated: Option<&'static str>,
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
            labels: OwnLabels(&r.labels),
            trace_id: format!("{:032x}", r.trace_id),
            span_id: format!("{:016x}", r.span_id),
            outcome: &r.outcome,
            refusal: &r.refusal,
            timing: Timing(r),
            chunks: r.events.map(|events| Chunks { events, tokens_events: r.token_events }),
            response_id: r.response_id.as_deref(),
            finish_reasons: r.finish_reasons.iter().map(|f| &*f.reason).collect(),
            service_tier: r.service_tier.as_deref(),
            system_fingerprint: r.system_fingerprint.as_deref(),
            retry_after: r.rate_limits.as_ref().and_then(|l| l.retry_after).map(seconds),
            rate_limits: r.rate_limits.as_deref().filter(|l| l.known().next().is_some()),
            usage: r.usage.as_ref(),
            usage_asked: r.request.usage_asked,
            route_fallback: r.request.route_fallback,
            input_tokens_band: r.input_tokens_band(),
            unestimated: r.unestimated,
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

/// An object: name to value.
struct OwnLabels<'a>(&'a [crate::OwnLabel]);

impl OwnLabels<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for OwnLabels<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter().map(|label| (&*label.name, &*label.value)))
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::record;
    use crate::{
        Caller, FinishReason, ModelNames, PicoUsd, Price, PriceSource, Source, StreamMarks, Tick, UpstreamInfo, Usage,
    };

    fn ms(t: f64) -> Tick {
        Tick::default().plus(Duration::from_secs_f64(t / 1e3))
    }

    #[test]
    fn what_is_not_known_is_not_there() {
        let got = serde_json::to_value(record()).unwrap();
        let want = serde_json::json!({
            "id": "00000000010000000000000002", "started_at": "1970-01-01T00:00:00.000000Z", "endpoint": "chat",
            "method": "GET", "path": "/", "stream": false,
            "trace_id": "00000000000000000000000000000001", "span_id": "0000000000000002",
            "outcome": {"category": "cancelled", "reason": "client_gone", "ending": "client_gone"},
            "refusal": {"verdict": "none"}, "timing": {"total_ms": 1.5}, "attempts": 0,
            "bytes": {"request": 0, "response": 0}
        });
        assert_eq!(got, want);
    }

    fn well_known() -> ExchangeRecord {
        let mut gaps = crate::GapHistogram::default();
        gaps.record(Duration::from_micros(980_200));
        let upstream = UpstreamInfo {
            name: "vllm-a".into(),
            provider: "vllm".into(),
            region: Some("eu".into()),
            address: "gpu".into(),
            port: 8000,
        };
        let marks = StreamMarks {
            first_byte: Some(ms(20.2)),
            first_event: Some(ms(20.2)),
            first_token: Some(ms(20.3)),
            first_content: Some(ms(20.3)),
            last_token: Some(ms(1000.5)),
            error: None,
        };
        ExchangeRecord {
            status: Some(200),
            stream: true,
            upstream: Some(Arc::new(upstream)),
            model: ModelNames { requested: Some("m".into()), responded: Some("m-2026".into()) },
            caller: Caller { key: Some("team-a".into()), project: Some("search".into()), ..Caller::default() },
            timeline: Timeline {
                admitted: Some(ms(0.004)),
                sent: Some(ms(0.1)),
                headers: Some(ms(12.2)),
                marks,
                ended: ms(1012.4),
                stall: Some(Duration::from_micros(14_200)),
                gaps,
                reader_lag: Some(Duration::from_micros(300)),
                ..Timeline::default()
            },
            labels: crate::OwnLabel::new(&"segment".into(), "gold").into_iter().collect(),
            events: Some(102),
            token_events: Some(100),
            finish_reasons: vec![FinishReason { index: 0, reason: "stop".into() }],
            usage: Some(Usage { input_tokens: Some(64), output_tokens: Some(100), ..Usage::empty(Source::Reported) }),
            price: Some(Price {
                usd: PicoUsd(123_000_000),
                source: PriceSource::Catalogue,
                matched: Some("openai/gpt-4o-mini".into()),
                table: Some("2026-11-20".into()),
                estimated: false,
                discount: None,
                parts: Vec::new(),
            }),
            attempts: 1,
            ..record()
        }
    }

    #[test]
    fn what_is_known_stands_where_the_interface_says() {
        let got = serde_json::to_value(well_known()).unwrap();
        assert_eq!(
            got["timing"],
            serde_json::json!({
                "queue_ms": 0.004, "upstream_headers_ms": 12.1, "first_byte_ms": 20.2, "first_event_ms": 20.2,
                "ttft_ms": 20.3, "first_content_ms": 20.3, "upstream_ttft_ms": 20.2, "tpot_ms": 9.901,
                "stall_ms": 14.2, "reader_lag_ms": 0.3, "overhead_ms": 0.096, "total_ms": 1012.4,
                "output_tokens_per_s": 102.02
            })
        );
        assert_eq!(got["upstream"], "vllm-a");
        assert_eq!(got["provider"], "vllm");
        assert_eq!(got["region"], "eu");
        assert_eq!(got["model"], serde_json::json!({"requested": "m", "responded": "m-2026"}));
        assert_eq!(got["chunks"], serde_json::json!({"events": 102, "tokens_events": 100}));
        assert_eq!(got["usage"], serde_json::json!({"input_tokens": 64, "output_tokens": 100, "source": "reported"}));
        assert_eq!(got["input_tokens_band"], "<=128");
        assert_eq!(
            got["price"],
            serde_json::json!({"usd": "0.000123", "source": "catalogue", "matched": "openai/gpt-4o-mini", "table": "2026-11-20"})
        );
        assert_eq!(got["labels"], serde_json::json!({"segment": "gold"}));
        assert_eq!(got["finish_reasons"], serde_json::json!(["stop"]));
    }

    #[test]
    fn hidden_reasoning_is_no_streamed_output() {
        let mut r = well_known();
        r.usage = Some(Usage { reasoning_output_tokens: Some(40), ..r.usage.take().unwrap() });
        assert_eq!(r.streamed_tokens(), Some(60));
        r.reasoning_streamed = true;
        assert_eq!(r.streamed_tokens(), Some(100));
    }

    #[test]
    fn one_token_has_no_time_per_token() {
        let mut r = well_known();
        r.usage = Some(Usage { output_tokens: Some(1), ..Usage::empty(Source::Reported) });
        assert_eq!(r.tpot(), None);
        r.usage = None;
        assert_eq!((r.tpot(), r.output_tokens_per_s()), (None, None));
    }
}
