//! The dashboard with invented traffic: `cargo run -p limpid-admin --example showcase [-- ADDRESS [SECONDS]]`.
//!
//! An hour of invented exchanges, an outage in it, and then a few more each second. No proxy, no backend, no model: this
//! is for working on the page and the API. Ends after SECONDS, or at Ctrl-C.

mod synthetic;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use limpid_admin::{About, AdminState, Hosts, MetricsText, router};
use limpid_core::{Clock, Endpoint, ExchangeRecord, ExchangeSink, Handover, RecordConsumer};
use limpid_insight::{Insight, InsightConfig};

use crate::synthetic::Traffic;

const HOUR: Duration = Duration::from_secs(3600);

struct NoMetrics;

impl MetricsText for NoMetrics {
    fn render(&self, openmetrics: bool) -> String {
        (if openmetrics { "# EOF\n" } else { "" }).to_owned()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:4801".to_owned());
    let seconds = arguments.next().map(|s| s.parse()).transpose()?.unwrap_or(u64::MAX);

    // The past hour is played at once: until then the clock stands where the played traffic is.
    let played = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let clock = {
        let played = Arc::clone(&played);
        Clock::from_fn(SystemTime::now() - HOUR, move || match played.load(Ordering::Acquire) {
            u64::MAX => HOUR + started.elapsed(),
            ns => Duration::from_nanos(ns),
        })
    };
    let (insight, mut consumer) = Insight::new(InsightConfig::default(), clock.clone());
    let mut traffic = Traffic::new(clock);
    let mut state = AdminState {
        insight,
        metrics: Arc::new(NoMetrics),
        counts: Arc::default(),
        ready: Arc::new(AtomicBool::new(true)),
        let_go: Arc::default(),
        hosts: Hosts::default(),
        about: About { version: env!("CARGO_PKG_VERSION"), upstreams: traffic.upstreams.clone() },
    };
    for ms in (0..3_600_000_u64).step_by(350) {
        played.store(ms * 1_000_000, Ordering::Release);
        consumer.consume(&traffic.next((1_500_000..2_100_000).contains(&ms)));
    }
    played.store(u64::MAX, Ordering::Release);
    let (handover, drain) = Handover::new(1024, vec![Box::new(consumer)], Arc::default());
    std::thread::spawn(drain);
    state.counts = handover.counts();

    let listener = tokio::net::TcpListener::bind(&address).await?;
    #[expect(clippy::print_stdout, reason = "an example tells where to look")]
    {
        println!("http://{}/", listener.local_addr()?);
    }
    let endless = async {
        for open in [Endpoint::Chat, Endpoint::Chat, Endpoint::Responses] {
            handover.started(open);
        }
        loop {
            tokio::time::sleep(Duration::from_millis(350)).await;
            submit(&handover, traffic.next(false));
        }
    };
    tokio::select! {
        served = axum::serve(listener, router(state)).into_future() => served?,
        () = endless => {}
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}

fn submit(handover: &Handover, record: Arc<ExchangeRecord>) {
    handover.started(record.endpoint);
    handover.finished(record);
}
