//! What open streams take of a process's memory, and what it keeps of it. Each run has a freshly started process, for what
//! a process got once it seldom gives back.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{Outcome, Sample, WARM, warm};
use crate::contenders::{Contender, Site};
use crate::load;
use crate::process::Process;

/// Memory before and after.
pub(super) async fn idle(contender: &Contender, count: usize, site: &Site) -> Outcome {
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

/// Memory before two bursts of idle streams, at their height and after their end.
///
/// Before is after 200 streams that came whole and 50 that their clients left: those load what limpid needs to estimate
/// tokens, which would otherwise count as kept.
pub(super) async fn burst(contender: &Contender, count: usize, site: &Site) -> Outcome {
    let running = contender.start(site).await?;
    load::streams(running.target, 200, WARM, Duration::from_secs(1)).await;
    let mut sample = Sample::new();
    let process = running.process.as_ref().ok_or("the backend itself is not measured")?;
    if let Err(why) = load::idle(running.target, 50).await {
        return Ok((sample, Some(why)));
    }
    sleep(Duration::from_secs(15)).await;
    let before = mib(process);
    sample.insert("before_mib", before);
    for (at_height, later) in [
        ("open_mib", &[(1, "after_1_s"), (5, "after_5_s"), (15, "after_15_s")][..]),
        ("open_again_mib", &[(15, "again_after_15_s")]),
    ] {
        let open = match load::idle(running.target, count).await {
            Ok(open) => open,
            Err(why) => return Ok((sample, Some(why))),
        };
        sample.insert(at_height, mib(process));
        drop(open);
        let closed = Instant::now();
        for &(seconds, name) in later {
            sleep_until(closed + Duration::from_secs(seconds)).await;
            sample.insert(name, mib(process));
        }
    }
    sample.insert("times_before", mib(process) / before);
    Ok((sample, None))
}

fn mib(process: &Process) -> f64 {
    process.memory_kib() as f64 / 1024.0
}
