//! What is run, and which figures come of it.
//!
//! | plan | load | who |
//! |---|---|---|
//! | `gentle` | few streams, so that nobody is short of CPU | all |
//! | `streams` | `STREAMS` × `EVENTS`, `GAP_MS` apart | all but the slow |
//! | `requests` | short replies over kept connections, at a fixed rate, then as fast as they are answered | all but the slow |
//! | `idle` | open streams that say nothing: memory | all but the slow, each freshly started |
//! | `scale` | as many streams at a time as the descriptors allow, every byte checked | all but the slow, once |
//! | `scale_h2c` | more of them, for the upstream is reached over HTTP/2 | who speaks it, freshly started, once |
//! | `gateways` | a load that LiteLLM sustains, and the one that it does not | limpid, nginx, LiteLLM |
//! | `flat` | the same events a second over ever more streams | limpid, nginx, freshly started |
//! | `burst` | many idle streams that are closed at once, twice: memory afterwards | limpid, nginx, `HAProxy`, freshly started, once |
//! | `growth` | short requests under ever more routes, keys and label sets | limpid, freshly started |
//!
//! The last four take minutes a round and run only if they are asked for.

mod growth;
mod held;
mod memory;
mod traffic;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Failure;
use crate::contenders::{Contender, Running, Site};
use crate::load;
use crate::sizes::Sizes;
use crate::wire::{self, Order};

/// Figures of one run of one contender, by name. One that could not be had is not there.
pub(crate) type Sample = BTreeMap<&'static str, f64>;

/// What a run gave: figures, and what went wrong.
pub(crate) type Outcome = Result<(Sample, Option<String>), Failure>;

/// The plans.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plan {
    Gentle,
    Streams,
    Requests,
    Idle,
    Scale,
    ScaleH2c,
    Gateways,
    Flat,
    Burst,
    Growth,
}

/// What each contender serves unmeasured before all: code is loaded and pools are filled.
pub(crate) async fn warm(running: &Running) {
    load::streams(running.target, 20, WARM, Duration::from_millis(200)).await;
}

const WARM: Order = Order { stream: 0, events: 5, first_us: 20_000, gap_us: 1000 };

/// How much the gentle plan runs: streams, events of each, ms between two.
const GENTLE: (usize, u64, u64) = (10, 30, 100);

/// A stream's order: its first text after 50 ms.
fn order(events: u64, gap_ms: u64) -> Order {
    Order { stream: 0, events, first_us: 50_000, gap_us: gap_ms * 1000 }
}

impl Plan {
    /// In the order in which they run: last the one after which the proxies keep thousands of connections to the backend.
    const ALL: [Plan; 10] = [
        Plan::Gentle,
        Plan::Streams,
        Plan::Requests,
        Plan::Idle,
        Plan::ScaleH2c,
        Plan::Gateways,
        Plan::Flat,
        Plan::Burst,
        Plan::Growth,
        Plan::Scale,
    ];

    /// Those that `PLANS` names; `all`; without it the usual ones.
    pub(crate) fn wanted() -> Vec<Plan> {
        let wanted = std::env::var("PLANS").unwrap_or_default();
        let named = |plan: &Plan| wanted.split(',').any(|name| [plan.name(), "all"].contains(&name.trim()));
        Plan::ALL
            .into_iter()
            .filter(|plan| if wanted.is_empty() { *plan <= Plan::ScaleH2c } else { named(plan) })
            .collect()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Plan::Gentle => "gentle",
            Plan::Streams => "streams",
            Plan::Requests => "requests",
            Plan::Idle => "idle",
            Plan::Scale => "scale",
            Plan::ScaleH2c => "scale_h2c",
            Plan::Gateways => "gateways",
            Plan::Flat => "flat",
            Plan::Burst => "burst",
            Plan::Growth => "growth",
        }
    }

    /// What it runs, for a headline.
    pub(crate) fn says(self, sizes: &Sizes) -> String {
        match self {
            Plan::Gentle => format!("{} streams × {} events, {} ms apart", GENTLE.0, GENTLE.1, GENTLE.2),
            Plan::Streams => {
                format!("{} streams × {} events, {} ms apart", sizes.streams, sizes.events, sizes.gap_ms)
            }
            Plan::Requests | Plan::Growth => format!(
                "{} clients, short replies: {} requests/s for {} s, then saturation for {} s",
                sizes.clients, sizes.rate, sizes.seconds, sizes.seconds
            ),
            Plan::Idle => format!("{} open streams that say nothing", sizes.idle),
            Plan::Scale => format!("{} streams × {} events, 1 s apart", sizes.scale, sizes.scale_events),
            Plan::ScaleH2c => format!(
                "{} streams × {} events, 1 s apart, to an upstream that is spoken to in HTTP/2",
                sizes.scale_h2c, sizes.scale_events
            ),
            Plan::Gateways => format!("{} events a stream; the second load is that of `streams`", sizes.events),
            Plan::Flat => held::FLAT.to_owned(),
            Plan::Burst => format!("MiB; {} open streams that say nothing, closed at once, twice", sizes.burst),
        }
    }

    /// The loads that it runs in each round; most have one, which needs no name.
    pub(crate) fn loads(self, sizes: &Sizes) -> Vec<String> {
        match self {
            Plan::Gateways => sizes.gateways.iter().map(|(n, gap)| format!("{n} streams, {gap} ms apart")).collect(),
            Plan::Flat => sizes.flat.iter().map(|n| format!("{n} streams")).collect(),
            Plan::Growth => growth::LOADS.iter().map(growth::Load::name).collect(),
            _ => vec![String::new()],
        }
    }

    pub(crate) fn rounds(self, sizes: &Sizes) -> usize {
        if matches!(self, Plan::Scale | Plan::ScaleH2c | Plan::Burst) { 1 } else { sizes.rounds }
    }

    /// Whether a contender takes part.
    pub(crate) fn takes(self, contender: &Contender) -> bool {
        match self {
            Plan::Gentle => true,
            Plan::Idle => !contender.is_slow() && !contender.is_direct(),
            Plan::Streams | Plan::Requests | Plan::Scale => !contender.is_slow(),
            Plan::ScaleH2c => contender.speaks_h2c(),
            Plan::Gateways => contender.is_slow() || contender.is_plain(),
            Plan::Flat => contender.is_plain(),
            Plan::Burst => contender.is_plain() || contender.name == "HAProxy",
            Plan::Growth => contender.is_observing(),
        }
    }

    /// Runs one of its loads once.
    pub(crate) async fn run(
        self,
        sizes: &Sizes,
        load: usize,
        contender: &Contender,
        running: &Running,
        site: &Site,
    ) -> Outcome {
        let half_a_second = Duration::from_millis(500);
        match self {
            Plan::Gentle => traffic::streams(running, GENTLE.0, order(GENTLE.1, GENTLE.2), half_a_second).await,
            Plan::Streams => {
                traffic::streams(running, sizes.streams, order(sizes.events, sizes.gap_ms), half_a_second).await
            }
            Plan::Gateways => {
                let (streams, gap_ms) = sizes.gateways[load];
                traffic::streams(running, streams, order(sizes.events, gap_ms), Duration::from_secs(2)).await
            }
            Plan::Requests => {
                traffic::requests(running, sizes, &load::Requests::in_turn(vec![wire::short_request()])).await
            }
            Plan::Idle => memory::idle(contender, sizes.idle, site).await,
            Plan::Scale => {
                traffic::streams(running, sizes.scale, order(sizes.scale_events, 1000), ramp(sizes.scale)).await
            }
            Plan::ScaleH2c => held::scale_h2c(contender, sizes, site).await,
            Plan::Flat => held::flat(contender, sizes.flat[load], site).await,
            Plan::Burst => memory::burst(contender, sizes.burst, site).await,
            Plan::Growth => growth::run(contender, &growth::LOADS[load], sizes, site).await,
        }
    }
}

/// Starts half a millisecond apart: all are open long before the first ends.
fn ramp(streams: usize) -> Duration {
    Duration::from_micros(500).saturating_mul(u32::try_from(streams).unwrap_or(u32::MAX))
}

fn cpu_ns(running: &Running) -> Option<u64> {
    running.process.as_ref().map(crate::process::Process::cpu_ns)
}

/// p50 and p99, by nearest rank.
fn percentiles(sample: &mut Sample, names: [&'static str; 2], values: &mut [u64]) {
    values.sort_unstable();
    for (name, percent) in names.into_iter().zip([50, 99]) {
        let rank = (values.len() * percent).div_ceil(100);
        if let Some(&value) = values.get(rank.saturating_sub(1)) {
            sample.insert(name, value as f64);
        }
    }
}
