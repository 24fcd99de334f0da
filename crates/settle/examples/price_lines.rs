//! Prices usages read as JSON lines, for `catalogue/compare.py`.
//!
//! A line in: `{"provider": "openai", "model": "gpt-4o", "at": "2026-11-22T08:00:00Z", "tier": null, "usage": {…}}`.
//! A line out: the price as in the exchange log, or `{"unpriced": "<reason>"}`, or `{"bad_line": "<why>"}`.

use std::io::{BufRead, Write};

use limpid_core::Usage;
use limpid_settle::Catalogue;
use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    let catalogue = Catalogue::embedded();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&catalogue, &line?).unwrap_or_else(|why| json!({ "bad_line": why }));
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

fn answer(catalogue: &Catalogue, line: &str) -> Result<Value, String> {
    let line: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let text = |name: &str| line.get(name).and_then(Value::as_str);
    let model = text("model").ok_or("no model")?;
    let at = humantime::parse_rfc3339_weak(text("at").ok_or("no at")?).map_err(|e| e.to_string())?;
    let usage: Usage =
        serde_json::from_value(line.get("usage").cloned().unwrap_or_default()).map_err(|e| e.to_string())?;
    Ok(match catalogue.price(text("provider"), model, &usage, at, text("tier")) {
        Ok(price) => json!(price),
        Err(why) => json!({ "unpriced": why.as_str() }),
    })
}
