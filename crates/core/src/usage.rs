//! Token counts, each with its provenance.

use std::borrow::Cow;

use crate::endpoint::named_enum;

named_enum! {
    /// Where a number came from.
    Source {
        /// The backend's reply says so.
        Reported = "reported",
        /// Counted from the reply without doubt (timings, logprobs).
        Exact = "exact",
        /// limpid's estimate.
        Estimated = "estimated",
    }
}

named_enum! {
    /// What became of asking for a stream's usage in the client's stead.
    UsageAsked {
        /// The request asked; what came of it is taken out of the reply.
        Asked = "asked",
        /// The request asked, and the reply is compressed: it cannot be edited, so the client sees the usage too.
        LeftIn = "left_in",
        /// Not asked: the body is larger than what may be held.
        TooLarge = "too_large",
        /// Not asked: the body is compressed.
        Encoded = "encoded",
        /// Not asked: the body is no JSON object.
        NotJson = "not_json",
        /// Not asked: the body could be read in two ways, or the reply would change in more than can be undone.
        Unclear = "unclear",
    }
}

/// Tokens of one exchange. `input_tokens` counts all input, cached and cache-writing tokens included (Anthropic's own
/// `input_tokens` leaves those out; the dialect adds them). The more specific counts are subsets of the totals.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// All input tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// All output tokens, hidden reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Input read from a prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input_tokens: Option<u64>,
    /// Input written to a prompt cache, whatever its lifetime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_input_tokens: Option<u64>,
    /// The part of `cache_write_input_tokens` that is kept for an hour (Anthropic).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h_input_tokens: Option<u64>,
    /// Audio input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input_tokens: Option<u64>,
    /// Image input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_input_tokens: Option<u64>,
    /// Output spent on reasoning, streamed or hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_output_tokens: Option<u64>,
    /// Audio output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output_tokens: Option<u64>,
    /// Audio that is counted by its length and not in tokens (transcription, voice sessions), milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_ms: Option<u64>,
    /// Web searches that the provider made for the reply and bills one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_searches: Option<u64>,
    /// Where the counts came from.
    #[serde(default = "Usage::default_source")]
    pub source: Source,
    /// Where the input's counts came from, if from elsewhere: with an estimate of the output alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_source: Option<Source>,
    /// Where the output's counts came from, if from elsewhere: with an estimate of the input alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_source: Option<Source>,
    /// How an estimate was made: `tiktoken:o200k_base`, or an encoding times a factor for a family of models,
    /// `o200k_base*1.12:claude`. Absent without an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'static, str>>,
}

impl Usage {
    /// No counts yet, from `source`.
    pub const fn empty(source: Source) -> Usage {
        Usage {
            input_tokens: None,
            output_tokens: None,
            cached_input_tokens: None,
            cache_write_input_tokens: None,
            cache_write_1h_input_tokens: None,
            audio_input_tokens: None,
            image_input_tokens: None,
            reasoning_output_tokens: None,
            audio_output_tokens: None,
            audio_ms: None,
            web_searches: None,
            source,
            input_source: None,
            output_source: None,
            method: None,
        }
    }

    /// Where the input's counts came from.
    pub fn source_of_input(&self) -> Source {
        self.input_source.unwrap_or(self.source)
    }

    /// Where the output's counts came from.
    pub fn source_of_output(&self) -> Source {
        self.output_source.unwrap_or(self.source)
    }

    /// Whether some of the counts are limpid's estimate.
    pub fn has_estimate(&self) -> bool {
        self.source == Source::Estimated
    }

    fn default_source() -> Source {
        Source::Reported
    }
}

named_enum! {
    /// Prompt length in coarse steps: short and long prompts do not belong in one percentile.
    InputTokensBand {
        /// At most 128.
        To128 = "<=128",
        /// At most 512.
        To512 = "<=512",
        /// At most 2,048.
        To2k = "<=2k",
        /// At most 8,192.
        To8k = "<=8k",
        /// At most 32,768.
        To32k = "<=32k",
        /// More.
        Over32k = ">32k",
    }
}

impl InputTokensBand {
    /// The band of a prompt's length.
    pub fn of(input_tokens: u64) -> InputTokensBand {
        match input_tokens {
            0..=128 => InputTokensBand::To128,
            129..=512 => InputTokensBand::To512,
            513..=2_048 => InputTokensBand::To2k,
            2_049..=8_192 => InputTokensBand::To8k,
            8_193..=32_768 => InputTokensBand::To32k,
            _ => InputTokensBand::Over32k,
        }
    }
}
