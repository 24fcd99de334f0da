//! Names of span attributes and events; some name labels too. Durations are seconds.

pub(crate) const OPERATION: &str = "gen_ai.operation.name";
pub(crate) const PROVIDER: &str = "gen_ai.provider.name";
pub(crate) const CONVERSATION: &str = "gen_ai.conversation.id";
pub(crate) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(crate) const CHOICE_COUNT: &str = "gen_ai.request.choice.count";
pub(crate) const SEED: &str = "gen_ai.request.seed";
pub(crate) const TOP_K: &str = "gen_ai.request.top_k";
pub(crate) const TOP_P: &str = "gen_ai.request.top_p";
pub(crate) const TEMPERATURE: &str = "gen_ai.request.temperature";
pub(crate) const MAX_TOKENS: &str = "gen_ai.request.max_tokens";
pub(crate) const FREQUENCY_PENALTY: &str = "gen_ai.request.frequency_penalty";
pub(crate) const PRESENCE_PENALTY: &str = "gen_ai.request.presence_penalty";
pub(crate) const REASONING_LEVEL: &str = "gen_ai.request.reasoning.level";
pub(crate) const STREAM: &str = "gen_ai.request.stream";
pub(crate) const RESPONSE_ID: &str = "gen_ai.response.id";
pub(crate) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(crate) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub(crate) const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub(crate) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(crate) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(crate) const CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
pub(crate) const CACHE_CREATION: &str = "gen_ai.usage.cache_creation.input_tokens";
pub(crate) const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const HTTP_STATUS: &str = "http.response.status_code";
pub(crate) const OPENAI_API_TYPE: &str = "openai.api.type";
pub(crate) const OPENAI_REQUEST_TIER: &str = "openai.request.service_tier";
pub(crate) const OPENAI_RESPONSE_TIER: &str = "openai.response.service_tier";

pub(crate) const EXCHANGE: &str = "limpid.exchange.id";
pub(crate) const ENDPOINT: &str = "limpid.endpoint";
pub(crate) const UPSTREAM: &str = "limpid.upstream";
pub(crate) const REGION: &str = "limpid.region";
pub(crate) const KEY: &str = "limpid.key";
pub(crate) const PROJECT: &str = "limpid.project";
pub(crate) const USER: &str = "limpid.user";
pub(crate) const TEMPLATE: &str = "limpid.template";
pub(crate) const SESSION: &str = "limpid.session";
pub(crate) const PRIORITY: &str = "limpid.priority";
pub(crate) const REQUEST_ID: &str = "limpid.request_id";
pub(crate) const ATTEMPTS: &str = "limpid.attempts";
pub(crate) const CATEGORY: &str = "limpid.outcome.category";
pub(crate) const REASON: &str = "limpid.outcome.reason";
pub(crate) const ENDING: &str = "limpid.outcome.ending";
pub(crate) const FAULT: &str = "limpid.outcome.fault";
pub(crate) const RETRYABLE: &str = "limpid.outcome.retryable";
pub(crate) const RETRY_AFTER: &str = "limpid.retry_after";
/// Limit, remaining and reset (seconds) of each budget that a head tells of, as [`RateLimits::known`] names them.
///
/// [`RateLimits::known`]: limpid_core::RateLimits::known
pub(crate) const RATE_LIMITS: [(&str, [&str; 3]); 4] = [
    (
        "requests",
        [
            "limpid.rate_limit.requests.limit",
            "limpid.rate_limit.requests.remaining",
            "limpid.rate_limit.requests.reset",
        ],
    ),
    (
        "tokens",
        ["limpid.rate_limit.tokens.limit", "limpid.rate_limit.tokens.remaining", "limpid.rate_limit.tokens.reset"],
    ),
    (
        "input_tokens",
        [
            "limpid.rate_limit.input_tokens.limit",
            "limpid.rate_limit.input_tokens.remaining",
            "limpid.rate_limit.input_tokens.reset",
        ],
    ),
    (
        "output_tokens",
        [
            "limpid.rate_limit.output_tokens.limit",
            "limpid.rate_limit.output_tokens.remaining",
            "limpid.rate_limit.output_tokens.reset",
        ],
    ),
];
pub(crate) const AUDIO_INPUT: &str = "limpid.usage.audio_input.duration";
pub(crate) const ANSWERED: &str = "limpid.answered_by_limpid";
pub(crate) const REFUSAL: &str = "limpid.refusal.verdict";
pub(crate) const REFUSAL_SOURCE: &str = "limpid.refusal.source";
pub(crate) const REFUSAL_KIND: &str = "limpid.refusal.kind";
pub(crate) const QUEUE: &str = "limpid.queue.duration";
pub(crate) const TTFT: &str = "limpid.ttft";
pub(crate) const TPOT: &str = "limpid.tpot";
pub(crate) const STALL: &str = "limpid.stall";
pub(crate) const READER_LAG: &str = "limpid.reader_lag";
pub(crate) const OUTPUT_SPEED: &str = "limpid.output_tokens_per_s";
pub(crate) const USAGE_SOURCE: &str = "limpid.usage.source";
pub(crate) const USAGE_METHOD: &str = "limpid.usage.method";
pub(crate) const PRICE_USD: &str = "limpid.price.usd";
pub(crate) const PRICE_SOURCE: &str = "limpid.price.source";
pub(crate) const PRICE_ESTIMATED: &str = "limpid.price.estimated";
pub(crate) const PRICE_MATCHED: &str = "limpid.price.matched";
pub(crate) const UNPRICED: &str = "limpid.unpriced";
pub(crate) const UNESTIMATED: &str = "limpid.unestimated";

/// The event at the first token; the convention has none, so the name is limpid's.
pub(crate) const FIRST_TOKEN_EVENT: &str = "limpid.first_token";
/// The event at the first visible text.
pub(crate) const FIRST_CONTENT_EVENT: &str = "limpid.first_content";
