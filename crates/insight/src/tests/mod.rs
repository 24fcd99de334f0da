//! Facts about windows, groups, percentiles and bounds.

mod bounds;
mod numbers;
mod windows;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use limpid_core::{
    ByteCounts, Caller, Category, Clock, Ending, Endpoint, ExchangeRecord, GapHistogram, ModelNames, Outcome, PicoUsd,
    Price, PriceSource, RecordConsumer, Refusal, RequestFacts, Source, StreamMarks, Tick, Timeline, UpstreamInfo,
    Usage,
};

use crate::{Filters, Insight, InsightConfig, InsightConsumer, Summary, SummaryQuery};

/// 2026-11-22T08:00:00Z.
pub(crate) const WALL: u64 = 1_795_334_400;

pub(crate) struct Rig {
    pub(crate) clock: Clock,
    pub(crate) insight: Arc<Insight>,
    consumer: InsightConsumer,
}

impl Rig {
    pub(crate) fn new(config: InsightConfig) -> Rig {
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(WALL));
        let (insight, consumer) = Insight::new(config, clock.clone());
        Rig { clock, insight, consumer }
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }

    /// Ends an exchange now.
    pub(crate) fn end(&mut self, mut record: ExchangeRecord) {
        let by = self.clock.now().since(record.timeline.ended);
        let t = &mut record.timeline;
        let marks = &mut t.marks;
        for tick in [&mut t.arrived, &mut t.ended] {
            *tick = tick.plus(by);
        }
        for mark in [&mut t.admitted, &mut t.sent, &mut t.headers, &mut marks.first_token, &mut marks.last_token] {
            *mark = mark.map(|m| m.plus(by));
        }
        self.consumer.consume(&Arc::new(record));
    }

    /// Hands over a record as it is.
    pub(crate) fn consumer_take(&mut self, record: ExchangeRecord) {
        self.consumer.consume(&Arc::new(record));
    }

    pub(crate) fn summary(&self, seconds: u64, group_by: &[crate::Dimension]) -> Summary {
        self.filtered(seconds, group_by, Filters::default())
    }

    pub(crate) fn filtered(&self, seconds: u64, group_by: &[crate::Dimension], filters: Filters) -> Summary {
        let window = Duration::from_secs(seconds);
        self.insight.summary(&SummaryQuery { window, group_by: group_by.to_vec(), filters })
    }
}

/// A good stream of 11 tokens: first token after 20 ms, last after 120 ms, end at once; 1000 input tokens.
pub(crate) fn exchange(model: &str) -> ExchangeRecord {
    let ms = |ms: u64| Tick(ms * 1_000_000);
    ExchangeRecord {
        id: ulid::Ulid::nil(),
        started_at: SystemTime::UNIX_EPOCH,
        endpoint: Endpoint::Chat,
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        status: Some(200),
        answered_by_limpid: false,
        stream: true,
        upstream: Some(Arc::new(UpstreamInfo {
            name: "vllm-a".into(),
            provider: "vllm".into(),
            region: Some("eu".into()),
            address: "127.0.0.1".into(),
            port: 8000,
        })),
        model: ModelNames { requested: Some(model.into()), responded: None },
        caller: Caller { key: Some("team-a".into()), ..Caller::default() },
        labels: Vec::new(),
        request: RequestFacts::default(),
        trace_id: 1,
        span_id: 1,
        outcome: Outcome::new(Category::Ok, "stop", Ending::End),
        refusal: Refusal::NONE,
        timeline: Timeline {
            sent: Some(ms(1)),
            marks: StreamMarks { first_token: Some(ms(20)), last_token: Some(ms(120)), ..StreamMarks::default() },
            gaps: gaps_of_100_ms(),
            ended: ms(120),
            ..Timeline::default()
        },
        events: Some(12),
        token_events: Some(11),
        first_event_tokens: None,
        reasoning_streamed: false,
        response_id: None,
        service_tier: None,
        system_fingerprint: None,
        finish_reasons: Vec::new(),
        rate_limits: None,
        usage: Some(Usage { input_tokens: Some(1000), output_tokens: Some(11), ..Usage::empty(Source::Reported) }),
        price: Some(Price {
            usd: PicoUsd(150_000),
            source: PriceSource::Catalogue,
            matched: None,
            table: None,
            estimated: false,
            discount: None,
            parts: Vec::new(),
        }),
        unestimated: None,
        unpriced: None,
        attempts: 1,
        bytes: ByteCounts::default(),
        observer_fault: None,
        content: limpid_core::ContentSlot::default(),
    }
}

fn gaps_of_100_ms() -> GapHistogram {
    let mut gaps = GapHistogram::default();
    (0..10).for_each(|_| gaps.record(Duration::from_millis(10)));
    gaps
}

/// The same with another time to first token.
pub(crate) fn with_ttft(model: &str, ttft_ns: u64) -> ExchangeRecord {
    let mut record = exchange(model);
    record.timeline.marks.first_token = Some(Tick(ttft_ns));
    record.timeline.marks.last_token = Some(Tick(ttft_ns + 100_000_000));
    record.timeline.ended = Tick(ttft_ns + 100_000_000);
    record
}

/// An exchange that failed before a token.
pub(crate) fn failed(model: &str, category: Category, reason: &'static str) -> ExchangeRecord {
    let mut record = exchange(model);
    record.outcome = Outcome::new(category, reason, Ending::End);
    record.timeline = Timeline { ended: Tick(5_000_000), ..Timeline::default() };
    record.usage = None;
    record.price = None;
    record
}
