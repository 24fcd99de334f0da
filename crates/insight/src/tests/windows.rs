//! When an exchange is in a window.

use std::time::Duration;

use limpid_core::{Category, Tick};

use super::{Rig, exchange, failed};
use crate::{Filters, InsightConfig, Metric, RecentQuery, SeriesQuery, Value};

#[test]
fn an_exchange_stays_for_the_window_and_at_most_a_slot_more() {
    let mut rig = Rig::new(InsightConfig::default());
    rig.advance(1_003_000);
    rig.end(exchange("m"));
    rig.advance(60_000);
    assert_eq!(rig.summary(60, &[]).total.count, 1, "it ended exactly a minute ago");
    rig.advance(1_999);
    assert_eq!(rig.summary(60, &[]).total.count, 1, "its slot, 1000 s to 1005 s, is still the window's first");
    rig.advance(1);
    assert_eq!(rig.summary(60, &[]).total.count, 0, "at 1065 s the window begins at 1005 s");
    assert_eq!(rig.summary(65, &[]).total.count, 1);
}

#[test]
fn the_answer_says_both_ends_and_rates_divide_by_the_time_between() {
    let mut rig = Rig::new(InsightConfig::default());
    rig.advance(1_002_500);
    for _ in 0..125 {
        rig.end(exchange("m"));
    }
    let summary = rig.summary(60, &[]);
    assert_eq!(summary.window.from, "2026-11-22T08:15:40.000Z");
    assert_eq!(summary.window.to, "2026-11-22T08:16:42.500Z");
    assert!((summary.window.seconds - 62.5).abs() < 1e-9);
    assert_eq!(summary.total.per_s, Some(2.0));
    assert_eq!(summary.total.tokens.output.per_s, Some(22.0));
}

#[test]
fn a_young_limpid_does_not_divide_by_time_before_its_start() {
    let mut rig = Rig::new(InsightConfig::default());
    assert_eq!(rig.summary(300, &[]).total.per_s, None, "no time has passed");
    rig.advance(2_000);
    rig.end(exchange("m"));
    let summary = rig.summary(300, &[]);
    assert_eq!(summary.total.per_s, Some(0.5));
    assert_eq!(summary.window.from, "2026-11-22T08:00:00.000Z");
}

#[test]
fn a_window_longer_than_the_ring_is_cut_and_says_so() {
    let mut rig = Rig::new(InsightConfig { slots: 12, ..InsightConfig::default() });
    rig.end(exchange("m"));
    rig.advance(64_999);
    let summary = rig.summary(86_400, &[]);
    assert!((summary.window.asked_s - 60.0).abs() < 1e-9);
    assert_eq!(summary.total.count, 1);
    rig.advance(1);
    assert_eq!(rig.summary(86_400, &[]).total.count, 0);
}

#[test]
fn a_moment_in_the_future_counts_as_now_and_a_late_one_in_its_own_slot() {
    let mut rig = Rig::new(InsightConfig::default());
    rig.advance(100_000);
    let mut future = exchange("m");
    future.timeline.ended = Tick(u64::MAX);
    rig.consumer_take(future);
    let mut late = exchange("m");
    late.timeline.ended = Tick(1_000_000_000);
    rig.consumer_take(late);
    rig.end(exchange("m"));
    assert_eq!(rig.summary(10, &[]).total.count, 2);
    assert_eq!(rig.summary(3600, &[]).total.count, 3);
}

#[test]
fn steps_lie_on_a_grid_and_empty_ones_are_there() {
    let mut rig = Rig::new(InsightConfig::default());
    rig.advance(12_000);
    rig.end(exchange("m"));
    rig.end(failed("m", Category::RateLimit, "rate_limit_exceeded"));
    rig.advance(21_000);
    rig.end(exchange("m"));
    let query = SeriesQuery {
        metric: Metric::Requests,
        window: Duration::from_secs(3600),
        step: Duration::from_secs(7),
        filters: Filters::default(),
    };
    let series = rig.insight.series(&query);
    assert!((series.step_s - 10.0).abs() < 1e-9, "7 s is rounded up to two slots");
    let told: Vec<_> = series.points.iter().map(|p| (p.from.as_str(), p.seconds, count(&p.value))).collect();
    assert_eq!(
        told,
        [
            ("2026-11-22T08:00:00.000Z", 10.0, 0),
            ("2026-11-22T08:00:10.000Z", 10.0, 2),
            ("2026-11-22T08:00:20.000Z", 10.0, 0),
            ("2026-11-22T08:00:30.000Z", 3.0, 1),
        ]
    );
    let ttft = SeriesQuery { metric: Metric::from_name("ttft").unwrap(), ..query };
    let counts: Vec<_> = rig.insight.series(&ttft).points.iter().map(|p| count(&p.value)).collect();
    assert_eq!(counts, [0, 1, 0, 1], "a failed exchange without a token has no TTFT");
}

fn count(value: &Value) -> u64 {
    match value {
        Value::Requests { count, .. } => *count,
        Value::Latency(p) => {
            assert_eq!(p.quantiles.is_some(), p.count > 0);
            p.count
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn recent_ones_come_newest_first_filtered_and_bounded() {
    let mut rig = Rig::new(InsightConfig { recent: 3, ..InsightConfig::default() });
    for model in ["a", "b", "c", "d"] {
        rig.advance(10_000);
        rig.end(exchange(model));
    }
    let models = |query: &RecentQuery| -> Vec<String> {
        rig.insight.recent(query).iter().map(|r| r.model.name().unwrap().to_owned()).collect()
    };
    assert_eq!(models(&RecentQuery { limit: 9, ..RecentQuery::default() }), ["d", "c", "b"]);
    assert_eq!(models(&RecentQuery { limit: 1, ..RecentQuery::default() }), ["d"]);
    let window = Some(Duration::from_secs(10));
    assert_eq!(models(&RecentQuery { limit: 9, window, ..RecentQuery::default() }), ["d", "c"]);
    let mut filters = Filters::default();
    filters.allow(crate::Dimension::Model, "c");
    filters.allow(crate::Dimension::Model, "a");
    assert_eq!(models(&RecentQuery { limit: 9, filters, ..RecentQuery::default() }), ["c"]);
}
