//! Embeddings, rerank, scores and moderations: one body, nothing generated, so no output tokens and no finish.
//!
//! | of | the input's tokens |
//! |---|---|
//! | OpenAI, vLLM, llama.cpp, Mistral, Jina, Voyage | `usage.prompt_tokens`, else `usage.total_tokens` alone |
//! | Cohere (v1, v2) | `meta.tokens.input_tokens`, else `meta.billed_units.input_tokens`; search units are no tokens |
//! | Ollama `/api/embed` | `prompt_eval_count`; its older `/api/embeddings` tells none |
//!
//! Text Embeddings Inference answers with a bare array, which tells nothing. That a moderation flagged a text is its
//! answer and no refusal.

use limpid_core::{ObserverFault, Source, Usage};

use super::{error, usage};
use crate::json::{self, Leaf, Raw, members};
use crate::seen::Seen;

members! {
    struct Reply<'a> {
        id: Leaf<'a>,
        model: Leaf<'a>,
        object: Leaf<'a>,
        usage: usage::Member<'a>,
        meta: Option<Meta<'a>>,
        prompt_eval_count: Leaf<'a>,
        error: Leaf<'a>,
    }
}

members! {
    /// Cohere's.
    struct Meta<'a> {
        tokens: Leaf<'a>,
        billed_units: Leaf<'a>,
    }
}

members! {
    struct Units<'a> {
        input_tokens: Leaf<'a>,
    }
}

/// The reply.
pub(super) fn body(text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    let Some(reply) = json::parse::<Reply<'_>>(text)? else { return Ok(()) };
    if let Some(id) = reply.id.and_then(Raw::string) {
        seen.response_id(&id);
    }
    if let Some(model) = reply.model.and_then(Raw::string) {
        seen.model(&model);
    }
    let flat = reply.object.is_some_and(|o| o.text() == "\"error\"");
    if flat || reply.error.is_some_and(Raw::is_truthy) {
        error::in_stream(text, flat, seen);
    }
    if let Some(told) = usage::openai(&reply.usage, true) {
        if let Some(cost) = told.cost {
            seen.cost(cost);
        }
        seen.usage(told.usage);
    } else if let Some(input) = reply.input_tokens() {
        seen.usage(Usage { input_tokens: Some(input), ..Usage::empty(Source::Reported) });
    }
    Ok(())
}

impl Reply<'_> {
    fn input_tokens(&self) -> Option<u64> {
        let units = |leaf: Leaf<'_>| leaf?.parse::<Units<'_>>()?.input_tokens?.count();
        let cohere = self.meta.as_ref().and_then(|m| units(m.tokens).or_else(|| units(m.billed_units)));
        cohere.or_else(|| self.prompt_eval_count.and_then(Raw::count))
    }
}
