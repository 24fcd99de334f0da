//! Realistic mixed traffic: what a company's applications send to a gateway, with their troubles.
//!
//! Arrivals are an open loop: a Poisson process that does not wait for replies, as users do not. Hence what piles up is
//! bounded, and a request over the bound is skipped and counted. What is sent is a pure function of the seed and the
//! request's number ([`TrafficConfig::spec`]), so a demo repeats and a test can look at it; when it is sent follows
//! from the seed as well. How a reply comes is told to the simulated backend in the body's `"sim"` member.

mod client;
mod spec;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Uri;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::rng::Rng;
use client::{Clients, Fate};
pub use spec::{DemoModel, KEYS, MODELS, Reader, RequestSpec};

/// How much traffic, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct TrafficConfig {
    /// Requests per second on average, 0.01 to 10,000. Default 8.
    pub rate: f64,
    /// Picks the requests and their times. Default 1.
    pub seed: u64,
    /// Scales all troubles (errors, refusals, cuts, hang-ups, stalls): 0 for none, 1 for about one request in eight; at
    /// most 7. Default 1.
    pub trouble: f64,
    /// Requests in flight; one more is skipped. Default 256.
    pub max_in_flight: usize,
    /// Stop after so many requests, skipped ones included. Default: never.
    pub limit: Option<u64>,
}

impl Default for TrafficConfig {
    fn default() -> Self {
        TrafficConfig { rate: 8.0, seed: 1, trouble: 1.0, max_in_flight: 256, limit: None }
    }
}

/// What became of the requests so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrafficCounts {
    /// Sent.
    pub sent: u64,
    /// Answered with a status below 400, and read to the end.
    pub finished: u64,
    /// Answered with 400 or more.
    pub refused: u64,
    /// Given up by this side, as its specification says.
    pub hung_up: u64,
    /// Broken off: no connection, no response, a cut body, or no end after two minutes.
    pub broken: u64,
    /// Not sent because too many were in flight.
    pub skipped: u64,
}

impl TrafficCounts {
    /// Sent and not ended.
    pub fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.finished + self.refused + self.hung_up + self.broken)
    }
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    finished: AtomicU64,
    refused: AtomicU64,
    hung_up: AtomicU64,
    broken: AtomicU64,
    skipped: AtomicU64,
}

impl Counters {
    fn ended(&self, fate: Fate) {
        let counter = match fate {
            Fate::Finished => &self.finished,
            Fate::Refused => &self.refused,
            Fate::HungUp => &self.hung_up,
            Fate::Broken => &self.broken,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> TrafficCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Endings first: then what is in flight is never too small.
        let (finished, refused) = (get(&self.finished), get(&self.refused));
        let (hung_up, broken) = (get(&self.hung_up), get(&self.broken));
        TrafficCounts { sent: get(&self.sent), finished, refused, hung_up, broken, skipped: get(&self.skipped) }
    }
}

/// Running traffic. Dropping it hangs up on everything at once.
#[derive(Debug)]
pub struct Traffic {
    counters: Arc<Counters>,
    stop: watch::Sender<Option<Instant>>,
    task: JoinHandle<()>,
}

impl Traffic {
    /// Starts to send to `base_url`, such as `http://127.0.0.1:4800`, on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// `base_url` is no URL. That nobody listens there shows in the counts only.
    pub fn start(base_url: &str, config: TrafficConfig) -> Result<Traffic, http::Error> {
        let base = base_url.trim_end_matches('/');
        let checked = Uri::try_from(base)?;
        if checked.scheme_str() != Some("http") || checked.authority().is_none() {
            // The builder has the error for this: an absolute URI needs both.
            Uri::builder().scheme("http").path_and_query("/").build()?;
        }
        let counters = Arc::new(Counters::default());
        let (stop, stopped) = watch::channel(None);
        let run = run(Clients::new(base), config, Arc::clone(&counters), stopped);
        Ok(Traffic { counters, stop, task: tokio::spawn(run) })
    }

    /// What became of the requests so far.
    pub fn counts(&self) -> TrafficCounts {
        self.counters.read()
    }

    /// Waits until [`TrafficConfig::limit`] requests have ended; without a limit, for ever.
    pub async fn finished(&mut self) -> TrafficCounts {
        // The task neither panics nor is aborted while this exists.
        let _ = (&mut self.task).await;
        self.counts()
    }

    /// Sends nothing new, waits up to `grace` for what is in flight, and then hangs up on the rest.
    pub async fn stop(mut self, grace: Duration) -> TrafficCounts {
        // No receiver: it is over already.
        let _ = self.stop.send(Some(Instant::now() + grace));
        if !self.task.is_finished() {
            let _ = (&mut self.task).await;
        }
        self.counts()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    clients: Clients,
    config: TrafficConfig,
    counters: Arc<Counters>,
    mut stopped: watch::Receiver<Option<Instant>>,
) {
    let clients = Arc::new(clients);
    let permits = Arc::new(Semaphore::new(config.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)));
    let mut in_flight = JoinSet::new();
    let mut gaps = Rng::new(config.seed);
    let mut due = Instant::now();
    for n in 0..config.limit.unwrap_or(u64::MAX) {
        due += Duration::from_secs_f64(gaps.exponential() / config.rate.clamp(0.01, 10_000.0));
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            _ = stopped.changed() => break,
        }
        while in_flight.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            counters.skipped.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        counters.sent.fetch_add(1, Ordering::Relaxed);
        let (clients, counters) = (Arc::clone(&clients), Arc::clone(&counters));
        let spec = config.spec(n);
        in_flight.spawn(async move {
            counters.ended(clients.play(spec).await);
            drop(permit);
        });
    }
    let drained = async { while in_flight.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => {}
        () = grace_over(stopped) => {}
    }
}

/// The moment at which the rest is dropped: never, until somebody stops.
async fn grace_over(mut stopped: watch::Receiver<Option<Instant>>) {
    loop {
        let until = *stopped.borrow_and_update();
        if let Some(until) = until {
            return tokio::time::sleep_until(until).await;
        }
        if stopped.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
