//! The judgement of a finished exchange: how it ended, whether it was refused, what it cost.
//!
//! `observe` tells what was seen and `proxy` what the relay met; this room turns both into the record's outcome, refusal,
//! usage and price. It is pure: no I/O, no clock, no state between exchanges, so the same evidence always gets the same
//! verdict and `limpid inspect` can repeat one offline. It never panics, whatever the numbers, and costs about a
//! microsecond, after the last byte; where the reply has text, a few more for how it begins.
//!
//! Usage passes through as it was reported. Absent stays absent, unless [`tokens`] fills it from kept text with an
//! estimate that says it is one; that is a step of its own before settlement, and a dear one.

pub mod content;
mod engine;
mod outcome;
pub mod price;
mod record;
mod refusal;
#[cfg(test)]
mod testing;
pub mod tokens;

use std::time::SystemTime;

use limpid_core::{Ending, Endpoint, Observation, Outcome, Price, Refusal, RelayFailure, RequestFacts, Usage};

pub use price::{Catalogue, Entry, OwnPrice, PriceBook, Unpriced};
pub use record::Unsettled;
pub use refusal::{BadPattern, PatternFault, Reading, TextRules};

/// Everything that settlement needs of one exchange.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The kind of API.
    pub endpoint: Endpoint,
    /// As the upstream sent it; `None` if none came.
    pub status: Option<u16>,
    /// How the body, or the wait for it, ended.
    pub ending: Ending,
    /// What limpid itself saw go wrong.
    pub failure: Option<RelayFailure>,
    /// What was seen of the reply; the default if there was none.
    pub observation: &'a Observation,
    /// What was asked.
    pub request: &'a RequestFacts,
    /// The upstream's name in the settings.
    pub upstream: Option<&'a str>,
    /// `gen_ai.provider.name` of the upstream.
    pub provider: Option<&'a str>,
    /// The wall time of the request: prices change by date and by hour.
    pub started_at: SystemTime,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it was refused.
    pub refusal: Refusal,
    /// The token counts; absent if unknown.
    pub usage: Option<Usage>,
    /// The price; absent if unknown.
    pub price: Option<Price>,
    /// Why there is no price although there was usage: see [`Unpriced::as_str`].
    pub unpriced: Option<&'static str>,
}

/// Settles exchanges. Cloning is cheap; clones share the prices.
#[derive(Debug, Clone)]
pub struct Settler {
    prices: PriceBook,
    texts: TextRules,
}

impl Settler {
    /// With these prices, and the built-in rules about how a refusal reads.
    pub fn new(prices: PriceBook) -> Settler {
        Settler { prices, texts: TextRules::builtin() }
    }

    /// With these rules about how a refusal reads.
    #[must_use]
    pub fn with_texts(self, texts: TextRules) -> Settler {
        Settler { texts, ..self }
    }

    /// With the embedded catalogue.
    pub fn embedded() -> Settler {
        Settler::new(PriceBook::new(Catalogue::embedded()))
    }

    /// The verdict on one exchange.
    pub fn settle(&self, e: &Evidence<'_>) -> Settled {
        let (price, unpriced) = match price::settle(&self.prices, e) {
            Some(Ok(price)) => (Some(price), None),
            Some(Err(why)) => (None, Some(why.as_str())),
            None => (None, None),
        };
        Settled {
            outcome: outcome::settle(e),
            refusal: refusal::settle(&self.texts, e),
            usage: e.observation.usage.clone(),
            price,
            unpriced,
        }
    }
}
