//! The summary as tables for a terminal. A number that is not known is a dash, never 0.

use std::fmt::Write as _;

use limpid_core::Category;
use limpid_insight::{Counts, Dimension, Latency, Summary};

/// One row a model, and the total.
pub(crate) fn models(summary: &Summary) -> String {
    let mut rows = vec![
        ["model", "count", "failed", "TTFT", "p95", "p99", "TPOT", "stall", "tokens in", "out", "USD"]
            .map(str::to_owned),
    ];
    for group in &summary.groups {
        let name = group.by.get(&Dimension::Model).cloned().flatten();
        rows.push(row(name.as_deref().unwrap_or("–"), &group.counts));
    }
    rows.push(row("all", &summary.total));
    let seconds = summary.window.seconds;
    let caption = "times in ms: TTFT at p50, p95 and p99, TPOT at p50, stall at p95";
    format!("\nThe last {seconds:.0} s, by model; {caption}\n\n{}", align(&rows))
}

fn row(name: &str, c: &Counts) -> [String; 11] {
    let at = |latency, pick: fn(limpid_insight::Quantiles) -> f64, digits: usize| {
        c.latency.quantiles(latency).map_or_else(dash, |q| format!("{:.digits$}", pick(q)))
    };
    [
        name.to_owned(),
        c.count.to_string(),
        c.outcomes.failed().to_string(),
        at(Latency::Ttft, |q| q.p50, 0),
        at(Latency::Ttft, |q| q.p95, 0),
        at(Latency::Ttft, |q| q.p99, 0),
        at(Latency::Tpot, |q| q.p50, 1),
        at(Latency::Stall, |q| q.p95, 0),
        c.tokens.input.sum.map_or_else(dash, |n| n.to_string()),
        c.tokens.output.sum.map_or_else(dash, |n| n.to_string()),
        c.price.usd.map_or_else(dash, |usd| dollars(usd.as_usd())),
    ]
}

/// Cents and what is below them, to two significant digits.
fn dollars(usd: f64) -> String {
    let digits = (2..12).find(|d| usd * 10f64.powi(*d) >= 10.0).unwrap_or(2);
    format!("{usd:.*}", usize::try_from(digits).unwrap_or(2))
}

fn dash() -> String {
    "–".to_owned()
}

/// How the exchanges ended: what a single error rate would hide.
pub(crate) fn outcomes(total: &Counts) -> String {
    let mut out = "\nHow they ended (! failed)\n\n".to_owned();
    for reason in &total.reasons {
        // A client that left is neither a success nor a failure.
        let mark = if matches!(reason.category, Category::Ok | Category::Cancelled) { ' ' } else { '!' };
        let _ = writeln!(out, "{:>6} {mark} {:<15} {}", reason.count, reason.category.as_str(), reason.reason);
    }
    let (refused, suspected) = (total.refusals.certain, total.refusals.suspected);
    let _ = writeln!(out, "{refused:>6}   refusals, which a count of errors does not show");
    let _ = writeln!(out, "{suspected:>6}   replies that read like a refusal");
    out
}

fn align(rows: &[[String; 11]]) -> String {
    let mut widths = [0; 11];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in rows {
        for (n, (cell, width)) in row.iter().zip(widths).enumerate() {
            // The name stands left, numbers right.
            let _ = if n == 0 { write!(out, "{cell:<width$}") } else { write!(out, "  {cell:>width$}") };
        }
        out.push('\n');
    }
    out
}
