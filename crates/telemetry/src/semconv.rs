//! Which text of OpenTelemetry's GenAI conventions is followed.
//!
//! There are two, and both are in development. The conventions left `open-telemetry/semantic-conventions` after v1.41.1,
//! the last release with their full text, for `open-telemetry/semantic-conventions-genai`, which has renamed some of
//! them and had no release by 2026-11; commit 024a4f944a12 is what [`Semconv::Latest`] follows. What only the newer text
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

    /// Whether the client metrics of such a call have their new names. The newer text renames those of inference alone:
    /// embeddings, reranking and the like keep the old ones.
    pub(crate) const fn renames(self, endpoint: Endpoint) -> bool {
        let inference = matches!(
            endpoint,
            Endpoint::Chat
                | Endpoint::Completions
                | Endpoint::Responses
                | Endpoint::Messages
                | Endpoint::Generate
                | Endpoint::GenerateContent
                | Endpoint::Realtime
        );
        matches!(self, Semconv::Latest) && inference
    }
}
