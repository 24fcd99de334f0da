//! Invented exchanges, the same in every run: five models behind three upstreams, with an outage.

use std::sync::Arc;
use std::time::Duration;

use limpid_core::{
    ByteCounts, Caller, Category, Clock, Ending, Endpoint, ExchangeRecord, ModelNames, Outcome, PicoUsd, Price,
    PriceSource, Refusal, RefusalKind, RequestFacts, Source, StreamMarks, Tick, Timeline, UpstreamInfo, Usage, Verdict,
};

/// A source of exchanges that end now.
pub(crate) struct Traffic {
    /// vLLM, OpenAI, Anthropic.
    pub(crate) upstreams: Vec<Arc<UpstreamInfo>>,
    clock: Clock,
    random: u64,
}

struct Kind {
    model: &'static str,
    endpoint: Endpoint,
    upstream: usize,
    ttft_ms: f64,
    tpot_ms: f64,
    tokens: f64,
    /// Pico-dollars a token, input and output; 0 for a model without a price.
    price: (u64, u64),
}

const KINDS: [Kind; 5] = [
    kind("meta-llama/Llama-3.3-70B-Instruct", Endpoint::Chat, 0, 210.0, 21.0, 260.0, (0, 0)),
    kind("gpt-4o-mini", Endpoint::Chat, 1, 390.0, 9.5, 180.0, (150_000, 600_000)),
    kind("claude-sonnet-4-5", Endpoint::Messages, 2, 820.0, 14.0, 420.0, (3_000_000, 15_000_000)),
    kind("gpt-5", Endpoint::Responses, 1, 2600.0, 11.0, 700.0, (1_250_000, 10_000_000)),
    kind("text-embedding-3-small", Endpoint::Embeddings, 1, 0.0, 0.0, 0.0, (20_000, 0)),
];

const fn kind(
    model: &'static str,
    endpoint: Endpoint,
    upstream: usize,
    ttft_ms: f64,
    tpot_ms: f64,
    tokens: f64,
    price: (u64, u64),
) -> Kind {
    Kind { model, endpoint, upstream, ttft_ms, tpot_ms, tokens, price }
}

const FAULTS: [(u16, Category, &str); 8] = [
    (429, Category::RateLimit, "rate_limit_exceeded"),
    (429, Category::RateLimit, "rate_limit_tokens"),
    (400, Category::ClientRequest, "context_length_exceeded"),
    (429, Category::Quota, "insufficient_quota"),
    (401, Category::Auth, "invalid_api_key"),
    (500, Category::UpstreamError, "server_error"),
    (0, Category::Network, "connect_refused"),
    (0, Category::Timeout, "headers_timeout"),
];

impl Traffic {
    /// Begins.
    pub(crate) fn new(clock: Clock) -> Traffic {
        let upstream = |name: &str, provider: &str, region: Option<&str>, address: &str, port| {
            Arc::new(UpstreamInfo {
                name: name.into(),
                provider: provider.into(),
                region: region.map(Into::into),
                address: address.into(),
                port,
            })
        };
        let upstreams = vec![
            upstream("vllm-a", "vllm", Some("eu"), "10.0.0.7", 8000),
            upstream("openai", "openai", None, "api.openai.com", 443),
            upstream("anthropic", "anthropic", None, "api.anthropic.com", 443),
        ];
        Traffic { upstreams, clock, random: 1 }
    }

    /// An exchange that ends now. During the outage the vLLM upstream is slow and often out of capacity.
    pub(crate) fn next(&mut self, outage: bool) -> Arc<ExchangeRecord> {
        let pick = self.draw();
        let kind = &KINDS[[0.45, 0.72, 0.85, 0.91].iter().filter(|edge| pick > **edge).count()];
        let slow = if outage && kind.upstream == 0 { 6.0 } else { 1.0 };
        let mut record = self.blank(kind);
        if slow > 1.0 && self.draw() < 0.3 {
            self.fail(&mut record, 503, Category::Overloaded, "queue_full");
        } else if self.draw() < 0.03 {
            let (status, category, reason) = FAULTS[self.below(FAULTS.len())];
            self.fail(&mut record, status, category, reason);
        } else if kind.endpoint == Endpoint::Embeddings {
            let total = 60.0 * self.spread(0.5);
            self.stamp(&mut record, None, total);
        } else {
            self.stream(&mut record, kind, slow);
        }
        Arc::new(record)
    }

    fn stream(&mut self, record: &mut ExchangeRecord, kind: &Kind, slow: f64) {
        let ttft = kind.ttft_ms * slow * self.spread(0.6);
        let mut tokens = (kind.tokens * self.spread(0.9)).max(2.0);
        let tpot = kind.tpot_ms * self.spread(0.25);
        let ending = self.draw();
        if ending < 0.02 {
            tokens *= 0.3;
            record.outcome = outcome(Category::Cancelled, "client_gone", Ending::ClientGone);
        } else if ending < 0.026 {
            tokens *= 0.5;
            record.outcome = outcome(Category::StreamError, "cut_off", Ending::UpstreamError);
        } else if ending < 0.034 {
            tokens = 12.0;
            record.refusal =
                Refusal { verdict: Verdict::Certain, source: Some("stop_reason"), kind: Some(RefusalKind::Model) };
        } else if ending < 0.05 {
            record.refusal = Refusal { verdict: Verdict::Suspected, source: Some("text"), kind: None };
        } else if ending < 0.1 {
            record.outcome.reason = "length".into();
        }
        let output = whole(tokens);
        record.stream = true;
        self.stamp(record, Some((ttft, tpot * (output - 1) as f64)), 0.0);
        record.timeline.stall = Some(ms(tpot * 2.0 * self.spread(0.8)));
        record.timeline.reader_lag = Some(ms(0.2 * self.spread(1.0)));
        (record.events, record.token_events) = (Some(output + 2), Some(output));
        if let Some(usage) = &mut record.usage {
            usage.output_tokens = Some(output);
            usage.cached_input_tokens = usage.input_tokens.map(|input| input / 3);
            if record.outcome.ending != Ending::End {
                usage.source = Source::Estimated;
            }
        }
        if let (Some(price), Some(usage)) = (&mut record.price, &record.usage) {
            price.usd = PicoUsd(usage.input_tokens.unwrap_or(0) * kind.price.0 + output * kind.price.1);
        }
    }

    fn fail(&mut self, record: &mut ExchangeRecord, status: u16, category: Category, reason: &'static str) {
        record.outcome = outcome(category, reason, if status == 0 { Ending::UpstreamError } else { Ending::End });
        record.status = (status > 0).then_some(status);
        (record.usage, record.price, record.unpriced) = (None, None, None);
        let total = 30.0 * self.spread(0.8);
        self.stamp(record, None, total);
    }

    /// Marks that end now: with tokens (time to first, time from first to last), or a total in milliseconds.
    fn stamp(&mut self, record: &mut ExchangeRecord, tokens: Option<(f64, f64)>, total: f64) {
        let lasts = tokens.map_or(ms(total), |(ttft, generating)| ms(ttft + generating + 1.0));
        let ended = self.clock.now();
        let arrived = Tick(ended.0.saturating_sub(u64::try_from(lasts.as_nanos()).unwrap_or(0)));
        let sent = arrived.plus(ms(0.08 * self.spread(0.3)));
        let first_token = tokens.map(|(ttft, _)| arrived.plus(ms(ttft)));
        record.started_at = self.clock.wall(arrived);
        record.timeline = Timeline {
            arrived,
            admitted: Some(arrived.plus(ms(0.01))),
            sent: Some(sent),
            headers: first_token.or(Some(ended)),
            marks: StreamMarks {
                first_byte: first_token.or(Some(ended)),
                first_event: first_token,
                first_token,
                first_content: first_token,
                last_token: tokens.map(|(ttft, generating)| arrived.plus(ms(ttft + generating))),
                error: None,
            },
            ended,
            ..Timeline::default()
        };
    }

    fn blank(&mut self, kind: &Kind) -> ExchangeRecord {
        let input = whole(900.0 * self.spread(1.2)) + 8;
        let team = ["team-search", "team-support", "ci", "k-9f31c2"][self.below(4)];
        let priced = kind.price.0 > 0;
        let price = Price {
            usd: PicoUsd(input * kind.price.0),
            source: PriceSource::Catalogue,
            matched: Some(format!("{}/{}", self.upstreams[kind.upstream].provider, kind.model).into()),
            table: Some("2026-11-20".into()),
            estimated: false,
            discount: None,
            parts: Vec::new(),
        };
        ExchangeRecord {
            id: ulid::Ulid::from_parts(self.clock.now().0 / 1_000_000, u128::from(self.next_random())),
            started_at: self.clock.wall(self.clock.now()),
            endpoint: kind.endpoint,
            method: "POST".into(),
            path: "/v1/chat/completions".into(),
            status: Some(200),
            answered_by_limpid: false,
            stream: false,
            upstream: Some(Arc::clone(&self.upstreams[kind.upstream])),
            model: ModelNames { requested: Some(kind.model.into()), responded: None },
            labels: Vec::new(),
            caller: Caller {
                key: Some(team.into()),
                project: (team == "team-search").then(|| "search".into()),
                ..Caller::default()
            },
            request: RequestFacts::default(),
            trace_id: u128::from(self.next_random()),
            span_id: self.next_random(),
            outcome: outcome(Category::Ok, "stop", Ending::End),
            refusal: Refusal::NONE,
            timeline: Timeline::default(),
            events: None,
            token_events: None,
            first_event_tokens: None,
            reasoning_streamed: false,
            response_id: None,
            service_tier: None,
            system_fingerprint: None,
            finish_reasons: Vec::new(),
            rate_limits: None,
            usage: Some(Usage { input_tokens: Some(input), ..Usage::empty(Source::Reported) }),
            unestimated: None,
            price: priced.then_some(price),
            unpriced: (!priced).then_some("unknown_model"),
            attempts: 1,
            bytes: ByteCounts { request: input * 4, response: 9000 },
            observer_fault: None,
            content: limpid_core::ContentSlot::default(),
        }
    }

    /// Around 1, skewed to the right as latencies are.
    fn spread(&mut self, width: f64) -> f64 {
        let (a, b) = (self.draw(), self.draw());
        (width * ((a + b - 1.0) * 1.6 + if a > 0.97 { 1.0 } else { 0.0 })).exp()
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next_random() % n as u64).unwrap_or(0)
    }

    fn draw(&mut self) -> f64 {
        (self.next_random() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// xorshift64* (Vigna, 2016).
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

fn outcome(category: Category, reason: &'static str, ending: Ending) -> Outcome {
    Outcome::new(category, reason, ending)
}

fn ms(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

fn whole(x: f64) -> u64 {
    Duration::from_secs_f64(x).as_secs()
}
