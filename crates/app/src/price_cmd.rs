//! `limpid price`: what a model costs, or what a usage of it costs, with each part explained.
//!
//! Without `--config` it asks the catalogue alone. With it the settings' own prices and discounts hold too, as they
//! would for an exchange with that upstream.

use std::fmt::Write as _;
use std::path::Path;
use std::time::SystemTime;

use limpid_core::{Discount, PicoUsd, Price, Source, Usage};
use limpid_settle::price::{OwnPrice, PriceBook, Query, UnitPrice};
use limpid_settle::{Catalogue, Entry, Unpriced};
use serde_json::{Value, json};

use crate::cli::{Output, PriceArgs};
use crate::settings::{Env, Flags, Settings, Sources, Upstream};
use crate::wiring;

/// Where the prices come from, and for whom.
struct Desk {
    settings: Option<Settings>,
    book: PriceBook,
    upstream: Option<String>,
    provider: Option<String>,
}

/// Prices at `at`. Exit code 1 for settings with faults, an unknown upstream or model, and a usage that does not read or
/// has no price.
pub fn run(args: &PriceArgs, env: Env, at: SystemTime) -> Output {
    let desk = match Desk::open(args, env) {
        Ok(desk) => desk,
        Err(fault) => return fault,
    };
    let told = match args.usage.as_deref().map(serde_json::from_str::<Usage>).transpose() {
        Ok(told) => told,
        Err(e) => return Output::fault(format_args!("--usage is not a usage: {e}")),
    };
    let nothing = Usage::empty(Source::Reported);
    let query = Query {
        upstream: desk.upstream.as_deref(),
        provider: desk.provider.as_deref(),
        models: [Some(&args.model), None],
        usage: told.as_ref().unwrap_or(&nothing),
        at,
        tier: args.tier.as_deref(),
    };
    let own = desk.book.own(&query);
    let entry = desk.book.catalogue().find(query.provider, &args.model);
    let (Some(id), list) = (own.map(OwnPrice::id).or(entry.map(Entry::id)), told.is_none()) else {
        return Output::fault(unknown(desk.book.catalogue(), query.provider, &args.model));
    };
    if list {
        return Output::done(match (own, entry, args.json) {
            (Some(own), _, false) => desk.own_table(own),
            (Some(own), _, true) => line(&own_json(own)),
            (None, Some(entry), false) => desk.table(entry),
            (None, Some(entry), true) => line(&desk.table_json(entry)),
            (None, None, _) => String::new(),
        });
    }
    match desk.book.price(&query) {
        Ok(price) if args.json => Output::done(line(&json!(price))),
        Ok(price) => Output::done(desk.bill(&price)),
        Err(why) => Output::fault(format_args!("no price for this usage of {id}: {}", explain(why))),
    }
}

fn unknown(catalogue: &Catalogue, provider: Option<&str>, model: &str) -> String {
    let of = provider.map(|p| format!(" of {p}")).unwrap_or_default();
    let like = catalogue.similar(model, 3);
    let mend = match like.as_slice() {
        [] => String::new(),
        like => format!("; did you mean {}?", like.join(", ")),
    };
    format!("no price is known for the model {model:?}{of} (table of {}){mend}", catalogue.table())
}

fn explain(why: Unpriced) -> &'static str {
    match why {
        Unpriced::UnknownModel => "the model is not in the table",
        Unpriced::NoUsage => "there is nothing in it",
        Unpriced::PartialUsage => "it lacks the input or the output tokens, or the length of the audio",
        Unpriced::InconsistentUsage => "a part is larger than its whole, such as cached tokens than input tokens",
        Unpriced::AmbiguousUsage => "it does not tell how cached and audio tokens overlap",
        Unpriced::NoPrice => "that entry has no price for something in it",
        Unpriced::OutOfRange => "it is above 18 million dollars",
    }
}

impl Desk {
    fn open(args: &PriceArgs, env: Env) -> Result<Desk, Output> {
        let Some(path) = &args.config else {
            let book = PriceBook::new(Catalogue::embedded());
            return Ok(Desk { settings: None, book, upstream: None, provider: args.provider.clone() });
        };
        let settings = load(path, env)?;
        let upstream = upstream(&settings, path, args.upstream.as_deref(), args.provider.as_deref())?;
        Ok(Desk {
            book: wiring::prices(&settings),
            upstream: upstream.map(|u| u.name.to_string()),
            provider: args.provider.clone().or_else(|| upstream.map(|u| u.provider.to_string())),
            settings: Some(settings),
        })
    }

    /// What is taken off the catalogue's prices, as the end of a sentence.
    fn discount(&self) -> Option<Discount> {
        Some(self.book.discount(self.upstream.as_deref())).filter(|d| *d != Discount::NONE)
    }

    /// How an own entry's prices came about, where they follow from a throughput.
    fn how(&self, id: &str) -> String {
        let entries = self.settings.iter().flat_map(|s| &s.prices);
        let gpu = entries.filter(|e| id.strip_prefix("prices.") == Some(&e.name)).find_map(|e| e.gpu);
        gpu.map(|gpu| format!("tokens: {}\n", gpu.show())).unwrap_or_default()
    }

    /// All prices of an own entry.
    fn own_table(&self, own: &OwnPrice) -> String {
        format!(
            "{}, USD per million, from the settings\n\n{}{}",
            own.id(),
            price_rows(own.prices()),
            self.how(own.id())
        )
    }

    /// All prices of the catalogue's entry, per million units.
    fn table(&self, entry: &Entry) -> String {
        let mut out = format!("{}, USD per million, table of {}\n", entry.id(), self.book.catalogue().table());
        if let Some(discount) = self.discount() {
            let _ = writeln!(out, "less {discount} at upstream {}", self.upstream.as_deref().unwrap_or_default());
        }
        for set in entry.sets() {
            let tier = set.tier().map(|t| format!("tier {t}, ")).unwrap_or_default();
            let _ = writeln!(out, "\n{tier}{}", set.when());
            out.push_str(&price_rows(set.prices()));
        }
        out
    }

    fn table_json(&self, entry: &Entry) -> Value {
        let set = |set: &limpid_settle::price::PriceSet| json!({"tier": set.tier(), "when": set.when().to_string(), "prices": prices_json(set.prices())});
        let sets: Vec<_> = entry.sets().iter().map(set).collect();
        let mut out = json!({"matched": entry.id(), "table": self.book.catalogue().table(), "sets": sets});
        if let (Some(discount), Some(members)) = (self.discount(), out.as_object_mut()) {
            members.insert("discount".to_owned(), json!(discount));
        }
        out
    }

    /// A bill: each part, then the total.
    fn bill(&self, price: &Price) -> String {
        let mut rows: Vec<[String; 3]> = vec![["part".into(), "units × USD per million".into(), "USD".into()]];
        rows.extend(
            price
                .parts
                .iter()
                .map(|p| [p.name.to_owned(), format!("{} × {}", p.units, p.per_million), p.usd.to_string()]),
        );
        rows.push(["total".into(), String::new(), price.usd.to_string()]);
        let matched = price.matched.as_deref().unwrap_or_default();
        let table = price.table.as_deref().map(|t| format!(" of {t}")).unwrap_or_default();
        let less = price.discount.map(|d| format!(", less {d}")).unwrap_or_default();
        format!("{}by {matched}, {}{table}{less}\n{}", aligned(&rows), price.source, self.how(matched))
    }
}

/// The upstream of this name; without one the only one, unless a provider was named instead.
pub(crate) fn upstream<'a>(
    settings: &'a Settings,
    file: &Path,
    name: Option<&str>,
    provider: Option<&str>,
) -> Result<Option<&'a Upstream>, Output> {
    match (name, settings.upstreams.as_slice()) {
        (Some(name), all) => all.iter().find(|u| *u.name == *name).map(Some).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|u| &*u.name).collect();
            Output::fault(format_args!("no upstream {name:?} in {}; it has {}", file.display(), names.join(", ")))
        }),
        (None, [only]) if provider.is_none() => Ok(Some(only)),
        _ => Ok(None),
    }
}

/// The settings of a file.
pub(crate) fn load(path: &Path, env: Env) -> Result<Settings, Output> {
    let loaded = Sources::gather(Some(path), env, Flags::default()).and_then(|sources| sources.load());
    let told = |faults| Output { stderr: format!("{faults}\n"), code: 1, ..Output::default() };
    loaded.map(|l| l.settings).map_err(told)
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

fn price_rows(prices: &[UnitPrice]) -> String {
    let mut rows = Vec::new();
    for price in prices {
        rows.push([price.unit().to_owned(), price.base.to_string(), String::new()]);
        rows.extend(
            price
                .thresholds
                .iter()
                .map(|(above, usd)| [price.unit().to_owned(), usd.to_string(), format!("above {above} input tokens")]),
        );
    }
    aligned(&rows)
}

fn own_json(own: &OwnPrice) -> Value {
    let set = json!({"tier": null, "when": "always", "prices": prices_json(own.prices())});
    json!({"matched": own.id(), "source": "configured", "sets": [set]})
}

fn prices_json(prices: &[UnitPrice]) -> Vec<Value> {
    let usd = |p: &PicoUsd| p.to_string();
    let price = |p: &UnitPrice| {
        let step =
            |(above, price): &(u64, PicoUsd)| json!({"above_input_tokens": above, "usd_per_million": usd(price)});
        let steps: Vec<_> = p.thresholds.iter().map(step).collect();
        json!({"name": p.unit(), "usd_per_million": usd(&p.base), "thresholds": steps})
    };
    prices.iter().map(price).collect()
}

/// Columns of equal width, two spaces apart.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out
}
