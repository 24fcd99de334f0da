//! From counts and prices to money.
//!
//! Each token is billed once, in its most specific priced unit: a unit's share is its count less the shares of every
//! priced unit that is a part of it. So cached input is taken out of input only where cached input has a price of its
//! own; else it costs what input costs. Where a share would be negative the usage contradicts itself and there is no
//! price. (The rule is genai-prices' `decompose`.)
//!
//! All arithmetic is on integers: counts times pico-dollars per million in 128 bits, one half-up rounding for each part.

use limpid_core::{Discount, PicoUsd, PricePart, Usage};

use super::Unpriced;
use super::entry::UnitPrice;
use super::units::{Unit, Units};

const MILLION: u128 = 1_000_000;

/// The parts of the bill, most specific first, without those of no units. `discount` is taken off each price.
pub(super) fn parts(prices: &[&UnitPrice], usage: &Usage, discount: Discount) -> Result<Vec<PricePart>, Unpriced> {
    let told = check_counts(prices, usage)?;
    let input_tokens = usage.input_tokens.unwrap_or(0);
    // By the unit's number.
    let mut shares = [0u64; Unit::COUNT];
    let mut done = Units::NONE;
    let mut parts = Vec::with_capacity(prices.len());
    for price in prices {
        let inner = done.and(price.unit.parts()).each();
        let inner = inner.fold(0u128, |sum, part| sum + u128::from(shares[part as usize]));
        let units =
            u128::from(count(price.unit, usage, told)?).checked_sub(inner).ok_or(Unpriced::InconsistentUsage)?;
        let units = u64::try_from(units).map_err(|_| Unpriced::InconsistentUsage)?;
        shares[price.unit as usize] = units;
        done = done.with(price.unit);
        if units > 0 {
            let units = units.max(price.least);
            let per_million = discount.off(price.per_million(input_tokens));
            parts.push(PricePart { name: price.unit.name(), units, per_million, usd: cost(units, per_million)? });
        }
    }
    Ok(parts)
}

/// The sum of the parts.
pub(super) fn total(parts: &[PricePart]) -> Result<PicoUsd, Unpriced> {
    parts.iter().try_fold(0u64, |sum, p| sum.checked_add(p.usd.0)).map(PicoUsd).ok_or(Unpriced::OutOfRange)
}

fn cost(units: u64, per_million: PicoUsd) -> Result<PicoUsd, Unpriced> {
    let pico = u128::from(units) * u128::from(per_million.0) + MILLION / 2;
    u64::try_from(pico / MILLION).map(PicoUsd).map_err(|_| Unpriced::OutOfRange)
}

/// Whether all that was used has a price, and every price its count. Answers with the units of which there are some.
///
/// Where an entry prices the length of audio and no tokens at all, that is the whole price: a transcription's tokens are
/// told and not billed.
fn check_counts(prices: &[&UnitPrice], usage: &Usage) -> Result<Units, Unpriced> {
    let is_told = |u: &Unit| *u != Unit::Request && u.count(usage).is_some_and(|n| n > 0);
    let told: Units = Unit::ALL.iter().copied().filter(is_told).collect();
    let with_price: Units = prices.iter().map(|price| price.unit).collect();
    if told.is_empty() {
        return Err(Unpriced::NoUsage);
    }
    if prices.is_empty() {
        return Err(Unpriced::NoPrice);
    }
    if !told.without(Units::TOKENS).without(with_price).is_empty() {
        return Err(Unpriced::NoPrice);
    }
    if with_price.has(Unit::AudioMs) && with_price.and(Units::TOKENS).is_empty() {
        return if usage.audio_ms.is_some() { Ok(told) } else { Err(Unpriced::PartialUsage) };
    }
    for total in [Unit::Input, Unit::Output] {
        match (prices.iter().find(|p| p.unit == total), total.count(usage)) {
            (None, Some(n)) if n > 0 => return Err(Unpriced::NoPrice),
            (Some(price), None) if !price.is_free() => return Err(Unpriced::PartialUsage),
            _ => {}
        }
    }
    Ok(told)
}

/// How many of a priced unit there are. One that the usage does not tell counts 0, unless what it does tell shows that
/// there were some: then the usage cannot be split.
fn count(unit: Unit, usage: &Usage, told: Units) -> Result<u64, Unpriced> {
    if let Some(n) = unit.count(usage) {
        return Ok(n);
    }
    if !told.and(unit.parts()).is_empty() {
        return Err(Unpriced::InconsistentUsage);
    }
    if told.each().any(|a| unit.is_part_of(a) && told.each().any(|b| unit.is_overlap_of(a, b))) {
        return Err(Unpriced::AmbiguousUsage);
    }
    Ok(0)
}
