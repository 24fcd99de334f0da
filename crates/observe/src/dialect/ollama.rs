//! Ollama's native `/api/chat` and `/api/generate`, which `generate.rs` tells from others': NDJSON whose last line says
//! `"done": true`, or one such line alone.
//!
//! `prompt_eval_count` is absent when the whole prompt was cached (older versions): then the input is not known.

use limpid_core::{ObserverFault, Source, Usage};

use super::error;
use super::plain::{Delta, Parsed};
use crate::json::{self, Few, Leaf, Len, Raw, members};
use crate::reply_text::Piece;
use crate::seen::{Output, Seen};

members! {
    struct Line<'a> {
        model: Leaf<'a>,
        message: Option<Message<'a>>,
        /// `/api/generate`: the text.
        response: Leaf<'a>,
        thinking: Leaf<'a>,
        done: Leaf<'a>,
        done_reason: Leaf<'a>,
        prompt_eval_count: Leaf<'a>,
        eval_count: Leaf<'a>,
        error: Leaf<'a>,
    }
}

members! {
    struct Message<'a> {
        content: Leaf<'a>,
        thinking: Leaf<'a>,
        tool_calls: Leaf<'a>,
    }
}

members! {
    struct ToolCall<'a> {
        function: Function<'a>,
    }
}

members! {
    struct Function<'a> {
        name: Leaf<'a>,
        arguments: Leaf<'a>,
    }
}

/// One line.
pub(super) fn event<'a>(text: &'a str, named_error: bool, seen: &mut Seen) -> Parsed<'a> {
    let line = json::parse::<Line<'a>>(text)?;
    seen.event();
    let line = line.unwrap_or_default();
    seen.output(line.output());
    line.facts(text, seen);
    if named_error {
        error::in_stream(text, true, seen);
    }
    if line.done.is_some_and(Raw::is_true) {
        seen.terminal();
    }
    Ok(line.plain())
}

/// A reply that is not streamed.
pub(super) fn body(text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    if let Some(line) = json::parse::<Line<'_>>(text)? {
        line.facts(text, seen);
    }
    Ok(())
}

impl<'a> Line<'a> {
    /// What it adds, if that is one string and no more.
    fn plain(&self) -> Option<Delta<'a>> {
        let ends = self.done.is_some_and(Raw::is_true) || self.done_reason.is_some();
        let counts = self.prompt_eval_count.is_some() || self.eval_count.is_some();
        let (content, thinking) = match &self.message {
            Some(message) if message.tool_calls.is_none() => (message.content, message.thinking),
            Some(_) => return None,
            None => (None, None),
        };
        let (piece, text) = match (self.response, self.thinking, content, thinking) {
            (Some(text), None, None, None) | (None, None, Some(text), None) => (Piece::Text, text),
            (None, Some(text), None, None) | (None, None, None, Some(text)) => (Piece::Reasoning, text),
            _ => return None,
        };
        let plain = !ends && !counts && self.error.is_none() && text.is_text();
        plain.then_some(Delta { choice: 0, piece, text })
    }
}

impl Line<'_> {
    fn output(&self) -> Output {
        let mut output = Output::default();
        let is = |leaf: Leaf<'_>| leaf.is_some_and(Raw::is_text);
        output.add(is(self.response), Output::TEXT);
        output.add(is(self.thinking), Output::REASONING);
        if let Some(message) = &self.message {
            output.add(is(message.content), Output::TEXT);
            output.add(is(message.thinking), Output::REASONING);
            let calls = message.tool_calls.and_then(Raw::parse::<Len>).unwrap_or_default();
            output.add(calls.0 > 0, Output::OTHER);
        }
        output
    }

    /// All that it says is kept, where that is wanted.
    fn keep(&self, seen: &mut Seen) {
        seen.keep(0, Piece::Text, self.response);
        seen.keep(0, Piece::Reasoning, self.thinking);
        let Some(message) = self.message.as_ref().filter(|_| seen.reply.is_some()) else { return };
        seen.keep(0, Piece::Text, message.content);
        seen.keep(0, Piece::Reasoning, message.thinking);
        for call in message.tool_calls.and_then(Raw::parse::<Few<ToolCall<'_>>>).unwrap_or_default().iter() {
            seen.keep(0, Piece::Name, call.function.name);
            seen.keep(0, Piece::Arguments, call.function.arguments);
        }
    }

    fn facts(&self, text: &str, seen: &mut Seen) {
        if !seen.has_model()
            && let Some(model) = self.model.and_then(Raw::string)
        {
            seen.model(&model);
            seen.choice(0);
        }
        self.keep(seen);
        seen.says(self.response);
        seen.says(self.message.as_ref().and_then(|m| m.content));
        if let Some(reason) = self.done_reason.and_then(Raw::string) {
            seen.finish(0, &reason);
        }
        let count = |leaf: Leaf<'_>| leaf.and_then(Raw::count);
        let (input_tokens, output_tokens) = (count(self.prompt_eval_count), count(self.eval_count));
        if input_tokens.is_some() || output_tokens.is_some() {
            seen.usage(Usage { input_tokens, output_tokens, ..Usage::empty(Source::Reported) });
        }
        if self.error.is_some_and(Raw::is_truthy) {
            error::in_stream(text, false, seen);
        }
    }
}
