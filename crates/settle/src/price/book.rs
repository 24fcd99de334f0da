//! All that prices come from: the settings' own prices, their discounts, and the embedded catalogue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use limpid_core::{Discount, Price, Usage};

use super::own::{OwnPrice, best};
use super::{Catalogue, Unpriced};

/// What is to be priced.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The upstream's name in the settings.
    pub upstream: Option<&'a str>,
    /// Its `gen_ai.provider.name`.
    pub provider: Option<&'a str>,
    /// The model's name in the reply, and in the request.
    pub models: [Option<&'a str>; 2],
    /// The counts.
    pub usage: &'a Usage,
    /// The wall time of the request.
    pub at: SystemTime,
    /// The service tier that served it.
    pub tier: Option<&'a str>,
}

/// Where prices come from. Cloning is cheap; clones share it.
#[derive(Debug, Clone, Default)]
pub struct PriceBook {
    catalogue: Catalogue,
    own: Arc<[OwnPrice]>,
    /// By upstream.
    discounts: Arc<HashMap<Arc<str>, Discount>>,
}

impl PriceBook {
    /// The catalogue alone.
    pub fn new(catalogue: Catalogue) -> PriceBook {
        PriceBook { catalogue, ..PriceBook::default() }
    }

    /// With prices that go before the catalogue's.
    #[must_use]
    pub fn with_own(self, own: impl IntoIterator<Item = OwnPrice>) -> PriceBook {
        PriceBook { own: own.into_iter().collect(), ..self }
    }

    /// With discounts on the catalogue's prices, by upstream.
    #[must_use]
    pub fn with_discounts(self, discounts: impl IntoIterator<Item = (Arc<str>, Discount)>) -> PriceBook {
        PriceBook { discounts: Arc::new(discounts.into_iter().collect()), ..self }
    }

    /// The catalogue.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The discount on the catalogue's prices at an upstream.
    pub fn discount(&self, upstream: Option<&str>) -> Discount {
        let known = || self.discounts.get(upstream?).copied();
        if self.discounts.is_empty() { Discount::NONE } else { known().unwrap_or_default() }
    }

    /// The own entry that prices it, if there is one.
    pub fn own(&self, query: &Query<'_>) -> Option<&OwnPrice> {
        best(&self.own, query)
    }

    /// What it costs: by an own entry where one fits, else by the catalogue less the discount. An own entry that cannot
    /// price the usage is no reason to ask the catalogue: whoever wrote it has other prices.
    pub fn price(&self, query: &Query<'_>) -> Result<Price, Unpriced> {
        if let Some(own) = self.own(query) {
            return own.price(query);
        }
        let discount = self.discount(query.upstream);
        let mut priced = Err(Unpriced::UnknownModel);
        for name in query.models.into_iter().flatten() {
            priced = self.catalogue.price_of(name, query, discount);
            if priced != Err(Unpriced::UnknownModel) {
                break;
            }
        }
        priced
    }
}
