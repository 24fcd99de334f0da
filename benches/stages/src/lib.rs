//! The stages of an exchange, each as something that can be called again and again, for `benches/time.rs` (how long) and
//! `src/main.rs` (how many instructions).

mod heads;
mod record;
mod samples;

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use limpid_core::{Clock, Endpoint, RecordConsumer, Tick};
use limpid_insight::{Insight, InsightConfig};
use limpid_observe::{Limits, RequestObserver, ResponseHead, ResponseObserver};
use limpid_settle::Settler;
use limpid_telemetry::{ExchangeLog, ExportCounts, LiveCounts, LogRotation, LogTarget, Metrics, MetricsConfig};

/// One call of a stage.
pub type Stage = Box<dyn FnMut()>;

/// All stages, in the order of an exchange.
pub const NAMES: [&str; 14] = [
    "wire_head",
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
    "insight_record",
    "log_line",
];

/// The stage of that name, set up.
pub fn stage(name: &str) -> Option<Stage> {
    const SSE: &str = "text/event-stream";
    Some(match name {
        "wire_head" => heads::stage(),
        "request_body" => request_body(),
        "sse_frame" => events(Endpoint::Other, SSE, samples::chat()),
        "chat_event" => events(Endpoint::Chat, SSE, samples::chat()),
        "chat_event_parsed" => events(Endpoint::Chat, SSE, samples::chat_two_choices()),
        "completions_event" => events(Endpoint::Completions, SSE, samples::completions()),
        "responses_event" => events(Endpoint::Responses, SSE, samples::responses()),
        "messages_event" => events(Endpoint::Messages, SSE, samples::messages()),
        "ollama_event" => events(Endpoint::Generate, "application/x-ndjson", samples::ollama()),
        "gemini_event" => events(Endpoint::GenerateContent, SSE, samples::gemini()),
        "settle" => settle(),
        "prometheus_record" => consumer(Metrics::new(&MetricsConfig::default(), LiveCounts::default()).1),
        "insight_record" => consumer(insight()),
        "log_line" => consumer(log()?),
        _ => return None,
    })
}

/// Calls `stage` so often. Callgrind finds this function by its name.
#[inline(never)]
pub fn counted_calls(stage: &mut dyn FnMut(), calls: u32) {
    (0..calls).for_each(|_| stage());
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

fn request_body() -> Stage {
    let body = samples::request();
    Box::new(move || {
        let mut observer = RequestObserver::new(64 * 1024);
        observer.feed(black_box(body.as_bytes()));
        black_box(observer.facts());
    })
}

fn settle() -> Stage {
    let (settler, observation, request) = (Settler::embedded(), record::observation(), record::request());
    Box::new(move || {
        black_box(settler.settle(&record::evidence(black_box(&observation), &request)));
    })
}

fn consumer(mut consumer: impl RecordConsumer + 'static) -> Stage {
    let record = Arc::new(record::record());
    Box::new(move || consumer.consume(black_box(&record)))
}

fn insight() -> impl RecordConsumer {
    Insight::new(InsightConfig::default(), Clock::manual(SystemTime::UNIX_EPOCH)).1
}

/// A line and its way to a file that keeps nothing.
fn log() -> Option<ExchangeLog> {
    let target = LogTarget::File(PathBuf::from("/dev/null"), LogRotation::default());
    ExchangeLog::open(target, Clock::manual(SystemTime::UNIX_EPOCH), &ExportCounts::default()).ok()
}
