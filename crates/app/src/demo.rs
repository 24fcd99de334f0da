//! `limpid demo`: a simulated backend, the proxy, realistic mixed traffic and the dashboard, in one process.
//!
//! The proxy is the real one, with settings written here as a `proxy.toml` would be; `LIMPID_…` variables apply to it.
//! Three upstreams, all of them the simulated backend, stand for two clouds and a GPU server of one's own, so that
//! routes, keys, projects and prices show. At the end the windows' numbers are printed as a table.

mod table;

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use limpid_core::Clock;
use limpid_insight::{Dimension, Latency, Summary, SummaryQuery};
use limpid_sim::traffic::{KEYS, MODELS, Traffic, TrafficConfig, TrafficCounts};
use limpid_sim::{SimConfig, SimServer};
use tokio::time::{Instant, interval, sleep_until};

use crate::cli::{DemoArgs, Output};
use crate::logging::say;
use crate::process::Process;
use crate::serve::{long_running, shutdown_signal};
use crate::settings::{Env, Flags, Settings, Sources};
use crate::signals::Held;
use crate::{logging, settings};

/// How long requests in flight may take when the demo ends.
const GRACE: Duration = Duration::from_secs(2);
/// The longest window that is summed up at the end.
const WINDOW: Duration = Duration::from_secs(3600);

/// `limpid demo`, from its arguments to its end.
pub(crate) fn command(args: &DemoArgs, env: Env) -> ExitCode {
    long_running(|runtime, held| match runtime.block_on(run(args, env, held)) {
        // Printed behind what is said meanwhile.
        Ok(table) => Err(Output::done(table)),
        Err(fault) => Err(Output::fault(fault)),
    })
}

async fn run(args: &DemoArgs, env: Env, held: Held) -> Result<String, String> {
    let clock = Clock::system();
    let sim = SimConfig { clock: clock.clone(), ..SimConfig::default() };
    let sim = SimServer::start(sim).await.map_err(|e| format!("the simulated backend cannot listen: {e}"))?;
    let settings = demo_settings(&sim.url(), args, env)?;
    logging::start(&settings.log);
    let process = Process::start(&settings, clock).await.map_err(|e| e.to_string())?;
    tokio::spawn(held.attend(None, |line| say(&format!("limpid: {line}\n"))));
    welcome(&process, args);
    let traffic = Traffic::start(&format!("http://{}", process.data), TrafficConfig::default());
    let traffic = traffic.map_err(|e| format!("the traffic cannot start: {e}"))?;
    watch(&process, args.seconds.map(Duration::from_secs)).await?;
    let counts = traffic.stop(GRACE).await;
    let insight = std::sync::Arc::clone(&process.insight);
    process.stop(std::future::pending()).await;
    let summary = insight.summary(&by_model());
    // The backend notices a hang-up at its next write; most have been noticed long ago.
    let all = sim.stats().until(|s| s.cancelled() >= counts.hung_up);
    let _some_left_after_its_last_write = tokio::time::timeout(GRACE, all).await;
    let cancelled = sim.stats().cancelled();
    sim.stop().await;
    Ok(farewell(&summary, &counts, cancelled))
}

/// Settings as a file would give them, with the environment and the flags over them.
fn demo_settings(backend: &str, args: &DemoArgs, mut env: Env) -> Result<Settings, String> {
    let mut text = "[server]\ndrain_timeout = \"2s\"\n[log]\nlevel = \"warn\"\n".to_owned();
    let mut providers: Vec<&str> = MODELS.iter().map(|m| m.provider).collect();
    providers.sort_unstable();
    providers.dedup();
    for provider in providers {
        let models: Vec<&str> = MODELS.iter().filter(|m| m.provider == provider).map(|m| m.name).collect();
        let region = if provider == "vllm" { "on-prem" } else { "us" };
        let _ = writeln!(
            text,
            "[upstreams.{provider}]\nurl = {backend:?}\nprovider = {provider:?}\nregion = {region:?}\nmodels = {models:?}"
        );
    }
    for (n, (name, key)) in KEYS.iter().enumerate() {
        let variable = format!("DEMO_KEY_{n}");
        let _ = writeln!(text, "[keys.{name}]\nenv = {variable:?}");
        env.insert(variable, (*key).to_owned());
    }
    let flags = Flags {
        listen: args.listen.map(|a| a.to_string()),
        admin: args.admin.map(|a| a.to_string()),
        ..Flags::default()
    };
    let sources = Sources { file: Some(("demo settings".into(), text)), env, flags };
    sources.load().map(|loaded| loaded.settings).map_err(|faults: settings::Faults| faults.to_string())
}

fn welcome(process: &Process, args: &DemoArgs) {
    let mut lines = format!("limpid demo: clients could use http://{}/v1\n", process.data);
    if let Some(admin) = process.admin {
        let url = format!("http://{admin}/");
        let _ = writeln!(lines, "             the dashboard is at {url}");
        if args.open && !open(&url) {
            lines.push_str("             (no browser could be opened)\n");
        }
    }
    let until = args.seconds.map_or("until Ctrl-C".to_owned(), |n| format!("for {n} s"));
    let _ = writeln!(lines, "             mixed traffic runs {until}: see it there, a summary comes at the end");
    say(&lines);
}

fn open(url: &str) -> bool {
    let quiet = |program: &str| {
        let mut command = Command::new(program);
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok()
    };
    quiet("xdg-open") || quiet("open")
}

/// Waits for the time to be up or a signal; on a terminal, a line tells meanwhile how it goes.
async fn watch(process: &Process, time: Option<Duration>) -> Result<(), String> {
    let began = Instant::now();
    let terminal = std::io::stderr().is_terminal();
    let mut ticks = interval(Duration::from_secs(1));
    let end = async {
        match time {
            Some(time) => sleep_until(began + time).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    let signal = shutdown_signal();
    tokio::pin!(signal);
    loop {
        tokio::select! {
            () = &mut end => break,
            signalled = &mut signal => {
                signalled.map_err(|e| format!("cannot wait for signals: {e}"))?;
                break;
            }
            _ = ticks.tick(), if terminal => say(&progress(process, began.elapsed(), time)),
        }
    }
    if terminal {
        say("\r\x1b[K");
    }
    Ok(())
}

fn progress(process: &Process, elapsed: Duration, time: Option<Duration>) -> String {
    let query = SummaryQuery { window: Duration::from_secs(60), ..SummaryQuery::default() };
    let total = process.insight.summary(&query).total;
    let ttft = total.latency.quantiles(Latency::Ttft).map_or("–".to_owned(), |q| format!("{:.0} ms", q.p50));
    let of = time.map_or(String::new(), |t| format!(" of {}", t.as_secs()));
    format!(
        "\r\x1b[K{:>4}{of} s   last minute: {} exchanges, {} failed, TTFT p50 {ttft}",
        elapsed.as_secs(),
        total.count,
        total.outcomes.failed(),
    )
}

fn by_model() -> SummaryQuery {
    SummaryQuery { window: WINDOW, group_by: vec![Dimension::Model], ..SummaryQuery::default() }
}

fn farewell(summary: &Summary, counts: &TrafficCounts, cancelled: u64) -> String {
    let mut out = table::models(summary);
    out.push_str(&table::outcomes(&summary.total));
    let _ = writeln!(
        out,
        "\nThe clients sent {}: {} read to the end, {} answered with an error, {} hung up, {} broken off,\n\
         {} still running when the demo ended.\n\
         The backend stopped its work on {cancelled} whose client had gone.",
        counts.sent,
        counts.finished,
        counts.refused,
        counts.hung_up,
        counts.broken,
        counts.in_flight()
    );
    out
}
