//! One entry of the catalogue: a model's prices, by date, time of day, tier and length of the prompt.

use std::time::{Duration, SystemTime};

use limpid_core::PicoUsd;

use super::units::Unit;

const DAY: u64 = 86_400;

/// A model of a provider, with its prices.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub(super) id: &'static str,
    pub(super) model: &'static str,
    /// Those without a tier first, as in the catalogue's text.
    pub(super) sets: Vec<PriceSet>,
}

/// Prices that hold together.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceSet {
    pub(super) tier: Option<&'static str>,
    pub(super) when: When,
    /// The most specific units first.
    pub(super) prices: Vec<UnitPrice>,
}

/// What a million of a unit costs.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitPrice {
    pub(super) unit: Unit,
    /// USD per million units.
    pub base: PicoUsd,
    /// Where the exchange has more input tokens than the first number, all units cost the second; ascending.
    pub thresholds: Vec<(u64, PicoUsd)>,
    /// So many units are billed at least, should there be any; 0 where there is no such rule.
    pub least: u64,
}

/// When prices hold. Days and hours are UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At any time.
    Always,
    /// From the first moment of a day on.
    From {
        /// As the catalogue writes it: `2026-10-14`.
        date: &'static str,
        /// Its first moment.
        at: SystemTime,
    },
    /// Each day, from `start` up to but not including `end`; over midnight where `end` is the smaller.
    Daily {
        /// As the catalogue writes it: `00:30-16:30`.
        hours: &'static str,
        /// Since midnight.
        start: Duration,
        /// Since midnight.
        end: Duration,
    },
}

impl When {
    fn holds(self, now: SystemTime) -> bool {
        match self {
            When::Always => true,
            When::From { at, .. } => now >= at,
            When::Daily { start, end, .. } => {
                // Before 1970 there were no prices; such a clock reads as midnight.
                let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let of_day = Duration::new(since_epoch.as_secs() % DAY, since_epoch.subsec_nanos());
                if end < start { of_day >= start || of_day < end } else { start <= of_day && of_day < end }
            }
        }
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            When::Always => f.write_str("always"),
            When::From { date, .. } => write!(f, "from {date}"),
            When::Daily { hours, .. } => write!(f, "{hours} UTC"),
        }
    }
}

impl UnitPrice {
    /// A price at any length of the prompt. `None` for a unit that no usage counts: see [`UnitPrice::unit`].
    pub fn flat(unit: &str, per_million: PicoUsd) -> Option<UnitPrice> {
        Some(UnitPrice { unit: Unit::from_name(unit)?, base: per_million, thresholds: Vec::new(), least: 0 })
    }

    /// The unit's name: `input`, `cached_input`, `output`, …
    pub fn unit(&self) -> &'static str {
        self.unit.name()
    }

    /// Whether it costs nothing, however long the prompt.
    pub(super) fn is_free(&self) -> bool {
        self.base == PicoUsd(0) && self.thresholds.iter().all(|(_, price)| *price == PicoUsd(0))
    }

    /// What a million units cost with so many input tokens. A threshold is a cliff: it reprices every unit, not only
    /// those above it.
    pub fn per_million(&self, input_tokens: u64) -> PicoUsd {
        let crossed = self.thresholds.iter().rev().find(|(above, _)| input_tokens > *above);
        crossed.map_or(self.base, |(_, price)| *price)
    }
}

impl PriceSet {
    /// The service tier that it is for (`flex`, `priority`, `batch`, …); the standard prices have none.
    pub fn tier(&self) -> Option<&'static str> {
        self.tier
    }

    /// When it holds.
    pub fn when(&self) -> When {
        self.when
    }

    /// Its prices, the most specific units first.
    pub fn prices(&self) -> &[UnitPrice] {
        &self.prices
    }
}

impl Entry {
    /// `provider/model`.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The provider's id.
    pub fn provider(&self) -> &'static str {
        self.id.strip_suffix(self.model).map_or(self.id, |provider| provider.trim_end_matches('/'))
    }

    /// The model's id.
    pub fn model(&self) -> &'static str {
        self.model
    }

    /// All its prices, for display: the standard ones first, by date.
    pub fn sets(&self) -> &[PriceSet] {
        &self.sets
    }

    /// The prices at a moment, the most specific units first. Of the standard sets the last that holds; the first,
    /// should none hold (a request from before the first dated price). A tier's set replaces those that it names.
    pub fn in_force(&self, at: SystemTime, tier: Option<&str>) -> Vec<&UnitPrice> {
        let untiered = || self.sets.iter().filter(|s| s.tier.is_none());
        let base = untiered().rfind(|s| s.when.holds(at)).or_else(|| untiered().next());
        let mut prices: Vec<&UnitPrice> = base.map_or(&[][..], |s| &s.prices).iter().collect();
        let Some(tier) = tier else { return prices };
        let standard = prices.len();
        // Where several sets of a tier name a unit, the first that holds counts: so it comes last.
        for set in self.sets.iter().filter(|s| s.tier == Some(tier) && s.when.holds(at)).rev() {
            for price in &set.prices {
                match prices.iter_mut().find(|p| p.unit == price.unit) {
                    Some(known) => *known = price,
                    None => prices.push(price),
                }
            }
        }
        // They stand in order but for what was added.
        if prices.len() > standard {
            prices.sort_by_key(|p| std::cmp::Reverse(p.unit.specificity()));
        }
        prices
    }
}
