//! The line beside what serde makes of the record.

use std::sync::Arc;

use limpid_core::{Category, Discount, Ending, FinishReason, PicoUsd, Source, UpstreamInfo};

use super::*;
use crate::fixture::record;

/// The line, and what serde makes of the record.
fn same(r: &ExchangeRecord) {
    let mut line = Vec::new();
    LineWriter::default().write(r, &mut line);
    assert_eq!(String::from_utf8(line).unwrap(), serde_json::to_string(r).unwrap());
}

#[test]
fn a_line_is_what_serde_makes_of_the_record() {
    let mut r = record();
    same(&r);
    r.rate_limits = Some(Box::new(RateLimits {
        retry_after: Some(Duration::from_micros(2_400)),
        tokens: RateLimit { limit: Some(30_000), remaining: Some(0), reset: Some(Duration::from_secs(12)) },
        ..RateLimits::default()
    }));
    r.usage = Some(Usage {
        audio_ms: Some(7),
        web_searches: Some(2),
        cache_write_1h_input_tokens: Some(3),
        input_source: Some(Source::Estimated),
        output_source: Some(Source::Exact),
        method: Some("tiktoken:o200k_base".into()),
        ..r.usage.take().unwrap()
    });
    let price = r.price.as_mut().unwrap();
    (price.estimated, price.discount) = (true, Discount::parse("12.5%"));
    r.outcome = Outcome {
        fault: Some(limpid_core::Fault::Network),
        retryable: Some(limpid_core::Retryable::Later),
        ..Outcome::new(Category::StreamError, "cut_off", Ending::UpstreamError)
    };
    r.answered_by_limpid = true;
    same(&r);
}

#[test]
fn what_is_not_known_is_left_out_and_what_is_written_is_escaped() {
    let mut r = record();
    (r.status, r.events, r.usage, r.price, r.unpriced) = (None, None, None, None, None);
    (r.model, r.caller, r.timeline) = (ModelNames::default(), Caller::default(), Timeline::default());
    (r.refusal, r.unestimated, r.observer_fault) = (Refusal::NONE, None, None);
    r.rate_limits = Some(Box::default());
    r.labels.clear();
    r.finish_reasons = vec![FinishReason { index: 0, reason: "a\"b".into() }];
    let nasty = "é\u{1}\\\"\n日本\u{7f}\u{2028}";
    r.path = nasty.into();
    r.response_id = Some(nasty.into());
    let upstream =
        UpstreamInfo { name: nasty.into(), region: None, provider: "p".into(), address: "a".into(), port: 1 };
    r.upstream = Some(Arc::new(upstream));
    same(&r);
    r.upstream = None;
    same(&r);
}

#[test]
fn times_and_money_have_serdes_digits() {
    let mut r = record();
    let mut ns = 1_u64;
    while ns < 1 << 62 {
        r.timeline.connect = Some(Duration::from_nanos(ns));
        r.timeline.stall = Some(Duration::from_micros(ns / 7));
        r.started_at = SystemTime::UNIX_EPOCH + Duration::from_micros(ns % 4_000_000_000_000_000);
        let price = r.price.as_mut().unwrap();
        price.usd = PicoUsd(ns);
        price.parts[0].usd = PicoUsd(ns / 1_000 * 1_000);
        (r.trace_id, r.span_id) = (u128::from(ns).pow(2), ns);
        same(&r);
        ns += ns / 3 + 1;
    }
    for exact in [0, 499, 500, 1_499, 1_500, 999_499, 999_500, 1_000_000, 10_000_000, 120_000_000_000] {
        r.timeline.connect = Some(Duration::from_nanos(exact));
        same(&r);
    }
}
