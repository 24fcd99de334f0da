//! Every name that limpid's telemetry puts out: metrics and their labels here, span attributes and events in `attr`.
//!
//! GenAI names follow the semantic conventions v1.41.1, or the newer text ([`Semconv`](crate::Semconv)); limpid's own
//! begin with `limpid.`. Both exporters read the one table below, so that a metric has the same name, unit, text and
//! buckets on `/metrics` and in OTLP. `/metrics` keeps the names of v1.41.1 whatever OTLP is set to, for dashboards and
//! rules are written to them. The Prometheus spelling follows OpenTelemetry's rules for it: dots
//! become underscores, `s` becomes the suffix `_seconds`, units in braces add nothing, counters end in `_total`.
//!
//! A GenAI histogram of times has the bounds that its convention advises, none left out and none put between. They end
//! where long prompts and reasoning models begin (82 s, 10 s for the first token, 2.5 s per token), so they are continued
//! to 600 s; those between tokens and chunks are continued below 10 ms too, where fast streams are.

use limpid_core::GapHistogram;

pub(crate) mod attr;
mod label;

pub use label::is_reserved_label;
pub(crate) use label::{ENDPOINT, LABEL, LabelName, MAX_LABELS, Shape, WHAT, WHY};

/// The instrumentation scope of spans and instruments.
pub(crate) const SCOPE: &str = "limpid";

/// Durations of whole calls, and times to the first chunk: the convention's powers of two, continued.
const DURATION: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 600.0];
/// Times to the first token, and to limpid's own firsts: the convention's bounds for the first token, continued.
const FIRST: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 320.0, 600.0,
];
/// What limpid itself takes, or a queue: from ten microseconds up.
const FINE: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0,
];
/// Times between chunks. The gaps of a stream arrive already counted into these.
const GAPS: &[f64] = &GapHistogram::BOUNDS;
/// Times per token, and stalls: the convention's bounds for the time per output token, continued at both ends.
const PER_TOKEN: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 120.0, 300.0, 600.0,
];
/// Token counts: powers of four, as the convention advises.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// What an instrument counts in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Whole numbers that add up.
    Counter,
    /// Fractional numbers that add up.
    Amount,
    /// A distribution, with its upper bounds.
    Histogram(&'static [f64]),
}

/// The unit, as UCUM writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Tokens,
    Usd,
    Requests,
    Records,
    Items,
    Events,
}

impl Unit {
    pub(crate) const fn ucum(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::Tokens => "{token}",
            Unit::Usd => "{USD}",
            Unit::Requests => "{request}",
            Unit::Records => "{record}",
            Unit::Items => "{item}",
            Unit::Events => "{event}",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unit: Unit,
    pub(crate) shape: Shape,
    /// Without a full stop at the end.
    pub(crate) help: &'static str,
}

impl Definition {
    /// Whether it exists in the newer text of the conventions alone; see [`Semconv`](crate::Semconv).
    pub(crate) fn is_latest_only(&self) -> bool {
        ["gen_ai.client.inference.", "gen_ai.client.embeddings."].iter().any(|of| self.name.starts_with(of))
    }
}

macro_rules! metrics {
    ($($(#[$meta:meta])* $metric:ident = $name:literal, $kind:expr, $unit:ident, $shape:ident, $help:literal;)+) => {
        /// A metric that finished exchanges feed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Metric { $($(#[$meta])* $metric),+ }

        impl Metric {
            /// All of them, in the order of [`METRICS`].
            pub(crate) const ALL: &[Metric] = &[$(Metric::$metric),+];
        }

        /// All of them, each at the index of its `Metric`.
        pub(crate) const METRICS: &[Definition] = &[$(Definition {
            name: $name,
            kind: $kind,
            unit: Unit::$unit,
            shape: Shape::$shape,
            help: $help,
        }),+];
    };
}

metrics! {
    OperationDuration = "gen_ai.client.operation.duration", Kind::Histogram(DURATION), Seconds, Error,
        "Time from the request's arrival to the end of the response";
    TimeToFirstChunk = "gen_ai.client.operation.time_to_first_chunk", Kind::Histogram(DURATION), Seconds, Base,
        "Time from the request's arrival to the first event of the stream, of any kind";
    TimePerOutputChunk = "gen_ai.client.operation.time_per_output_chunk", Kind::Histogram(GAPS), Seconds, Base,
        "Time between consecutive events with generated output";
    TokenUsage = "gen_ai.client.token.usage", Kind::Histogram(TOKENS), Tokens, TokenType,
        "Input and output tokens of one call as the backend counted them; estimates are left out";
    ServerRequestDuration = "gen_ai.server.request.duration", Kind::Histogram(DURATION), Seconds, Error,
        "Time from the request's arrival to the end of the response, of requests that went upstream";
    ServerTimeToFirstToken = "gen_ai.server.time_to_first_token", Kind::Histogram(FIRST), Seconds, Band,
        "Time from the request's arrival to the first generated output of a successful stream";
    ServerTimePerOutputToken = "gen_ai.server.time_per_output_token", Kind::Histogram(PER_TOKEN), Seconds, Base,
        "Time per output token after the first of a successful stream";
    Requests = "limpid.requests", Kind::Counter, Requests, Request,
        "Finished exchanges";
    Tokens = "limpid.tokens", Kind::Counter, Tokens, Tokens,
        "Tokens by type and source; types other than input and output are subsets of these two";
    Cost = "limpid.cost", Kind::Amount, Usd, Tokens,
        "Price of the tokens in US dollars by its most specific parts, which add up; a part that is only known as a sum has the type total";
    Refusals = "limpid.refusals", Kind::Counter, Requests, Refusal,
        "Replies that are a refusal, or read like one";
    QueueDuration = "limpid.queue.duration", Kind::Histogram(FINE), Seconds, Base,
        "Time that the request waited for a permit";
    TimeToFirstByte = "limpid.time_to_first_byte", Kind::Histogram(FIRST), Seconds, Base,
        "Time from the request's arrival to the first byte of the response's body";
    TimeToFirstContent = "limpid.time_to_first_content", Kind::Histogram(FIRST), Seconds, Base,
        "Time from the request's arrival to the first visible text of a stream";
    Stall = "limpid.stall", Kind::Histogram(PER_TOKEN), Seconds, Base,
        "The longest gap between events with generated output of one stream";
    ReaderLag = "limpid.reader_lag", Kind::Histogram(FINE), Seconds, Base,
        "Time for which the response waited for a slow client";
    Overhead = "limpid.overhead", Kind::Histogram(FINE), Seconds, Base,
        "Time that limpid itself took before the request went upstream, without queue and connect";
    Unpriced = "limpid.unpriced", Kind::Counter, Requests, Why,
        "Exchanges with known tokens and no price, by the cause";
    Unestimated = "limpid.unestimated", Kind::Counter, Requests, Why,
        "Exchanges whose reply left token counts out that could not be estimated either, by the cause";
    ObserverErrors = "limpid.observer.errors", Kind::Counter, Events, Why,
        "Responses that the observer stopped reading, by the cause; the relay went on";
    UsageAsked = "limpid.usage.asked", Kind::Counter, Requests, Why,
        "Streams that were to be asked for their usage, by what became of it";
    RouteFallback = "limpid.route.fallback", Kind::Counter, Requests, Why,
        "Requests that no route has by its model, by the cause; the upstream for all models got them, or none";

    // Only with `telemetry.semconv = "latest"`, in the place of the first four.
    EmbeddingsDuration = "gen_ai.client.embeddings.duration", Kind::Histogram(DURATION), Seconds, Error,
        "Time from the request's arrival to the end of the response";
    EmbeddingsInputTokens = "gen_ai.client.embeddings.operation.input_tokens", Kind::Histogram(TOKENS), Tokens, Base,
        "Input tokens of one call as the backend counted them; estimates are left out";
    InferenceDuration = "gen_ai.client.inference.duration", Kind::Histogram(DURATION), Seconds, Error,
        "Time from the request's arrival to the end of the response";
    InferenceTimeToFirstChunk = "gen_ai.client.inference.time_to_first_chunk", Kind::Histogram(DURATION), Seconds, Base,
        "Time from the request's arrival to the first event of the stream, of any kind";
    InferenceTimePerOutputChunk = "gen_ai.client.inference.time_per_output_chunk", Kind::Histogram(GAPS), Seconds, Base,
        "Time between consecutive events with generated output";
    OperationInputTokens = "gen_ai.client.inference.operation.input_tokens", Kind::Histogram(TOKENS), Tokens, Base,
        "Input tokens of one call as the backend counted them; estimates are left out";
    OperationOutputTokens = "gen_ai.client.inference.operation.output_tokens", Kind::Histogram(TOKENS), Tokens, Base,
        "Output tokens of one call as the backend counted them; estimates are left out";
    UsageInputTokens = "gen_ai.client.inference.usage.input_tokens", Kind::Counter, Tokens, Modality,
        "Input tokens as the backend counted them, cached ones included";
    UsageOutputTokens = "gen_ai.client.inference.usage.output_tokens", Kind::Counter, Tokens, Modality,
        "Output tokens as the backend counted them, reasoning included";
    UsageCacheRead = "gen_ai.client.inference.usage.cache_read.input_tokens", Kind::Counter, Tokens, Modality,
        "Input tokens that were read from a prompt cache; a part of the input tokens";
    UsageCacheWrite = "gen_ai.client.inference.usage.cache_write.input_tokens", Kind::Counter, Tokens, Modality,
        "Input tokens that were written to a prompt cache; a part of the input tokens";
    UsageReasoning = "gen_ai.client.inference.usage.reasoning.output_tokens", Kind::Counter, Tokens, Modality,
        "Output tokens spent on reasoning; a part of the output tokens";
}

impl Metric {
    /// Its line of the table.
    pub(crate) const fn definition(self) -> &'static Definition {
        &METRICS[self as usize]
    }

    /// Whether its buckets carry the trace of their last exchange.
    pub(crate) const fn has_exemplars(self) -> bool {
        matches!(
            self,
            Metric::OperationDuration
                | Metric::TimeToFirstChunk
                | Metric::ServerRequestDuration
                | Metric::ServerTimeToFirstToken
        )
    }
}

/// A name as Prometheus spells it, less the suffixes for unit and counter.
pub(crate) fn spelling(name: &str) -> String {
    name.replace('.', "_")
}

/// A metric that is read when it is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveDefinition {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) help: &'static str,
}

/// Exchanges under way, by endpoint.
pub(crate) const IN_FLIGHT: LiveDefinition =
    LiveDefinition { name: "limpid.in_flight", unit: Unit::Requests, help: "Exchanges that have begun and not ended" };
/// Records that no surface saw.
pub(crate) const RECORDS_DROPPED: LiveDefinition = LiveDefinition {
    name: "limpid.records.dropped",
    unit: Unit::Records,
    help: "Finished exchanges that are missing in every other number because the queue of records was full",
};
/// What never became an exchange.
pub(crate) const UNREADABLE: LiveDefinition = LiveDefinition {
    name: "limpid.requests.unreadable",
    unit: Unit::Requests,
    help: "Answers of 400, 414 or 431 to what is no HTTP request, or has too large a head; they have no record",
};
/// What could not be exported, by what and why.
pub(crate) const EXPORT_FAILED: LiveDefinition = LiveDefinition {
    name: "limpid.export.failed",
    unit: Unit::Items,
    help: "Spans, metric exports and log lines that were lost, by what and why",
};
/// What was exported.
pub(crate) const EXPORT_SENT: LiveDefinition = LiveDefinition {
    name: "limpid.export.sent",
    unit: Unit::Items,
    help: "Spans, log records and exports of metrics that a collector took, and lines of the exchange log, by what",
};
/// What is missing in limpid's own log.
pub(crate) const LOG_DROPPED: LiveDefinition = LiveDefinition {
    name: "limpid.log.dropped",
    unit: Unit::Items,
    help: "Lines of limpid's own log that were lost because standard error was not read, or not to be written",
};
/// How often a label's value was replaced.
pub(crate) const LABELS_OVERFLOW: LiveDefinition = LiveDefinition {
    name: "limpid.labels.overflow",
    unit: Unit::Events,
    help: "Times that a label's value was replaced by other because there were too many values, or label sets",
};

/// The value that stands for all that have no place of their own.
pub(crate) const OTHER: &str = "other";
/// `limpid.tokens` and `limpid.cost`, by type.
pub(crate) const TOTAL: &str = "total";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_consistent() {
        for d in METRICS {
            assert!(d.shape.labels().len() <= MAX_LABELS, "{}", d.name);
            assert!(d.name.starts_with("gen_ai.") || d.name.starts_with("limpid."), "{}", d.name);
            assert!(!d.help.ends_with('.'), "prometheus-client adds one: {}", d.help);
            if let Kind::Histogram(bounds) = d.kind {
                assert!(bounds.is_sorted_by(|a, b| a < b), "{}", d.name);
                assert!(d.unit == Unit::Seconds || d.unit == Unit::Tokens, "{}", d.name);
            }
            assert_eq!(&d.shape.labels()[..4], Shape::Base.labels());
        }
    }
}
