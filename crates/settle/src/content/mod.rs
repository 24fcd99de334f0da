//! The content of an exchange, for its span: what was asked and what was answered, redacted, then cut.
//!
//! That is the order, and the reason why texts come here whole or not at all: half a key that a limit left over would be
//! found by no rule. A reply that broke off ends in the middle of something, so its last word is left out too. Everything
//! that leaves goes through one `pen`: texts, names of tools, ids, roles.
//!
//! The form is that of the GenAI conventions' JSON schemas (v1.41.1; the newer text has the same). What is no text (an
//! image, audio, what a provider keeps to itself) is a part `limpid.omitted` that says of which type it was. What cannot be
//! read is absent, with the reason; nothing is guessed.
//!
//! Pure, and dear: it belongs where nothing waits.

mod cards;
mod input;
mod output;
mod patterns;
mod pen;
mod redact;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use limpid_core::{Content, Endpoint, TextGone};
use serde_json::Value;

pub use patterns::Builtin;
use pen::Pen;
pub use redact::{BadRule, OwnRule, Redactor, RuleFault};

use crate::Unsettled;

/// Why there is no content where some was wanted, beside the reasons of [`TextGone`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is no JSON that is understood: compressed, cut off, of another shape.
    Unreadable,
    /// Too many exchanges waited for redaction.
    QueueFull,
    /// limpid is shutting down.
    Shutdown,
    /// Redaction failed, so nothing leaves.
    Failed,
}

impl Missing {
    /// Its name on the span.
    pub const fn as_str(self) -> &'static str {
        match self {
            Missing::Unreadable => "unreadable",
            Missing::QueueFull => "queue_full",
            Missing::Shutdown => "shutdown",
            Missing::Failed => "failed",
        }
    }
}

/// What is captured, and how. Made once.
#[derive(Debug)]
pub struct ContentRules {
    /// How much of the input, bytes of text; `None`: none of it.
    pub input: Option<usize>,
    /// Likewise the output.
    pub output: Option<usize>,
    /// What never leaves.
    pub redactor: Redactor,
}

/// The texts of an exchange: the request's body, and what was generated as [`limpid_core::Spoken`] has it; each where it was
/// kept.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// The request's body.
    pub request: Option<Result<&'a [u8], TextGone>>,
    /// The reply's generated text; absent if no reply came that could have any.
    pub reply: Option<Result<&'a [u8], TextGone>>,
}

impl ContentRules {
    /// The content of an exchange that has ended. Never panics.
    pub fn content(&self, exchange: &Unsettled, heard: Heard<'_>) -> Content {
        let made = catch_unwind(AssertUnwindSafe(|| {
            let mut content = Content::default();
            if let Some((limit, body)) = self.input.zip(heard.request) {
                self.input(exchange.endpoint, limit, body, &mut content);
            }
            if let Some(limit) = self.output {
                self.output(exchange, limit, heard.reply, &mut content);
            }
            content
        }));
        made.unwrap_or_else(|_panic| self.without(Missing::Failed))
    }

    /// No content, for that reason.
    pub fn without(&self, why: Missing) -> Content {
        Content {
            input_missing: self.input.map(|_| why.as_str()),
            output_missing: self.output.map(|_| why.as_str()),
            ..Content::default()
        }
    }

    fn input(&self, endpoint: Endpoint, limit: usize, body: Result<&[u8], TextGone>, content: &mut Content) {
        let body = match body {
            Ok(bytes) => serde_json::from_slice::<Value>(bytes).map_err(|_| Missing::Unreadable.as_str()),
            Err(gone) => Err(reason(gone)),
        };
        let mut pen = Pen::new(&self.redactor, limit);
        match body.map(|body| input::read(&mut pen, endpoint, &body)) {
            Ok(Some(read)) => {
                content.input = read.messages.map(|messages| Value::Array(messages).to_string());
                content.system = read.system.map(|parts| Value::Array(parts).to_string());
                content.stop_sequences = read.stop_sequences;
                content.input_truncated = pen.truncated;
                content.redactions += pen.redactions;
            }
            Ok(None) => content.input_missing = Some(Missing::Unreadable.as_str()),
            Err(why) => content.input_missing = Some(why),
        }
    }

    fn output(
        &self,
        exchange: &Unsettled,
        limit: usize,
        reply: Option<Result<&[u8], TextGone>>,
        content: &mut Content,
    ) {
        // An error is no reply of a model's.
        if !exchange.status.is_some_and(|status| (200..300).contains(&status)) || exchange.answered_by_limpid {
            return;
        }
        // A reply came and could not be read, or not to its end.
        if exchange.observation.fault.is_some() {
            content.output_missing = Some(Missing::Unreadable.as_str());
            return;
        }
        let said = match reply {
            Some(Ok(said)) => said,
            Some(Err(gone)) => {
                content.output_missing = Some(reason(gone));
                return;
            }
            None => return,
        };
        let mut pen = Pen::new(&self.redactor, limit);
        let messages = output::read(&mut pen, said, exchange);
        content.output = (!messages.is_empty()).then(|| Value::Array(messages).to_string());
        content.output_truncated = pen.truncated;
        content.redactions += pen.redactions;
    }
}

const fn reason(gone: TextGone) -> &'static str {
    match gone {
        TextGone::NotKept => "not_kept",
        TextGone::TooLarge => "too_large",
        TextGone::NoRoom => "no_room",
        TextGone::NotText => "not_text",
    }
}
