//! Native generation beside Ollama's, on `/generate` and `/generate_stream`.
//!
//! **TGI** (3.3): an event a token, `{"token":{"id","text","logprob","special"},"generated_text":null,"details":null}`;
//! the last one has the whole text and the details, which is the end. A special token (`</s>`) is output without text. Not
//! streamed, it is `{"generated_text","details"}`, or that in an array where `/` was called; `prefill` lists the prompt's
//! tokens only if it was asked for.
//!
//! **SGLang** (0.5): `{"text","meta_info":{"id","finish_reason":{"type"},"prompt_tokens","completion_tokens"}}`, streamed
//! with the whole text so far each time, and `[DONE]`. An event with more tokens than the one before is a token event.

use limpid_core::{ObserverFault, Source, Usage};

use super::plain::Parsed;
use super::{error, ollama};
use crate::json::{self, Few, Leaf, Raw, members};
use crate::reply_text::Piece;
use crate::seen::{Output, Seen};

members! {
    struct Line<'a> {
        token: Option<Token<'a>>,
        generated_text: Leaf<'a>,
        details: Leaf<'a>,
        text: Leaf<'a>,
        meta_info: Option<Meta<'a>>,
        error: Leaf<'a>,
    }
}

members! {
    struct Token<'a> {
        text: Leaf<'a>,
        special: Leaf<'a>,
    }
}

members! {
    struct Details<'a> {
        finish_reason: Leaf<'a>,
        generated_tokens: Leaf<'a>,
        input_length: Leaf<'a>,
        prefill: json::Len,
    }
}

members! {
    struct Meta<'a> {
        id: Leaf<'a>,
        finish_reason: Leaf<'a>,
        prompt_tokens: Leaf<'a>,
        completion_tokens: Leaf<'a>,
        cached_tokens: Leaf<'a>,
    }
}

members! {
    /// SGLang's finish, an object or a name.
    struct Finish<'a> {
        kind: Leaf<'a> = "type",
    }
}

/// What must be remembered between two events.
#[derive(Debug, Default)]
pub(crate) struct Generate {
    /// The first event was neither TGI's nor SGLang's, and so are the others.
    ollama: bool,
    /// SGLang's count so far.
    generated: u64,
}

impl Generate {
    /// One event or line, of whichever server.
    pub(super) fn event<'a>(&mut self, text: &'a str, named_error: bool, seen: &mut Seen) -> Parsed<'a> {
        if self.ollama {
            return ollama::event(text, named_error, seen);
        }
        let line = json::parse::<Line<'_>>(text)?.unwrap_or_default();
        if !line.is_ours() {
            self.ollama = true;
            return ollama::event(text, named_error, seen);
        }
        seen.event();
        seen.choice(0);
        seen.output(self.output(&line));
        if let Some(token) = line.token.as_ref().filter(|t| !t.is_special()) {
            seen.keep(0, Piece::Text, token.text);
            seen.says(token.text);
        }
        if line.generated_text.is_some() {
            seen.terminal();
        }
        line.facts(text, seen);
        Ok(None)
    }

    fn output(&mut self, line: &Line<'_>) -> Output {
        if let Some(token) = &line.token {
            let kind = if token.is_special() { Output::OTHER } else { Output::TEXT };
            return Output { tokens: Some(1), ..kind };
        }
        let generated = line.meta_info.as_ref().and_then(|m| count(m.completion_tokens)).unwrap_or(0);
        let more = generated.saturating_sub(self.generated);
        self.generated = self.generated.max(generated);
        let mut output = Output::default();
        output.add(more > 0, if line.text.is_some_and(Raw::is_text) { Output::TEXT } else { Output::OTHER });
        output.tokens = Some(more);
        output
    }
}

/// A reply that is not streamed.
pub(super) fn body(text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    if text.starts_with('[') {
        let list = json::parse::<Few<Raw<'_>>>(text)?.unwrap_or_default();
        // Several prompts in one request have a total that no member tells.
        return match list.iter().next() {
            Some(one) if list.iter().count() == 1 && one.first() == Some(b'{') => body(one.text(), seen),
            _ => Ok(()),
        };
    }
    let line = json::parse::<Line<'_>>(text)?.unwrap_or_default();
    if !line.is_ours() {
        return ollama::body(text, seen);
    }
    seen.choice(0);
    seen.keep(0, Piece::Text, line.generated_text);
    seen.says(line.generated_text);
    line.facts(text, seen);
    Ok(())
}

fn count(leaf: Leaf<'_>) -> Option<u64> {
    leaf.and_then(Raw::count)
}

impl Token<'_> {
    fn is_special(&self) -> bool {
        self.special.is_some_and(Raw::is_true)
    }
}

impl Line<'_> {
    fn is_ours(&self) -> bool {
        self.token.is_some() || self.generated_text.is_some() || self.meta_info.is_some()
    }

    fn facts(&self, text: &str, seen: &mut Seen) {
        if let Some(details) = self.details.and_then(Raw::parse::<Details<'_>>) {
            if let Some(reason) = details.finish_reason.and_then(Raw::string) {
                seen.finish(0, &reason);
            }
            let prefill = Some(details.prefill.0).filter(|n| *n > 0);
            told(count(details.input_length).or(prefill), count(details.generated_tokens), None, seen);
        }
        if let Some(meta) = &self.meta_info {
            meta.facts(self.text, seen);
        }
        if self.error.is_some_and(Raw::is_truthy) {
            error::in_stream(text, false, seen);
        }
    }
}

impl Meta<'_> {
    /// `text` is the whole text so far, which is read at its end alone.
    fn facts(&self, text: Leaf<'_>, seen: &mut Seen) {
        if !seen.has_response_id()
            && let Some(id) = self.id.and_then(Raw::string)
        {
            seen.response_id(&id);
        }
        let kind = self.finish_reason.and_then(|f| f.string().or_else(|| f.parse::<Finish<'_>>()?.kind?.string()));
        if let Some(reason) = kind {
            seen.finish(0, &reason);
            seen.keep(0, Piece::Text, text);
            seen.says(text);
        }
        told(count(self.prompt_tokens), count(self.completion_tokens), count(self.cached_tokens), seen);
    }
}

fn told(input_tokens: Option<u64>, output_tokens: Option<u64>, cached_input_tokens: Option<u64>, seen: &mut Seen) {
    if input_tokens.is_some() || output_tokens.is_some() {
        seen.usage(Usage { input_tokens, output_tokens, cached_input_tokens, ..Usage::empty(Source::Reported) });
    }
}
