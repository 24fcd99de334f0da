//! OpenAI chat completions, streamed: `/chat/completions` of everyone.
//!
//! A choice begins with a chunk that has a role, and often an empty `content` or `null`; it is no token. After that, an
//! empty `content` without a role stands for a token without text (vLLM's switch from reasoning to content, half an
//! emoji) and counts. llama.cpp's `prompt_progress` chunks come before any token and do not.
//!
//! Visible text is `content` and `refusal`; reasoning, tool calls and audio (its transcript too) are output without text.

use limpid_core::RefusalKind;

use super::openai::{Choice, Reply, Stream};
use super::plain::{Delta, Parsed};
use crate::json::{self, Few, Leaf, Raw, members};
use crate::reply_text::Piece;
use crate::seen::{Output, Seen};

members! {
    /// A message, or what a chunk adds to it.
    pub(super) struct Message<'a> {
        role: Leaf<'a>,
        content: Leaf<'a>,
        pub(super) refusal: Leaf<'a>,
        /// vLLM, Groq, OpenRouter, Ollama.
        reasoning: Leaf<'a>,
        /// DeepSeek, SGLang, llama.cpp, older vLLM.
        reasoning_content: Leaf<'a>,
        tool_calls: Few<ToolCall<'a>>,
        /// The tool calls of 2023.
        function_call: Option<Call<'a>>,
        audio: Option<Audio<'a>>,
    }
}

members! {
    struct ToolCall<'a> {
        function: Option<Call<'a>>,
        custom: Option<Call<'a>>,
    }
}

members! {
    struct Call<'a> {
        name: Leaf<'a>,
        arguments: Leaf<'a>,
        input: Leaf<'a>,
    }
}

members! {
    struct Audio<'a> {
        data: Leaf<'a>,
        transcript: Leaf<'a>,
    }
}

members! {
    /// A part of a `content` that is a list (Mistral).
    struct Part<'a> {
        kind: Leaf<'a> = "type",
        text: Leaf<'a>,
        thinking: Leaf<'a>,
    }
}

impl Call<'_> {
    fn says_something(&self) -> bool {
        // Arguments are text; some servers send the object itself.
        let said = |leaf: Leaf<'_>| leaf.is_some_and(|v| v.is_text() || v.first() == Some(b'{'));
        said(self.name) || said(self.arguments) || said(self.input)
    }
}

impl Message<'_> {
    /// What it adds. `empty_counts`: an empty `content` is a token here.
    fn output(&self, empty_counts: bool) -> Output {
        let text = |leaf: Leaf<'_>| leaf.is_some_and(Raw::is_text);
        let call = |call: &Option<Call<'_>>| call.as_ref().is_some_and(Call::says_something);
        let mut output = Output::default();
        output.add(text(self.content) || text(self.refusal), Output::TEXT);
        output.add(text(self.reasoning) || text(self.reasoning_content), Output::REASONING);
        output.add(self.tool_calls.iter().any(|t| call(&t.function) || call(&t.custom)), Output::OTHER);
        output.add(call(&self.function_call), Output::OTHER);
        output.add(self.audio.as_ref().is_some_and(|a| text(a.data) || text(a.transcript)), Output::OTHER);
        match self.content {
            Some(content) if content.is_empty_text() => output.add(empty_counts, Output::OTHER),
            Some(content) if content.first() == Some(b'[') => add_parts(content, &mut output),
            _ => {}
        }
        output
    }
}

impl<'a> Message<'a> {
    /// What it adds, if that is one string and no more.
    fn delta(&self) -> Option<(Piece, Raw<'a>)> {
        let call = match (self.tool_calls.only(), self.tool_calls.is_empty()) {
            (None, true) => None,
            (Some(ToolCall { function: Some(Call { name: None, arguments, input: None }), custom: None }), _) => {
                *arguments
            }
            _ => return None,
        };
        if self.refusal.is_some() || self.function_call.is_some() || self.audio.is_some() {
            return None;
        }
        let (piece, text) = match (self.content, self.reasoning, self.reasoning_content, call) {
            (Some(text), None, None, None) => (Piece::Text, text),
            (None, Some(text), None, None) | (None, None, Some(text), None) => (Piece::Reasoning, text),
            (None, None, None, Some(text)) if !self.tool_calls.is_empty() => (Piece::Arguments, text),
            _ => return None,
        };
        text.is_text().then_some((piece, text))
    }
}

impl Message<'_> {
    /// Its visible text goes to the opening; for the first choice's message.
    pub(super) fn opens(&self, seen: &mut Seen) {
        match self.content {
            Some(parts) if parts.first() == Some(b'[') && !seen.observation.opening.is_full() => {
                for part in parts.parse::<Few<Part<'_>>>().unwrap_or_default().iter() {
                    if !part.is_thinking() {
                        seen.says(part.text);
                    }
                }
            }
            text => seen.says(text),
        }
    }
}

impl Message<'_> {
    /// All that it says is kept, where that is wanted.
    pub(super) fn keep(&self, choice: u32, seen: &mut Seen) {
        if seen.reply.is_none() {
            return;
        }
        // Some servers send the same reasoning under both names.
        let reasoning = self.reasoning.filter(|r| r.is_text()).or(self.reasoning_content);
        seen.keep(choice, Piece::Reasoning, reasoning);
        match self.content {
            Some(parts) if parts.first() == Some(b'[') => {
                for part in parts.parse::<Few<Part<'_>>>().unwrap_or_default().iter() {
                    if part.is_thinking() {
                        // A list of parts again; what else is in it is little.
                        seen.keep(choice, Piece::Reasoning, part.thinking);
                        let thought = part.thinking.and_then(Raw::parse::<Few<Part<'_>>>).unwrap_or_default();
                        thought.iter().for_each(|t| seen.keep(choice, Piece::Reasoning, t.text));
                    } else {
                        seen.keep(choice, Piece::Text, part.text);
                    }
                }
            }
            text => seen.keep(choice, Piece::Text, text),
        }
        seen.keep(choice, Piece::Refusal, self.refusal);
        let tools = self.tool_calls.iter().flat_map(|t| [&t.function, &t.custom]);
        for call in tools.chain([&self.function_call]).flatten() {
            seen.keep(choice, Piece::Name, call.name);
            seen.keep(choice, Piece::Arguments, call.arguments.or(call.input));
        }
        if self.audio.as_ref().is_some_and(|a| a.data.is_some() || a.transcript.is_some()) {
            seen.generated_more_than_text();
        }
    }
}

impl Part<'_> {
    fn is_thinking(&self) -> bool {
        self.kind.is_some_and(|k| k.text() == "\"thinking\"")
    }
}

fn add_parts(content: Raw<'_>, output: &mut Output) {
    for part in content.parse::<Few<Part<'_>>>().unwrap_or_default().iter() {
        let thinking = part.is_thinking();
        output.add(thinking && part.thinking.is_some_and(Raw::is_truthy), Output::REASONING);
        output.add(!thinking && part.text.is_some_and(Raw::is_text), Output::TEXT);
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    /// A bit for each choice whose role chunk was seen. Choices above 127 have none; their empty contents do not count.
    roles: u128,
    stream: Stream,
}

impl Chat {
    /// One chunk.
    pub(super) fn event<'a>(&mut self, text: &'a str, named_error: bool, seen: &mut Seen) -> Parsed<'a> {
        let mut reply = Reply::default();
        json::parse_into(text, &mut reply)?;
        seen.event();
        reply.common(text, named_error, seen);
        let mut output = Output::default();
        for choice in reply.choices.iter() {
            let piece = self.choice(choice, reply.prompt_progress.is_some(), seen);
            output.add(piece.any, piece);
        }
        if output.any && seen.awaits_first_token() {
            output.tokens = reply.tokens_so_far();
        }
        seen.output(output);
        self.stream.usage(&reply, seen);
        Ok(reply.plain_choice().and_then(|choice| {
            let (piece, text) = choice.delta.as_ref().or(choice.message.as_ref())?.delta()?;
            Some(Delta { choice: choice.index(), piece, text })
        }))
    }

    fn choice(&mut self, choice: &Choice<'_>, progress: bool, seen: &mut Seen) -> Output {
        choice.common(seen);
        // A few servers send their whole reply as one event, with `message`.
        let Some(message) = choice.delta.as_ref().or(choice.message.as_ref()) else { return Output::default() };
        if choice.index() == 0 {
            message.opens(seen);
        }
        message.keep(choice.index(), seen);
        if message.refusal.is_some_and(Raw::is_text) {
            seen.refusal("refusal_field", RefusalKind::Model);
        }
        let bit = 1u128.checked_shl(choice.index()).unwrap_or(0);
        let empty_counts = message.role.is_none() && self.roles & bit != 0 && !progress;
        if message.role.is_some() {
            self.roles |= bit;
        }
        message.output(empty_counts)
    }
}
