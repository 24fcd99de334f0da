//! Reads the catalogue's text. The format is described in `catalogue/README.md`.
//!
//! The text is embedded, so it lives as long as the process and nothing is copied out of it. A line that does not
//! follow the format makes the whole catalogue unusable, with the line's number: half a catalogue would find wrong
//! entries. A test reads the embedded one, so that cannot reach a release.

use std::time::{Duration, SystemTime};

use limpid_core::PicoUsd;

use super::entry::{Entry, PriceSet, UnitPrice, When};
use super::matching::{Alternative, parse_rule};
use super::units::Unit;

/// Where the catalogue's text is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// A provider's own line, before its entries.
#[derive(Debug)]
pub(super) struct ProviderLine {
    pub(super) id: &'static str,
    /// Names of providers that mean this one.
    pub(super) names: Vec<Alternative>,
    /// Names of models that mean this provider where none is given.
    pub(super) models: Vec<Alternative>,
    /// Providers whose models this one offers too.
    pub(super) fallbacks: Vec<&'static str>,
    pub(super) entries: Vec<(Vec<Alternative>, Entry)>,
}

/// The table's date and its providers, in order.
pub(super) fn parse(text: &'static str) -> Result<(&'static str, Vec<ProviderLine>), BadLine> {
    let (mut table, mut providers) = (None, Vec::<ProviderLine>::new());
    for (i, line) in text.lines().enumerate() {
        let bad = |what| BadLine { line: i + 1, what };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let columns: Vec<&'static str> = line.split('\t').collect();
        match *columns.as_slice() {
            ["@table", date] => table = Some(date),
            ["@provider", id, names, models, fallbacks] => providers.push(ProviderLine {
                id,
                names: parse_rule(names).ok_or_else(|| bad("provider names"))?,
                models: parse_rule(models).ok_or_else(|| bad("model names"))?,
                fallbacks: fallbacks.split(',').filter(|f| *f != "-").collect(),
                entries: Vec::new(),
            }),
            [id, rule, prices] => {
                let provider = providers.last_mut().ok_or_else(|| bad("an entry before its provider"))?;
                let model = id.strip_prefix(provider.id).and_then(|rest| rest.strip_prefix('/'));
                let entry = Entry {
                    id,
                    model: model.ok_or_else(|| bad("not an entry of the provider above"))?,
                    sets: prices.split(" | ").map(parse_set).collect::<Option<_>>().ok_or_else(|| bad("prices"))?,
                };
                provider.entries.push((parse_rule(rule).ok_or_else(|| bad("match rule"))?, entry));
            }
            _ => return Err(bad("columns")),
        }
    }
    Ok((table.ok_or(BadLine { line: 0, what: "no @table line" })?, providers))
}

fn parse_set(text: &'static str) -> Option<PriceSet> {
    let mut set = PriceSet { tier: None, when: When::Always, prices: Vec::new() };
    for word in text.split(' ').filter(|w| *w != "-") {
        let (name, value) = word.split_once('=')?;
        match name {
            "tier" => set.tier = Some(value),
            "from" => set.when = When::From { date: value, at: midnight(value)? },
            "hours" => set.when = parse_hours(value)?,
            _ => set.prices.push(parse_price(Unit::from_name(name)?, value)?),
        }
    }
    // The most specific first: each is taken out of the totals that follow.
    set.prices.sort_by_key(|p| std::cmp::Reverse(p.unit.specificity()));
    Some(set)
}

fn midnight(date: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(&format!("{date}T00:00:00Z")).ok()
}

fn parse_hours(text: &'static str) -> Option<When> {
    let (start, end) = text.split_once('-')?;
    Some(When::Daily { hours: text, start: time_of_day(start)?, end: time_of_day(end)? })
}

fn time_of_day(text: &str) -> Option<Duration> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (hour.parse::<u64>().ok()?, minute.parse::<u64>().ok()?);
    (hour < 24 && minute < 60).then(|| Duration::from_secs(hour * 3_600 + minute * 60))
}

/// `2.5`, or `2.5>272000:5` where more than 272,000 input tokens cost 5, or `2.5@10` where at least 10 units are billed.
fn parse_price(unit: Unit, text: &str) -> Option<UnitPrice> {
    let (text, least) = match text.split_once('@') {
        Some((text, least)) if !unit.is_token() => (text, least.parse().ok()?),
        Some(_) => return None,
        None => (text, 0),
    };
    let (base, tiers) = text.split_once('>').map_or((text, None), |(base, tiers)| (base, Some(tiers)));
    let thresholds = tiers.into_iter().flat_map(|t| t.split('>')).map(|tier| {
        let (above, price) = tier.split_once(':')?;
        Some((above.parse().ok()?, PicoUsd::parse(price)?))
    });
    let thresholds: Vec<(u64, PicoUsd)> = thresholds.collect::<Option<_>>()?;
    thresholds.is_sorted_by_key(|t| t.0).then_some(())?;
    Some(UnitPrice { unit, base: PicoUsd::parse(base)?, thresholds, least })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_is_named() {
        for (text, line, what) in [
            ("", 0, "no @table line"),
            ("@table\t2026-01-01\nx/y\t=y\tinput=1", 2, "an entry before its provider"),
            ("@table\t2026-01-01\n@provider\tp\t-\t-\t-\nx/y\t=y\tinput=1", 3, "not an entry of the provider above"),
            ("@table\t2026-01-01\n@provider\tp\t-\t-\t-\np/y\ty\tinput=1", 3, "match rule"),
            ("@provider\tp\t-\t-\t-\np/y\t=y\tinputs=1", 2, "prices"),
            ("@provider\tp\t-\t-\t-\np/y\t=y\tinput=-1", 2, "prices"),
            ("@provider\tp\t-\t-\t-\np/y\t=y\tinput=1>9:2>3:4", 2, "prices"),
            ("@provider\tp\t-\t-\t-\np/y\t=y\tinput=1@10", 2, "prices"),
            ("@provider\tp\t-\t-\t-\np/y\t=y\thours=24:00-01:00 input=1", 2, "prices"),
            ("@provider\tp\t-\t-\t-\np/y\t=y\tfrom=2026-02-30 input=1", 2, "prices"),
            ("@provider\tp\t-\t-", 1, "columns"),
        ] {
            assert_eq!(parse(text).unwrap_err(), BadLine { line, what }, "{text:?}");
        }
    }
}
