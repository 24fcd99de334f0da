//! The price of one exchange, with where it came from.

use std::borrow::Cow;

use crate::endpoint::named_enum;
use crate::{Discount, PicoUsd, Source};

named_enum! {
    /// What a price is based on.
    PriceSource {
        /// The provider's reply says what it charged.
        Reported = "reported",
        /// The operator's own prices in `proxy.toml`.
        Configured = "configured",
        /// The embedded catalogue.
        Catalogue = "catalogue",
    }
}

/// One line of the bill: so many units at so much each.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PricePart {
    /// What is billed: `input`, `cached_input`, `cache_write_input`, `output`, `request`, …
    pub name: &'static str,
    /// How many units; each token is in exactly one part.
    pub units: u64,
    /// The price of a million units, which `usd` is computed from.
    #[serde(rename = "usd_per_million")]
    pub per_million: PicoUsd,
    /// The part's price.
    pub usd: PicoUsd,
}

/// What an exchange cost. An unknown price is no `Price` at all, never zero.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Price {
    /// The total.
    pub usd: PicoUsd,
    /// What it is based on.
    pub source: PriceSource,
    /// The tokens, or some of them, are limpid's estimate, and so is the price.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// The entry that matched: `provider/model` of the catalogue, `prices.NAME` of the settings; absent for a reported
    /// price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<Cow<'static, str>>,
    /// The price table's date; absent where the price is not the catalogue's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Cow<'static, str>>,
    /// What the settings take off the catalogue's prices; the parts' prices are those after it. Absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<Discount>,
    /// The parts, most specific; they sum to the total. Empty for a reported price.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PricePart>,
}

impl Price {
    /// The label `source` of `limpid.cost`: that of the prices, or `estimated` where the tokens are.
    pub const fn label(&self) -> &'static str {
        if self.estimated { Source::Estimated.as_str() } else { self.source.as_str() }
    }
}
