//! A record as an OTLP log record: an event of the GenAI conventions, correlated with the span.
//!
//! It carries the attributes of the exchange's span, whether or not that span is exported, so that a store of logs
//! alone answers the same questions. Calls that make a model work are the conventions' event; others, such as listing
//! models, are limpid's own.

use std::time::SystemTime;

use limpid_core::{Category, ExchangeRecord};
use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_proto::transform::common::tonic::Attributes;

use crate::limits::limit;
use crate::record_queue::is_sampled;
use crate::semconv::Semconv;
use crate::settings::AttributeLimits;
use crate::span_data::attributes;

/// The conventions' event of an inference.
const INFERENCE_EVENT: &str = "gen_ai.client.inference.operation.details";
/// The event of any other exchange.
const EXCHANGE_EVENT: &str = "limpid.exchange";
/// The W3C flag of a sampled trace.
const SAMPLED: u32 = 1;

/// The log record of an exchange; its time is the exchange's end. `sample_ratio` is that of the spans: the flags say
/// whether there is one.
pub(crate) fn log_record(
    r: &ExchangeRecord,
    scope: &InstrumentationScope,
    limits: &AttributeLimits,
    sample_ratio: f64,
) -> LogRecord {
    let mut attributes = attributes(r, Semconv::of(scope));
    let dropped = limit(&mut attributes, limits);
    let ended = nanos(r.started_at + r.timeline.total());
    let (number, name) = severity(r.outcome.category);
    let inference = r.endpoint.is_inference();
    LogRecord {
        time_unix_nano: ended,
        observed_time_unix_nano: ended,
        severity_number: number.into(),
        severity_text: name.to_owned(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(body(r))) }),
        attributes: Attributes::from(attributes).0,
        dropped_attributes_count: dropped,
        flags: if inference && is_sampled(r, sample_ratio) { SAMPLED } else { 0 },
        trace_id: r.trace_id.to_be_bytes().to_vec(),
        span_id: r.span_id.to_be_bytes().to_vec(),
        event_name: if inference { INFERENCE_EVENT } else { EXCHANGE_EVENT }.to_owned(),
    }
}

/// What went well is information, what the client brought on itself a warning, all else an error.
fn severity(category: Category) -> (SeverityNumber, &'static str) {
    match category {
        Category::Ok => (SeverityNumber::Info, "INFO"),
        Category::ClientRequest
        | Category::Auth
        | Category::Quota
        | Category::RateLimit
        | Category::Policy
        | Category::Cancelled
        | Category::Rejected => (SeverityNumber::Warn, "WARN"),
        Category::Overloaded
        | Category::Unavailable
        | Category::UpstreamError
        | Category::Network
        | Category::Timeout
        | Category::StreamError
        | Category::Internal => (SeverityNumber::Error, "ERROR"),
    }
}

/// One line for a reader: `chat m: ok/stop`. The conventions leave the body to whoever shows the event.
fn body(r: &ExchangeRecord) -> String {
    let outcome = format!("{}/{}", r.outcome.category.as_str(), r.outcome.reason);
    match r.model.name() {
        Some(model) => format!("{} {model}: {outcome}", r.endpoint.as_str()),
        None => format!("{}: {outcome}", r.endpoint.as_str()),
    }
}

fn nanos(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use limpid_core::{Ending, Endpoint, Outcome};

    use super::*;
    use crate::fixture::{SPAN_ID, TRACE_ID, record};
    use crate::span_data::span;

    fn of(r: &ExchangeRecord, limits: &AttributeLimits) -> LogRecord {
        log_record(r, &InstrumentationScope::builder("limpid").build(), limits, 1.0)
    }

    #[test]
    fn it_is_the_conventions_event_with_the_spans_ids_and_attributes() {
        let r = record();
        let log = of(&r, &AttributeLimits::default());
        assert_eq!(log.event_name, "gen_ai.client.inference.operation.details");
        assert_eq!((log.trace_id, log.span_id), (TRACE_ID.to_be_bytes().to_vec(), SPAN_ID.to_be_bytes().to_vec()));
        assert_eq!((log.severity_number, &*log.severity_text, log.flags), (9, "INFO", 1));
        assert_eq!(log.time_unix_nano, 1_700_000_000_204_000_000);
        assert_eq!(log.body.unwrap().value, Some(any_value::Value::StringValue("chat m: ok/stop".to_owned())));
        let span = span(&r, &InstrumentationScope::builder("limpid").build());
        let names = |all: Vec<String>| {
            let mut all = all;
            all.sort_unstable();
            all
        };
        assert_eq!(
            names(log.attributes.into_iter().map(|kv| kv.key).collect()),
            names(span.attributes.into_iter().map(|kv| kv.key.to_string()).collect())
        );
    }

    #[test]
    fn severity_follows_the_outcome_and_other_calls_are_limpids_event() {
        let mut r = record();
        for (category, severity) in [(Category::RateLimit, 13), (Category::Cancelled, 13), (Category::Network, 17)] {
            r.outcome = Outcome::new(category, "x", Ending::End);
            assert_eq!(of(&r, &AttributeLimits::default()).severity_number, severity, "{category:?}");
        }
        r.endpoint = Endpoint::Models;
        let log = of(&r, &AttributeLimits { value_length: None, count: Some(2) });
        assert_eq!((&*log.event_name, log.flags), ("limpid.exchange", 0));
        assert_eq!(log.attributes.len(), 2);
        assert!(log.dropped_attributes_count > 10);
    }
}
