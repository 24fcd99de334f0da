//! Recorded exchanges through the observer and the settlement: the verdict is the one that was recorded for, and it is
//! the same wherever the body is cut.
//!
//! The recordings are `tests/fixtures/streams`; their observations are compared in limpid-observe's own tests.

#![expect(clippy::unwrap_used, reason = "a recording that cannot be read fails the test")]

#[expect(dead_code, reason = "shared with limpid-observe's tests, which use all of it")]
#[path = "../../observe/tests/recording/mod.rs"]
mod recording;

use std::time::{Duration, SystemTime};

use limpid_core::{Ending, Observation, RequestFacts};
use limpid_observe::RequestObserver;
use limpid_settle::{Evidence, Settled, Settler};
use recording::{Recording, timeless};

/// 2026-11-22, 08:00 UTC: prices change by date.
fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_334_400)
}

fn ending(recording: &Recording) -> Ending {
    match recording.meta["ending"].as_str().unwrap() {
        "complete" => Ending::End,
        "aborted" => Ending::ClientGone,
        "cut" => Ending::UpstreamError,
        other => unreachable!("{}: an ending `{other}`", recording.name),
    }
}

fn asked(recording: &Recording) -> RequestFacts {
    let request = recording.request();
    let body = request.get("body").map(ToString::to_string).unwrap_or_default();
    let mut observer = RequestObserver::new(1 << 20);
    observer.feed(body.as_bytes());
    observer.facts().clone()
}

fn settled(settler: &Settler, recording: &Recording, request: &RequestFacts, observation: &Observation) -> Settled {
    settler.settle(&Evidence {
        endpoint: recording.endpoint().unwrap(),
        status: recording.status(),
        ending: ending(recording),
        failure: None,
        observation,
        request,
        upstream: None,
        provider: None,
        started_at: at(),
    })
}

#[test]
fn each_recording_is_judged_as_what_it_was_made_for() {
    let settler = Settler::embedded();
    let mut wrong = Vec::new();
    for recording in recording::committed() {
        let want = recording.expected();
        let seen = recording.observe([]).unwrap();
        let got = settled(&settler, &recording, &asked(&recording), &seen);
        let category = want["outcome"]["category"].as_str().unwrap();
        if got.outcome.category.as_str() != category {
            wrong.push(format!("{}: {:?}, recorded for {category}", recording.name, got.outcome));
        }
        if got.refusal.verdict != limpid_core::Verdict::None {
            wrong.push(format!("{}: {:?}, and nothing was refused", recording.name, got.refusal));
        }
        let tokens = got.usage.as_ref().and_then(|u| u.output_tokens);
        if let Some(output) = want["usage"]["output_tokens"].as_u64()
            && tokens != Some(output)
        {
            wrong.push(format!("{}: {tokens:?} output tokens of {output}", recording.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_cut_of_a_recording_settles_to_the_same() {
    let settler = Settler::embedded();
    for recording in recording::committed() {
        let request = asked(&recording);
        let whole = timeless(recording.observe([]).unwrap());
        let verdict = settled(&settler, &recording, &request, &whole);
        let check = |cuts: &[usize]| {
            let seen = timeless(recording.observe(cuts.iter().copied()).unwrap());
            assert_eq!(seen, whole, "{}: cut at {cuts:?}", recording.name);
            let again = settled(&settler, &recording, &request, &seen);
            assert_eq!(again, verdict, "{}: cut at {cuts:?}", recording.name);
        };
        let size = recording.body.len();
        check(&(0..size).collect::<Vec<_>>());
        (0..size).for_each(|cut| check(&[cut]));
    }
}
