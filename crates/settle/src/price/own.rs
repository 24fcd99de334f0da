//! The operator's own prices, from the settings: for a model that no table knows, one's own GPUs, or a contract.
//!
//! An entry holds for models, for upstreams, for a service tier, or for several of these together. Where several hold,
//! the one that names the upstream goes first, so that a cloud's model never lends its price to a server of one's own
//! that uses its name; then the one with the most specific model; then the one that names the tier. A model is looked
//! for by the reply's name and by the request's, for behind an alias only the request's is what the settings know.

use std::borrow::Cow;
use std::sync::Arc;

use limpid_core::{Discount, Price, PriceSource};

use super::entry::UnitPrice;
use super::{Query, Unpriced, compute};

/// An entry of the settings.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnPrice {
    name: Arc<str>,
    /// In lower case; empty: any.
    models: Vec<Pattern>,
    /// Empty: any.
    upstreams: Vec<Arc<str>>,
    tier: Option<Arc<str>>,
    prices: Vec<UnitPrice>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    Prefix(String),
}

/// How well an entry fits; the greater the better. The model's part, and whether it is the reply's.
type Fit = (bool, usize, bool, bool);

impl OwnPrice {
    /// An entry called `name` with the prices of its units; those that it lacks have none. It holds everywhere until
    /// narrowed.
    pub fn new(name: &str, prices: impl IntoIterator<Item = UnitPrice>) -> OwnPrice {
        let mut prices: Vec<UnitPrice> = prices.into_iter().collect();
        // The most specific first, as `compute` wants them.
        prices.sort_by_key(|p| std::cmp::Reverse(p.unit.specificity()));
        OwnPrice {
            name: format!("prices.{name}").into(),
            models: Vec::new(),
            upstreams: Vec::new(),
            tier: None,
            prices,
        }
    }

    /// Only for these models: exact names, or beginnings with a trailing `*`; capitals do not matter. None: any.
    #[must_use]
    pub fn for_models<'a>(mut self, models: impl IntoIterator<Item = &'a str>) -> OwnPrice {
        let pattern = |m: &str| match m.strip_suffix('*') {
            Some(prefix) => Pattern::Prefix(prefix.to_lowercase()),
            None => Pattern::Exact(m.to_lowercase()),
        };
        self.models = models.into_iter().map(pattern).collect();
        self
    }

    /// Only for these upstreams. None: any.
    #[must_use]
    pub fn for_upstreams(mut self, upstreams: impl IntoIterator<Item = Arc<str>>) -> OwnPrice {
        self.upstreams = upstreams.into_iter().collect();
        self
    }

    /// Only for what this service tier served. None: any.
    #[must_use]
    pub fn for_tier(mut self, tier: Option<Arc<str>>) -> OwnPrice {
        self.tier = tier;
        self
    }

    /// `prices.NAME`, as records show it.
    pub fn id(&self) -> &str {
        &self.name
    }

    /// Its prices, the most specific units first.
    pub fn prices(&self) -> &[UnitPrice] {
        &self.prices
    }

    fn fit(&self, query: &Query<'_>) -> Option<Fit> {
        if !self.upstreams.is_empty() && !self.upstreams.iter().any(|u| Some(&**u) == query.upstream)
            || self.tier.is_some() && self.tier.as_deref() != query.tier
        {
            return None;
        }
        let weight = |name: Option<&str>| match name {
            Some(name) => self.models.iter().filter_map(|p| p.weight(name)).max(),
            None => None,
        };
        let (reply, request) = (weight(query.models[0]), weight(query.models[1]));
        let model = match reply.max(request) {
            Some(weight) => weight,
            None if self.models.is_empty() => 0,
            None => return None,
        };
        Some((!self.upstreams.is_empty(), model, reply >= request, self.tier.is_some()))
    }

    pub(super) fn price(&self, query: &Query<'_>) -> Result<Price, Unpriced> {
        let prices: Vec<&UnitPrice> = self.prices.iter().collect();
        let parts = compute::parts(&prices, query.usage, Discount::NONE)?;
        Ok(Price {
            usd: compute::total(&parts)?,
            source: PriceSource::Configured,
            estimated: query.usage.has_estimate(),
            matched: Some(Cow::Owned(self.name.to_string())),
            table: None,
            discount: None,
            parts,
        })
    }
}

impl Pattern {
    /// How specific the match of `name` is; `None` if it does not match.
    fn weight(&self, name: &str) -> Option<usize> {
        match self {
            Pattern::Exact(exact) => exact.eq_ignore_ascii_case(name).then_some(usize::MAX),
            Pattern::Prefix(prefix) => {
                let begins = name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
                begins.then_some(prefix.len() + 1)
            }
        }
    }
}

/// The entry that fits best; the first of several that fit alike.
pub(super) fn best<'a>(entries: &'a [OwnPrice], query: &Query<'_>) -> Option<&'a OwnPrice> {
    let mut best: Option<(Fit, &OwnPrice)> = None;
    for entry in entries {
        if let Some(fit) = entry.fit(query)
            && best.is_none_or(|(so_far, _)| fit > so_far)
        {
            best = Some((fit, entry));
        }
    }
    best.map(|(_, entry)| entry)
}
