//! Anthropic messages: `/messages`.
//!
//! Token events are a `content_block_delta` with text, thinking or tool input, and a `content_block_start` that names a
//! tool. Signatures, citations, redacted thinking, tool results and `ping` are none.
//!
//! Usage is put together from `message_start` (input and cache counts) and `message_delta`, which is cumulative: each
//! member replaces what was there. vLLM has the whole input in the first and the uncached rest with the cache count in
//! the second; llama.cpp has the cache count only in the first. `input_tokens` leaves out the cache counts: they are
//! added. The output count of `message_start` is a placeholder and not taken.

use limpid_core::{ObserverFault, RefusalKind, Source, Usage};

use super::error;
use super::plain::{self, Parsed};
use crate::json::{self, Few, Leaf, Raw, members};
use crate::reply_text::Piece;
use crate::seen::{Output, Seen};

members! {
    struct Event<'a> {
        kind: Leaf<'a> = "type",
        message: Leaf<'a>,
        content_block: Leaf<'a>,
        delta: Option<Delta<'a>>,
        usage: Leaf<'a>,
        error: Leaf<'a>,
    }
}

members! {
    struct Delta<'a> {
        text: Leaf<'a>,
        thinking: Leaf<'a>,
        partial_json: Leaf<'a>,
        stop_reason: Leaf<'a>,
    }
}

members! {
    struct Block<'a> {
        kind: Leaf<'a> = "type",
        name: Leaf<'a>,
        text: Leaf<'a>,
        thinking: Leaf<'a>,
        input: Leaf<'a>,
    }
}

members! {
    struct Message<'a> {
        id: Leaf<'a>,
        model: Leaf<'a>,
        stop_reason: Leaf<'a>,
        usage: Leaf<'a>,
        error: Leaf<'a>,
        content: Leaf<'a>,
    }
}

members! {
    struct Counts<'a> {
        input_tokens: Leaf<'a>,
        output_tokens: Leaf<'a>,
        cache_read_input_tokens: Leaf<'a>,
        cache_creation_input_tokens: Leaf<'a>,
        cache_creation: Leaf<'a>,
        server_tool_use: Leaf<'a>,
        service_tier: Leaf<'a>,
    }
}

members! {
    struct ServerTools<'a> {
        web_search_requests: Leaf<'a>,
    }
}

members! {
    struct CacheCreation<'a> {
        ephemeral_5m_input_tokens: Leaf<'a>,
        ephemeral_1h_input_tokens: Leaf<'a>,
    }
}

/// The counts so far, as the API means them.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    uncached: Option<u64>,
    read: Option<u64>,
    write: Option<u64>,
    write_1h: Option<u64>,
    searches: Option<u64>,
    output: Option<u64>,
}

impl Messages {
    /// One event.
    pub(super) fn event<'a>(&mut self, text: &'a str, named_error: bool, seen: &mut Seen) -> Parsed<'a> {
        let event = json::parse::<Event<'a>>(text)?;
        seen.event();
        let event = event.unwrap_or_default();
        match event.kind.map(Raw::text) {
            Some("\"content_block_delta\"") => {
                let output = event.delta.as_ref().map(Delta::output).unwrap_or_default();
                if let Some(delta) = &event.delta {
                    seen.says(delta.text);
                    seen.keep(0, Piece::Text, delta.text);
                    seen.keep(0, Piece::Reasoning, delta.thinking);
                    seen.keep(0, Piece::Arguments, delta.partial_json);
                }
                seen.output(output);
                return Ok(event.delta.as_ref().and_then(Delta::plain));
            }
            Some("\"content_block_start\"") => {
                let block = event.content_block.and_then(Raw::parse::<Block<'_>>).unwrap_or_default();
                seen.output(block.output());
                block.opens(seen);
                // Its arguments follow in pieces.
                Block { input: None, ..block }.keep(seen);
            }
            Some("\"message_start\"") => {
                let message = event.message.and_then(Raw::parse::<Message<'_>>).unwrap_or_default();
                message.names(seen);
                self.usage(message.usage, false, seen);
            }
            Some("\"message_delta\"") => {
                let reason = event.delta.as_ref().and_then(|d| d.stop_reason);
                stop(reason, seen);
                self.usage(event.usage, true, seen);
            }
            Some("\"message_stop\"") => seen.terminal(),
            kind if named_error || kind == Some("\"error\"") || event.error.is_some_and(Raw::is_truthy) => {
                error::in_stream(text, true, seen);
            }
            _ => {}
        }
        Ok(None)
    }

    /// Replaces the counts that `raw` has.
    fn usage(&mut self, raw: Leaf<'_>, with_output: bool, seen: &mut Seen) {
        let Some(counts) = raw.and_then(Raw::parse::<Counts<'_>>) else { return };
        let replace = |slot: &mut Option<u64>, leaf: Leaf<'_>| *slot = leaf.and_then(Raw::count).or(*slot);
        replace(&mut self.uncached, counts.input_tokens);
        replace(&mut self.read, counts.cache_read_input_tokens);
        if let Some(written) = counts.cache_creation.and_then(Raw::parse::<CacheCreation<'_>>) {
            replace(&mut self.write_1h, written.ephemeral_1h_input_tokens);
            let short = written.ephemeral_5m_input_tokens.and_then(Raw::count);
            let sum = short.map(|n| n.saturating_add(self.write_1h.unwrap_or(0))).or(self.write_1h);
            self.write = sum.or(self.write);
        }
        replace(&mut self.write, counts.cache_creation_input_tokens);
        if let Some(tools) = counts.server_tool_use.and_then(Raw::parse::<ServerTools<'_>>) {
            replace(&mut self.searches, tools.web_search_requests);
        }
        if with_output {
            replace(&mut self.output, counts.output_tokens);
        }
        if let Some(tier) = counts.service_tier.and_then(Raw::string) {
            seen.service_tier(&tier);
        }
        let cached = self.read.unwrap_or(0).saturating_add(self.write.unwrap_or(0));
        if self.uncached.is_some() || self.output.is_some() {
            seen.usage(Usage {
                input_tokens: self.uncached.map(|n| n.saturating_add(cached)),
                output_tokens: self.output,
                cached_input_tokens: self.read,
                cache_write_input_tokens: self.write,
                cache_write_1h_input_tokens: self.write_1h,
                web_searches: self.searches,
                ..Usage::empty(Source::Reported)
            });
        }
    }
}

/// A message that is not streamed.
pub(super) fn body(text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    if let Some(message) = json::parse::<Message<'_>>(text)? {
        message.names(seen);
        let content = message.content.and_then(Raw::parse::<Few<Block<'_>>>).unwrap_or_default();
        content.iter().for_each(|block| {
            block.opens(seen);
            block.keep(seen);
        });
        stop(message.stop_reason, seen);
        Messages::default().usage(message.usage, true, seen);
        if message.error.is_some_and(Raw::is_truthy) {
            error::in_stream(text, false, seen);
        }
    }
    Ok(())
}

fn stop(reason: Leaf<'_>, seen: &mut Seen) {
    if let Some(reason) = reason.and_then(Raw::string) {
        seen.choice(0);
        seen.finish(0, &reason);
        if reason == "refusal" {
            seen.refusal("stop_reason", RefusalKind::Model);
        }
    }
}

fn text_or_thinking(text: Leaf<'_>, thinking: Leaf<'_>) -> Output {
    let mut output = Output::default();
    output.add(text.is_some_and(Raw::is_text), Output::TEXT);
    output.add(thinking.is_some_and(Raw::is_text), Output::REASONING);
    output
}

impl<'a> Delta<'a> {
    /// What it adds, if that is one string.
    fn plain(&self) -> Option<plain::Delta<'a>> {
        let (piece, text) = match (self.text, self.thinking, self.partial_json) {
            (Some(text), None, None) => (Piece::Text, text),
            (None, Some(text), None) => (Piece::Reasoning, text),
            (None, None, Some(text)) => (Piece::Arguments, text),
            _ => return None,
        };
        text.is_text().then_some(plain::Delta { choice: 0, piece, text })
    }
}

impl Delta<'_> {
    fn output(&self) -> Output {
        let mut output = text_or_thinking(self.text, self.thinking);
        output.add(self.partial_json.is_some_and(Raw::is_text), Output::OTHER);
        output
    }
}

impl Block<'_> {
    /// All that the model wrote in it is kept, where that is wanted.
    fn keep(&self, seen: &mut Seen) {
        if self.output().any {
            seen.keep(0, Piece::Text, self.text);
            seen.keep(0, Piece::Reasoning, self.thinking);
            seen.keep(0, Piece::Name, self.name);
            seen.keep(0, Piece::Arguments, self.input);
        }
    }

    /// The text of a text block goes to the opening.
    fn opens(&self, seen: &mut Seen) {
        if self.kind.map(Raw::text) == Some("\"text\"") {
            seen.says(self.text);
        }
    }

    fn output(&self) -> Output {
        match self.kind.map(Raw::text) {
            Some("\"text\"" | "\"thinking\"") => text_or_thinking(self.text, self.thinking),
            Some("\"tool_use\"" | "\"server_tool_use\"" | "\"mcp_tool_use\"") => {
                let mut output = Output::default();
                output.add(self.name.is_some_and(Raw::is_text), Output::OTHER);
                output
            }
            _ => Output::default(),
        }
    }
}

impl Message<'_> {
    fn names(&self, seen: &mut Seen) {
        if let Some(id) = self.id.and_then(Raw::string) {
            seen.response_id(&id);
        }
        if let Some(model) = self.model.and_then(Raw::string) {
            seen.model(&model);
            seen.choice(0);
        }
    }
}
