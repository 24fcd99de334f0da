//! OpenAI's `usage` in its many spellings, as [`Usage`].
//!
//! Chat and completions say `prompt_tokens` and `completion_tokens`, Responses `input_tokens` and `output_tokens`; the
//! details are subsets of these totals. SGLang has `reasoning_tokens` at the top too, DeepSeek `prompt_cache_hit_tokens`,
//! OpenRouter `cost` in USD; Realtime says `input_token_details` and `output_token_details`.
//!
//! xAI's chat leaves the reasoning out of `completion_tokens`. Nothing names that, but the total does: where it is the
//! sum of all three, the reasoning is added.
//!
//! A transcription by the second says `{"type":"duration","seconds":…}` and no tokens, Mistral's `prompt_audio_seconds`
//! beside them, a voice session `billable_audio_seconds` (xAI).

use limpid_core::{PicoUsd, Source, Usage};

use crate::json::{Leaf, Loose, Raw, members};

members! {
    /// What a usage object may hold.
    pub(super) struct Counts<'a> {
        prompt_tokens: Leaf<'a>,
        input_tokens: Leaf<'a>,
        completion_tokens: Leaf<'a>,
        output_tokens: Leaf<'a>,
        total_tokens: Leaf<'a>,
        prompt_tokens_details: Option<Loose<Details<'a>>>,
        input_tokens_details: Option<Loose<Details<'a>>> = "input_tokens_details" | "input_token_details",
        completion_tokens_details: Option<Loose<Details<'a>>>,
        output_tokens_details: Option<Loose<Details<'a>>> = "output_tokens_details" | "output_token_details",
        reasoning_tokens: Leaf<'a>,
        prompt_cache_hit_tokens: Leaf<'a>,
        seconds: Leaf<'a> = "seconds" | "prompt_audio_seconds" | "billable_audio_seconds",
        cost: Leaf<'a>,
        is_byok: Leaf<'a>,
        cost_details: Leaf<'a>,
    }
}

members! {
    #[expect(clippy::struct_field_names, reason = "the names are the API's")]
    struct Details<'a> {
        cached_tokens: Leaf<'a>,
        cache_write_tokens: Leaf<'a>,
        audio_tokens: Leaf<'a>,
        image_tokens: Leaf<'a>,
        reasoning_tokens: Leaf<'a>,
    }
}

members! {
    /// A price as an object (Perplexity), or its details (OpenRouter).
    struct Cost<'a> {
        total_cost: Leaf<'a>,
        upstream_inference_cost: Leaf<'a>,
    }
}

/// What a usage object tells.
pub(super) struct Told {
    /// The counts.
    pub(super) usage: Usage,
    /// The provider's price.
    pub(super) cost: Option<PicoUsd>,
}

/// The member that holds it, whatever it is.
pub(super) type Member<'a> = Option<Loose<Counts<'a>>>;

/// Reads it; `None` if there is no count in it. `total_is_input`: a total alone is the input.
pub(super) fn openai(member: &Member<'_>, total_is_input: bool) -> Option<Told> {
    let counts = member.as_ref()?.0.as_ref()?;
    let count = |leaf: Leaf<'_>| leaf.and_then(Raw::count);
    let none = Details::default();
    let prompt = details([&counts.prompt_tokens_details, &counts.input_tokens_details]).unwrap_or(&none);
    let reply = details([&counts.completion_tokens_details, &counts.output_tokens_details]).unwrap_or(&none);
    let total = total_is_input.then(|| count(counts.total_tokens)).flatten();
    let input = count(counts.prompt_tokens).or_else(|| count(counts.input_tokens));
    let mut output = count(counts.completion_tokens).or_else(|| count(counts.output_tokens));
    let reasoning = count(reply.reasoning_tokens).or_else(|| count(counts.reasoning_tokens));
    if let (Some(read), Some(said), Some(thought)) = (input, output, reasoning) {
        let all = read.saturating_add(said).saturating_add(thought);
        output = Some(if count(counts.total_tokens) == Some(all) { said.saturating_add(thought) } else { said });
    }
    let usage = Usage {
        input_tokens: input.or(total),
        output_tokens: output,
        cached_input_tokens: count(prompt.cached_tokens).or_else(|| count(counts.prompt_cache_hit_tokens)),
        cache_write_input_tokens: count(prompt.cache_write_tokens),
        audio_input_tokens: count(prompt.audio_tokens),
        image_input_tokens: count(prompt.image_tokens),
        reasoning_output_tokens: reasoning,
        audio_output_tokens: count(reply.audio_tokens),
        audio_ms: counts.seconds.and_then(milliseconds),
        ..Usage::empty(Source::Reported)
    };
    let told = usage.input_tokens.is_some() || usage.output_tokens.is_some() || usage.audio_ms.is_some();
    told.then(|| Told { usage, cost: counts.price() })
}

impl Counts<'_> {
    /// With a provider's key of the client's own OpenRouter charges its fee alone; the rest is in the details, and half a
    /// price is none.
    fn price(&self) -> Option<PicoUsd> {
        let charged = cost(self.cost?)?;
        if !self.is_byok.is_some_and(Raw::is_true) {
            return Some(charged);
        }
        let details = self.cost_details?.parse::<Cost<'_>>()?;
        Some(charged.plus(cost(details.upstream_inference_cost?)?))
    }
}

/// A length in seconds, at most a year; digits below a millisecond are rounded.
fn milliseconds(raw: Raw<'_>) -> Option<u64> {
    let millionths = PicoUsd::parse(&raw.scalar()?)?.0 / 1_000_000;
    (millionths <= 366 * 86_400 * 1_000_000).then_some((millionths + 500) / 1_000)
}

/// The first that is there.
fn details<'d, 'a>(members: [&'d Option<Loose<Details<'a>>>; 2]) -> Option<&'d Details<'a>> {
    members.into_iter().flatten().next()?.0.as_ref()
}

fn cost(raw: Raw<'_>) -> Option<PicoUsd> {
    match raw.scalar() {
        Some(text) => PicoUsd::parse(&text),
        None => raw.parse::<Cost<'_>>()?.total_cost.and_then(|r| PicoUsd::parse(&r.scalar()?)),
    }
}
