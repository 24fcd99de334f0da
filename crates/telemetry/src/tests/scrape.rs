//! What a scrape takes with many series, and what it does to the traffic meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use limpid_core::{Endpoint, ExchangeRecord, ExchangeSink as _, Handover, RecordConsumer};

use crate::fixture::record;
use crate::{Format, LiveCounts, Metrics, MetricsConfig, MetricsConsumer};

/// Many series, as a busy gateway has them: at least `series` lines of text.
fn many_series(series: usize) -> (Arc<Metrics>, MetricsConsumer) {
    let config = MetricsConfig { max_label_sets: 1_000_000, max_models: 100_000, ..MetricsConfig::default() };
    let (metrics, mut consumer) = Metrics::new(&config, LiveCounts::default());
    for n in 0.. {
        let mut r = record();
        r.model.requested = Some(format!("model-{n}").into());
        consumer.consume(&Arc::new(r));
        if n % 8 == 0 && metrics.render(Format::Text).lines().filter(|l| !l.starts_with('#')).count() >= series {
            break;
        }
    }
    (metrics, consumer)
}

/// Rendering holds no lock for its whole length: each exchange adds one to a metric that is written first and to one that
/// is written last, so a scrape in which the last is ahead was written while the hand-over thread recorded.
#[test]
fn a_scrape_does_not_hold_up_the_recording() {
    let (metrics, mut consumer) = many_series(2_000);
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let recorder = thread::spawn(move || {
        let mut one = record();
        one.model.requested = Some("recorded".into());
        let one = Arc::new(one);
        while !told.load(Ordering::Relaxed) {
            consumer.consume(&one);
        }
    });
    let ahead = || {
        let text = metrics.render(Format::Text);
        let of = |name: &str| {
            let mut lines = text.lines().filter(|l| l.starts_with(name) && l.contains("\"recorded\""));
            lines.next().map(|l| l.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        };
        let first = of("gen_ai_client_operation_duration_seconds_count{")?;
        of("limpid_usage_asked_total{").map(|last| last.saturating_sub(first))
    };
    // Two exchanges at least: one may have been half recorded. The machine may be busy, so there are many scrapes.
    let seen = (0..500).any(|_| ahead().is_some_and(|n| n >= 2));
    stop.store(true, Ordering::Relaxed);
    recorder.join().unwrap();
    assert!(seen, "nothing was recorded while a scrape was written");
}

/// How long each call of something took.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn of<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = call();
        self.0.push(begun.elapsed());
        result
    }

    /// The time that this share of the calls keeps within; 1 for the slowest.
    fn at(&mut self, share: f64) -> Duration {
        self.0.sort_unstable();
        let last = self.0.len() - 1;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the length")]
        self.0[(last as f64 * share) as usize]
    }
}

/// A consumer that is timed.
struct Timed(MetricsConsumer, Arc<Mutex<Times>>);

impl RecordConsumer for Timed {
    fn consume(&mut self, record: &Arc<ExchangeRecord>) {
        self.1.lock().unwrap().of(|| self.0.consume(record));
    }
}

/// The relay's side: hands over an exchange every quarter of a millisecond until it is told to stop.
fn traffic(handover: &Handover, stop: &AtomicBool) -> Times {
    let mut times = Times::default();
    while !stop.load(Ordering::Relaxed) {
        let one = Arc::new(record());
        handover.started(Endpoint::Chat);
        times.of(|| handover.finished(one));
        thread::sleep(Duration::from_micros(250));
    }
    times
}

/// `cargo test --release -p limpid-telemetry ten_thousand_series -- --ignored --nocapture`
///
/// One scrape after the other, without pause, beside traffic of some thousand exchanges a second, and the same traffic
/// undisturbed: what the relay and the recording take of it.
#[test]
#[ignore = "a measurement: run it alone, in release"]
#[expect(clippy::print_stdout, reason = "its figures are what it is for")]
fn ten_thousand_series_are_written_in_under_50_ms_and_block_nothing() {
    const SCRAPES: usize = 50;
    let (metrics, consumer) = many_series(10_000);
    let recording = Arc::<Mutex<Times>>::default();
    let timed = Timed(consumer, Arc::clone(&recording));
    let (handover, drain) = Handover::new(8_192, vec![Box::new(timed)], Arc::default());
    let (counts, handover) = (handover.counts(), Arc::new(handover));
    let drain = thread::spawn(drain);
    for format in [None, Some(Format::Text), Some(Format::OpenMetrics)] {
        let (stop, before) = (Arc::new(AtomicBool::new(false)), counts.finished());
        recording.lock().unwrap().0.clear();
        let relay = {
            let (handover, stop) = (Arc::clone(&handover), Arc::clone(&stop));
            thread::spawn(move || traffic(&handover, &stop))
        };
        let mut scrapes = Times::default();
        let text = match format {
            None => {
                thread::sleep(Duration::from_secs(1));
                String::new()
            }
            Some(format) => (0..SCRAPES).map(|_| scrapes.of(|| metrics.render(format))).last().unwrap(),
        };
        stop.store(true, Ordering::Relaxed);
        let mut handed = relay.join().unwrap();
        let mut recording = recording.lock().unwrap();
        match format {
            None => println!("no scrape"),
            Some(format) => {
                let samples = text.lines().filter(|l| !l.starts_with('#')).count();
                let (median, slowest) = (scrapes.at(0.5), scrapes.at(1.0));
                println!("{format:?}: {samples} series, {} bytes, median {median:?}, slowest {slowest:?}", text.len());
                assert!(samples >= 10_000 && median.as_millis() < 50, "{format:?} took {median:?}");
            }
        }
        println!(
            "  {} exchanges meanwhile: hand-over p99 {:?}, slowest {:?}; recording p99 {:?}, slowest {:?}; {} dropped",
            counts.finished() - before,
            handed.at(0.99),
            handed.at(1.0),
            recording.at(0.99),
            recording.at(1.0),
            counts.dropped(),
        );
        assert!(handed.at(0.99) < Duration::from_millis(1), "the relay waited for a scrape");
        assert_eq!(counts.dropped(), 0, "the recording did not keep up");
    }
    drop(handover);
    drain.join().unwrap();
}
