//! What the answers say.

use limpid_core::{Category, PicoUsd, Refusal, RefusalKind, Source, Usage, Verdict};

use super::{Rig, exchange, failed, with_ttft};
use crate::{Dimension, Filters, InsightConfig, Latency};

/// The value with `q` of the values at or below it.
fn reference(sorted: &[u64], q: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank of a short list")]
    let rank = ((sorted.len() as f64 * q).ceil() as usize).max(1);
    sorted[rank - 1] as f64 / 1e6
}

#[test]
fn percentiles_agree_with_a_sorted_list_to_one_per_cent() {
    for (seed, spread) in [(1_u64, 40_000_000_u64), (7, 3_000), (42, 90_000_000_000)] {
        let mut rig = Rig::new(InsightConfig::default());
        let mut values = Vec::new();
        let mut random = seed;
        for n in 0..5000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Skewed as latencies are, and over many slots.
            let value = 1_000_000 + (random >> 33) % spread * ((random >> 20) % 7) / 3;
            rig.end(with_ttft("m", value));
            values.push(value);
            if n % 100 == 0 {
                rig.advance(4_000);
            }
        }
        values.sort_unstable();
        let told = rig.summary(3600, &[]).total.latency.of(Latency::Ttft).clone();
        assert_eq!((told.count, told.sampled), (5000, None));
        let q = told.quantiles.unwrap();
        for (told, q) in [(q.p50, 0.5), (q.p90, 0.9), (q.p95, 0.95), (q.p99, 0.99)] {
            let exact = reference(&values, q);
            assert!((told - exact).abs() <= exact * 0.01, "p{q} is {exact}, told {told}");
        }
    }
}

#[test]
fn every_latency_is_told_with_the_count_of_exchanges_that_have_it() {
    let mut rig = Rig::new(InsightConfig::default());
    rig.end(exchange("m"));
    rig.end(failed("m", Category::UpstreamError, "server_error"));
    let latency = rig.summary(60, &[]).total.latency;
    let near = |l: Latency, expected: f64| {
        let told = latency.quantiles(l).unwrap().p50;
        assert!((told - expected).abs() <= expected * 0.01, "{} is {told}, not {expected}", l.name());
    };
    near(Latency::Ttft, 20.0);
    near(Latency::UpstreamTtft, 19.0);
    near(Latency::Tpot, 10.0);
    near(Latency::OutputSpeed, 110.0);
    near(Latency::Overhead, 1.0);
    near(Latency::Total, 5.0);
    let count = |l: Latency| latency.of(l).count;
    assert_eq!((count(Latency::Ttft), count(Latency::Total), count(Latency::Queue)), (1, 2, 0));
    assert_eq!(latency.quantiles(Latency::Queue), None, "an unknown number is absent");
}

#[test]
fn errors_are_told_apart_by_category_and_reason() {
    let mut rig = Rig::new(InsightConfig::default());
    rig.end(exchange("m"));
    rig.end(failed("m", Category::RateLimit, "rate_limit_exceeded"));
    rig.end(failed("m", Category::RateLimit, "rate_limit_exceeded"));
    rig.end(failed("m", Category::Quota, "insufficient_quota"));
    rig.end(failed("m", Category::Cancelled, "client_gone"));
    let total = rig.summary(60, &[]).total;
    let of = |c| total.outcomes.of(c);
    assert_eq!((of(Category::RateLimit), of(Category::Quota), of(Category::Ok)), (2, 1, 1));
    assert_eq!(total.outcomes.failed(), 3, "a client that left is no failure");
    let reasons: Vec<_> = total.reasons.iter().map(|r| (r.category, r.reason.as_str(), r.count)).collect();
    assert_eq!(
        reasons,
        [
            (Category::RateLimit, "rate_limit_exceeded", 2),
            (Category::Ok, "stop", 1),
            (Category::Quota, "insufficient_quota", 1),
            (Category::Cancelled, "client_gone", 1),
        ]
    );
}

#[test]
fn sums_leave_out_what_is_unknown_and_say_so() {
    let mut rig = Rig::new(InsightConfig::default());
    rig.end(exchange("m"));
    let mut unpriced = exchange("m");
    unpriced.price = None;
    unpriced.unpriced = Some("unknown_model");
    unpriced.usage = Some(Usage { output_tokens: Some(5), ..Usage::empty(Source::Estimated) });
    unpriced.refusal =
        Refusal { verdict: Verdict::Certain, source: Some("stop_reason"), kind: Some(RefusalKind::Model) };
    rig.end(unpriced);
    rig.end(failed("m", Category::Timeout, "headers_timeout"));
    let total = rig.summary(60, &[]).total;
    assert_eq!(total.price.usd, Some(PicoUsd(150_000)));
    assert_eq!((total.price.priced, total.price.unpriced), (1, 1), "without usage there is nothing to price");
    let tokens = total.tokens;
    assert_eq!((tokens.input.sum, tokens.input.exchanges), (Some(1000), 1));
    assert_eq!((tokens.output.sum, tokens.output.exchanges), (Some(16), 2));
    assert_eq!(tokens.cached_input.sum, None, "nobody told cached tokens: not 0");
    assert_eq!((total.usage.reported, total.usage.estimated, total.usage.absent), (1, 1, 1));
    assert_eq!((total.refusals.certain, total.refusals.none), (1, 2));
    let json = serde_json::to_value(&total).unwrap();
    assert_eq!(json["price"]["usd"], "0.00000015");
    assert_eq!(json["tokens"]["cached_input"], serde_json::json!({"exchanges": 0}));
    assert_eq!(json["outcomes"]["timeout"], 1);
    assert_eq!(json["latency"]["queue_ms"], serde_json::json!({"count": 0}));
}

#[test]
fn groups_and_filters_work_in_every_dimension() {
    let mut rig = Rig::new(InsightConfig::default());
    let mut odd = exchange("b");
    odd.endpoint = limpid_core::Endpoint::Messages;
    odd.caller.key = None;
    odd.caller.project = Some("search".into());
    odd.upstream = None;
    odd.usage = None;
    odd.outcome.category = Category::Network;
    rig.end(odd);
    rig.end(exchange("a"));
    rig.end(exchange("a"));
    for (dimension, common, rare) in [
        (Dimension::Model, Some("a"), Some("b")),
        (Dimension::Endpoint, Some("chat"), Some("messages")),
        (Dimension::Key, Some("team-a"), None),
        (Dimension::Project, None, Some("search")),
        (Dimension::Region, Some("eu"), None),
        (Dimension::Upstream, Some("vllm-a"), None),
        (Dimension::Band, Some("<=2k"), None),
        (Dimension::Outcome, Some("ok"), Some("network")),
    ] {
        let told = rig.summary(60, &[dimension]);
        let told: Vec<_> = told.groups.iter().map(|g| (g.by[&dimension].as_deref(), g.counts.count)).collect();
        assert_eq!(told, [(common, 2), (rare, 1)], "{}", dimension.name());
        let mut filters = Filters::default();
        filters.allow(dimension, rare.unwrap_or(""));
        assert_eq!(rig.filtered(60, &[], filters).total.count, 1, "{}", dimension.name());
    }
    let mut both = Filters::default();
    both.allow(Dimension::Model, "a");
    both.allow(Dimension::Outcome, "network");
    assert_eq!(rig.filtered(60, &[], both).total.count, 0, "dimensions are joined by and");
    let pairs = rig.summary(60, &[Dimension::Model, Dimension::Endpoint]);
    assert_eq!(pairs.groups.len(), 2);
    assert_eq!(pairs.groups.iter().map(|g| g.counts.count).sum::<u64>(), pairs.total.count);
}
