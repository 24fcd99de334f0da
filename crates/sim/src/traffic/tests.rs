use std::collections::HashMap;

use limpid_core::InputTokensBand;
use serde_json::Value;

use super::*;
use crate::behaviour::Behaviour;
use crate::overrides::Overrides;
use crate::{SimConfig, SimServer};

fn words(spec: &RequestSpec) -> u64 {
    let body: Value = serde_json::from_slice(&spec.body).unwrap();
    let prompt = ["messages", "input"].iter().find_map(|m| body.get(*m)).unwrap();
    let text = prompt.as_str().or(prompt[0]["content"].as_str()).unwrap();
    text.split_whitespace().count() as u64
}

#[test]
fn a_seed_gives_the_same_requests_in_the_same_order() {
    let config = TrafficConfig::default();
    for n in 0..50 {
        assert_eq!(config.spec(n), config.spec(n));
    }
    let others = TrafficConfig { seed: 2, ..config.clone() };
    assert!((0..50).filter(|n| config.spec(*n) == others.spec(*n)).count() == 0);
}

#[test]
fn the_mix_has_every_model_band_key_and_trouble() {
    let config = TrafficConfig::default();
    let mut seen: HashMap<String, u32> = HashMap::new();
    for n in 0..3_000 {
        let spec = config.spec(n);
        let mut note = |what: String| *seen.entry(what).or_default() += 1;
        note(spec.model.to_owned());
        note(InputTokensBand::of(words(&spec)).to_string());
        let secret = spec.headers.iter().find(|(k, _)| *k == "authorization" || *k == "x-api-key").unwrap();
        note(secret.1.trim_start_matches("Bearer ").to_owned());
        match spec.reader {
            Reader::ToEnd => {}
            Reader::HangUp { .. } => note("hang-up".to_owned()),
            Reader::Slow { .. } => note("slow".to_owned()),
        }
        let body: Value = serde_json::from_slice(&spec.body).unwrap();
        let sim: Overrides = serde_json::from_value(body["sim"].clone()).unwrap();
        sim.apply(&mut Behaviour::default()).unwrap();
        if let Some(fault) = sim.fault {
            note(fault.to_string().split(':').next().unwrap().to_owned());
        }
        if sim.stall_ms.is_some() {
            note("stall".to_owned());
        }
        if let Some(output) = sim.output {
            note(format!("{output:?}"));
        }
    }
    let bands = InputTokensBand::ALL.iter().map(|b| b.as_str());
    let troubles = [
        "hang-up",
        "slow",
        "stall",
        "rate_limited",
        "quota",
        "status",
        "context_length",
        "content_filter",
        "in_stream_error",
        "cut_off",
        "truncate",
        "Refusal",
        "RefusalText",
        "ToolCall",
    ];
    for wanted in MODELS.iter().map(|m| m.name).chain(bands).chain(KEYS.iter().map(|k| k.1)).chain(troubles) {
        assert!(seen.contains_key(wanted), "{wanted} is missing: {seen:?}");
    }
    assert!((600..960).contains(&seen["gpt-4o-mini"]), "{seen:?}");
}

#[test]
fn without_trouble_nothing_goes_wrong() {
    let config = TrafficConfig { trouble: 0.0, ..TrafficConfig::default() };
    for n in 0..300 {
        let spec = config.spec(n);
        assert_eq!(spec.reader, Reader::ToEnd);
        assert!(!std::str::from_utf8(&spec.body).unwrap().contains("\"fault\""));
    }
}

#[tokio::test]
async fn every_request_gets_its_fate() {
    let sim = SimServer::start(SimConfig::default()).await.unwrap();
    let config = TrafficConfig { rate: 400.0, limit: Some(60), ..TrafficConfig::default() };
    let faults = (0..60).filter(|n| {
        let body: Value = serde_json::from_slice(&config.spec(*n).body).unwrap();
        body["sim"].get("fault").is_some() || config.spec(*n).reader != Reader::ToEnd
    });
    let faults = faults.count() as u64;
    let mut traffic = Traffic::start(&sim.url(), config).unwrap();
    let counts = traffic.finished().await;
    assert_eq!((counts.sent, counts.skipped, counts.in_flight()), (60, 0, 0));
    assert!(counts.finished >= 60 - faults, "{counts:?}");
    assert!(counts.finished < 60, "{counts:?}");
    sim.stop().await;
}

#[tokio::test]
async fn what_piles_up_is_bounded_and_stopping_hangs_up() {
    let behaviour = Behaviour { fault: Some(crate::Fault::NeverAnswer), ..Behaviour::default() };
    let sim = SimServer::start(SimConfig { behaviour, ..SimConfig::default() }).await.unwrap();
    let config = TrafficConfig { rate: 2_000.0, trouble: 0.0, max_in_flight: 5, ..TrafficConfig::default() };
    let traffic = Traffic::start(&sim.url(), config).unwrap();
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, sim.stats().until(|s| s.requests() == 5)).await.unwrap();
    let counts = traffic.stop(Duration::ZERO).await;
    assert_eq!((counts.sent, counts.in_flight()), (5, 5));
    tokio::time::timeout(limit, sim.stats().until(|s| s.cancelled() == 5)).await.unwrap();
    sim.stop().await;
}

#[tokio::test]
async fn a_base_that_is_no_http_url_is_refused() {
    for base in ["", "localhost", "/v1", "https://localhost", "http://a b"] {
        assert!(Traffic::start(base, TrafficConfig::default()).is_err(), "{base}");
    }
}
