//! A recorder that has seen much beside ones that have seen nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use limpid_core::{Category, Ending, Endpoint, ExchangeRecord, Outcome, OwnLabel, RecordConsumer as _, Usage};

use crate::fixture::record;
use crate::tests::{assert_close, samples};
use crate::{Format, LiveCounts, Metrics, MetricsConfig};

fn config() -> MetricsConfig {
    MetricsConfig { own_labels: vec![("segment".into(), 5)], ..MetricsConfig::default() }
}

/// The samples after these records.
fn after(config: &MetricsConfig, records: &[Arc<ExchangeRecord>]) -> BTreeMap<String, f64> {
    let (metrics, mut consumer) = Metrics::new(config, LiveCounts::default());
    for r in records {
        consumer.consume(r);
    }
    samples(&metrics.render(Format::Text))
}

fn of(change: impl FnOnce(&mut ExchangeRecord)) -> Arc<ExchangeRecord> {
    let mut r = record();
    change(&mut r);
    Arc::new(r)
}

/// Records of which each differs from the first in one thing that a label tells.
fn all_unlike() -> Vec<Arc<ExchangeRecord>> {
    let renamed = |r: &mut ExchangeRecord, name: &str| {
        let mut upstream = (**r.upstream.as_ref().unwrap()).clone();
        upstream.name = name.into();
        r.upstream = Some(Arc::new(upstream));
    };
    let own =
        |r: &mut ExchangeRecord, value: &str| r.labels = OwnLabel::new(&"segment".into(), value).into_iter().collect();
    vec![
        of(|_| {}),
        of(|r| r.endpoint = Endpoint::Completions),
        of(|r| r.endpoint = Endpoint::Models),
        of(|r| r.status = Some(201)),
        of(|r| r.status = None),
        of(|r| r.stream = false),
        of(|r| renamed(r, "other")),
        of(|r| renamed(r, "ob")),
        of(|r| r.upstream = None),
        of(|r| r.model.requested = Some("n".into())),
        of(|r| r.model.requested = Some("x".repeat(200).into())),
        of(|r| r.model = <_>::default()),
        of(|r| r.caller.key = Some("team-b".into())),
        of(|r| r.caller.key = Some("".into())),
        of(|r| r.caller.project = None),
        of(|r| own(r, "silver")),
        of(|r| r.labels.clear()),
        of(|r| r.outcome = Outcome::new(Category::Ok, "length", Ending::End)),
        of(|r| r.outcome = Outcome::new(Category::Timeout, "stop", Ending::UpstreamError)),
        of(|r| r.outcome = Outcome::new(Category::Timeout, "idle", Ending::UpstreamError)),
        of(|r| r.usage = r.usage.take().map(|u| Usage { input_tokens: Some(3_000), ..u })),
        of(|r| r.usage = r.usage.take().map(|u| Usage { source: limpid_core::Source::Estimated, ..u })),
        of(|r| (r.usage, r.price) = (None, None)),
        of(|r| (r.unpriced, r.unestimated, r.refusal.source) = (Some("too_large"), None, Some("text"))),
    ]
}

#[test]
fn what_is_remembered_changes_no_number() {
    let mut want = BTreeMap::<String, f64>::new();
    for r in all_unlike() {
        for (series, value) in after(&config(), &[r]) {
            *want.entry(series).or_default() += 3.0 * value;
        }
    }
    let mut thrice = [all_unlike(), all_unlike(), all_unlike()].concat();
    assert_close(&after(&config(), &thrice), &want);
    // The same allocations again and again, in another order.
    thrice = all_unlike().into_iter().flat_map(|r| [Arc::clone(&r), Arc::clone(&r), r]).rev().collect();
    assert_close(&after(&config(), &thrice), &want);
}

#[test]
fn what_overflows_is_counted_each_time_and_what_had_a_place_keeps_it() {
    let few = MetricsConfig { max_models: 2, own_labels: vec![("segment".into(), 1)], ..MetricsConfig::default() };
    let named = |name: &str| of(|r| r.model.requested = Some(name.into()));
    let records: Vec<_> = ["a", "b", "c", "a", "c", "d", "b", "c"].into_iter().map(named).collect();
    let got = after(&few, &records);
    let close = |series: &str, value: f64| {
        let sum: f64 = got.iter().filter(|(name, _)| name.contains(series)).map(|(_, value)| value).sum();
        assert!((sum - value).abs() < 1e-9, "{series}: {sum} is not {value}");
    };
    close(r#"limpid_labels_overflow_total{label="model"}"#, 4.0);
    let requests = |model: &str| {
        let of_model = |name: &String| name.starts_with("limpid_requests_total") && name.contains(model);
        got.iter().filter(|(name, _)| of_model(name)).map(|(_, value)| *value).collect::<Vec<_>>()
    };
    assert_eq!(requests(r#"model="a""#), [2.0]);
    assert_eq!(requests(r#"model="b""#), [2.0]);
    assert_eq!(requests(r#"model="other""#), [4.0]);

    let one = MetricsConfig { max_label_sets: 1, ..config() };
    let collapsed = |records: &[_]| after(&one, records)[r#"limpid_labels_overflow_total{label="label_sets"}"#];
    let (first, both) = (collapsed(&[of(|_| {})]), collapsed(&[of(|_| {}), of(|_| {})]));
    assert!(first > 5.0 && (both - 2.0 * first).abs() < 1e-9, "{first}, {both}");
}
