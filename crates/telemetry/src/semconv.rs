//! Which text of OpenTelemetry's GenAI conventions is followed.
//!
//! There are two, and both are in development. The conventions left `open-telemetry/semantic-conventions` after v1.41.1,
//! the last release with their full text, for `open-telemetry/semantic-conventions-genai`, which has renamed some of
//! them and had no release by 2026-11; commit 88eccb155ca7 is what [`Semconv::Latest`] follows. What only the newer text
//! has, under a name that the older one does not use, is put out by both.

use limpid_core::Endpoint;
use opentelemetry::InstrumentationScope;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Semconv {
    /// v1.41.1.
    #[default]
    V1_41,
    /// The renamed set.
    Latest,
}

impl Semconv {
    /// The schema that spans and metrics name. v1.41.1 has that of 1.41.0; the newer text calls its own `-dev`.
    pub(crate) const fn schema_url(self) -> &'static str {
        match self {
            Semconv::V1_41 => "https://opentelemetry.io/schemas/1.41.0",
            Semconv::Latest => "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
        }
    }

    /// That of a scope, told from its schema.
    pub(crate) fn of(scope: &InstrumentationScope) -> Semconv {
        if scope.schema_url() == Some(Semconv::Latest.schema_url()) { Semconv::Latest } else { Semconv::V1_41 }
    }

    /// Which client metrics such a call has. Files, models and the like have none; they are not asked for.
    pub(crate) const fn client_metrics(self, endpoint: Endpoint) -> ClientMetrics {
        match (self, endpoint) {
            (Semconv::V1_41, _) => ClientMetrics::Operation,
            (Semconv::Latest, Endpoint::Embeddings) => ClientMetrics::Embeddings,
            // They judge what is there and generate nothing.
            (Semconv::Latest, Endpoint::Rerank | Endpoint::Moderations) => ClientMetrics::DurationOnly,
            (Semconv::Latest, _) => ClientMetrics::Inference,
        }
    }
}

/// The names that the client metrics of a call have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientMetrics {
    /// Those of v1.41.1, `gen_ai.client.operation.*` and `gen_ai.client.token.usage`.
    Operation,
    /// The newer text's of calls that generate something, `gen_ai.client.inference.*`.
    Inference,
    /// The newer text's of embeddings, `gen_ai.client.embeddings.*`.
    Embeddings,
    /// The newer text has but `gen_ai.client.operation.duration` for the rest.
    DurationOnly,
}
