//! What is run, and which figures come of it.
//!
//! | plan | load | who |
//! |---|---|---|
//! | `gentle` | few streams, so that nobody is short of CPU | all |
//! | `streams` | `STREAMS` × `EVENTS`, `GAP_MS` apart | all but the slow |
//! | `requests` | short replies over kept connections, at a fixed rate, then as fast as they are answered | all but the slow |
//! | `idle` | open streams that say nothing: memory | all but the slow, each freshly started |
//! | `scale` | as many streams at a time as the descriptors allow, every byte checked | all but the slow, once |

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::sleep;

use crate::Failure;
use crate::contenders::{Contender, Running, Site};
use crate::load::{self, Streams};
use crate::wire::Order;

/// Figures of one run of one contender, by name. One that could not be had is not there.
pub(crate) type Sample = BTreeMap<&'static str, f64>;

/// What a run gave: figures, and what went wrong.
pub(crate) type Outcome = Result<(Sample, Option<String>), Failure>;

/// The sizes of all plans.
pub(crate) struct Sizes {
    pub(crate) streams: usize,
    pub(crate) events: u64,
    pub(crate) gap_ms: u64,
    pub(crate) rounds: usize,
    pub(crate) clients: usize,
    pub(crate) rate: usize,
    pub(crate) seconds: u64,
    pub(crate) idle: usize,
    pub(crate) scale: usize,
    pub(crate) scale_events: u64,
}

impl Sizes {
    /// From the environment, within what `connections` allow.
    pub(crate) fn from_env(connections: u64) -> Sizes {
        let most = usize::try_from(connections / 2).unwrap_or(usize::MAX).saturating_sub(450);
        Sizes {
            streams: number("STREAMS", 200).min(most),
            events: number("EVENTS", 100),
            gap_ms: number("GAP_MS", 20),
            rounds: number("ROUNDS", 5),
            clients: number("CLIENTS", 32),
            rate: number("RATE", 1000),
            seconds: number("FOR_S", 2),
            idle: number("IDLE", 1000).min(most),
            scale: number("SCALE", 10_000).min(most),
            scale_events: number("SCALE_EVENTS", 10),
        }
    }
}

fn number<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The plans.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plan {
    Gentle,
    Streams,
    Requests,
    Idle,
    Scale,
}

/// What each contender serves unmeasured before all: code is loaded and pools are filled.
pub(crate) async fn warm(running: &Running) {
    load::streams(running.target, 20, WARM, Duration::from_millis(200)).await;
}

const WARM: Order = Order { stream: 0, events: 5, first_us: 20_000, gap_us: 1000 };

/// How much the gentle plan runs: streams, events of each, ms between two.
const GENTLE: (usize, u64, u64) = (10, 30, 100);

impl Plan {
    pub(crate) const ALL: [Plan; 5] = [Plan::Gentle, Plan::Streams, Plan::Requests, Plan::Idle, Plan::Scale];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Plan::Gentle => "gentle",
            Plan::Streams => "streams",
            Plan::Requests => "requests",
            Plan::Idle => "idle",
            Plan::Scale => "scale",
        }
    }

    /// What it runs, for a headline.
    pub(crate) fn says(self, sizes: &Sizes) -> String {
        match self {
            Plan::Gentle => format!("{} streams × {} events, {} ms apart", GENTLE.0, GENTLE.1, GENTLE.2),
            Plan::Streams => {
                format!("{} streams × {} events, {} ms apart", sizes.streams, sizes.events, sizes.gap_ms)
            }
            Plan::Requests => format!(
                "{} clients, short replies: {} requests/s for {} s, then saturation for {} s",
                sizes.clients, sizes.rate, sizes.seconds, sizes.seconds
            ),
            Plan::Idle => format!("{} open streams that say nothing", sizes.idle),
            Plan::Scale => format!("{} streams × {} events, 1 s apart", sizes.scale, sizes.scale_events),
        }
    }

    pub(crate) fn rounds(self, sizes: &Sizes) -> usize {
        if self == Plan::Scale { 1 } else { sizes.rounds }
    }

    /// Whether a contender takes part.
    pub(crate) fn takes(self, contender: &Contender) -> bool {
        match self {
            Plan::Gentle => true,
            Plan::Idle => !contender.is_slow() && !contender.is_direct(),
            Plan::Streams | Plan::Requests | Plan::Scale => !contender.is_slow(),
        }
    }

    /// Runs it once.
    pub(crate) async fn run(self, sizes: &Sizes, contender: &Contender, running: &Running, site: &Site) -> Outcome {
        let order = |events, gap_ms| Order { stream: 0, events, first_us: 50_000, gap_us: gap_ms * 1000 };
        match self {
            Plan::Gentle => streams(running, GENTLE.0, order(GENTLE.1, GENTLE.2), Duration::from_millis(500)).await,
            Plan::Streams => {
                let ramp = Duration::from_millis(500);
                streams(running, sizes.streams, order(sizes.events, sizes.gap_ms), ramp).await
            }
            Plan::Requests => requests(running, sizes).await,
            Plan::Idle => idle(contender, sizes.idle, site).await,
            Plan::Scale => {
                // Starts half a millisecond apart: all are open long before the first ends.
                let ramp = Duration::from_micros(500) * u32::try_from(sizes.scale)?;
                streams(running, sizes.scale, order(sizes.scale_events, 1000), ramp).await
            }
        }
    }
}

/// How long after the last byte CPU is counted: spans and log lines are written then, and they are to be paid for.
/// limpid's spans wait for half a second here.
const SETTLE: Duration = Duration::from_millis(800);

async fn streams(running: &Running, count: usize, order: Order, ramp: Duration) -> Outcome {
    let before = cpu_ns(running);
    let Streams { mut event_us, mut first_us, whole, failed, failure } =
        load::streams(running.target, count, order, ramp).await;
    sleep(SETTLE).await;
    let spent = cpu_ns(running).zip(before).map(|(after, before)| after - before);
    let mut sample = Sample::from([("streams", whole as f64), ("failed", failed as f64)]);
    if let Some(spent) = spent.filter(|_| failed == 0) {
        sample.insert("cpu_us_per_event", spent as f64 / 1e3 / event_us.len() as f64);
    }
    percentiles(&mut sample, ["event_us_p50", "event_us_p99"], &mut event_us);
    percentiles(&mut sample, ["ttft_us_p50", "ttft_us_p99"], &mut first_us);
    Ok((sample, failure))
}

async fn requests(running: &Running, sizes: &Sizes) -> Outcome {
    let lasts = Duration::from_secs(sizes.seconds);
    let before = cpu_ns(running);
    let mut paced = load::requests(running.target, sizes.clients, Some(sizes.rate), lasts).await;
    sleep(SETTLE).await;
    let between = cpu_ns(running);
    let full = load::requests(running.target, sizes.clients, None, lasts).await;
    sleep(SETTLE).await;
    let after = cpu_ns(running);
    let mut sample = Sample::from([("failed", (paced.failed + full.failed) as f64)]);
    if paced.failed + full.failed == 0 {
        sample.insert("requests_per_s", full.took_us.len() as f64 / lasts.as_secs_f64());
        let each = |from: Option<u64>, to: Option<u64>, count: usize| {
            to.zip(from).map(|(to, from)| (to - from) as f64 / 1e3 / count as f64)
        };
        sample.extend(each(before, between, paced.took_us.len()).map(|us| ("cpu_us_per_request", us)));
        sample.extend(each(between, after, full.took_us.len()).map(|us| ("cpu_us_per_request_saturated", us)));
    }
    percentiles(&mut sample, ["request_us_p50", "request_us_p99"], &mut paced.took_us);
    Ok((sample, paced.failure.or(full.failure)))
}

/// Memory before and after, in a process that has served nothing but a few streams: what a process got once it seldom
/// gives back, so a second round in the same one would see nothing.
async fn idle(contender: &Contender, count: usize, site: &Site) -> Outcome {
    let running = contender.start(site).await?;
    warm(&running).await;
    let process = running.process.as_ref().ok_or("the backend itself is not measured")?;
    let before = process.memory_kib();
    let open = match load::idle(running.target, count).await {
        Ok(open) => open,
        Err(why) => return Ok((Sample::new(), Some(why))),
    };
    // A second in which what the opening left behind is given back, if it is.
    sleep(Duration::from_secs(1)).await;
    let after = process.memory_kib();
    let mut sample = Sample::from([("process_mib", before as f64 / 1024.0)]);
    sample.insert("kib_per_stream", after.saturating_sub(before) as f64 / open.len() as f64);
    Ok((sample, None))
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
