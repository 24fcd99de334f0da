//! `limpid price`: what a model costs, or what a usage of it costs, with each part explained.

use std::fmt::Write as _;
use std::time::SystemTime;

use limpid_core::{PicoUsd, Price, Usage};
use limpid_settle::{Catalogue, Entry, Unpriced};
use serde_json::json;

use crate::cli::{Output, PriceArgs};

/// Prices at `at`. Exit code 1 for an unknown model or a usage that does not read or has no price.
pub fn run(args: &PriceArgs, at: SystemTime) -> Output {
    let catalogue = Catalogue::embedded();
    let provider = args.provider.as_deref();
    let Some(entry) = catalogue.find(provider, &args.model) else {
        return Output::fault(unknown(&catalogue, provider, &args.model));
    };
    let Some(usage) = &args.usage else {
        let out = if args.json { table_json(&catalogue, entry) } else { table(&catalogue, entry) };
        return Output::done(out);
    };
    let usage: Usage = match serde_json::from_str(usage) {
        Ok(usage) => usage,
        Err(e) => return Output::fault(format_args!("--usage is not a usage: {e}")),
    };
    match catalogue.price(provider, &args.model, &usage, at, args.tier.as_deref()) {
        Ok(price) if args.json => Output::done(format!("{}\n", json!(price))),
        Ok(price) => Output::done(bill(&price)),
        Err(why) => Output::fault(format_args!("no price for this usage of {}: {}", entry.id(), explain(why))),
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
        Unpriced::NoUsage => "it has no tokens",
        Unpriced::PartialUsage => "it lacks the input or the output tokens",
        Unpriced::InconsistentUsage => "a part is larger than its whole, such as cached tokens than input tokens",
        Unpriced::AmbiguousUsage => "it does not tell how cached and audio tokens overlap",
        Unpriced::NoPrice => "the table has no price for one of its kinds of tokens",
        Unpriced::OutOfRange => "it is above 18 million dollars",
    }
}

/// All prices of an entry, per million units.
fn table(catalogue: &Catalogue, entry: &Entry) -> String {
    let mut out = format!("{}, USD per million, table of {}\n", entry.id(), catalogue.table());
    for set in entry.sets() {
        let tier = set.tier().map(|t| format!("tier {t}, ")).unwrap_or_default();
        let _ = writeln!(out, "\n{tier}{}", set.when());
        let mut rows = Vec::new();
        for price in set.prices() {
            rows.push([price.unit().to_owned(), price.base.to_string(), String::new()]);
            rows.extend(
                price.thresholds.iter().map(|(above, usd)| {
                    [price.unit().to_owned(), usd.to_string(), format!("above {above} input tokens")]
                }),
            );
        }
        out.push_str(&aligned(&rows));
    }
    out
}

fn table_json(catalogue: &Catalogue, entry: &Entry) -> String {
    let usd = |p: &PicoUsd| p.to_string();
    let sets: Vec<_> = entry
        .sets()
        .iter()
        .map(|set| {
            let prices: Vec<_> = set
                .prices()
                .iter()
                .map(|p| {
                    let steps: Vec<_> = p
                        .thresholds
                        .iter()
                        .map(|(above, price)| json!({"above_input_tokens": above, "usd_per_million": usd(price)}))
                        .collect();
                    json!({"name": p.unit(), "usd_per_million": usd(&p.base), "thresholds": steps})
                })
                .collect();
            json!({"tier": set.tier(), "when": set.when().to_string(), "prices": prices})
        })
        .collect();
    format!("{}\n", json!({"matched": entry.id(), "table": catalogue.table(), "sets": sets}))
}

/// A bill: each part, then the total.
fn bill(price: &Price) -> String {
    let mut rows: Vec<[String; 3]> = vec![["part".into(), "units × USD per million".into(), "USD".into()]];
    rows.extend(
        price.parts.iter().map(|p| [p.name.to_owned(), format!("{} × {}", p.units, p.per_million), p.usd.to_string()]),
    );
    rows.push(["total".into(), String::new(), price.usd.to_string()]);
    let matched = price.matched.as_deref().unwrap_or_default();
    let table = price.table.as_deref().unwrap_or_default();
    format!("{}by {matched}, {} of {table}\n", aligned(&rows), price.source)
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
