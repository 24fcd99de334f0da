//! The stages of an exchange, each as something that can be called again and again, for `benches/time.rs` (how long) and
//! `src/main.rs` (how many instructions).

mod record;
mod samples;

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use limpid_core::{Clock, Endpoint, ExchangeRecord, Observation, RecordConsumer, RequestFacts, Tick};
use limpid_http1::fuzz as http1;
use limpid_insight::{Insight, InsightConfig};
use limpid_observe::{Limits, RequestObserver, ResponseHead, ResponseObserver};
use limpid_settle::Settler;
use limpid_telemetry::{
    LiveCounts, LogRotation, LogTarget, LogWriter, Metrics, MetricsConfig, Otlp, OtlpConfig, OtlpExport, OtlpTls,
    Protocol, SpanBatch,
};

/// One call of a stage.
pub type Stage = Box<dyn FnMut()>;

/// All stages, in the order of an exchange.
pub const NAMES: [&str; 25] = [
    "http1_request_head",
    "http1_response_head",
    "request_body",
    "sse_frame",
    "chat_event",
    "chat_event_parsed",
    "completions_event",
    "responses_event",
    "messages_event",
    "ollama_event",
    "gemini_event",
    "settle",
    "prometheus_record",
    "otlp_record",
    "insight_record",
    "log_line",
    "span",
    "short_request",
    "short_reply",
    "short_settle",
    "short_prometheus",
    "short_otlp",
    "short_insight",
    "short_log_line",
    "short_span",
];

/// The stage of that name, set up.
pub fn stage(name: &str) -> Option<Stage> {
    const SSE: &str = "text/event-stream";
    Some(match name {
        "http1_request_head" => request_head(),
        "http1_response_head" => response_head(),
        "request_body" => request_body(samples::request()),
        "sse_frame" => events(Endpoint::Other, SSE, samples::chat()),
        "chat_event" => events(Endpoint::Chat, SSE, samples::chat()),
        "chat_event_parsed" => events(Endpoint::Chat, SSE, samples::chat_two_choices()),
        "completions_event" => events(Endpoint::Completions, SSE, samples::completions()),
        "responses_event" => events(Endpoint::Responses, SSE, samples::responses()),
        "messages_event" => events(Endpoint::Messages, SSE, samples::messages()),
        "ollama_event" => events(Endpoint::Generate, "application/x-ndjson", samples::ollama()),
        "gemini_event" => events(Endpoint::GenerateContent, SSE, samples::gemini()),
        "short_request" => request_body(samples::short_request()),
        "short_reply" => reply(),
        _ => return at_the_end(name),
    })
}

/// What is done with an exchange after its last byte: a stream, or with `short_` before it a reply in one piece.
fn at_the_end(name: &str) -> Option<Stage> {
    let (what, record): (_, fn() -> _) = match name.strip_prefix("short_") {
        Some(what) => (what, record::short_record),
        None => (name, record::record),
    };
    let is_short = what.len() < name.len();
    Some(match what {
        "settle" if is_short => settle(record::short_observation(), record::short_request()),
        "settle" => settle(record::observation(), record::request()),
        "prometheus" | "prometheus_record" => {
            consumer(record(), Metrics::new(&MetricsConfig::default(), LiveCounts::default()).1)
        }
        "otlp" | "otlp_record" => otlp(record())?,
        "insight" | "insight_record" => consumer(record(), insight()),
        "log_line" => lines(record())?,
        "span" => spans(record()),
        _ => return None,
    })
}

/// Calls `stage` so often. Callgrind finds this function by its name.
#[inline(never)]
pub fn counted_calls(stage: &mut dyn FnMut(), calls: u32) {
    (0..calls).for_each(|_| stage());
}

/// A request's head, read and written again.
fn request_head() -> Stage {
    let head = Bytes::from_static(samples::REQUEST_HEAD.as_bytes());
    Box::new(move || {
        let read = http1::read_request(black_box(&head)).ok().flatten();
        black_box(read.map(|(request, _)| request.written()));
    })
}

/// A response's head, read and written again.
fn response_head() -> Stage {
    let head = Bytes::from_static(samples::RESPONSE_HEAD.as_bytes());
    Box::new(move || {
        let read = http1::read_response(black_box(&head)).ok().flatten();
        black_box(read.map(|(parts, spelling)| http1::written_response(&parts, Some(&spelling))));
    })
}

/// One event of a stream that runs, another token each time.
fn events(endpoint: Endpoint, content_type: &str, events: Vec<String>) -> Stage {
    let head = ResponseHead { endpoint, status: 200, content_type: Some(content_type), content_encoding: None };
    let mut observer = ResponseObserver::new(&head, Limits::default());
    let mut now = 0u64;
    Box::new(move || {
        now += 1;
        let which = usize::try_from(now).unwrap_or_default() % events.len().max(1);
        let event = events.get(which).map(String::as_bytes).unwrap_or_default();
        observer.on_bytes(black_box(event), Tick(now * 10_000_000));
    })
}

fn request_body(body: String) -> Stage {
    Box::new(move || {
        let mut observer = RequestObserver::new(64 * 1024);
        observer.feed(black_box(body.as_bytes()));
        black_box(observer.facts());
    })
}

/// A reply in one piece.
fn reply() -> Stage {
    let body = samples::short_reply();
    Box::new(move || drop(black_box(record::observe_reply(black_box(&body)))))
}

fn settle(observation: Observation, request: RequestFacts) -> Stage {
    let settler = Settler::embedded();
    Box::new(move || {
        black_box(settler.settle(&record::evidence(black_box(&observation), &request)));
    })
}

fn consumer(record: ExchangeRecord, mut consumer: impl RecordConsumer + 'static) -> Stage {
    let record = Arc::new(record);
    Box::new(move || consumer.consume(black_box(&record)))
}

/// The instruments of the OTLP metrics. Nothing is exported while it is measured.
fn otlp(record: ExchangeRecord) -> Option<Stage> {
    let to = OtlpExport {
        endpoint: "http://127.0.0.1:1/v1/metrics".to_owned(),
        protocol: Protocol::HttpProtobuf,
        gzip: false,
        headers: Vec::new(),
        timeout: Duration::from_millis(1),
        tls: OtlpTls::default(),
    };
    let config =
        OtlpConfig { metrics: Some(to), metric_interval: Duration::from_secs(86_400), ..OtlpConfig::default() };
    let (otlp, consumers) = Otlp::start(&config, &MetricsConfig::default(), &LiveCounts::default()).ok()?;
    let (mut consumer, record) = (consumers.into_iter().next()?, Arc::new(record));
    Some(Box::new(move || {
        let _running = &otlp;
        consumer.consume(black_box(&record));
    }))
}

/// A span of an export: the whole export is written with every 50th call.
fn spans(record: ExchangeRecord) -> Stage {
    const BATCH: usize = 50;
    let (batch, record) = (SpanBatch::new(&OtlpConfig::default()), Arc::new(record));
    let mut waiting = Vec::with_capacity(BATCH);
    Box::new(move || {
        waiting.push(Arc::clone(&record));
        if waiting.len() == BATCH {
            black_box(batch.body(black_box(&waiting)));
            waiting.clear();
        }
    })
}

fn insight() -> impl RecordConsumer {
    Insight::new(InsightConfig::default(), Clock::manual(SystemTime::UNIX_EPOCH)).1
}

/// A line and its way to a file that keeps nothing: the whole block is written with every 50th call.
fn lines(record: ExchangeRecord) -> Option<Stage> {
    const BATCH: usize = 50;
    let target = LogTarget::File(PathBuf::from("/dev/null"), LogRotation::default());
    let mut log = LogWriter::open(target, Clock::manual(SystemTime::UNIX_EPOCH)).ok()?;
    let record = Arc::new(record);
    let mut waiting = Vec::with_capacity(BATCH);
    Some(Box::new(move || {
        waiting.push(Arc::clone(&record));
        if waiting.len() == BATCH {
            black_box(log.write(black_box(&waiting)));
            waiting.clear();
        }
    }))
}
