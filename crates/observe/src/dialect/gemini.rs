//! Gemini's own API: `:generateContent`, and `:streamGenerateContent` as events (`alt=sse`) or as one JSON array.
//!
//! Every chunk is a whole reply of its own with what is new, and `usageMetadata` counts from the beginning: the last one
//! is the total. `candidatesTokenCount` leaves out the thoughts, `promptTokenCount` what tools put into the prompt: both
//! are added. Parts with `thought` are a summary of the thoughts, whose tokens stay hidden. There is no end marker: the
//! end is a `finishReason` for each candidate.
//!
//! A prompt that is blocked has no candidate but `promptFeedback.blockReason`, which stands for the finish. Source: the
//! Gemini API reference (v1beta) and Vertex AI's (v1), autumn 2026.

use limpid_core::{ObserverFault, RefusalKind, Source, Usage};

use super::error;
use crate::json::{self, Few, Leaf, Raw, members};
use crate::reply_text::Piece;
use crate::seen::{Output, Seen};

/// Reasons that mean a filter stopped it.
const FILTERS: &[&str] = &[
    "SAFETY",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "RECITATION",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
];

members! {
    struct Chunk<'a> {
        candidates: Few<Candidate<'a>>,
        prompt_feedback: Leaf<'a> = "promptFeedback",
        /// On every chunk, so it is read with it.
        usage_metadata: Option<Counts<'a>> = "usageMetadata",
        model_version: Leaf<'a> = "modelVersion",
        response_id: Leaf<'a> = "responseId",
        error: Leaf<'a>,
    }
}

members! {
    struct Candidate<'a> {
        index: Leaf<'a>,
        content: Option<Content<'a>>,
        finish_reason: Leaf<'a> = "finishReason",
    }
}

members! {
    struct Content<'a> {
        parts: Few<Part<'a>>,
    }
}

members! {
    struct Part<'a> {
        text: Leaf<'a>,
        thought: Leaf<'a>,
        function_call: Leaf<'a> = "functionCall",
        executable_code: Leaf<'a> = "executableCode",
        inline_data: Leaf<'a> = "inlineData",
    }
}

members! {
    struct Feedback<'a> {
        block_reason: Leaf<'a> = "blockReason",
    }
}

members! {
    struct Counts<'a> {
        prompt_token_count: Leaf<'a> = "promptTokenCount",
        tool_use_prompt_token_count: Leaf<'a> = "toolUsePromptTokenCount",
        candidates_token_count: Leaf<'a> = "candidatesTokenCount",
        thoughts_token_count: Leaf<'a> = "thoughtsTokenCount",
        cached_content_token_count: Leaf<'a> = "cachedContentTokenCount",
        prompt_tokens_details: Few<Modality<'a>> = "promptTokensDetails",
        candidates_tokens_details: Few<Modality<'a>> = "candidatesTokensDetails",
    }
}

members! {
    struct Modality<'a> {
        modality: Leaf<'a>,
        token_count: Leaf<'a> = "tokenCount",
    }
}

/// One chunk of a stream.
pub(super) fn event(text: &str, named_error: bool, seen: &mut Seen) -> Result<(), ObserverFault> {
    let mut chunk = Chunk::default();
    json::parse_into(text, &mut chunk)?;
    seen.event();
    let mut output = Output::default();
    for candidate in chunk.candidates.iter() {
        let piece = candidate.output();
        output.add(piece.any, piece);
    }
    if output.any && seen.awaits_first_token() {
        output.tokens = chunk.usage_metadata.as_ref().and_then(|c| count(c.candidates_token_count));
    }
    seen.output(output);
    chunk.facts(text, named_error, seen);
    Ok(())
}

/// A reply that is not streamed.
pub(super) fn body(text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    if let Some(chunk) = json::parse::<Chunk<'_>>(text)? {
        chunk.facts(text, false, seen);
    }
    Ok(())
}

fn count(leaf: Leaf<'_>) -> Option<u64> {
    leaf.and_then(Raw::count)
}

/// The sum of two counts, of which one may be left out.
fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    }
}

impl Chunk<'_> {
    fn facts(&self, text: &str, named_error: bool, seen: &mut Seen) {
        if !seen.has_model()
            && let Some(model) = self.model_version.and_then(Raw::string)
        {
            seen.model(&model);
        }
        if !seen.has_response_id()
            && let Some(id) = self.response_id.and_then(Raw::string)
        {
            seen.response_id(&id);
        }
        for candidate in self.candidates.iter() {
            candidate.facts(seen);
        }
        let feedback = self.prompt_feedback.and_then(Raw::parse::<Feedback<'_>>).unwrap_or_default();
        if let Some(reason) = feedback.block_reason.and_then(Raw::string) {
            seen.choice(0);
            seen.finish(0, &reason);
            seen.refusal("block_reason", RefusalKind::Filter);
        }
        if let Some(usage) = self.usage_metadata.as_ref().and_then(Counts::usage) {
            seen.usage(usage);
        }
        if named_error || self.error.is_some_and(Raw::is_truthy) {
            error::in_stream(text, named_error, seen);
        }
    }
}

impl Candidate<'_> {
    fn output(&self) -> Output {
        let mut output = Output::default();
        for part in self.content.iter().flat_map(|c| c.parts.iter()) {
            let thought = part.thought.is_some_and(Raw::is_true);
            let text = part.text.is_some_and(Raw::is_text);
            output.add(text && !thought, Output::TEXT);
            let other = [part.function_call, part.executable_code, part.inline_data];
            output.add(text || other.iter().any(Option::is_some), Output::OTHER);
        }
        output
    }

    fn facts(&self, seen: &mut Seen) {
        let index = count(self.index).and_then(|i| u32::try_from(i).ok()).unwrap_or(0);
        seen.choice(index);
        for part in self.content.iter().flat_map(|c| c.parts.iter()) {
            if part.inline_data.is_some() || part.function_call.is_some() || part.executable_code.is_some() {
                seen.generated_more_than_text();
            }
            if !part.thought.is_some_and(Raw::is_true) {
                seen.keep(index, Piece::Text, part.text);
                if index == 0 {
                    seen.says(part.text);
                }
            }
        }
        if let Some(reason) = self.finish_reason.and_then(Raw::string) {
            seen.finish(index, &reason);
            if FILTERS.contains(&&*reason) {
                seen.refusal("finish_reason", RefusalKind::Filter);
            }
        }
    }
}

impl Counts<'_> {
    fn usage(&self) -> Option<Usage> {
        let thoughts = count(self.thoughts_token_count);
        let usage = Usage {
            input_tokens: sum(count(self.prompt_token_count), count(self.tool_use_prompt_token_count)),
            output_tokens: sum(count(self.candidates_token_count), thoughts),
            cached_input_tokens: count(self.cached_content_token_count),
            audio_input_tokens: of_modality(&self.prompt_tokens_details, "\"AUDIO\""),
            image_input_tokens: of_modality(&self.prompt_tokens_details, "\"IMAGE\""),
            audio_output_tokens: of_modality(&self.candidates_tokens_details, "\"AUDIO\""),
            reasoning_output_tokens: thoughts,
            ..Usage::empty(Source::Reported)
        };
        (usage.input_tokens.is_some() || usage.output_tokens.is_some()).then_some(usage)
    }
}

fn of_modality(details: &Few<Modality<'_>>, name: &str) -> Option<u64> {
    details.iter().find(|d| d.modality.map(Raw::text) == Some(name)).and_then(|d| count(d.token_count))
}
