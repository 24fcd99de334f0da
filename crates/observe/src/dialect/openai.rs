//! What OpenAI's chat completions and completions share, and with them most servers' "compatible" APIs: the reply's
//! outer members, its choices, its error, its usage.
//!
//! Also read: `timings` (llama.cpp), `x_groq`, Azure's content filter results, `usage.cost` (OpenRouter). Sources: the
//! OpenAI API reference, vLLM 0.33, SGLang 0.5, llama.cpp of autumn 2026, Azure OpenAI's REST reference.

use limpid_core::{ObserverFault, RefusalKind, Source, Usage};

use super::chat::Message;
use super::{error, usage};
use crate::json::{self, Few, Filtered, Leaf, Len, Raw, members};
use crate::reply_text::Piece;
use crate::seen::Seen;

members! {
    /// A reply or a chunk of one.
    pub(super) struct Reply<'a> {
        pub(super) id: Leaf<'a>,
        pub(super) model: Leaf<'a>,
        pub(super) service_tier: Leaf<'a>,
        pub(super) system_fingerprint: Leaf<'a>,
        pub(super) choices: Few<Choice<'a>>,
        pub(super) usage: usage::Member<'a>,
        pub(super) error: Leaf<'a>,
        pub(super) object: Leaf<'a>,
        pub(super) timings: Leaf<'a>,
        pub(super) prompt_progress: Leaf<'a>,
        pub(super) prompt_filter_results: Filtered,
        pub(super) x_groq: Leaf<'a>,
    }
}

members! {
    pub(super) struct Choice<'a> {
        pub(super) index: Leaf<'a>,
        /// A chunk's part of the message; of some servers, `null`.
        pub(super) delta: Option<Message<'a>>,
        /// The message of a reply that is not streamed.
        pub(super) message: Option<Message<'a>>,
        /// Completions: the text.
        pub(super) text: Leaf<'a>,
        pub(super) finish_reason: Leaf<'a>,
        logprobs: Leaf<'a>,
        token_ids: Leaf<'a>,
        content_filter_results: Filtered,
    }
}

members! {
    /// Groq's own member of the first and last chunk.
    struct Groq<'a> {
        usage: usage::Member<'a>,
        error: Leaf<'a>,
    }
}

members! {
    /// llama.cpp's counts: of this request, and of one choice where there are several.
    #[expect(clippy::struct_field_names, reason = "the names are the server's")]
    struct Timings<'a> {
        cache_n: Leaf<'a>,
        prompt_n: Leaf<'a>,
        predicted_n: Leaf<'a>,
    }
}

/// The lists with an entry for each token: `content` and `refusal` of chat, `tokens` of completions.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Logprobs {
    content: Len,
    refusal: Len,
    tokens: Len,
}

/// What must be remembered between the chunks of one stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// The usage came on a chunk with choices. vLLM counts the tokens of that chunk's choice there.
    usage_of_choice: bool,
}

impl Choice<'_> {
    pub(super) fn index(&self) -> u32 {
        self.index.and_then(Raw::count).and_then(|i| u32::try_from(i).ok()).unwrap_or(0)
    }

    /// Its number in the list, its end, and what a filter did.
    pub(super) fn common(&self, seen: &mut Seen) {
        let index = self.index();
        seen.choice(index);
        if self.content_filter_results.hit {
            seen.refusal("filter_result", RefusalKind::Filter);
        }
        if let Some(reason) = self.finish_reason.and_then(Raw::string) {
            seen.finish(index, &reason);
            // Gemini's compatible API appends which filter it was.
            if reason.starts_with("content_filter") {
                seen.refusal("finish_reason", RefusalKind::Filter);
            } else if reason == "refusal" {
                seen.refusal("finish_reason", RefusalKind::Model);
            }
        }
    }

    /// How many tokens this chunk's choice carries, by the lists that tell it.
    fn listed_tokens(&self) -> u64 {
        let ids = self.token_ids.and_then(Raw::parse::<Len>).unwrap_or_default().0;
        let listed =
            self.logprobs.and_then(|lists| serde_json::from_str::<Logprobs>(lists.text()).ok()).unwrap_or_default();
        (listed.content.0 + listed.refusal.0).max(listed.tokens.0).max(ids)
    }
}

impl<'a> Reply<'a> {
    /// Its one choice, if nothing beside it counts or could differ the next time: what else [`Reply::common`] and
    /// [`Choice::common`] tell is the same when told again.
    pub(super) fn plain_choice(&self) -> Option<&Choice<'a>> {
        let counts = self.usage.is_some() || self.timings.is_some() || self.x_groq.is_some();
        let fails = self.error.is_some() || self.object.is_some_and(|o| o.text() == "\"error\"");
        self.choices.only().filter(|_| !counts && !fails)
    }
}

impl Reply<'_> {
    /// The outer members. `text` is the whole event, for an error.
    pub(super) fn common(&self, text: &str, named_error: bool, seen: &mut Seen) {
        if !seen.has_response_id()
            && let Some(id) = self.id.and_then(Raw::string)
        {
            seen.response_id(&id);
        }
        if !seen.has_model()
            && let Some(model) = self.model.and_then(Raw::string)
        {
            seen.model(&model);
        }
        if let Some(tier) = self.service_tier.and_then(Raw::string) {
            seen.service_tier(&tier);
        }
        if !seen.has_system_fingerprint()
            && let Some(fingerprint) = self.system_fingerprint.and_then(Raw::string)
        {
            seen.system_fingerprint(&fingerprint);
        }
        if self.prompt_filter_results.hit {
            seen.refusal("filter_result", RefusalKind::Filter);
        }
        let flat = || self.object.is_some_and(|o| o.text() == "\"error\"");
        if named_error || self.error.is_some_and(Raw::is_truthy) || flat() {
            error::in_stream(text, named_error, seen);
        }
        if let Some(groq) = self.x_groq.and_then(Raw::parse::<Groq<'_>>)
            && groq.error.is_some_and(Raw::is_truthy)
        {
            error::in_stream(self.x_groq.map(Raw::text).unwrap_or_default(), false, seen);
        }
    }

    fn told(&self) -> Option<usage::Told> {
        if self.usage.is_some() {
            return usage::openai(&self.usage, false);
        }
        usage::openai(&self.x_groq?.parse::<Groq<'_>>()?.usage, false)
    }

    fn timings(&self) -> Option<Usage> {
        let timings = self.timings?.parse::<Timings<'_>>()?;
        let count = |leaf: Leaf<'_>| leaf.and_then(Raw::count);
        let (fresh, cached) = (count(timings.prompt_n), count(timings.cache_n));
        let output_tokens = count(timings.predicted_n);
        Some(Usage {
            input_tokens: fresh.map(|n| n.saturating_add(cached.unwrap_or(0))),
            cached_input_tokens: cached,
            output_tokens,
            ..Usage::empty(Source::Exact)
        })
    }

    /// The tokens generated by the end of this chunk: from the lists that have an entry for each token, else from
    /// continuous usage or timings, which count from the beginning. Only asked for the first token event.
    pub(super) fn tokens_so_far(&self) -> Option<u64> {
        let listed = self.choices.iter().fold(0u64, |sum, c| sum.saturating_add(c.listed_tokens()));
        if listed > 0 {
            return Some(listed);
        }
        if let Some(told) = self.told() {
            return told.usage.output_tokens;
        }
        self.timings().and_then(|t| t.output_tokens)
    }
}

impl Stream {
    /// The usage of a chunk, after its choices were counted.
    ///
    /// With several choices, counts on a chunk that has choices are one choice's and no total; so are timings.
    pub(super) fn usage(&mut self, reply: &Reply<'_>, seen: &mut Seen) {
        let several = seen.observation.choices_seen > 1;
        if several && self.usage_of_choice {
            seen.forget_usage();
            self.usage_of_choice = false;
        }
        let of_choice = !reply.choices.is_empty();
        if let Some(told) = reply.told() {
            if let Some(cost) = told.cost {
                seen.cost(cost);
            }
            if !(several && of_choice) {
                self.usage_of_choice = of_choice;
                seen.usage(told.usage);
            }
        } else if !several && let Some(counts) = reply.timings() {
            self.usage_of_choice |= seen.observation.usage.is_none();
            seen.usage(counts);
        }
    }
}

/// A reply that is not streamed.
pub(super) fn body(text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    let mut reply = Reply::default();
    if !json::parse_into(text, &mut reply)? {
        return Ok(());
    }
    reply.common(text, false, seen);
    for choice in reply.choices.iter() {
        choice.common(seen);
        if choice.index() == 0 {
            seen.says(choice.text);
            if let Some(message) = &choice.message {
                message.opens(seen);
            }
        }
        seen.keep(choice.index(), Piece::Text, choice.text);
        if let Some(message) = &choice.message {
            message.keep(choice.index(), seen);
        }
        if choice.message.as_ref().is_some_and(|m| m.refusal.is_some_and(Raw::is_text)) {
            seen.refusal("refusal_field", RefusalKind::Model);
        }
    }
    if let Some(told) = reply.told() {
        if let Some(cost) = told.cost {
            seen.cost(cost);
        }
        seen.usage(told.usage);
    } else if reply.choices.iter().count() == 1
        && let Some(counts) = reply.timings()
    {
        seen.usage(counts);
    }
    Ok(())
}
