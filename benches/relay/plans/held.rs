//! Many streams held open at a time, in freshly started processes: what one costs, and whether all come whole.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Outcome, Sample, cpu_ns, order, ramp, traffic, warm};
use crate::contenders::{Contender, Running, Setup, Site};
use crate::load::{self, Progress, Streams};
use crate::sizes::Sizes;
use crate::wire::Order;

/// All events of all streams of `flat` together, a second.
const RATE: usize = 2000;
/// The part of the run that is counted, seconds.
const WINDOW_S: usize = 10;
/// What the headline says.
pub(super) const FLAT: &str = "2,000 events a second in all, over ever more streams; counted are 10 s in which all are open \
    and none begins or ends";

/// How long the last of them may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// Streams that run, and how far they are.
struct Held {
    progress: Arc<Progress>,
    streams: tokio::task::JoinHandle<Streams>,
}

impl Held {
    /// Begins `count` streams and waits until each has its first text. An error if one failed before.
    async fn begin(running: &Running, count: usize, order: Order) -> Result<Held, Option<String>> {
        let progress = Arc::new(Progress::default());
        let (target, told) = (running.target, Arc::clone(&progress));
        let streams = tokio::spawn(async move { load::streams_told(target, count, order, ramp(count), &told).await });
        let begun = async {
            while progress.begun.load(Relaxed) < count && !streams.is_finished() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let all = timeout(ramp(count) + PATIENCE, begun).await.is_ok();
        let held = Held { progress, streams };
        if all && !held.streams.is_finished() { Ok(held) } else { Err(held.ended().await.failure) }
    }

    async fn ended(self) -> Streams {
        let failed = |error: tokio::task::JoinError| Streams { failure: Some(error.to_string()), ..Streams::default() };
        self.streams.await.unwrap_or_else(failed)
    }
}

/// CPU of an event, and memory of a stream, where only the number of streams differs.
///
/// With the same gap more streams would mean more events a second, and each wake-up would find more of them at once: an
/// event gets cheaper then, which hides what a stream costs. With the same rate it does not.
pub(super) async fn flat(contender: &Contender, count: usize, site: &Site) -> Outcome {
    let running = contender.start(site).await?;
    warm(&running).await;
    let before = memory(&running);
    let gap = Duration::from_secs(1) * u32::try_from(count)? / u32::try_from(RATE)?;
    // Until the last has begun, which may take longer than planned, a second of rest, the window, and some seconds more.
    let lasts = ramp(count) * 2 + Duration::from_secs(WINDOW_S as u64 + 5);
    let events = u64::try_from(lasts.as_micros() / gap.as_micros())? + 1;
    let wanted = Order { gap_us: u64::try_from(gap.as_micros())?, ..order(events, 0) };
    let held = match Held::begin(&running, count, wanted).await {
        Ok(held) => held,
        Err(why) => return Ok((Sample::new(), why)),
    };
    sleep(Duration::from_secs(1)).await;
    let (cpu, seen) = (cpu_ns(&running), held.progress.events.load(Relaxed));
    sleep(Duration::from_secs(WINDOW_S as u64)).await;
    let (spent, seen) = (cpu_ns(&running).zip(cpu), held.progress.events.load(Relaxed) - seen);
    let (after, ended) = (memory(&running), held.progress.ended.load(Relaxed));
    let (mut sample, mut failure) = traffic::figures(held.ended().await, None);
    if ended > 0 {
        failure = failure.or_else(|| Some("some streams ended while they were counted".to_owned()));
    } else if let Some((to, from)) = spent {
        sample.insert("cpu_us_per_event", (to - from) as f64 / 1e3 / seen as f64);
    }
    let kib = after.zip(before).map(|(after, before)| after.saturating_sub(before) as f64 / count as f64);
    sample.extend(kib.map(|kib| ("kib_per_stream", kib)));
    Ok((sample, failure))
}

/// Streams over an upstream that is reached over HTTP/2: a process needs one descriptor for each, not two.
pub(super) async fn scale_h2c(contender: &Contender, sizes: &Sizes, site: &Site) -> Outcome {
    let running = contender.start_with(site, &Setup { h2c: true, ..Setup::default() }).await?;
    warm(&running).await;
    let (before, cpu) = (memory(&running), cpu_ns(&running));
    let count = sizes.scale_h2c;
    // All have to be open at a time, so they last longer than the last takes to begin.
    let events = sizes.scale_events.max(ramp(count).as_secs() + 3);
    let held = match Held::begin(&running, count, order(events, 1000)).await {
        Ok(held) => held,
        Err(why) => return Ok((Sample::new(), why)),
    };
    let height = Instant::now();
    let (after, upstreams) = (memory(&running), load::get(site.backend, "/h2c").await?);
    let ended = held.progress.ended.load(Relaxed);
    let all = held.ended().await;
    sleep(Duration::from_secs(1)).await;
    let spent = cpu_ns(&running).zip(cpu).map(|(after, before)| after - before);
    let (mut sample, mut failure) = traffic::figures(all, spent);
    if ended > 0 {
        failure = failure.or_else(|| Some(format!("{ended} streams had ended before the last began")));
    }
    sample.insert("held_s", height.elapsed().as_secs_f64());
    let kib = after.zip(before).map(|(after, before)| after.saturating_sub(before) as f64 / count as f64);
    sample.extend(kib.map(|kib| ("kib_per_stream", kib)));
    if !contender.is_direct() {
        sample.extend(upstreams.trim().parse().ok().map(|count| ("upstream_connections", count)));
    }
    Ok((sample, failure))
}

fn memory(running: &Running) -> Option<u64> {
    running.process.as_ref().map(crate::process::Process::memory_kib)
}
