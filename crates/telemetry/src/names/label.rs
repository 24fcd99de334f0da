//! The labels of metrics: each one's name, and which of them a metric has.
//!
//! A metric has the labels of its [`Shape`], the operator's own behind them where the shape has them. Shapes, not single
//! lists, so that few kinds of label sets exist and each has its bound.

use std::sync::Arc;

use super::{attr, spelling};

/// A label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Label {
    Operation,
    Provider,
    Model,
    Upstream,
    ErrorType,
    TokenType,
    Modality,
    Band,
    Endpoint,
    Category,
    Reason,
    Status,
    Stream,
    Key,
    Project,
    Type,
    Source,
    Verdict,
    Why,
}

impl Label {
    const ALL: [Label; 19] = {
        use Label::{
            Band, Category, Endpoint, ErrorType, Key, Modality, Model, Operation, Project, Provider, Reason, Source,
            Status, Stream, TokenType, Type, Upstream, Verdict, Why,
        };
        [
            Operation, Provider, Model, Upstream, ErrorType, TokenType, Modality, Band, Endpoint, Category, Reason,
            Status, Stream, Key, Project, Type, Source, Verdict, Why,
        ]
    };

    /// As an OpenTelemetry attribute; in Prometheus' spelling with underscores for dots.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Label::Operation => attr::OPERATION.name(),
            Label::Provider => attr::PROVIDER.name(),
            Label::Model => attr::REQUEST_MODEL.name(),
            Label::Upstream => "upstream",
            Label::ErrorType => attr::ERROR_TYPE.name(),
            Label::TokenType => "gen_ai.token.type",
            Label::Modality => "gen_ai.token.modality",
            Label::Band => "input_tokens_band",
            Label::Endpoint => ENDPOINT,
            Label::Category => "category",
            Label::Reason => "reason",
            Label::Status => "status_code",
            Label::Stream => "stream",
            Label::Key => "key",
            Label::Project => "project",
            Label::Type => "type",
            Label::Source => "source",
            Label::Verdict => "verdict",
            Label::Why => WHY,
        }
    }

    /// Whether the label keeps its value when there are too many label sets. Those that say what a number *is* must,
    /// or input tokens would be added to output tokens; their values are short closed lists.
    pub(crate) const fn is_kept(self) -> bool {
        use Label::{Category, Modality, Source, TokenType, Type, Verdict, Why};
        matches!(self, TokenType | Modality | Category | Type | Source | Verdict | Why)
    }
}

/// Label names that the metrics read at a scrape use too.
pub(crate) const ENDPOINT: &str = "endpoint";
pub(crate) const WHY: &str = "why";
pub(crate) const WHAT: &str = "what";
pub(crate) const LABEL: &str = "label";

/// A label's name as a series carries it: one of the table, or one of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum LabelName {
    Known(Label),
    Own(Arc<str>),
}

impl LabelName {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            LabelName::Known(label) => label.name(),
            LabelName::Own(name) => name,
        }
    }
}

/// Whether an own label must not have this name: a metric has a label of that name, on `/metrics` or from who scrapes it,
/// or the name would read as something else of an exchange.
pub fn is_reserved_label(name: &str) -> bool {
    const MORE: [&str; 20] = [
        "model",
        "provider",
        "operation",
        "error",
        "status",
        "user",
        "template",
        "session",
        "priority",
        "region",
        "le",
        "quantile",
        "job",
        "instance",
        "exported_job",
        "exported_instance",
        "trace_id",
        "span_id",
        "id",
        LABEL,
    ];
    name.starts_with("__")
        || MORE.contains(&name)
        || [ENDPOINT, WHY, WHAT].contains(&name)
        || Label::ALL.iter().any(|label| spelling(label.name()) == name)
}

/// Which labels a metric has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    Base,
    Error,
    TokenType,
    Modality,
    Band,
    Request,
    Tokens,
    Refusal,
    Why,
}

impl Shape {
    /// The labels, at most [`MAX_LABELS`]; the first four are the same for all.
    pub(crate) const fn labels(self) -> &'static [Label] {
        use Label::{
            Band, Category, Endpoint, ErrorType, Key, Modality, Model, Operation, Project, Provider, Reason, Source,
            Status, Stream, TokenType, Type, Upstream, Verdict, Why,
        };
        match self {
            Shape::Base => &[Operation, Provider, Model, Upstream],
            Shape::Error => &[Operation, Provider, Model, Upstream, ErrorType],
            Shape::TokenType => &[Operation, Provider, Model, Upstream, TokenType],
            Shape::Modality => &[Operation, Provider, Model, Upstream, Modality],
            Shape::Band => &[Operation, Provider, Model, Upstream, Band],
            Shape::Request => {
                &[Operation, Provider, Model, Upstream, Endpoint, Category, Reason, Status, Stream, Key, Project]
            }
            Shape::Tokens => &[Operation, Provider, Model, Upstream, Type, Source, Key, Project],
            Shape::Refusal => &[Operation, Provider, Model, Upstream, Verdict, Source],
            Shape::Why => &[Operation, Provider, Model, Upstream, Why],
        }
    }
}

impl Shape {
    /// Whether its metrics have the operator's own labels too: what is counted and paid, and the two times that users ask
    /// for by segment. All metrics with all labels would be too many series.
    pub(crate) const fn has_own(self) -> bool {
        matches!(self, Shape::Request | Shape::Tokens | Shape::Error | Shape::Band)
    }
}

/// The most labels that a metric has, the operator's own left out.
pub(crate) const MAX_LABELS: usize = 11;
