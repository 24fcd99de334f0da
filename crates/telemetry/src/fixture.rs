//! A record in which every number is known, for the tests.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use limpid_core::{
    ByteCounts, Caller, Category, Ending, Endpoint, ExchangeId, ExchangeRecord, FinishReason, GapHistogram, ModelNames,
    ObserverFault, Outcome, OutputType, OwnLabel, PicoUsd, Price, PricePart, PriceSource, Refusal, RefusalKind,
    RequestFacts, Source, StreamMarks, Tick, Timeline, TraceParent, UpstreamInfo, Usage, UsageAsked, Verdict,
};

pub(crate) const TRACE_ID: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
pub(crate) const SPAN_ID: u64 = 0xb7ad_6b71_6920_3331;

#[expect(clippy::unnecessary_wraps, reason = "as the record has it")]
fn text(s: &str) -> Option<Box<str>> {
    Some(s.into())
}

/// That many milliseconds after the arrival.
pub(crate) fn ms(n: u64) -> Tick {
    Tick(n * 1_000_000)
}

/// A stream of chat that went well, with every number known.
pub(crate) fn record() -> ExchangeRecord {
    ExchangeRecord {
        id: ExchangeId::from(1u128),
        started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        endpoint: Endpoint::Chat,
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        status: Some(200),
        answered_by_limpid: false,
        stream: true,
        upstream: Some(Arc::new(UpstreamInfo {
            name: "oa".into(),
            provider: "openai".into(),
            region: Some("eu".into()),
            address: "api.example".into(),
            port: 443,
        })),
        model: ModelNames { requested: text("m"), responded: text("m-2026") },
        caller: caller(),
        labels: OwnLabel::new(&"segment".into(), "gold").into_iter().collect(),
        request: request(),
        trace_id: TRACE_ID,
        span_id: SPAN_ID,
        outcome: Outcome::new(Category::Ok, "stop", Ending::End),
        refusal: Refusal { verdict: Verdict::Certain, source: Some("refusal_field"), kind: Some(RefusalKind::Model) },
        timeline: timeline(),
        events: Some(6),
        token_events: Some(4),
        first_event_tokens: Some(1),
        reasoning_streamed: true,
        response_id: text("chatcmpl-1"),
        service_tier: text("default"),
        system_fingerprint: text("fp_1"),
        finish_reasons: vec![
            FinishReason { index: 0, reason: "stop".into() },
            FinishReason { index: 1, reason: "length".into() },
        ],
        unestimated: Some("too_large"),
        rate_limits: None,
        usage: usage(),
        price: price(),
        unpriced: Some("unknown_model"),
        attempts: 1,
        bytes: ByteCounts { request: 5, response: 6 },
        observer_fault: Some(ObserverFault::Json),
        content: limpid_core::ContentSlot::default(),
    }
}

fn part(name: &'static str, quarters: u64) -> PricePart {
    PricePart { name, units: 1, per_million: PicoUsd(0), usd: PicoUsd(quarters * PicoUsd::DOLLAR / 4) }
}

fn caller() -> Caller {
    Caller {
        key: text("team"),
        project: text("search"),
        user: text("u"),
        template: text("t"),
        session: text("s"),
        priority: text("low"),
        request_id: text("rid"),
        trace: Some(TraceParent { trace_id: TRACE_ID, span_id: 0x99, sampled: true }),
        trace_state: text("vendor=1,other=a:b"),
    }
}

fn request() -> RequestFacts {
    RequestFacts {
        model: text("m"),
        stream: Some(true),
        include_usage: Some(true),
        max_tokens: Some(256),
        choices: Some(2),
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(40.0),
        frequency_penalty: Some(0.1),
        presence_penalty: Some(0.2),
        seed: Some(7),
        service_tier: text("flex"),
        reasoning_effort: text("high"),
        conversation_id: text("conv"),
        previous_response_id: text("resp_0"),
        output_type: Some(OutputType::Json),
        encoding_formats: vec!["float".into()],
        dimensions: Some(512),
        metadata: Vec::new(),
        usage_asked: Some(UsageAsked::Asked),
        route_fallback: Some(limpid_core::RouteFallback::NotTold),
    }
}

fn timeline() -> Timeline {
    let mut gaps = GapHistogram::default();
    gaps.record(Duration::from_millis(10));
    gaps.record(Duration::from_millis(40));
    gaps.record(Duration::from_millis(50));
    Timeline {
        arrived: ms(0),
        admitted: Some(ms(1)),
        unsent: Vec::new(),
        sent: Some(ms(4)),
        connect: Some(Duration::from_millis(2)),
        headers: Some(ms(50)),
        marks: StreamMarks {
            first_byte: Some(ms(60)),
            first_event: Some(ms(70)),
            first_token: Some(ms(100)),
            first_content: Some(ms(120)),
            last_token: Some(ms(200)),
            error: None,
        },
        ended: ms(204),
        stall: Some(Duration::from_millis(50)),
        gaps,
        reader_lag: Some(Duration::from_millis(3)),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as the record has it")]
fn usage() -> Option<Usage> {
    Some(Usage {
        input_tokens: Some(100),
        output_tokens: Some(11),
        cached_input_tokens: Some(60),
        cache_write_input_tokens: Some(20),
        reasoning_output_tokens: Some(5),
        audio_input_tokens: Some(1),
        image_input_tokens: Some(2),
        audio_output_tokens: Some(3),
        ..Usage::empty(Source::Reported)
    })
}

#[expect(clippy::unnecessary_wraps, reason = "as the record has it")]
fn price() -> Option<Price> {
    Some(Price {
        usd: PicoUsd(3 * PicoUsd::DOLLAR / 4),
        source: PriceSource::Catalogue,
        matched: Some("openai/m".into()),
        table: Some("2026-11-20".into()),
        estimated: false,
        discount: None,
        parts: vec![part("input", 2), part("output", 1)],
    })
}
