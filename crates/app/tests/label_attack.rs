//! Requests with random models, paths, keys and header values, through all that reads records: the number of series stays
//! under the cap, and memory under a bound.
//!
//! The short run is an ordinary test. The long one prints series and memory at 10,000, 100,000 and 1,000,000:
//!
//! ```text
//! cargo test -p limpid-app --test label_attack -- --ignored --nocapture
//! ```

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::panic, clippy::print_stdout, reason = "likewise; and the long run is for its figures")]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method};
use limpid_core::{
    ByteCounts, Clock, Ending, ExchangeId, ExchangeRecord, FinishReason, Observation, RecordConsumer, ReportedError,
    Source, StreamMarks, Timeline, UpstreamInfo, Usage,
};
use limpid_insight::{Dimension, Insight, InsightConfig, SummaryQuery};
use limpid_observe::{MetadataLabel, RequestObserver};
use limpid_route::{KeyNames, LabelRules, classify};
use limpid_settle::{Settler, Unsettled};
use limpid_telemetry::{Format, LiveCounts, Metrics, MetricsConfig, Otlp, OtlpConfig, OtlpExport, OtlpTls, Protocol};

/// So that an hour, the longest window, is over after 100,000 requests.
const APART: Duration = Duration::from_millis(36);
/// Sets that take what has no place, series read at the scrape, and those of the process.
const BESIDE: usize = 300;

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    fn text(&mut self) -> String {
        let long = if self.one_in(20) { "x".repeat(300) } else { String::new() };
        format!("{:016x}{long}", self.next())
    }
}

struct Attack {
    random: Random,
    clock: Clock,
    rules: LabelRules,
    wanted: Arc<[MetadataLabel]>,
    keys: KeyNames,
    settler: Settler,
    upstream: Arc<UpstreamInfo>,
    metrics: Arc<Metrics>,
    insight: Arc<Insight>,
    otlp: Otlp,
    /// Bytes of the newest export of metrics.
    exported: Arc<AtomicUsize>,
    consumers: Vec<Box<dyn RecordConsumer>>,
}

impl Attack {
    fn new() -> Attack {
        let rule = |name: &str, from: &str| (Arc::from(name), from.parse().unwrap());
        let rules = LabelRules::new([
            rule("segment", "header:x-user-segment"),
            rule("template_id", "metadata:template_id"),
            rule("replica", "response_header:x-replica"),
        ]);
        let config = MetricsConfig {
            own_labels: ["segment", "template_id", "replica"].map(|name| (Arc::from(name), 50)).into(),
            known_models: vec!["real-model".into()],
            ..MetricsConfig::default()
        };
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_334_400));
        let live = LiveCounts::default();
        let (metrics, metrics_consumer) = Metrics::new(&config, live.clone());
        let (insight, insight_consumer) = Insight::new(InsightConfig::default(), clock.clone());
        let (endpoint, exported) = collector();
        let to = OtlpExport {
            endpoint,
            protocol: Protocol::HttpProtobuf,
            gzip: false,
            headers: Vec::new(),
            timeout: Duration::from_secs(20),
            tls: OtlpTls::default(),
        };
        let otlp =
            OtlpConfig { metrics: Some(to), metric_interval: Duration::from_secs(3600), ..OtlpConfig::default() };
        let (otlp, exporting) = Otlp::start(&otlp, &config, &live).unwrap();
        let mut consumers: Vec<Box<dyn RecordConsumer>> = vec![Box::new(metrics_consumer), Box::new(insight_consumer)];
        consumers.extend(exporting);
        Attack {
            random: Random(1),
            clock,
            wanted: rules.metadata().collect(),
            rules,
            keys: KeyNames::of_this_start(),
            settler: Settler::embedded(),
            upstream: Arc::new(UpstreamInfo {
                name: "default".into(),
                provider: "custom".into(),
                region: None,
                address: "127.0.0.1".into(),
                port: 8000,
            }),
            metrics,
            insight,
            otlp,
            exported,
            consumers,
        }
    }

    fn requests(&mut self, n: usize) {
        for _ in 0..n {
            let record = Arc::new(self.record());
            for consumer in &mut self.consumers {
                consumer.consume(&record);
            }
            self.clock.advance(APART);
        }
    }

    /// What a hostile client and a hostile upstream can bring about; half of it goes well.
    #[expect(clippy::too_many_lines, reason = "one member a line")]
    fn record(&mut self) -> ExchangeRecord {
        let r = &mut self.random;
        let mut fields = HeaderMap::new();
        for name in ["x-user-segment", "x-limpid-project", "x-limpid-user", "x-api-key", "x-replica", "x-request-id"] {
            fields.insert(name, HeaderValue::try_from(r.text()).unwrap());
        }
        let body = format!(r#"{{"model":"{}","stream":true,"metadata":{{"template_id":"{}"}}}}"#, r.text(), r.text());
        let mut request = RequestObserver::with_metadata(1 << 20, Arc::clone(&self.wanted));
        request.feed(body.as_bytes());
        let mut request = request.facts().clone();
        let mut labels = self.rules.of_request(&fields);
        labels.append(&mut request.metadata);
        labels.extend(self.rules.of_response(&fields));
        let path = if r.one_in(2) { "/v1/chat/completions".to_owned() } else { format!("/{}/{}", r.text(), r.text()) };
        let good = r.one_in(2);
        let arrived = self.clock.now();
        let usage =
            Usage { input_tokens: Some(r.next() % 9_000), output_tokens: Some(7), ..Usage::empty(Source::Reported) };
        let observation = Observation {
            streamed: good,
            terminal: good,
            marks: StreamMarks { first_token: good.then_some(arrived), ..StreamMarks::default() },
            model: Some(r.text().into()),
            finish_reasons: vec![FinishReason { index: 0, reason: r.text().into() }],
            usage: good.then_some(usage),
            error: (!good).then(|| ReportedError {
                code: Some(r.text().into()),
                kind: Some(r.text().into()),
                ..<_>::default()
            }),
            ..Observation::default()
        };
        let status = if good { 200 } else { 400 + u16::try_from(r.next() % 200).unwrap() };
        self.settler.record(Unsettled {
            id: ExchangeId::from_parts(arrived.0 / 1_000_000, u128::from(r.next())),
            started_at: self.clock.wall(arrived),
            endpoint: classify(&Method::POST, &path),
            method: "POST".into(),
            path: path.into(),
            status: Some(status),
            answered_by_limpid: false,
            upstream: Some(Arc::clone(&self.upstream)),
            caller: self.keys.identify(&fields),
            labels,
            request,
            trace_id: u128::from(r.next()),
            span_id: r.next(),
            attempts: 1,
            bytes: ByteCounts::default(),
            timeline: Timeline {
                arrived,
                sent: Some(arrived),
                headers: Some(arrived),
                ended: arrived,
                ..Timeline::default()
            },
            ending: Ending::End,
            failure: None,
            labelled_stream: good,
            answered: true,
            rate_limits: None,
            observation,
            unestimated: None,
        })
    }

    /// Label sets, and lines, of `/metrics`.
    fn series(&self) -> (usize, usize) {
        let text = self.metrics.render(Format::Text);
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let sets = samples.iter().filter_map(|line| {
            let labels = line.split_once('{')?.1.rsplit_once('}')?.0;
            Some(labels.split(',').filter(|label| !label.starts_with("le=")).collect::<Vec<_>>().join(","))
        });
        (sets.collect::<HashSet<_>>().len(), samples.len())
    }

    fn groups(&self) -> usize {
        let query = SummaryQuery {
            window: Duration::from_secs(3600),
            group_by: vec![Dimension::Model],
            ..SummaryQuery::default()
        };
        self.insight.summary(&query).groups.len()
    }
}

/// Takes exports over HTTP and notes how long the body of the last was.
fn collector() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    let newest = Arc::<AtomicUsize>::default();
    let length = Arc::clone(&newest);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let (mut got, mut buffer) = (Vec::new(), [0; 1 << 13]);
            let whole = loop {
                let Some(end) = got.windows(4).position(|w| w == b"\r\n\r\n") else {
                    match socket.read(&mut buffer).unwrap() {
                        0 => break 0,
                        n => got.extend_from_slice(&buffer[..n]),
                    }
                    continue;
                };
                let head = String::from_utf8_lossy(&got[..end]).to_ascii_lowercase();
                let told = head.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
                let told = told.unwrap_or_else(|| panic!("no length: {head}"));
                while got.len() < end + 4 + told {
                    let n = socket.read(&mut buffer).unwrap();
                    got.extend_from_slice(&buffer[..n]);
                }
                break told;
            };
            length.store(whole, Ordering::SeqCst);
            drop(socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
        }
    });
    (endpoint, newest)
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn random_names_end_in_other_and_not_in_series() {
    let mut attack = Attack::new();
    attack.requests(25_000);
    let (sets, lines) = attack.series();
    let cap = MetricsConfig::default().max_label_sets;
    assert!(sets > cap / 2 && sets <= cap + BESIDE, "{sets} label sets");
    attack.requests(25_000);
    assert_eq!(attack.series().1, lines, "no further series once the places are taken");
    let text = attack.metrics.render(Format::Text);
    for label in ["model", "key", "project", "reason", "segment", "template_id", "replica", "label_sets"] {
        let counted = text.lines().find(|l| l.starts_with(&format!("limpid_labels_overflow_total{{label=\"{label}\"")));
        assert!(counted.is_some_and(|l| !l.ends_with(" 0")), "{label}: {counted:?}");
    }
    assert!(attack.groups() <= InsightConfig::default().max_groups + 1, "{} groups", attack.groups());
    let report = attack.otlp.shutdown(Duration::from_secs(20));
    assert!(!report.metrics_lost);
    let exported = attack.exported.load(Ordering::SeqCst);
    assert!((100_000..16 << 20).contains(&exported), "one export of all metrics has {exported} bytes");
}

#[test]
#[ignore = "a minute or two: a million requests, for BENCHMARKING.md"]
fn a_million() {
    let mut attack = Attack::new();
    println!("{:>10}{:>12}{:>10}{:>12}", "requests", "label sets", "series", "RSS");
    let mut done = 0;
    let mut resident = Vec::new();
    for upto in [10_000, 100_000, 1_000_000] {
        attack.requests(upto - done);
        done = upto;
        let (sets, lines) = attack.series();
        resident.push(resident_kib());
        println!("{upto:>10}{sets:>12}{lines:>10}{:>8} MiB", resident_kib() / 1024);
        assert!(sets <= MetricsConfig::default().max_label_sets + BESIDE);
    }
    let report = attack.otlp.shutdown(Duration::from_secs(20));
    println!("one OTLP export of all metrics: {} KiB", attack.exported.load(Ordering::SeqCst) / 1024);
    assert!(!report.metrics_lost);
    assert!(resident[2] < resident[1] + 16 * 1024, "{resident:?} KiB");
}
