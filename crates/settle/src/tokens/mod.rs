//! Estimates of the token counts that a reply leaves out.
//!
//! Reported comes first, then what is exact; an estimate fills only what both leave out, and says so: its
//! [`Source`] is `estimated`, its `method` names the encoding and the factor, and a side that was reported keeps its
//! provenance (`input_source`, `output_source`). What cannot be counted from text (an image, hidden reasoning, a
//! conversation that the provider remembers) stays absent, with a reason.
//!
//! It costs milliseconds and, at the first use of an encoding, tens of megabytes: call it where nothing waits.

mod encoding;
mod family;
mod prompt;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use limpid_core::{Endpoint, Source, TextGone, Usage};
use serde_json::Value;

pub use encoding::Encoding;
pub use family::{Family, Shares};
use prompt::Tally;

use crate::Unsettled;

/// Separates pieces of a reply's text that do not follow one another (another choice, another kind). No JSON string
/// has it.
pub const SEPARATOR: u8 = 0;

/// Why a count was not estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unestimated {
    /// The text is longer than what is kept.
    TooLarge,
    /// Too much text was kept at the time.
    NoRoom,
    /// It has an image, audio, a file, or a tool that the provider runs.
    NotText,
    /// The request is no JSON that is understood, or did not come whole.
    Unreadable,
    /// The model reasons out of sight, or reads what is not in the request.
    Hidden,
    /// Nothing was generated, as far as was seen.
    NoOutput,
    /// The text was not kept.
    NotKept,
    /// Too many exchanges waited for an estimate.
    QueueFull,
    /// limpid is shutting down.
    Shutdown,
    /// The encoding failed.
    Failed,
}

impl Unestimated {
    /// The record's `unestimated` and the label of `limpid.unestimated`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unestimated::TooLarge => "too_large",
            Unestimated::NoRoom => "no_room",
            Unestimated::NotText => "not_text",
            Unestimated::Unreadable => "unreadable",
            Unestimated::Hidden => "hidden",
            Unestimated::NoOutput => "no_output",
            Unestimated::NotKept => "not_kept",
            Unestimated::QueueFull => "queue_full",
            Unestimated::Shutdown => "shutdown",
            Unestimated::Failed => "failed",
        }
    }
}

impl From<TextGone> for Unestimated {
    fn from(gone: TextGone) -> Unestimated {
        match gone {
            TextGone::NotKept => Unestimated::NotKept,
            TextGone::TooLarge => Unestimated::TooLarge,
            TextGone::NoRoom => Unestimated::NoRoom,
            TextGone::NotText => Unestimated::NotText,
        }
    }
}

/// Whether exchanges of this kind have tokens that text can tell.
pub const fn has_estimates(endpoint: Endpoint) -> bool {
    endpoint.streams_tokens() || matches!(endpoint, Endpoint::Embeddings)
}

/// Which counts are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Missing {
    input: bool,
    output: bool,
}

/// The texts of an exchange: the request's body, and what was generated as the insides of JSON strings, pieces parted by
/// [`SEPARATOR`].
pub struct Texts<'a> {
    /// The request's body.
    pub request: Result<&'a [u8], TextGone>,
    /// The reply's generated text.
    pub reply: Result<&'a [u8], TextGone>,
}

impl Unsettled {
    /// Whether it ended without token counts that it should have: a good answer of an API that has them.
    pub fn lacks_tokens(&self) -> bool {
        self.missing().is_some()
    }

    fn missing(&self) -> Option<Missing> {
        let good = self.status.is_some_and(|s| (200..300).contains(&s)) && !self.answered_by_limpid;
        let seen = &self.observation;
        let failed = seen.error.is_some() && seen.token_events == 0;
        if !good || failed || seen.fault.is_some() || !has_estimates(self.endpoint) {
            return None;
        }
        let known = seen.usage.as_ref();
        let missing = Missing {
            input: known.is_none_or(|u| u.input_tokens.is_none()),
            output: known.is_none_or(|u| u.output_tokens.is_none()) && self.endpoint.streams_tokens(),
        };
        (missing.input || missing.output).then_some(missing)
    }

    /// Fills what the reply left out, as far as the texts tell; else says why not. Never panics.
    pub fn estimate(&mut self, texts: &Texts<'_>) {
        let Some(missing) = self.missing() else { return };
        let estimated = catch_unwind(AssertUnwindSafe(|| self.estimates(missing, texts)));
        let (input, output) = estimated.unwrap_or((Some(Err(Unestimated::Failed)), None));
        let failed = [&input, &output].into_iter().find_map(|side| side.as_ref()?.as_ref().err().copied());
        self.unestimated = failed.map(Unestimated::as_str);
        let [input, output] = [input, output].map(|side| side.and_then(Result::ok));
        let Some(method) = [&output, &input].into_iter().flatten().map(|e| e.method.clone()).next() else { return };
        let known = self.observation.usage.take();
        let before = known.as_ref().map(|u| u.source);
        let usage = known.unwrap_or_else(|| Usage::empty(Source::Estimated));
        self.observation.usage = Some(Usage {
            input_source: before.filter(|_| input.is_none() && usage.input_tokens.is_some()),
            output_source: before.filter(|_| output.is_none() && usage.output_tokens.is_some()),
            input_tokens: input.map(|e| e.tokens).or(usage.input_tokens),
            output_tokens: output.map(|e| e.tokens).or(usage.output_tokens),
            source: Source::Estimated,
            method: Some(Cow::Owned(method)),
            ..usage
        });
    }

    /// It is settled without an estimate.
    pub fn without_estimate(&mut self, why: Unestimated) {
        if self.lacks_tokens() {
            self.unestimated = Some(why.as_str());
        }
    }

    fn estimates(&self, missing: Missing, texts: &Texts<'_>) -> (Option<Side>, Option<Side>) {
        let names = [self.observation.model.as_deref(), self.request.model.as_deref()];
        let family = Family::of(names.into_iter().flatten());
        let body = || -> Result<Value, Unestimated> {
            serde_json::from_slice(texts.request?).map_err(|_| Unestimated::Unreadable)
        };
        let body = body();
        let input = missing.input.then(|| input(family, self.endpoint, body.as_ref().map_err(|e| *e)));
        let output = missing.output.then(|| {
            if self.reasons_out_of_sight(family, body.as_ref().ok()) {
                return Err(Unestimated::Hidden);
            }
            output(family, texts.reply?)
        });
        (input, output)
    }

    /// Whether the output has reasoning whose tokens are billed and not in the reply. What the model's name and the
    /// request say; a server that shows all reasoning has other models.
    fn reasons_out_of_sight(&self, family: Family, body: Option<&Value>) -> bool {
        let told_not_to = self.request.reasoning_effort.as_deref() == Some("none");
        let thinks = body.and_then(|b| b["thinking"]["type"].as_str()).is_some_and(|t| t != "disabled");
        if family.is_claude() {
            return thinks || self.observation.reasoning_streamed;
        }
        let names = [self.observation.model.as_deref(), self.request.model.as_deref()];
        !told_not_to && names.into_iter().flatten().any(hides_reasoning)
    }
}

/// Models whose providers bill reasoning that they do not show.
fn hides_reasoning(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit('/').next().unwrap_or_default();
    let last = last.strip_prefix("ft:").unwrap_or(last);
    let starts = |all: &[&str]| all.iter().any(|p| last.starts_with(p));
    starts(&["o1", "o3", "o4", "codex"])
        || starts(&["gpt-5", "gpt-6"]) && !last.contains("-chat")
        || starts(&["gemini-2.5", "gemini-3"]) && !last.contains("2.5-flash-lite")
        || starts(&["grok-3-mini", "grok-4"])
}

/// An estimated count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// The count.
    pub tokens: u64,
    /// How it was made.
    pub method: String,
}

type Side = Result<Estimate, Unestimated>;

impl Tally {
    fn estimate(&self) -> Estimate {
        Estimate { tokens: self.tokens(), method: self.family.method(self.factor()) }
    }
}

/// The input tokens of a request's body.
pub fn input(family: Family, endpoint: Endpoint, body: Result<&Value, Unestimated>) -> Side {
    let mut tally = Tally::new(family);
    tally.request(endpoint, body?)?;
    Ok(tally.estimate())
}

/// The output tokens of a reply's text; see [`Texts`].
pub fn output(family: Family, reply: &[u8]) -> Side {
    let mut tally = Tally::new(family);
    for piece in reply.split(|byte| *byte == SEPARATOR) {
        tally.text(&unescape(piece))?;
    }
    match tally.estimate() {
        Estimate { tokens: 0, .. } => Err(Unestimated::NoOutput),
        estimate => Ok(estimate),
    }
}

/// The text of a JSON string with these insides; as they stand where they are none (half an emoji).
fn unescape(inside: &[u8]) -> Cow<'_, str> {
    if !inside.contains(&b'\\') {
        return String::from_utf8_lossy(inside);
    }
    let quoted = [b"\"", inside, b"\""].concat();
    serde_json::from_slice(&quoted).map_or_else(|_| String::from_utf8_lossy(inside), Cow::Owned)
}
