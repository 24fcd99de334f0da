//! What relaying costs: limpid, limpid unobserving, and the proxies one would otherwise take, in one paired run.
//!
//! ```text
//! benches/peers.sh                              # once: nginx, HAProxy, Envoy, Caddy, Traefik, LiteLLM
//! cargo bench --bench relay                     # the usual plans, 5 rounds
//! PLANS=all ROUNDS=3 cargo bench --bench relay  # the long ones too: growth, bursts, cost by number of streams
//! PLANS=streams STREAMS=50 ROUNDS=3 PROXIES=limpid,unobserving,nginx cargo bench --bench relay
//! LIMPID=target/pgo/limpid cargo bench --bench relay       # limpid as it is released (benches/pgo), not as cargo builds it
//! ALSO=/tmp/limpid-before cargo bench --bench relay        # beside an earlier build
//! ```
//!
//! Each round of a plan runs every contender once, in rotated order, against the same backend. The backend is a process
//! of its own (this program again), the clients are one thread here, the sink of limpid's telemetry a third process.
//! CPU is the kernel's account of a contender's processes (`/proc/PID/task/*/schedstat`), so a noisy neighbour costs
//! time but not much CPU. BENCHMARKING.md tells what the figures mean. Tables go to standard output, JSON and a chart to
//! `target/bench/`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

mod backend;
mod chart;
mod contenders;
mod h2c;
mod load;
mod plans;
mod process;
mod report;
mod sizes;
mod wire;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime};

use contenders::{Contender, Running, Site, free_port};
use plans::Plan;
use process::{Process, Warden};
use report::Results;
use sizes::Sizes;
use tokio::signal::unix::{SignalKind, signal};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    let part = match arguments.get(1).map(String::as_str) {
        Some("warden") => {
            Warden::watch();
            Ok(())
        }
        Some("backend") => on_one_thread(serve(arguments.get(2))),
        _ => on_one_thread(benchmark()),
    };
    match part {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn on_one_thread(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

async fn serve(port: Option<&String>) -> Result<(), Failure> {
    Ok(backend::run(port.ok_or("which port?")?.parse()?).await?)
}

/// Runs everything; a signal ends it as an error does, with all processes.
async fn benchmark() -> Result<(), Failure> {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX)?;
    let work = std::env::temp_dir().join(format!("limpid-bench-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    let (mut stop, mut end) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let result = tokio::select! {
        result = all(&work, descriptors.saturating_sub(100)) => result,
        _ = stop.recv() => Err("interrupted".into()),
        _ = end.recv() => Err("told to end".into()),
    };
    std::fs::remove_dir_all(&work)?;
    result
}

async fn all(work: &Path, connections: u64) -> Result<(), Failure> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"));
    let sizes = Sizes::from_env(connections);
    let (mut contenders, left_out) = contenders::find(&target.join("bench-peers/bin"));
    for why in left_out {
        println!("{why}");
    }
    let warden = Warden::start()?;
    let (backend, otlp) = (free_port()?, free_port()?);
    let site = Site { warden, work: work.to_owned(), backend, otlp, connections };
    let _backend = again(&site, backend).await?;
    let _sink = again(&site, otlp).await?;
    let mut running = Vec::new();
    for at in (0..contenders.len()).rev() {
        match contenders[at].start(&site).await {
            Ok(one) => {
                plans::warm(&one).await;
                running.insert(0, one);
            }
            Err(why) => println!("{} is left out: {why}", contenders.remove(at).name),
        }
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let cores = std::thread::available_parallelism()?;
    println!("{date}, {cores} cores, load average {load} before the start");
    for one in contenders.iter().filter(|one| !one.is_direct()) {
        println!("  {} {}", one.name, one.version);
    }
    let mut results = Results::default();
    for plan in Plan::wanted() {
        rounds(plan, &sizes, &contenders, &running, &site, &mut results).await?;
        println!("\n{}: {}\n\n{}", plan.name(), plan.says(&sizes), results.table(plan, &sizes, &contenders));
    }
    telemetry(&contenders, &running, &site).await?;
    let mut document = results.json(&contenders, &sizes);
    document["date"] = date.clone().into();
    document["cores"] = cores.get().into();
    document["load_average_before"] = load.clone().into();
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("relay.json"), serde_json::to_string_pretty(&document)?)?;
    let caption = format!("limpid relay benchmark, {date}, {cores} cores, load average {load} before the start");
    std::fs::write(folder.join("relay.svg"), chart::svg(&results, &contenders, &sizes, &caption))?;
    println!("{0}/relay.json and {0}/relay.svg", folder.display());
    Ok(())
}

/// This program as the backend.
async fn again(site: &Site, port: u16) -> Result<Process, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["backend", &port.to_string()]);
    let log = site.work.join(format!("backend-{port}.log"));
    Process::start(&site.warden, &mut command, port, &log, Duration::from_secs(10)).await
}

/// All rounds of a plan. What goes wrong in one is told, and its figures are left out.
async fn rounds(
    plan: Plan,
    sizes: &Sizes,
    contenders: &[Contender],
    running: &[Running],
    site: &Site,
    results: &mut Results,
) -> Result<(), Failure> {
    let taking: Vec<_> = contenders.iter().zip(running).filter(|(contender, _)| plan.takes(contender)).collect();
    for round in 0..plan.rounds(sizes) {
        for (load, of_load) in plan.loads(sizes).iter().enumerate() {
            for turn in 0..taking.len() {
                let (contender, running) = taking[(round + turn) % taking.len()];
                let (sample, failure) = plan.run(sizes, load, contender, running, site).await?;
                if let Some(why) = failure {
                    println!("{}, {} {of_load}, round {}: {why}", plan.name(), contender.name, round + 1);
                }
                results.push(plan, load, &contender.name, sample);
            }
        }
        println!("{}: round {} of {} done", plan.name(), round + 1, plan.rounds(sizes));
    }
    Ok(())
}

/// Says whether telemetry really went out, and what was lost of it: without it the figures of limpid with everything on
/// would flatter.
async fn telemetry(contenders: &[Contender], running: &[Running], site: &Site) -> Result<(), Failure> {
    let seen = load::get(site.otlp, "/seen").await?;
    println!("OTLP that the sink was sent: {seen} bytes");
    for (contender, running) in contenders.iter().zip(running) {
        let Some(admin) = running.admin else { continue };
        let page = load::get(admin, "/metrics").await?;
        let told = |line: &&str| (line.contains("dropped") || line.contains("export")) && !line.ends_with(" 0");
        page.lines()
            .filter(|line| !line.starts_with('#'))
            .filter(told)
            .for_each(|line| println!("{}: {line}", contender.name));
    }
    Ok(())
}
