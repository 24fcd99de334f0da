//! Span attributes and events: one table, from which the spans, the documentation and its test come. Some name labels
//! of metrics too. Durations are seconds.

use crate::semconv::Semconv;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Int,
    Double,
    Bool,
    Texts,
}

impl Type {
    /// As the conventions write it.
    #[cfg(test)]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Type::Text => "string",
            Type::Int => "int",
            Type::Double => "double",
            Type::Bool => "boolean",
            Type::Texts => "string[]",
        }
    }
}

/// How much the conventions want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Required,
    Conditional,
    Recommended,
    /// Only where the operator asks for it.
    OptIn,
    /// limpid's own.
    Own,
}

impl Level {
    #[cfg(test)]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Level::Required => "required",
            Level::Conditional => "conditional",
            Level::Recommended => "recommended",
            Level::OptIn => "opt-in",
            Level::Own => "limpid's",
        }
    }
}

/// An attribute's name in one text of the conventions.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) text: &'static str,
    pub(crate) kind: Type,
    /// The name as the member `key` of a `KeyValue` in protocol buffers, and the tag of the `value` that follows: made at
    /// compile time, for spans are written with some thirty of them each.
    pub(crate) encoded: &'static [u8],
}

/// See [`Name::encoded`]; `N` is the name's length and three. A name is shorter than 128 bytes, so its length takes one.
const fn encoded<const N: usize>(name: &str) -> [u8; N] {
    let name = name.as_bytes();
    assert!(name.len() < 128 && N == name.len() + 3);
    let mut all = [0; N];
    // The members' numbers, 1 and 2, and their wire type, which is that of bytes.
    (all[0], all[N - 1]) = (1 << 3 | 2, 2 << 3 | 2);
    let mut length = 0u8;
    while (length as usize) < name.len() {
        all[length as usize + 2] = name[length as usize];
        length += 1;
    }
    all[1] = length;
    all
}

/// One attribute.
#[derive(Debug)]
pub(crate) struct Attr {
    v1_41: Name,
    latest: Name,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the documentation, which a test holds to the table"))]
    pub(crate) level: Level,
    /// Without a full stop at the end.
    #[cfg_attr(not(test), expect(dead_code, reason = "likewise"))]
    pub(crate) note: &'static str,
}

impl Attr {
    /// Its name and type.
    pub(crate) const fn of(&self, semconv: Semconv) -> &Name {
        match semconv {
            Semconv::V1_41 => &self.v1_41,
            Semconv::Latest => &self.latest,
        }
    }

    /// Its name where no convention renames it.
    pub(crate) const fn name(&self) -> &'static str {
        self.v1_41.text
    }
}

macro_rules! attributes {
    (@name $name:literal $kind:ident) => {
        Name { text: $name, kind: Type::$kind, encoded: &encoded::<{ $name.len() + 3 }>($name) }
    };
    (@name $name:literal $kind:ident $new:literal $new_kind:ident) => { attributes!(@name $new $new_kind) };
    ($($attr:ident = $name:literal $kind:ident $(=> $new:literal $new_kind:ident)?, $level:ident, $note:literal;)+) => {
        $(pub(crate) const $attr: &Attr = &Attr {
            v1_41: attributes!(@name $name $kind),
            latest: attributes!(@name $name $kind $($new $new_kind)?),
            level: Level::$level,
            note: $note,
        };)+

        /// All of them.
        #[cfg(test)]
        pub(crate) const ATTRIBUTES: &[&Attr] = &[$($attr),+];
    };
}

attributes! {
    OPERATION = "gen_ai.operation.name" Text, Required, "`chat`, `text_completion`, `embeddings`, `generate_content`; for other APIs, limpid's name of the endpoint";
    PROVIDER = "gen_ai.provider.name" Text, Required, "the upstream's `provider`; absent where no route matched";
    REQUEST_MODEL = "gen_ai.request.model" Text, Conditional, "what was asked for, else what answered";
    SERVER_ADDRESS = "server.address" Text, Recommended, "the upstream's host";
    SERVER_PORT = "server.port" Int, Conditional, "its port";
    ERROR_TYPE = "error.type" Text, Conditional, "the reason of an outcome that is not `ok`; the same on metrics";
    CONVERSATION = "gen_ai.conversation.id" Text, Conditional, "the request's `conversation`, else `x-limpid-session`";
    OUTPUT_TYPE = "gen_ai.output.type" Text, Conditional, "`text`, `json`, `image`, `speech`: what the request asks for, where it says so";
    PROMPT_NAME = "gen_ai.prompt.name" Text, Conditional, "`x-limpid-template`";
    CHOICE_COUNT = "gen_ai.request.choice.count" Int, Conditional, "if it is not 1";
    SEED = "gen_ai.request.seed" Int, Conditional, "";
    STREAM = "gen_ai.request.stream" Bool, Conditional, "true, or absent";
    TOP_K = "gen_ai.request.top_k" Double => "gen_ai.request.top_k" Int, Conditional, "";
    TOP_P = "gen_ai.request.top_p" Double, Recommended, "";
    TEMPERATURE = "gen_ai.request.temperature" Double, Recommended, "";
    MAX_TOKENS = "gen_ai.request.max_tokens" Int, Recommended, "";
    FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty" Double, Recommended, "";
    PRESENCE_PENALTY = "gen_ai.request.presence_penalty" Double, Recommended, "";
    REASONING_LEVEL = "gen_ai.request.reasoning.level" Text, Recommended, "";
    PREVIOUS_RESPONSE = "gen_ai.request.previous_response.id" Text, Recommended, "";
    ENCODING_FORMATS = "gen_ai.request.encoding_formats" Texts, Recommended, "embeddings";
    DIMENSIONS = "gen_ai.embeddings.dimension.count" Int, Recommended, "embeddings: the size that was asked for";
    RESPONSE_ID = "gen_ai.response.id" Text, Recommended, "";
    RESPONSE_MODEL = "gen_ai.response.model" Text, Recommended, "";
    FINISH_REASONS = "gen_ai.response.finish_reasons" Texts, Recommended, "one a choice, in their order; `error` for one that began and did not end";
    TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk" Double, Recommended, "streams: to the first event of any kind";
    INPUT_TOKENS = "gen_ai.usage.input_tokens" Int, Recommended, "all of them, cached ones included";
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens" Int, Recommended, "all of them, hidden reasoning included";
    CACHE_READ = "gen_ai.usage.cache_read.input_tokens" Int, Recommended, "";
    CACHE_WRITE = "gen_ai.usage.cache_creation.input_tokens" Int => "gen_ai.usage.cache_write.input_tokens" Int, Recommended, "";
    REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens" Int, Recommended, "";
    AUDIO_INPUT_TOKENS = "gen_ai.usage.audio.input_tokens" Int, Recommended, "";
    IMAGE_INPUT_TOKENS = "gen_ai.usage.image.input_tokens" Int, Recommended, "";
    AUDIO_OUTPUT_TOKENS = "gen_ai.usage.audio.output_tokens" Int, Recommended, "";
    HTTP_STATUS = "http.response.status_code" Int, Recommended, "";
    OPENAI_API_TYPE = "openai.api.type" Text, Recommended, "provider `openai`: `chat_completions` or `responses`";
    OPENAI_REQUEST_TIER = "openai.request.service_tier" Text, Conditional, "provider `openai`: if it is not `auto`";
    OPENAI_RESPONSE_TIER = "openai.response.service_tier" Text, Conditional, "provider `openai`";
    OPENAI_FINGERPRINT = "openai.response.system_fingerprint" Text, Recommended, "provider `openai`";
    STOP_SEQUENCES = "gen_ai.request.stop_sequences" Texts, Recommended, "only with [captured content](capture.md)";
    INPUT_MESSAGES = "gen_ai.input.messages" Text, OptIn, "JSON; [captured content](capture.md)";
    OUTPUT_MESSAGES = "gen_ai.output.messages" Text, OptIn, "likewise";
    SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions" Text, OptIn, "likewise; where the API has them beside the messages";
    AZURE_NAMESPACE = "azure.resource_provider.namespace" Text, Recommended, "providers `azure.ai.inference` and `azure.ai.openai`: `Microsoft.CognitiveServices`";

    EXCHANGE = "limpid.exchange.id" Text, Own, "the record's id";
    ENDPOINT = "limpid.endpoint" Text, Own, "";
    UPSTREAM = "limpid.upstream" Text, Own, "its name in the settings";
    REGION = "limpid.region" Text, Own, "";
    KEY = "limpid.key" Text, Own, "";
    PROJECT = "limpid.project" Text, Own, "";
    USER = "limpid.user" Text, Own, "";
    TEMPLATE = "limpid.template" Text, Own, "";
    SESSION = "limpid.session" Text, Own, "";
    PRIORITY = "limpid.priority" Text, Own, "";
    REQUEST_ID = "limpid.request_id" Text, Own, "the client's `x-request-id`";
    ATTEMPTS = "limpid.attempts" Int, Own, "how often it was sent; beyond 1, each attempt is a child span";
    ATTEMPT = "limpid.attempt.number" Int, Own, "on a child span `attempt`: which it is, from 1";
    CATEGORY = "limpid.outcome.category" Text, Own, "";
    REASON = "limpid.outcome.reason" Text, Own, "";
    ENDING = "limpid.outcome.ending" Text, Own, "";
    FAULT = "limpid.outcome.fault" Text, Own, "";
    RETRYABLE = "limpid.outcome.retryable" Text, Own, "";
    RETRY_AFTER = "limpid.retry_after" Double, Own, "";
    REQUESTS_LIMIT = "limpid.rate_limit.requests.limit" Int, Own, "";
    REQUESTS_REMAINING = "limpid.rate_limit.requests.remaining" Int, Own, "";
    REQUESTS_RESET = "limpid.rate_limit.requests.reset" Double, Own, "";
    TOKENS_LIMIT = "limpid.rate_limit.tokens.limit" Int, Own, "";
    TOKENS_REMAINING = "limpid.rate_limit.tokens.remaining" Int, Own, "";
    TOKENS_RESET = "limpid.rate_limit.tokens.reset" Double, Own, "";
    INPUT_LIMIT = "limpid.rate_limit.input_tokens.limit" Int, Own, "";
    INPUT_REMAINING = "limpid.rate_limit.input_tokens.remaining" Int, Own, "";
    INPUT_RESET = "limpid.rate_limit.input_tokens.reset" Double, Own, "";
    OUTPUT_LIMIT = "limpid.rate_limit.output_tokens.limit" Int, Own, "";
    OUTPUT_REMAINING = "limpid.rate_limit.output_tokens.remaining" Int, Own, "";
    OUTPUT_RESET = "limpid.rate_limit.output_tokens.reset" Double, Own, "";
    AUDIO_INPUT = "limpid.usage.audio_input.duration" Double, Own, "audio that is counted by its length";
    ANSWERED = "limpid.answered_by_limpid" Bool, Own, "true, or absent";
    REFUSAL = "limpid.refusal.verdict" Text, Own, "`suspected` or `certain`, or absent";
    REFUSAL_SOURCE = "limpid.refusal.source" Text, Own, "";
    REFUSAL_KIND = "limpid.refusal.kind" Text, Own, "";
    QUEUE = "limpid.queue.duration" Double, Own, "";
    TTFT = "limpid.ttft" Double, Own, "";
    TPOT = "limpid.tpot" Double, Own, "";
    STALL = "limpid.stall" Double, Own, "";
    READER_LAG = "limpid.reader_lag" Double, Own, "";
    OUTPUT_SPEED = "limpid.output_tokens_per_s" Double, Own, "";
    USAGE_SOURCE = "limpid.usage.source" Text, Own, "`reported`, `exact` or `estimated`: what the usage attributes are worth";
    USAGE_METHOD = "limpid.usage.method" Text, Own, "how an estimate was made";
    USAGE_ASKED = "limpid.usage.asked" Text, Own, "what became of asking for the stream's usage";
    PRICE_USD = "limpid.price.usd" Double, Own, "";
    PRICE_SOURCE = "limpid.price.source" Text, Own, "";
    PRICE_ESTIMATED = "limpid.price.estimated" Bool, Own, "true, or absent";
    PRICE_MATCHED = "limpid.price.matched" Text, Own, "the entry that matched";
    PRICE_TABLE = "limpid.price.table" Text, Own, "the price table's date";
    PRICE_DISCOUNT = "limpid.price.discount" Text, Own, "what the settings take off the table's prices: `20%`";
    UNPRICED = "limpid.unpriced" Text, Own, "why there is no price";
    UNESTIMATED = "limpid.unestimated" Text, Own, "why there is no estimate";
    CONTENT_REDACTIONS = "limpid.content.redactions" Int, Own, "captured content: how many places were redacted; 0 too";
    INPUT_TRUNCATED = "limpid.content.input_truncated" Int, Own, "captured content: bytes of text that the input lost to its limit";
    OUTPUT_TRUNCATED = "limpid.content.output_truncated" Int, Own, "likewise the output";
    INPUT_MISSING = "limpid.content.input_missing" Text, Own, "why the input is not there although it was to be captured";
    OUTPUT_MISSING = "limpid.content.output_missing" Text, Own, "likewise the output";
}

/// Limit, remaining and reset (seconds) of each budget that a head tells of, as [`RateLimits::known`] names them.
///
/// [`RateLimits::known`]: limpid_core::RateLimits::known
pub(crate) const RATE_LIMITS: [(&str, [&Attr; 3]); 4] = [
    ("requests", [REQUESTS_LIMIT, REQUESTS_REMAINING, REQUESTS_RESET]),
    ("tokens", [TOKENS_LIMIT, TOKENS_REMAINING, TOKENS_RESET]),
    ("input_tokens", [INPUT_LIMIT, INPUT_REMAINING, INPUT_RESET]),
    ("output_tokens", [OUTPUT_LIMIT, OUTPUT_REMAINING, OUTPUT_RESET]),
];

/// What the operator's own labels begin with.
pub(crate) const OWN_LABEL: &str = "limpid.label.";

/// The span of one attempt where there were several.
pub(crate) const ATTEMPT_SPAN: &str = "attempt";
/// The `error.type` of an attempt that came back unsent.
pub(crate) const UNSENT: &str = "connection_closed";

/// The event at the first token; the convention has none, so the name is limpid's.
pub(crate) const FIRST_TOKEN_EVENT: &str = "limpid.first_token";
/// The event at the first visible text.
pub(crate) const FIRST_CONTENT_EVENT: &str = "limpid.first_content";
/// The event at the error inside a stream, or where a stream broke off.
pub(crate) const STREAM_ERROR_EVENT: &str = "limpid.stream_error";
