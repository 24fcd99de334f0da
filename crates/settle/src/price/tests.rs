//! The catalogue end to end: finding, pricing, declining. Differences from genai-prices are `catalogue/compare.py`'s.

use std::time::{Duration, SystemTime};

use limpid_core::{Discount, Observation, PicoUsd, RequestFacts, Source, Usage};
use proptest::prelude::*;

use super::*;
use crate::testing::evidence;
use crate::{Settled, Settler};

const TABLE: &str = "\
@table\t2026-11-22
@provider\tacme\t*acme\t^acme-\t-
acme/acme-1\t^acme-1\tinput=2 output=8 cached_input=0.5 cache_write_input=2.5 cache_write_1h_input=4
acme/acme-1-mini\t=acme-1-mini =acme-1-tiny\tinput=0.1 output=0.4
acme/acme-audio\t=acme-audio\tinput=1 output=2 cached_input=0.5 audio_input=10 cached_audio_input=5 audio_output=20
acme/acme-think\t=acme-think\tinput=1 output=2 reasoning_output=3 request=5000
acme/acme-long\t=acme-long\tinput=1>1000:2>5000:3 output=10>1000:20
acme/acme-dated\t=acme-dated =acme-dated-2025-12-11\tinput=5 | from=2026-01-01 input=4 | from=2026-06-01 input=3
acme/acme-night\t=acme-night\tinput=1 | hours=22:00-06:30 input=2
acme/acme-tier\t=acme-tier\tinput=4 output=8 | tier=flex from=2026-06-01 input=2 | tier=flex input=3 output=5
acme/acme-free\t=acme-free\tinput=0 output=0
acme/acme-none\t=acme-none\t-
acme/acme-embed\t=acme-embed\tinput=0.02
@provider\treseller\t-\t-\tacme
reseller/own\t=own\tinput=7
reseller/shared\t=shared\tinput=7
@provider\tother\t-\t-\t-
other/shared\t=shared\tinput=8
other/acme/acme-1\t=acme/acme-1\tinput=9 output=9
";

fn table() -> Catalogue {
    Catalogue::from_text(TABLE).unwrap()
}

fn at(text: &str) -> SystemTime {
    humantime::parse_rfc3339(text).unwrap()
}

fn noon() -> SystemTime {
    at("2026-11-22T12:00:00Z")
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::empty(Source::Reported) }
}

fn usd(priced: Result<Price, Unpriced>) -> String {
    priced.map_or_else(|why| why.to_string(), |p| p.usd.to_string())
}

#[test]
fn the_embedded_table_is_whole() {
    let text = include_str!("../../catalogue/prices.tsv");
    let table = Catalogue::from_text(text).unwrap();
    let lines = text.lines().filter(|l| !l.starts_with(['#', '@'])).count();
    assert_eq!((table.len(), table.table()), (lines, "2026-11-22"));
    assert!(lines > 2_000);
    assert_eq!(Catalogue::embedded().len(), lines);
    for (provider, model, id) in [
        ("openai", "gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
        ("azure.ai.openai", "gpt-4o-mini", "openai/gpt-4o-mini"),
        ("Azure", "gpt-4o-mini", "openai/gpt-4o-mini"),
        ("openrouter", "openai/gpt-4o-mini", "openrouter/openai/gpt-4o-mini"),
        ("anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "google/claude-sonnet-4-5"),
    ] {
        assert_eq!(table.find(Some(provider), model).map(Entry::id), Some(id), "{provider} {model}");
    }
}

#[test]
fn every_alias_means_a_provider_of_the_table() {
    let table = Catalogue::embedded();
    for (alias, id) in catalogue::ALIASES {
        let entry = table.entries().find(|e| e.provider() == *id);
        let model = entry.map(Entry::model).unwrap_or_default();
        assert_eq!(table.find(Some(alias), model).map(Entry::provider), Some(*id), "{alias}");
    }
}

#[test]
fn every_entry_is_found_by_its_id_and_knows_its_names() {
    let table = Catalogue::embedded();
    for entry in table.entries() {
        let found = table.find(Some(entry.provider()), entry.model());
        assert_eq!(found.map(Entry::id), Some(entry.id()));
        assert_eq!(entry.id(), format!("{}/{}", entry.provider(), entry.model()));
    }
}

#[test]
fn a_name_finds_the_first_entry_of_its_provider() {
    let table = table();
    for (provider, model, expected) in [
        (Some("acme"), "acme-1", Some("acme/acme-1")),
        (Some("ACME "), "ACME-1-2026", Some("acme/acme-1")),
        // The rule of an earlier entry goes before the exact name of a later one.
        (Some("acme"), "acme-1-mini", Some("acme/acme-1")),
        (Some("acme"), "acme-audio", Some("acme/acme-audio")),
        (Some("acme"), "acme-dated-20251211", Some("acme/acme-dated")),
        (Some("the-acme-cloud"), "acme-1", Some("acme/acme-1")),
        (Some("reseller"), "own", Some("reseller/own")),
        (Some("reseller"), "acme-1", Some("acme/acme-1")),
        (Some("other"), "acme-1", None),
        (Some("litellm"), "acme/acme-audio", Some("acme/acme-audio")),
        (Some("litellm"), "shared", None),
        (Some("litellm"), "acme-1", Some("acme/acme-1")),
        (Some("litellm"), "other/acme-1", None),
        (Some("litellm"), "ollama/shared", None),
        (None, "acme-1", Some("acme/acme-1")),
        (None, "own", Some("reseller/own")),
        (None, "shared", None),
        (None, "other/shared", Some("other/shared")),
        (None, "nothing", None),
        (Some("acme"), "", None),
        (Some(""), "acme-1", None),
        (Some("acme"), "acme-größe", None),
    ] {
        assert_eq!(table.find(provider, model).map(Entry::id), expected, "{provider:?} {model}");
    }
    assert!(table.find(Some("acme"), &"acme-1".repeat(1_000)).is_none(), "bounded");
}

#[test]
fn what_its_user_runs_has_no_price_list() {
    let table = Catalogue::embedded();
    for provider in [
        "vllm",
        "llamacpp",
        "llama.cpp",
        "llama_cpp",
        "sglang",
        "ollama",
        "tgi",
        "simulated",
        "limpid-sim",
        "openai-compatible",
        "openai_compatible",
        "vllm-openai",
        "anthropic-mock",
        "custom",
        "unheard-of",
    ] {
        for model in ["gpt-4o", "claude-sonnet-4-5", "openai/gpt-4o", "meta-llama/llama-3.1-8b-instruct"] {
            assert_eq!(table.find(Some(provider), model), None, "{provider} {model}");
        }
    }
}

#[test]
fn each_token_is_billed_once() {
    let base = usage(1_000, 100);
    for (model, usage, expected) in [
        ("acme-1", base.clone(), "0.0028"),
        ("acme-1", Usage { cached_input_tokens: Some(600), ..base.clone() }, "0.0019"),
        (
            "acme-1",
            Usage {
                cached_input_tokens: Some(600),
                cache_write_input_tokens: Some(300),
                cache_write_1h_input_tokens: Some(200),
                ..base.clone()
            },
            // 100 × 2 + 600 × 0.5 + 100 × 2.5 + 200 × 4 + 100 × 8
            "0.00235",
        ),
        // What has no price of its own costs what its total costs.
        ("acme-embed", Usage { cached_input_tokens: Some(600), output_tokens: None, ..base.clone() }, "0.00002"),
        ("acme-1", Usage { reasoning_output_tokens: Some(90), ..base.clone() }, "0.0028"),
        // 1000 × 1 + 10 × 2 + 90 × 3 and a half cent for the request
        ("acme-think", Usage { reasoning_output_tokens: Some(90), ..base.clone() }, "0.00629"),
        (
            "acme-audio",
            Usage { audio_input_tokens: Some(500), audio_output_tokens: Some(50), ..base.clone() },
            "0.0066",
        ),
        ("acme-free", base.clone(), "0"),
    ] {
        let price = table().price(Some("acme"), model, &usage, noon(), None);
        assert_eq!(usd(price), expected, "{model} {usage:?}");
    }
}

#[test]
fn half_a_price_is_none() {
    let base = usage(1_000, 100);
    for (model, usage, expected) in [
        ("nothing", base.clone(), "unknown_model"),
        ("acme-1", usage(0, 0), "no_usage"),
        ("acme-1", Usage::empty(Source::Reported), "no_usage"),
        ("acme-1", Usage { output_tokens: None, ..base.clone() }, "partial_usage"),
        ("acme-1", Usage { input_tokens: None, ..base.clone() }, "partial_usage"),
        ("acme-1", Usage { cached_input_tokens: Some(1_001), ..base.clone() }, "inconsistent_usage"),
        (
            "acme-1",
            Usage { cached_input_tokens: Some(600), cache_write_input_tokens: Some(401), ..base.clone() },
            "inconsistent_usage",
        ),
        ("acme-1", Usage { cache_write_1h_input_tokens: Some(1), ..base.clone() }, "inconsistent_usage"),
        (
            "acme-audio",
            Usage { cached_input_tokens: Some(5), audio_input_tokens: Some(5), ..base.clone() },
            "ambiguous_usage",
        ),
        ("acme-none", base.clone(), "no_price"),
        ("acme-embed", base.clone(), "no_price"),
        ("acme-1", usage(u64::MAX, u64::MAX), "out_of_range"),
    ] {
        let price = table().price(Some("acme"), model, &usage, noon(), None);
        assert_eq!(usd(price), expected, "{model} {usage:?}");
    }
}

#[test]
fn a_threshold_reprices_every_token() {
    for (input, expected) in [(1_000, "0.002"), (1_001, "0.004002"), (5_000, "0.012"), (5_001, "0.017003")] {
        let price = table().price(Some("acme"), "acme-long", &usage(input, 100), noon(), None);
        assert_eq!(usd(price), expected, "{input}");
    }
}

#[test]
fn the_moment_decides_which_prices_hold() {
    for (model, moment, expected) in [
        ("acme-dated", "2020-01-01T00:00:00Z", "5"),
        ("acme-dated", "2025-12-31T23:59:59Z", "5"),
        ("acme-dated", "2026-01-01T00:00:00Z", "4"),
        ("acme-dated", "2026-06-01T00:00:00Z", "3"),
        ("acme-night", "2026-06-01T21:59:59Z", "1"),
        ("acme-night", "2026-06-01T22:00:00Z", "2"),
        ("acme-night", "2026-06-01T06:29:59Z", "2"),
        ("acme-night", "2026-06-01T06:30:00Z", "1"),
    ] {
        let usage = Usage { output_tokens: None, ..usage(1_000_000, 0) };
        assert_eq!(usd(table().price(Some("acme"), model, &usage, at(moment), None)), expected, "{model} {moment}");
    }
    let before_time = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(usd(table().price(Some("acme"), "acme-night", &usage(1_000_000, 0), before_time, None)), "2");
}

#[test]
fn a_tier_replaces_the_prices_that_it_names() {
    for (provider, tier, moment, expected) in [
        ("acme", None, "2026-11-22T12:00:00Z", "12"),
        ("acme", Some("default"), "2026-11-22T12:00:00Z", "12"),
        ("acme", Some("flex"), "2026-11-22T12:00:00Z", "7"),
        ("acme", Some("flex"), "2026-01-01T12:00:00Z", "8"),
        // A reseller's tiers are not its supplier's.
        ("reseller", Some("flex"), "2026-11-22T12:00:00Z", "12"),
    ] {
        let price = table().price(Some(provider), "acme-tier", &usage(1_000_000, 1_000_000), at(moment), tier);
        assert_eq!(usd(price), expected, "{provider} {tier:?} {moment}");
    }
}

#[test]
fn a_price_explains_itself() {
    let usage = Usage { cached_input_tokens: Some(600), ..usage(1_000, 100) };
    let price = table().price(Some("acme"), "acme-1-x", &usage, noon(), None).unwrap();
    assert_eq!((price.matched.as_deref(), price.table.as_deref()), (Some("acme/acme-1"), Some("2026-11-22")));
    assert_eq!(price.source, PriceSource::Catalogue);
    let parts: Vec<_> = price.parts.iter().map(|p| (p.name, p.units, p.per_million.to_string())).collect();
    let text = |t: &str| t.to_owned();
    assert_eq!(parts, [("cached_input", 600, text("0.5")), ("input", 400, text("2")), ("output", 100, text("8"))]);
    let catalogue = table();
    let entry = catalogue.find(Some("acme"), "acme-tier").unwrap();
    let sets: Vec<_> = entry.sets().iter().map(|s| (s.tier(), s.when().to_string(), s.prices().len())).collect();
    assert_eq!(
        sets,
        [(None, text("always"), 2), (Some("flex"), text("from 2026-06-01"), 1), (Some("flex"), text("always"), 2)]
    );
    assert_eq!(catalogue.similar("acme-tire", 1), ["acme/acme-tier"]);
    assert_eq!(catalogue.similar("other/sharde", 1), ["other/shared"]);
}

fn settled(seen: &Observation, request: &RequestFacts, provider: Option<&str>) -> Settled {
    Settler::new(PriceBook::new(table())).settle(&Evidence { request, provider, ..evidence(seen) })
}

#[test]
fn the_provider_s_own_price_goes_first_then_the_reply_s_model_then_the_request_s() {
    let asked =
        RequestFacts { model: Some("acme-tier".into()), service_tier: Some("flex".into()), ..RequestFacts::default() };
    let seen = |model: Option<&str>| Observation {
        model: model.map(Into::into),
        usage: Some(usage(1_000_000, 1_000_000)),
        ..Observation::default()
    };
    let matched = |s: Settled| s.price.map(|p| (p.matched.unwrap_or_default().into_owned(), p.usd.to_string()));
    let pair = |id: &str, usd: &str| Some((id.to_owned(), usd.to_owned()));
    assert_eq!(matched(settled(&seen(Some("acme-1")), &asked, Some("acme"))), pair("acme/acme-1", "10"));
    assert_eq!(matched(settled(&seen(Some("alias")), &asked, Some("acme"))), pair("acme/acme-tier", "7"));
    assert_eq!(matched(settled(&seen(None), &asked, Some("acme"))), pair("acme/acme-tier", "7"));
    let default = Observation { service_tier: Some("default".into()), ..seen(None) };
    assert_eq!(matched(settled(&default, &asked, Some("acme"))), pair("acme/acme-tier", "12"));

    let unknown = settled(&seen(Some("acme-1")), &asked, Some("vllm"));
    assert_eq!((unknown.price, unknown.unpriced), (None, Some("unknown_model")));
    let told = Observation { reported_cost: Some(PicoUsd(42)), usage: None, ..seen(None) };
    let told = settled(&told, &asked, Some("vllm")).price.unwrap();
    assert_eq!((told.usd, told.source, told.matched, told.parts), (PicoUsd(42), PriceSource::Reported, None, vec![]));
    let silent = settled(&Observation::default(), &asked, Some("acme"));
    assert_eq!((silent.usage, silent.price, silent.unpriced), (None, None, None));
}

#[test]
fn a_stream_that_broke_off_before_its_final_counts_has_no_price() {
    let asked = RequestFacts { model: Some("acme-1".into()), ..RequestFacts::default() };
    let running =
        Observation { streamed: true, choices_seen: 1, usage: Some(usage(1_000, 1)), ..Observation::default() };
    let verdict = settled(&running, &asked, Some("acme"));
    assert_eq!((verdict.price, verdict.unpriced), (None, Some("partial_usage")));
    assert_eq!(verdict.usage, running.usage, "the counts stay as reported");
    let whole = Observation { terminal: true, ..running };
    assert!(settled(&whole, &asked, Some("acme")).price.is_some());
}

fn own(name: &str, prices: &[(&str, u64)]) -> OwnPrice {
    OwnPrice::new(name, prices.iter().map(|(unit, usd)| UnitPrice::flat(unit, PicoUsd(usd * PicoUsd::DOLLAR)).unwrap()))
}

fn book() -> PriceBook {
    let both = |name, usd| own(name, &[("input", usd), ("output", usd)]);
    PriceBook::new(table())
        .with_own([
            both("all-on-gpu", 1).for_upstreams(["gpu".into()]),
            both("acme", 2).for_models(["acme-*"]),
            both("acme-1", 3).for_models(["other", "Acme-1"]),
            both("acme-1-flex", 4).for_models(["acme-1"]).for_tier(Some("flex".into())),
            both("alias", 5).for_models(["prod-chat"]),
            own("free", &[("input", 0), ("output", 0)]).for_models(["free"]),
            own("input-only", &[("input", 1)]).for_models(["embed"]),
        ])
        .with_discounts([("cheap".into(), Discount::parse("12.5%").unwrap())])
}

fn asked<'a>(
    upstream: &'a str,
    reply: &'a str,
    request: &'a str,
    tier: Option<&'a str>,
    usage: &'a Usage,
) -> Query<'a> {
    let models = [Some(reply), Some(request)];
    Query { upstream: Some(upstream), provider: Some("acme"), models, usage, at: noon(), tier }
}

#[test]
fn own_prices_go_before_the_catalogue_and_the_closest_first() {
    let usage = usage(1_000_000, 0);
    for (upstream, reply, request, tier, expected) in [
        ("cloud", "acme-1", "acme-1", None, "prices.acme-1"),
        ("cloud", "ACME-1", "acme-1", Some("default"), "prices.acme-1"),
        ("cloud", "acme-1", "acme-1", Some("flex"), "prices.acme-1-flex"),
        ("cloud", "acme-10", "acme-10", Some("flex"), "prices.acme"),
        // A whole name beats a beginning, whichever of the two names it is.
        ("cloud", "acme-10", "prod-chat", None, "prices.alias"),
        ("cloud", "acme-1", "prod-chat", None, "prices.acme-1"),
        ("cloud", "embed", "embed", None, "prices.input-only"),
        // What runs on one's own server takes no other entry's price by its name.
        ("gpu", "acme-1", "acme-1", Some("flex"), "prices.all-on-gpu"),
        ("cheap", "own", "own", None, "unknown_model"),
    ] {
        let price = book().price(&asked(upstream, reply, request, tier, &usage));
        let matched = price.map_or_else(|why| why.to_string(), |p| p.matched.unwrap_or_default().into_owned());
        assert_eq!(matched, expected, "{upstream} {reply} {request} {tier:?}");
    }
    let unnamed = Query { models: [None; 2], ..asked("gpu", "", "", None, &usage) };
    assert_eq!(usd(book().price(&unnamed)), "1");
    assert_eq!(usd(book().price(&Query { upstream: Some("cloud"), ..unnamed })), "unknown_model");
}

#[test]
fn an_own_price_of_nothing_is_nothing_and_a_missing_one_is_missing() {
    let used = usage(1_000, 100);
    let price = book().price(&asked("cloud", "free", "x", None, &used)).unwrap();
    assert_eq!((price.usd, price.source, price.table), (PicoUsd(0), PriceSource::Configured, None));
    assert_eq!(price.parts.len(), 2);
    assert_eq!(usd(book().price(&asked("cloud", "embed", "x", None, &used))), "no_price");
}

#[test]
fn a_discount_is_taken_off_the_catalogue_s_prices_alone() {
    let used = usage(1_000_000, 1_000_000);
    let price = book().with_own([]).price(&asked("cheap", "acme-1", "", None, &used)).unwrap();
    assert_eq!((price.usd.to_string(), price.discount.map(|d| d.to_string())), ("8.75".into(), Some("12.5%".into())));
    assert_eq!(price.parts[0].per_million.to_string(), "1.75");
    let own = book().price(&asked("cheap", "acme-1", "", None, &used)).unwrap();
    assert_eq!((own.usd.to_string().as_str(), own.discount), ("6", None));
    let elsewhere = PriceBook::new(table()).price(&asked("cheap", "acme-1", "", None, &used)).unwrap();
    assert_eq!((elsewhere.usd.to_string().as_str(), elsewhere.discount), ("10", None));
}

#[test]
fn what_is_no_token_is_billed_beside_them() {
    let table = Catalogue::from_text(
        "@table\t2026-11-22\n@provider\tp\t-\t-\t-\n\
         p/search\t=search\tinput=1 output=2 web_search=10000\n\
         p/plain\t=plain\tinput=1 output=2\n\
         p/whisper\t=whisper\taudio_ms=0.1@10000\n\
         p/both\t=both\tinput=1 output=2 audio_ms=0.1\n",
    )
    .unwrap();
    let searched = |n| Usage { web_searches: n, ..usage(1_000_000, 0) };
    let heard = |ms, tokens: Option<u64>| Usage {
        audio_ms: ms,
        input_tokens: tokens,
        output_tokens: tokens,
        ..Usage::empty(Source::Reported)
    };
    for (model, usage, expected) in [
        ("search", searched(Some(3)), "1.03"),
        ("search", searched(Some(0)), "1"),
        ("search", searched(None), "1"),
        // A search without a price is half a price.
        ("plain", searched(Some(1)), "no_price"),
        ("plain", searched(Some(0)), "1"),
        ("plain", heard(Some(1_000), Some(1)), "no_price"),
        ("whisper", heard(Some(60_000), None), "0.006"),
        ("whisper", heard(Some(60_000), Some(7)), "0.006"),
        ("whisper", heard(Some(1), None), "0.001"),
        ("whisper", heard(Some(0), Some(7)), "0"),
        ("whisper", heard(None, Some(7)), "partial_usage"),
        ("both", heard(Some(60_000), Some(1_000_000)), "3.006"),
        ("both", heard(Some(60_000), None), "partial_usage"),
        ("both", heard(None, Some(1_000_000)), "3"),
    ] {
        assert_eq!(usd(table.price(Some("p"), model, &usage, noon(), None)), expected, "{model} {usage:?}");
    }
}

fn any_count() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        Just(None),
        Just(Some(0)),
        Just(Some(u64::MAX)),
        any::<u64>().prop_map(Some),
        (0..100_000u64).prop_map(Some)
    ]
}

prop_compose! {
    fn any_usage()(n in proptest::array::uniform9(any_count())) -> Usage {
        let [input, output, cached, written, hour, audio, image, reasoning, audio_out] = n;
        Usage {
            input_tokens: input,
            output_tokens: output,
            cached_input_tokens: cached,
            cache_write_input_tokens: written,
            cache_write_1h_input_tokens: hour,
            audio_input_tokens: audio,
            image_input_tokens: image,
            reasoning_output_tokens: reasoning,
            audio_output_tokens: audio_out,
            ..Usage::empty(Source::Reported)
        }
    }
}

prop_compose! {
    /// Counts that do not contradict one another.
    fn sound_usage()(cached in 0..50_000u64, written in 0..50_000u64, rest in 1..200_000u64, thought in 0..9_999u64, said in 0..99_999u64)
        -> Usage {
        Usage {
            cached_input_tokens: Some(cached),
            cache_write_input_tokens: Some(written),
            reasoning_output_tokens: Some(thought),
            ..usage(cached + written + rest, thought + said)
        }
    }
}

/// Any entry of the embedded table.
fn entry(pick: prop::sample::Index) -> (Catalogue, String, String) {
    let table = Catalogue::embedded();
    let entry = table.entries().nth(pick.index(table.len())).unwrap();
    let (provider, model) = (entry.provider().to_owned(), entry.model().to_owned());
    (table, provider, model)
}

proptest! {
    #[test]
    fn nothing_panics_and_parts_sum_to_the_total(pick: prop::sample::Index, usage in any_usage(), day in 0..40_000u64) {
        let (table, provider, model) = entry(pick);
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_399);
        if let Ok(price) = table.price(Some(&provider), &model, &usage, at, Some("flex")) {
            prop_assert_eq!(price.parts.iter().map(|p| u128::from(p.usd.0)).sum::<u128>(), u128::from(price.usd.0));
            let tokens = price.parts.iter().filter(|p| p.name != "request").map(|p| u128::from(p.units)).sum::<u128>();
            let told = u128::from(usage.input_tokens.unwrap_or(0)) + u128::from(usage.output_tokens.unwrap_or(0));
            prop_assert_eq!(tokens, told, "each token in exactly one part");
        }
    }

    #[test]
    fn more_tokens_never_cost_less(pick: prop::sample::Index, usage in sound_usage(), more in 0..10_000u64) {
        let (table, provider, model) = entry(pick);
        let price = |u: &Usage| table.price(Some(&provider), &model, u, noon(), None).ok().map(|p| p.usd);
        let longer = Usage { output_tokens: usage.output_tokens.map(|n| n + more), ..usage.clone() };
        prop_assert!(price(&usage) <= price(&longer));
        // Within a tier: no threshold lies between the two prompts.
        let wider = Usage { input_tokens: usage.input_tokens.map(|n| n + more), ..usage.clone() };
        let cliff = |p: &&UnitPrice| p.per_million(usage.input_tokens.unwrap_or(0)) != p.per_million(wider.input_tokens.unwrap_or(0));
        let crossed = table.find(Some(&provider), &model).is_some_and(|e| e.in_force(noon(), None).iter().any(cliff));
        prop_assert!(crossed || price(&usage) <= price(&wider));
        // A part that costs more than what it is taken from makes the whole dearer.
        let hour = Usage { cache_write_1h_input_tokens: usage.cache_write_input_tokens, ..usage.clone() };
        prop_assert!(price(&usage) <= price(&hour));
    }

    #[test]
    fn any_name_is_looked_up_without_a_panic(provider in "\\PC{0,12}", model in "\\PC{0,40}") {
        let table = Catalogue::embedded();
        let _ = table.find(Some(&provider), &model);
        let _ = table.find(None, &model);
        let _ = table.similar(&model, 3);
    }
}
