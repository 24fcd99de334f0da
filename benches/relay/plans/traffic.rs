//! Streams and requests through processes that run already: CPU and latencies.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Outcome, Sample, cpu_ns, percentiles};
use crate::contenders::Running;
use crate::load::{self, Streams};
use crate::sizes::Sizes;
use crate::wire::Order;

/// How long after the last byte CPU is counted: spans and log lines are written then, and they are to be paid for.
/// limpid's spans wait for half a second here.
const SETTLE: Duration = Duration::from_millis(800);

pub(super) async fn streams(running: &Running, count: usize, order: Order, ramp: Duration) -> Outcome {
    let (before, began) = (cpu_ns(running), Instant::now());
    let all = load::streams(running.target, count, order, ramp).await;
    let took = began.elapsed();
    sleep(SETTLE).await;
    let spent = cpu_ns(running).zip(before).map(|(after, before)| after - before);
    let (mut sample, failure) = figures(all, spent);
    sample.insert("took_s", took.as_secs_f64());
    Ok((sample, failure))
}

/// What streams gave, and their share of the CPU time that was spent on them.
pub(super) fn figures(all: Streams, spent_ns: Option<u64>) -> (Sample, Option<String>) {
    let Streams { mut event_us, mut first_us, whole, failed, failure } = all;
    let mut sample = Sample::from([("streams", whole as f64), ("failed", failed as f64)]);
    if let Some(spent) = spent_ns.filter(|_| failed == 0) {
        sample.insert("cpu_us_per_event", spent as f64 / 1e3 / event_us.len() as f64);
    }
    percentiles(&mut sample, ["event_us_p50", "event_us_p99"], &mut event_us);
    percentiles(&mut sample, ["ttft_us_p50", "ttft_us_p99"], &mut first_us);
    (sample, failure)
}

/// `requests` are sent in turn, over all clients.
pub(super) async fn requests(running: &Running, sizes: &Sizes, requests: &load::Requests) -> Outcome {
    let lasts = Duration::from_secs(sizes.seconds);
    let before = cpu_ns(running);
    let mut paced = load::requests(running.target, sizes.clients, Some(sizes.rate), lasts, requests).await;
    sleep(SETTLE).await;
    let between = cpu_ns(running);
    let full = load::requests(running.target, sizes.clients, None, lasts, requests).await;
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
