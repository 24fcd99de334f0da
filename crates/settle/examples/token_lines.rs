//! Estimates tokens of what is read as JSON lines, for `tests/real/token_table.py`.
//!
//! A line in: `{"model": "gpt-4o", "text": "…"}`, or `{"model": …, "endpoint": "chat", "body": {…}}` for a request.
//! A line out: `{"tokens": 12, "method": "tiktoken:o200k_base"}`, or `{"unestimated": "<reason>"}`.

use std::io::{BufRead, Write};

use limpid_core::Endpoint;
use limpid_settle::tokens::{Family, input, output};
use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        writeln!(out, "{}", answer(&line?).unwrap_or_else(|why| json!({ "bad_line": why })))?;
    }
    Ok(())
}

fn answer(line: &str) -> Result<Value, &'static str> {
    let line: Value = serde_json::from_str(line).map_err(|_| "no JSON")?;
    let family = Family::of([line["model"].as_str().ok_or("no model")?]);
    let estimate = if let Some(text) = line["text"].as_str() {
        // The inside of a JSON string, as the observer keeps it.
        let quoted = Value::from(text).to_string();
        output(family, quoted.get(1..quoted.len() - 1).unwrap_or_default().as_bytes())
    } else {
        let endpoint = line["endpoint"].as_str().and_then(Endpoint::from_name).ok_or("no text and no endpoint")?;
        input(family, endpoint, Ok(&line["body"]))
    };
    Ok(match estimate {
        Ok(estimate) => json!({ "tokens": estimate.tokens, "method": estimate.method }),
        Err(why) => json!({ "unestimated": why.as_str() }),
    })
}
