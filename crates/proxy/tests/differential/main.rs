//! The differential test: generated connections, once straight to an upstream and once through limpid, compared.
//!
//! What the upstream sees and what the client gets must be the same, byte for byte, but for what a proxy must change
//! and limpid documents; `expected` lists all of that. One proxy and one upstream serve all cases, so that connections
//! are used again across them as in life. Nothing sleeps: who must not be early waits for what the other end has seen.
//!
//! 500 cases by default; `LIMPID_DIFFERENTIAL_CASES` sets another number, `LIMPID_DIFFERENTIAL_SEED` repeats a run.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]
#![expect(clippy::print_stdout, reason = "says what was compared")]

mod case;
#[expect(dead_code, reason = "the relay's tests use the rest")]
#[path = "../relay/common.rs"]
mod common;
mod expected;
mod play;
mod wire;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use crate::case::{After, Case, Cuts, Exchange, Pace};
use crate::common::Rig;
use crate::play::{Run, Upstream};
use crate::wire::{End, Message};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// Both runs of a case; what is wrong, if anything.
async fn compare(case: &Case, upstream: &Upstream, rig: &Rig) -> Result<(Run, Run), String> {
    let straight = upstream.run(case, upstream.addr).await;
    let through = upstream.run(case, rig.addr).await;
    match expected::differences(case, &straight, &through) {
        Some(difference) => Err(difference),
        None => Ok((straight, through)),
    }
}

/// What kinds of endings and framings the cases had, so that a generator gone dull is seen.
type Kinds = BTreeMap<String, usize>;

fn count(kinds: &mut Kinds, run: &Run) {
    let mut add = |what: &str, m: &Message| {
        let framing = match m.framing {
            wire::Framing::Length(_) => "length".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        *kinds.entry(format!("{what}, {framing}, {:?}", m.end)).or_default() += 1;
    };
    run.seen.iter().for_each(|m| add("request", m));
    run.got.iter().for_each(|m| add("reply", m));
}

#[test]
fn generated_connections_are_the_same_straight_and_through_limpid() {
    let cases = number("LIMPID_DIFFERENTIAL_CASES").unwrap_or(500);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seed = number("LIMPID_DIFFERENTIAL_SEED").unwrap_or(u64::from(now.subsec_nanos()) ^ now.as_secs());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (upstream, rig) = runtime.block_on(async {
        let upstream = Upstream::start().await;
        let rig = Rig::to(upstream.addr).await;
        (upstream, rig)
    });
    let config = Config {
        cases: u32::try_from(cases).unwrap(),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        // A case that hangs takes its time again at every step of the shrinking.
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let (kinds, exchanges) = (Cell::new(Kinds::new()), Cell::new(0));
    let outcome = TestRunner::new(config).run(&case::case(), |case| {
        let (straight, _) = runtime.block_on(compare(&case, &upstream, &rig)).map_err(TestCaseError::fail)?;
        let mut so_far = kinds.take();
        count(&mut so_far, &straight);
        kinds.set(so_far);
        exchanges.set(exchanges.get() + case.exchanges.len());
        Ok(())
    });
    if let Err(TestError::Fail(why, case)) = &outcome {
        panic!("{why}\n\nin {case:?}\nLIMPID_DIFFERENTIAL_SEED={seed} repeats it");
    }
    outcome.unwrap();
    let (kinds, exchanges) = (kinds.take(), exchanges.get());
    println!("{cases} connections of {exchanges} exchanges, seed {seed}: {kinds:#?}");
    // One record each, whatever happened.
    let records = runtime.block_on(rig.sink.wait_for(exchanges, play::SOON)).unwrap();
    assert_eq!((records.len(), rig.sink.started_count()), (exchanges, exchanges));
    if cases >= 500 {
        for kind in [
            "request, none, Complete",
            "request, length, Complete",
            "request, chunked, Complete",
            "request, length, Cut",
            "reply, none, Complete",
            "reply, length, Complete",
            "reply, chunked, Complete",
            "reply, close, Complete",
            "reply, length, Cut",
            "reply, chunked, Cut",
        ] {
            assert!(kinds.contains_key(kind), "no {kind} among {kinds:#?}");
        }
    }
}

const CHUNKED: &str =
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00a;x=\"y\"\r\n0123456789\r\n1\r\n\n\r\n0\r\n\r\n";

/// Cut in two at every byte, sizes of chunks and line ends included; what stands before the cut arrives before the rest
/// is written.
#[test]
fn a_message_cut_in_two_anywhere_arrives_as_it_is() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let upstream = Upstream::start().await;
        let rig = Rig::to(upstream.addr).await;
        let request = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: limpid.test\r\n{CHUNKED}").into_bytes();
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{CHUNKED}").into_bytes();
        for step in 1..request.len().max(reply.len()) {
            // Pieces of `step`, of which only the first two are small in the end: every place is a cut.
            let pace = Pace { cuts: Cuts::Every(step), lockstep: true };
            let exchange = Exchange {
                request: request.clone(),
                reply: reply.clone(),
                up: pace.clone(),
                down: pace,
                request_cut: None,
                after: After::Keep,
            };
            let case = Case { exchanges: vec![exchange], pipelined: false };
            compare(&case, &upstream, &rig).await.unwrap_or_else(|why| panic!("{why}\n\nin {case:?}"));
        }
    });
}

/// A reply cut off at every byte is never a whole one.
#[test]
fn a_reply_that_breaks_off_anywhere_breaks_off_there() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let upstream = Upstream::start().await;
        let rig = Rig::to(upstream.addr).await;
        let request = b"GET / HTTP/1.1\r\nHost: limpid.test\r\n\r\n".to_vec();
        for rest in [CHUNKED, "Content-Length: 5\r\n\r\nhello"] {
            let reply = format!("HTTP/1.1 200 OK\r\nX-A: b\r\n{rest}").into_bytes();
            for at in 0..reply.len() {
                let pace = Pace { cuts: Cuts::Whole, lockstep: false };
                let exchange = Exchange {
                    request: request.clone(),
                    reply: reply.clone(),
                    up: pace.clone(),
                    down: pace,
                    request_cut: None,
                    after: After::Cut(at),
                };
                let case = Case { exchanges: vec![exchange], pipelined: false };
                let (straight, _) =
                    compare(&case, &upstream, &rig).await.unwrap_or_else(|why| panic!("{why}\n\nin {case:?}"));
                assert!(straight.got.iter().all(|m| m.end == End::Cut), "cut at {at}");
            }
        }
    });
}
