//! Which members of a request matter, by where they stand.
//!
//! At the top: what OpenAI, Anthropic and those that follow them call their parameters. Below it: `options` (Ollama),
//! `parameters` (TGI), `generationConfig` (Gemini), which hold the same parameters under other names; `stream_options`,
//! `reasoning`, and the formats that a request may want back.

/// A member that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Other,
    Model,
    Stream,
    StreamOptions,
    IncludeUsage,
    MaxTokens,
    N,
    Temperature,
    TopP,
    TopK,
    FrequencyPenalty,
    PresencePenalty,
    Seed,
    ServiceTier,
    ReasoningEffort,
    Reasoning,
    Conversation,
    PreviousResponse,
    /// `response_format`; an object with `type`.
    ResponseFormat,
    /// `text` of the Responses API, which holds `format`.
    TextOptions,
    /// Ollama's `format`, a name or a schema; in `text`, an object with `type`.
    Format,
    FormatType,
    EncodingFormats,
    Dimensions,
    /// `options`, `parameters`, `generationConfig`.
    Parameters,
    /// `metadata`, where the settings want something of it.
    Metadata,
    /// One of the members that they want, by its place among them.
    MetadataMember(u8),
}

/// Whether members that matter stand directly below this path.
pub(super) const fn holds_members(path: &[Name]) -> bool {
    matches!(
        path,
        [] | [Name::StreamOptions
            | Name::Reasoning
            | Name::ResponseFormat
            | Name::TextOptions
            | Name::Parameters
            | Name::Metadata]
            | [Name::TextOptions, Name::Format]
    )
}

impl Name {
    /// Whether its own value matters. `text` may also be a prompt.
    pub(super) const fn has_value(self) -> bool {
        use Name::{Metadata, Other, Parameters, Reasoning, ResponseFormat, StreamOptions, TextOptions};
        !matches!(self, Metadata | Other | Parameters | Reasoning | ResponseFormat | StreamOptions | TextOptions)
    }

    /// What a member called `text` is below this path.
    pub(super) fn of(above: &[Name], text: &str) -> Name {
        match (above, text) {
            ([], _) => Name::of_the_top(text),
            ([Name::StreamOptions], "include_usage") => Name::IncludeUsage,
            ([Name::Reasoning], "effort") => Name::ReasoningEffort,
            ([Name::TextOptions], "format") => Name::Format,
            ([Name::ResponseFormat] | [Name::TextOptions, Name::Format], "type") => Name::FormatType,
            ([Name::Parameters], _) => Name::of_parameters(text),
            _ => Name::Other,
        }
    }

    fn of_the_top(text: &str) -> Name {
        match text {
            "model" => Name::Model,
            "stream" => Name::Stream,
            "stream_options" => Name::StreamOptions,
            "max_tokens" | "max_completion_tokens" | "max_output_tokens" => Name::MaxTokens,
            "n" => Name::N,
            "temperature" => Name::Temperature,
            "top_p" => Name::TopP,
            "top_k" => Name::TopK,
            "frequency_penalty" => Name::FrequencyPenalty,
            "presence_penalty" => Name::PresencePenalty,
            "seed" => Name::Seed,
            "service_tier" => Name::ServiceTier,
            "reasoning_effort" => Name::ReasoningEffort,
            "reasoning" => Name::Reasoning,
            "conversation" => Name::Conversation,
            "previous_response_id" => Name::PreviousResponse,
            "response_format" => Name::ResponseFormat,
            "text" => Name::TextOptions,
            "format" => Name::Format,
            "encoding_format" | "embedding_types" => Name::EncodingFormats,
            "dimensions" | "output_dimension" => Name::Dimensions,
            "options" | "parameters" | "generationConfig" | "generation_config" => Name::Parameters,
            _ => Name::Other,
        }
    }

    fn of_parameters(text: &str) -> Name {
        match text {
            "temperature" => Name::Temperature,
            "top_p" | "topP" => Name::TopP,
            "top_k" | "topK" => Name::TopK,
            "frequency_penalty" | "frequencyPenalty" => Name::FrequencyPenalty,
            "presence_penalty" | "presencePenalty" => Name::PresencePenalty,
            "seed" => Name::Seed,
            "num_predict" | "max_new_tokens" | "maxOutputTokens" | "max_output_tokens" => Name::MaxTokens,
            "candidateCount" | "candidate_count" => Name::N,
            "responseMimeType" | "response_mime_type" => Name::FormatType,
            _ => Name::Other,
        }
    }
}
