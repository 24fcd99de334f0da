//! What pricing one exchange costs: `cargo bench -p limpid-settle`.
//!
//! The budget of a known model is 1 µs end to end, from names and counts to a price with its parts: it is spent once an
//! exchange, after the last byte. Each line is the median of batches, so that a busy machine shows less.

#![expect(clippy::print_stdout, reason = "what a bench is for")]

use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use limpid_core::{Discount, PicoUsd, Source, Usage};
use limpid_settle::price::{Catalogue, OwnPrice, PriceBook, Query, UnitPrice};

const BATCHES: usize = 201;
const BATCH: u32 = 2_000;

/// The median time of one call.
fn time(mut call: impl FnMut()) -> Duration {
    let mut batches: Vec<Duration> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            (0..BATCH).for_each(|_| call());
            start.elapsed() / BATCH
        })
        .collect();
    batches.sort_unstable();
    batches.get(BATCHES / 2).copied().unwrap_or_default()
}

fn own_prices(n: usize) -> impl Iterator<Item = OwnPrice> {
    (0..n).map(|i| {
        let prices = ["input", "output"].into_iter().filter_map(|unit| UnitPrice::flat(unit, PicoUsd(PicoUsd::DOLLAR)));
        OwnPrice::new("own", prices).for_models([format!("own-model-{i}").as_str()])
    })
}

fn main() {
    let usage = Usage {
        input_tokens: Some(12_000),
        output_tokens: Some(700),
        cached_input_tokens: Some(8_000),
        cache_write_input_tokens: Some(1_000),
        reasoning_output_tokens: Some(300),
        ..Usage::empty(Source::Reported)
    };
    let start = Instant::now();
    let plain = PriceBook::new(Catalogue::embedded());
    println!("{:>10.1?}  the table is read, once", start.elapsed());
    let discount = Discount::parse("20%").unwrap_or_default();
    let book = |n| plain.clone().with_own(own_prices(n)).with_discounts([("cloud".into(), discount)]);
    for (what, book, provider, model) in [
        ("gpt-4o-mini of openai", &plain, Some("openai"), "gpt-4o-mini-2024-07-18"),
        ("claude-sonnet-4-5 of anthropic: tiers, dates", &plain, Some("anthropic"), "claude-sonnet-4-5-20250929"),
        (
            "a Claude of Bedrock, by the table's rules",
            &plain,
            Some("aws.bedrock"),
            "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        ("resold: OpenAI's of Azure", &plain, Some("azure.ai.openai"), "gpt-4o-mini"),
        ("the last of openrouter", &plain, Some("openrouter"), "z-ai/glm-4.5"),
        ("no provider given", &plain, None, "gpt-4o-mini"),
        ("unknown to openai", &plain, Some("openai"), "no-such-model"),
        ("self-hosted", &plain, Some("vllm"), "meta-llama/llama-3.1-8b-instruct"),
        ("less 20%, behind 10 own prices", &book(10), Some("openai"), "gpt-4o-mini"),
        ("the last of 10 own prices", &book(10), Some("openai"), "own-model-9"),
        ("the last of 256 own prices", &book(256), Some("openai"), "own-model-255"),
    ] {
        let models = [Some(model), None];
        let query = Query {
            upstream: Some("cloud"),
            provider,
            models,
            usage: &usage,
            at: SystemTime::now(),
            tier: Some("default"),
        };
        let each = time(|| drop(black_box(book.price(black_box(&query)))));
        let found = book.price(&query).map_or_else(|why| why.to_string(), |p| p.usd.to_string());
        println!("{each:>10.1?}  {what} ({found})");
    }
}
