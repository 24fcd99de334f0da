//! What happens at the bounds.

use limpid_core::Category;

use super::{Rig, exchange, failed, with_ttft};
use crate::{Dimension, Filters, InsightConfig, Latency, Live};

#[test]
fn the_smallest_groups_are_merged_and_nothing_is_lost() {
    let mut rig = Rig::new(InsightConfig { max_groups: 3, ..InsightConfig::default() });
    for (model, count) in [("a", 5), ("b", 4), ("c", 2), ("d", 1), ("e", 1)] {
        for _ in 0..count {
            rig.end(exchange(model));
        }
    }
    let summary = rig.summary(60, &[Dimension::Model]);
    let told: Vec<_> =
        summary.groups.iter().map(|g| (g.by[&Dimension::Model].as_deref().unwrap(), g.counts.count)).collect();
    assert_eq!(told, [("a", 5), ("b", 4), ("other", 4)]);
    assert_eq!(summary.merged_groups, 3);
    assert_eq!(summary.groups[2].counts.latency.of(Latency::Ttft).count, 4);
    assert_eq!(summary.overflow_records, 0);
}

#[test]
fn names_beyond_the_bound_count_as_other_and_the_answer_tells() {
    let mut rig = Rig::new(InsightConfig { slot_cells: 10, ..InsightConfig::default() });
    for n in 0..30 {
        rig.end(exchange(&format!("m{n}")));
    }
    rig.end(failed("x", Category::Auth, "invalid_api_key"));
    let summary = rig.summary(60, &[Dimension::Model]);
    assert_eq!(summary.total.count, 31, "every exchange is counted");
    assert_eq!(summary.overflow_records, 21);
    assert_eq!(summary.groups[0].by[&Dimension::Model].as_deref(), Some("other"));
    assert_eq!(summary.groups[0].counts.count, 21);
    assert_eq!(summary.total.outcomes.of(Category::Auth), 1, "the outcome is never lost");
    rig.advance(5_000);
    rig.end(exchange("fresh"));
    assert_eq!(rig.summary(60, &[Dimension::Model]).overflow_records, 21, "the next slot has room again");
}

#[test]
fn names_that_left_the_hour_make_room_for_new_ones() {
    let mut rig = Rig::new(InsightConfig { slots: 2, max_keys: 8, ..InsightConfig::default() });
    for round in 0..20 {
        for n in 0..2 {
            rig.end(exchange(&format!("m{round}-{n}")));
        }
        rig.advance(5_000);
    }
    assert_eq!(rig.summary(10, &[]).overflow_records, 0);
}

#[test]
fn beyond_the_bound_on_samples_counts_stay_exact_and_percentiles_say_that_they_are_sampled() {
    let mut rig = Rig::new(InsightConfig { slot_samples: 512, ..InsightConfig::default() });
    // A crowded slot around 100 ms, then a sparse one at 10 ms: 512 samples stand for 8192 exchanges.
    for n in 0..8192_u64 {
        rig.end(with_ttft("m", 50_000_000 + (n * 7919) % 8192 * 12_207));
    }
    rig.advance(5_000);
    for _ in 0..512 {
        rig.end(with_ttft("m", 10_000_000));
    }
    let total = rig.summary(60, &[]).total;
    let ttft = total.latency.of(Latency::Ttft);
    assert_eq!((ttft.count, ttft.sampled), (8704, Some(1024)));
    assert_eq!(total.tokens.output.sum, Some(8704 * 11));
    let q = ttft.quantiles.unwrap();
    // Unweighted, half of all samples would be at 10 ms.
    assert!((q.p50 - 97.0).abs() < 8.0, "the median of all is 97 ms, told {}", q.p50);
    assert!((q.p99 - 149.0).abs() < 4.0, "p99 of all is 149 ms, told {}", q.p99);
}

#[test]
fn memory_stays_below_the_stated_bound_whatever_comes() {
    let config =
        InsightConfig { slots: 20, slot_samples: 100, slot_cells: 30, max_keys: 200, ..InsightConfig::default() };
    let mut rig = Rig::new(config.clone());
    let long = "x".repeat(10_000);
    for round in 0..60 {
        for n in 0..300 {
            let mut record = exchange(&format!("{n}-{round}-{long}"));
            record.caller.project = Some(format!("p{n}-{round}-{long}").into());
            record.outcome.reason = format!("r{n}-{round}-{long}").into();
            rig.end(record);
        }
        let footprint = rig.insight.footprint();
        assert!(footprint <= config.memory_bound(), "{footprint} is over {}", config.memory_bound());
        rig.advance(5_000);
    }
    assert_eq!(rig.summary(95, &[]).total.count, 19 * 300);
    let defaults = InsightConfig::default().memory_bound();
    assert!((71_000_000..72_000_000).contains(&defaults), "the documentation says 71 MB, it is {defaults}");
}

#[test]
fn settings_of_zero_count_as_one() {
    let mut rig = Rig::new(InsightConfig {
        recent: 0,
        max_groups: 0,
        slots: 0,
        slot_samples: 0,
        slot_cells: 0,
        max_keys: 0,
        live: 0,
        slot: std::time::Duration::ZERO,
    });
    rig.end(exchange("a"));
    rig.end(exchange("b"));
    let summary = rig.summary(1, &[Dimension::Model]);
    assert_eq!((summary.total.count, summary.groups.len()), (2, 1));
}

#[test]
fn a_watcher_that_lags_is_told_what_it_lost() {
    let mut rig = Rig::new(InsightConfig { live: 4, ..InsightConfig::default() });
    let mut feed = rig.insight.subscribe();
    for n in 0..10 {
        rig.end(exchange(&format!("m{n}")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        assert!(matches!(feed.next().await, Live::Lost(6)));
        let Live::Record(record) = feed.next().await else { panic!("a record") };
        assert_eq!(record.model.name(), Some("m6"));
    });
}

#[test]
fn an_absent_value_is_a_group_of_its_own_and_a_filter() {
    let mut rig = Rig::new(InsightConfig::default());
    rig.end(exchange("m"));
    let summary = rig.summary(60, &[Dimension::Project]);
    assert_eq!(summary.groups[0].by[&Dimension::Project], None);
    let mut none = Filters::default();
    none.allow(Dimension::Project, "");
    assert_eq!(rig.filtered(60, &[], none).total.count, 1);
}
