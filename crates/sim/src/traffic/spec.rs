//! What request number `n` is: model, prompt, caller, schedule of the reply, and what goes wrong.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::TrafficConfig;
use crate::behaviour::{Fault, Output};
use crate::overrides::Overrides;
use crate::rng::Rng;
use crate::words::Words;

/// A model of the demo and how its replies come. The latencies are made up, in the order of real ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DemoModel {
    /// The name in requests: one with a list price, but for the self-hosted one.
    pub name: &'static str,
    /// The provider whose price and route it should get (`gen_ai.provider.name`).
    pub provider: &'static str,
    /// Where its requests go.
    pub path: &'static str,
    /// Its share among [`MODELS`], in parts of their sum.
    pub share: f64,
    /// Time to first token of an empty prompt, ms.
    ttft_ms: f64,
    /// What a prompt token adds to it, ms.
    prefill_ms: f64,
    /// Between tokens, ms.
    gap_ms: f64,
    /// Output tokens, from and to.
    tokens: (u32, u32),
    /// Reasoning tokens, from and to.
    reasoning: (u32, u32),
}

const fn model(name: &'static str, provider: &'static str, path: &'static str, share: f64) -> DemoModel {
    let (ttft_ms, prefill_ms, gap_ms) = (30.0, 0.004, 0.0);
    DemoModel { name, provider, path, share, ttft_ms, prefill_ms, gap_ms, tokens: (0, 0), reasoning: (0, 0) }
}

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const EMBEDDINGS: &str = "/v1/embeddings";

/// The models of the demo.
pub const MODELS: &[DemoModel] = &[
    DemoModel {
        ttft_ms: 180.0,
        prefill_ms: 0.02,
        gap_ms: 9.0,
        tokens: (40, 220),
        ..model("gpt-4o-mini", "openai", CHAT, 26.0)
    },
    DemoModel {
        ttft_ms: 320.0,
        prefill_ms: 0.03,
        gap_ms: 14.0,
        tokens: (60, 300),
        ..model("gpt-4o", "openai", CHAT, 10.0)
    },
    DemoModel {
        ttft_ms: 450.0,
        prefill_ms: 0.025,
        gap_ms: 8.0,
        tokens: (60, 260),
        reasoning: (30, 300),
        ..model("gpt-5-mini", "openai", RESPONSES, 14.0)
    },
    DemoModel {
        ttft_ms: 520.0,
        prefill_ms: 0.03,
        gap_ms: 15.0,
        tokens: (80, 320),
        ..model("claude-sonnet-4-5", "anthropic", MESSAGES, 15.0)
    },
    DemoModel {
        ttft_ms: 280.0,
        prefill_ms: 0.015,
        gap_ms: 7.0,
        tokens: (40, 200),
        ..model("claude-haiku-4-5", "anthropic", MESSAGES, 8.0)
    },
    model("text-embedding-3-small", "openai", EMBEDDINGS, 14.0),
    DemoModel {
        ttft_ms: 35.0,
        prefill_ms: 0.06,
        gap_ms: 6.0,
        tokens: (30, 180),
        ..model("smollm2-135m", "vllm", CHAT, 13.0)
    },
];

/// The API keys of the demo: a name, and the invented secret that is sent. Settings that name keys can use these.
pub const KEYS: &[(&str, &str)] = &[
    ("team-search", "sk-demo-search-5f0c"),
    ("team-support", "sk-demo-support-91ab"),
    ("team-editor", "sk-demo-editor-c3d4"),
    ("research", "sk-demo-research-77e2"),
];

/// The projects, each with its key (an index of [`KEYS`]), template and share.
const PROJECTS: [(&str, usize, &str, f64); 5] = [
    ("search", 0, "rerank-answer-v3", 30.0),
    ("support-bot", 1, "support-chat-v7", 28.0),
    ("ticket-triage", 1, "classify-v2", 12.0),
    ("editor", 2, "complete-paragraph-v1", 20.0),
    ("evals", 3, "judge-v4", 10.0),
];

/// Prompt lengths, words: a range within each band of `InputTokensBand`, and its share.
const PROMPTS: [(u32, u32, f64); 6] = [
    (8, 110, 34.0),
    (140, 490, 30.0),
    (540, 1_950, 20.0),
    (2_100, 7_800, 11.0),
    (8_400, 30_000, 4.0),
    (33_000, 45_000, 1.0),
];

/// How the client reads the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// As fast as it comes, to the end.
    ToEnd,
    /// The same, but it hangs up if the end has not come in time.
    HangUp {
        /// Since the request was begun.
        after: Duration,
    },
    /// It pauses after each read, and its receive buffer is small.
    Slow {
        /// How long.
        pause: Duration,
    },
}

/// A request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSpec {
    /// Where to.
    pub path: &'static str,
    /// The model's name.
    pub model: &'static str,
    /// Header names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON body.
    pub body: Bytes,
    /// How the reply is read.
    pub reader: Reader,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    RateLimited,
    Quota,
    ServerError,
    Overloaded,
    ContextLength,
    ContentFilter,
    Refusal,
    RefusalText,
    InStreamError,
    CutOff,
    Truncated,
    Stall,
    HangUp,
    SlowReader,
}

/// Out of a thousand requests, with `trouble` 1.
const TROUBLES: [(Trouble, f64); 14] = [
    (Trouble::RateLimited, 22.0),
    (Trouble::Quota, 3.0),
    (Trouble::ServerError, 8.0),
    (Trouble::Overloaded, 8.0),
    (Trouble::ContextLength, 4.0),
    (Trouble::ContentFilter, 4.0),
    (Trouble::Refusal, 12.0),
    (Trouble::RefusalText, 12.0),
    (Trouble::InStreamError, 7.0),
    (Trouble::CutOff, 6.0),
    (Trouble::Truncated, 3.0),
    (Trouble::Stall, 9.0),
    (Trouble::HangUp, 25.0),
    (Trouble::SlowReader, 3.0),
];

impl TrafficConfig {
    /// Request number `n`; always the same for a seed.
    pub fn spec(&self, n: u64) -> RequestSpec {
        let mut rng = Rng::nth(self.seed, n);
        let model = &MODELS[rng.weighted(MODELS.iter().map(|m| m.share))];
        let (low, high, _) = PROMPTS[rng.weighted(PROMPTS.iter().map(|p| p.2))];
        let prompt_words = rng.between(low, high).min(model.context_words());
        let trouble = self.trouble(&mut rng);
        let mut stream = model.path != EMBEDDINGS && rng.unit() < 0.85;
        let mut sim = model.reply(&mut rng, prompt_words);
        let mut reader = Reader::ToEnd;
        match trouble {
            Trouble::HangUp => {
                let after = Duration::from_millis(u64::from(rng.between(60, 2_200)));
                reader = Reader::HangUp { after };
            }
            Trouble::SlowReader => {
                // More than the buffers on the way hold, or nobody would notice that it is slow.
                stream = model.path != EMBEDDINGS;
                sim.padding = Some(8_000);
                sim.tokens = Some(600);
                reader = Reader::Slow { pause: Duration::from_millis(15) };
            }
            other => other.change(&mut sim, &mut rng),
        }
        let include_usage = rng.unit() < 0.85;
        let body = body(model, prompt_words, stream, include_usage, &sim);
        RequestSpec {
            path: model.path,
            model: model.name,
            headers: headers(model, &mut rng, n),
            body: body.to_string().into(),
            reader,
        }
    }

    fn trouble(&self, rng: &mut Rng) -> Trouble {
        let scale = self.trouble.clamp(0.0, 7.0);
        let all: f64 = TROUBLES.iter().map(|(_, weight)| weight * scale).sum();
        let weights = std::iter::once((1_000.0 - all).max(0.0)).chain(TROUBLES.iter().map(move |t| t.1 * scale));
        rng.weighted(weights).checked_sub(1).map_or(Trouble::None, |i| TROUBLES[i].0)
    }
}

impl DemoModel {
    /// The longest prompt that it is sent, words: the small model and the embeddings read 8,192 tokens.
    fn context_words(&self) -> u32 {
        if self.path == EMBEDDINGS || self.provider == "vllm" { 7_800 } else { u32::MAX }
    }

    /// The schedule of an untroubled reply.
    fn reply(&self, rng: &mut Rng, prompt_words: u32) -> Overrides {
        // Mostly near the model's own figures, now and then twice as slow: queues have long tails.
        let load = 0.8 + 0.25 * rng.exponential().min(6.0);
        let ttft = (self.ttft_ms + self.prefill_ms * f64::from(prompt_words)) * load;
        let reasoning = rng.between(self.reasoning.0, self.reasoning.1);
        let cached = if rng.unit() < 0.3 { prompt_words * rng.between(20, 95) / 100 } else { 0 };
        Overrides {
            ttft_ms: Some(round(ttft)),
            headers_ms: Some(round(ttft * 0.3)),
            gap_ms: Some(round(self.gap_ms * (0.85 + 0.15 * load))),
            jitter_ms: Some(round(self.gap_ms * 0.6)),
            jitter_seed: Some(rng.next_u64() >> 32),
            tokens: Some(rng.between(self.tokens.0, self.tokens.1)),
            reasoning_tokens: (reasoning > 0).then_some(reasoning),
            cached_input_tokens: (cached > 0).then_some(cached),
            output: (rng.unit() < 0.08).then_some(Output::ToolCall),
            ..Overrides::default()
        }
    }
}

/// Microseconds are fine enough.
fn round(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

impl Trouble {
    fn change(self, sim: &mut Overrides, rng: &mut Rng) {
        let after = rng.between(2, 30);
        match self {
            Trouble::RateLimited => sim.fault = Some(Fault::RateLimited { retry_after: rng.between(1, 20) }),
            Trouble::Quota => sim.fault = Some(Fault::Quota),
            Trouble::ServerError => sim.fault = Some(Fault::Status(500)),
            Trouble::Overloaded => sim.fault = Some(Fault::Status(503)),
            Trouble::ContextLength => sim.fault = Some(Fault::ContextLength),
            Trouble::ContentFilter => sim.fault = Some(Fault::ContentFilter),
            Trouble::Refusal => sim.output = Some(Output::Refusal),
            Trouble::RefusalText => sim.output = Some(Output::RefusalText),
            Trouble::InStreamError => sim.fault = Some(Fault::InStreamError { after }),
            Trouble::CutOff => sim.fault = Some(Fault::CutOff { after }),
            Trouble::Truncated => sim.fault = Some(Fault::TruncateCleanly { after }),
            Trouble::Stall => {
                sim.stall_after = Some(after);
                sim.stall_ms = Some(3_000.0);
            }
            Trouble::None | Trouble::HangUp | Trouble::SlowReader => {}
        }
    }
}

fn body(model: &DemoModel, prompt_words: u32, stream: bool, include_usage: bool, sim: &Overrides) -> Value {
    let prompt = Words::Prose.text(prompt_words);
    let mut body = json!({"model": model.name, "sim": sim});
    match model.path {
        EMBEDDINGS => body["input"] = prompt.into(),
        RESPONSES => body["input"] = json!([{"role": "user", "content": prompt}]),
        _ => body["messages"] = json!([{"role": "user", "content": prompt}]),
    }
    if stream {
        body["stream"] = true.into();
    }
    if model.path == MESSAGES {
        body["max_tokens"] = 4_096.into();
    }
    if stream && include_usage && model.path == CHAT {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

fn headers(model: &DemoModel, rng: &mut Rng, n: u64) -> Vec<(&'static str, String)> {
    let (project, key, template, _) = PROJECTS[rng.weighted(PROJECTS.iter().map(|p| p.3))];
    let secret = KEYS[key].1;
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-request-id", format!("demo-{n}")),
        ("x-limpid-project", project.to_owned()),
        ("x-limpid-template", template.to_owned()),
        ("x-limpid-user", format!("user-{}", rng.between(1, 60))),
    ];
    if model.path == MESSAGES {
        headers.push(("x-api-key", secret.to_owned()));
        headers.push(("anthropic-version", "2023-06-01".to_owned()));
    } else {
        headers.push(("authorization", format!("Bearer {secret}")));
    }
    if project == "support-bot" {
        headers.push(("x-limpid-session", format!("session-{}", rng.between(1, 200))));
    }
    headers
}
