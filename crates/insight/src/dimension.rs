//! What exchanges can be grouped and filtered by.

use std::collections::BTreeMap;

use limpid_core::ExchangeRecord;
use serde::{Serialize, Serializer};

/// A property of an exchange with few values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The model that was asked for, else the one that answered.
    Model,
    /// The kind of API.
    Endpoint,
    /// The API key's name.
    Key,
    /// The project.
    Project,
    /// The upstream's region.
    Region,
    /// The upstream's name.
    Upstream,
    /// The band of the input tokens.
    Band,
    /// The outcome's category.
    Outcome,
}

impl Dimension {
    /// How many there are.
    pub const COUNT: usize = 8;

    /// All of them.
    pub const ALL: [Dimension; Self::COUNT] = [
        Dimension::Model,
        Dimension::Endpoint,
        Dimension::Key,
        Dimension::Project,
        Dimension::Region,
        Dimension::Upstream,
        Dimension::Band,
        Dimension::Outcome,
    ];

    /// The name in queries and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Dimension::Model => "model",
            Dimension::Endpoint => "endpoint",
            Dimension::Key => "key",
            Dimension::Project => "project",
            Dimension::Region => "region",
            Dimension::Upstream => "upstream",
            Dimension::Band => "band",
            Dimension::Outcome => "outcome",
        }
    }

    /// The dimension of that name.
    pub fn from_name(name: &str) -> Option<Dimension> {
        Dimension::ALL.into_iter().find(|d| d.name() == name)
    }

    /// A record's value; absent where the record does not know it.
    pub fn of(self, record: &ExchangeRecord) -> Option<&str> {
        match self {
            Dimension::Model => record.model.name(),
            Dimension::Endpoint => Some(record.endpoint.as_str()),
            Dimension::Key => record.caller.key.as_deref(),
            Dimension::Project => record.caller.project.as_deref(),
            Dimension::Region => record.upstream.as_deref()?.region.as_deref(),
            Dimension::Upstream => record.upstream.as_deref().map(|u| &*u.name),
            Dimension::Band => record.input_tokens_band().map(limpid_core::InputTokensBand::as_str),
            Dimension::Outcome => Some(record.outcome.category.as_str()),
        }
    }
}

impl Serialize for Dimension {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

/// Which exchanges count: for each dimension named, any of its values. The empty value stands for "not known".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filters(BTreeMap<Dimension, Vec<Box<str>>>);

impl Filters {
    /// Lets pass exchanges with this value, beside those already allowed for the dimension.
    pub fn allow(&mut self, dimension: Dimension, value: &str) {
        self.0.entry(dimension).or_default().push(value.into());
    }

    /// Whether nothing is filtered out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an exchange passes whose dimensions `value_of` tells.
    pub fn pass<'a>(&self, value_of: impl Fn(Dimension) -> Option<&'a str>) -> bool {
        self.0.iter().all(|(dimension, allowed)| {
            let value = value_of(*dimension).unwrap_or("");
            allowed.iter().any(|a| **a == *value)
        })
    }
}
