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
    pub(super) fn of(above: &[Name], text: &[u8]) -> Name {
        match (above, text) {
            ([], _) => Name::of_the_top(text),
            ([Name::StreamOptions], b"include_usage") => Name::IncludeUsage,
            ([Name::Reasoning], b"effort") => Name::ReasoningEffort,
            ([Name::TextOptions], b"format") => Name::Format,
            ([Name::ResponseFormat] | [Name::TextOptions, Name::Format], b"type") => Name::FormatType,
            ([Name::Parameters], _) => Name::of_parameters(text),
            _ => Name::Other,
        }
    }

    fn of_the_top(text: &[u8]) -> Name {
        match text {
            b"model" => Name::Model,
            b"stream" => Name::Stream,
            b"stream_options" => Name::StreamOptions,
            b"max_tokens" | b"max_completion_tokens" | b"max_output_tokens" => Name::MaxTokens,
            b"n" => Name::N,
            b"temperature" => Name::Temperature,
            b"top_p" => Name::TopP,
            b"top_k" => Name::TopK,
            b"frequency_penalty" => Name::FrequencyPenalty,
            b"presence_penalty" => Name::PresencePenalty,
            b"seed" => Name::Seed,
            b"service_tier" => Name::ServiceTier,
            b"reasoning_effort" => Name::ReasoningEffort,
            b"reasoning" => Name::Reasoning,
            b"conversation" => Name::Conversation,
            b"previous_response_id" => Name::PreviousResponse,
            b"response_format" => Name::ResponseFormat,
            b"text" => Name::TextOptions,
            b"format" => Name::Format,
            b"encoding_format" | b"embedding_types" => Name::EncodingFormats,
            b"dimensions" | b"output_dimension" => Name::Dimensions,
            b"options" | b"parameters" | b"generationConfig" | b"generation_config" => Name::Parameters,
            _ => Name::Other,
        }
    }

    fn of_parameters(text: &[u8]) -> Name {
        match text {
            b"temperature" => Name::Temperature,
            b"top_p" | b"topP" => Name::TopP,
            b"top_k" | b"topK" => Name::TopK,
            b"frequency_penalty" | b"frequencyPenalty" => Name::FrequencyPenalty,
            b"presence_penalty" | b"presencePenalty" => Name::PresencePenalty,
            b"seed" => Name::Seed,
            b"num_predict" | b"max_new_tokens" | b"maxOutputTokens" | b"max_output_tokens" => Name::MaxTokens,
            b"candidateCount" | b"candidate_count" => Name::N,
            b"responseMimeType" | b"response_mime_type" => Name::FormatType,
            _ => Name::Other,
        }
    }
}
