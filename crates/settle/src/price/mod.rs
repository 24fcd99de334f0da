//! What an exchange costs.
//!
//! Three sources, in this order: what the provider's reply says it charged; the operator's own prices; the embedded
//! catalogue, less the upstream's discount. A price that is not known is absent with a reason, never zero: zero is what
//! a free model costs, or what the operator wrote.
//!
//! Tokens, requests, web searches and the length of transcribed audio are priced. What a reply does not count (pages,
//! characters, file searches) is billed by the provider and not seen here, so the price of an exchange that used such
//! tools is that of the rest.

mod book;
mod catalogue;
mod compute;
mod entry;
mod matching;
mod own;
mod parse;
mod similar;
mod units;

#[cfg(test)]
mod tests;

use limpid_core::{Price, PriceSource, Source};

pub use book::{PriceBook, Query};
pub use catalogue::Catalogue;
pub use entry::{Entry, PriceSet, UnitPrice, When};
pub use own::OwnPrice;
pub use parse::BadLine;

use crate::Evidence;
use crate::outcome::Progress;

/// Why there is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unpriced {
    /// No entry for that model of that provider; or no model's name.
    UnknownModel,
    /// The usage has no tokens.
    NoUsage,
    /// The usage lacks the input or the output, or was still running when the reply broke off: half a price is none.
    PartialUsage,
    /// The usage contradicts itself: more cached tokens than input.
    InconsistentUsage,
    /// The usage does not tell how tokens of two kinds overlap (cached and audio), and both have prices.
    AmbiguousUsage,
    /// The entry has no price for what was used.
    NoPrice,
    /// More than 18 million dollars.
    OutOfRange,
}

impl Unpriced {
    /// The record's `unpriced` and the label of `limpid.unpriced`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unpriced::UnknownModel => "unknown_model",
            Unpriced::NoUsage => "no_usage",
            Unpriced::PartialUsage => "partial_usage",
            Unpriced::InconsistentUsage => "inconsistent_usage",
            Unpriced::AmbiguousUsage => "ambiguous_usage",
            Unpriced::NoPrice => "no_price",
            Unpriced::OutOfRange => "out_of_range",
        }
    }
}

impl std::fmt::Display for Unpriced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The price of an exchange, or why there is none. `None` where there was neither a usage nor a reported price: that is
/// no unpriced usage.
pub(crate) fn settle(book: &PriceBook, e: &Evidence<'_>) -> Option<Result<Price, Unpriced>> {
    if let Some(usd) = e.observation.reported_cost {
        return Some(Ok(Price {
            usd,
            source: PriceSource::Reported,
            matched: None,
            table: None,
            discount: None,
            estimated: false,
            parts: Vec::new(),
        }));
    }
    let usage = e.observation.usage.as_ref()?;
    let tier = e.observation.service_tier.as_deref().or(e.request.service_tier.as_deref());
    let models = [e.observation.model.as_deref(), e.request.model.as_deref()];
    let query = Query { upstream: e.upstream, provider: e.provider, models, usage, at: e.started_at, tier };
    let priced = book.price(&query);
    // A stream tells its final counts with or after its finish. Before that they are a start's or a moment's.
    // An estimate is of all that was streamed.
    let counted_here = usage.source_of_output() == Source::Estimated;
    let still_running = e.observation.streamed && Progress::of(e) == Progress::Running && !counted_here;
    let estimated = usage.has_estimate();
    Some(
        priced.and_then(
            |price| if still_running { Err(Unpriced::PartialUsage) } else { Ok(Price { estimated, ..price }) },
        ),
    )
}
