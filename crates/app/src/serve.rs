//! `limpid serve`: the proxy, until a signal ends it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use limpid_core::Clock;
use limpid_telemetry::ShutdownReport;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{Output, ServeArgs};
use crate::process::{Process, Stopped};
use crate::settings::{Env, Settings};
use crate::signals::Held;
use crate::{logging, threads};

/// `limpid serve`, from its arguments to its end.
pub(crate) fn command(args: &ServeArgs, env: Env) -> ExitCode {
    long_running(|runtime, held| {
        let loaded = args.settings.load(env).map_err(|faults| Output { stderr: format!("{faults}\n"), ..failed() })?;
        logging::start(&loaded.settings.log);
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        run(runtime, held, &loaded.settings, args.addresses_file.as_deref()).map_err(Output::fault)
    })
}

/// Runs a command that goes on until a signal ends it. Before anything else, signals are held and standard error is given to
/// the log's thread; at the end, within a bounded time, what waits there is written, and then the fault, if there is one.
pub(crate) fn long_running(command: impl FnOnce(Runtime, Held) -> Result<ExitCode, Output>) -> ExitCode {
    let result = logging::open().and_then(|_logging| {
        let runtime = runtime()?;
        let held = runtime.block_on(async { Held::hold() }).map_err(|e| format!("cannot wait for signals: {e}"))?;
        Ok(command(runtime, held))
    });
    result.unwrap_or_else(|fault| Err(Output::fault(fault))).unwrap_or_else(Output::print_in_time)
}

fn failed() -> Output {
    Output { code: 1, ..Output::default() }
}

/// Runs until SIGTERM or SIGINT, then drains; a second signal ends the drain. Writes the listeners'
/// addresses as JSON to `addresses_file` once they listen. A failure to start is one line.
fn run(runtime: Runtime, held: Held, settings: &Settings, addresses_file: Option<&Path>) -> Result<ExitCode, String> {
    let result = runtime.block_on(async {
        let mut signals = Signals::new().map_err(|e| format!("cannot wait for signals: {e}"))?;
        let mut process = Process::start(settings, Clock::system()).await.map_err(|e| e.to_string())?;
        if let Some(file) = addresses_file {
            write_addresses(file, &process)?;
        }
        allow_open_files();
        welcome(settings, &process);
        tokio::spawn(held.attend(process.reopen_log.clone(), |line| tracing::info!("{line}")));
        let failed = tokio::select! {
            () = signals.next() => false,
            () = process.failed() => true,
        };
        if failed {
            tracing::error!("the relay has ended; limpid ends, to be started anew");
        } else {
            tracing::info!(within = ?settings.server.drain_timeout, "draining; a second signal ends the drain");
        }
        let mut hurried = false;
        let again = async {
            signals.next().await;
            hurried = true;
            tracing::warn!("a second signal: what is open is broken off and recorded, and limpid ends in seconds");
        };
        let stopped = process.stop(again).await;
        tell(&stopped);
        Ok(if failed || hurried { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    });
    // What blocks, such as a query of the dashboard, is not waited for.
    runtime.shutdown_background();
    result
}

/// The runtime of everything but the relay, which has one a core (`limpid_proxy`'s workers): it accepts connections and
/// serves the admin listener. On this thread; a thread for what blocks is started here and stays, for tokio panics where it
/// cannot have one later.
pub(crate) fn runtime() -> Result<Runtime, String> {
    let told = |e: std::io::Error| format!("cannot start the runtime: {e}");
    let mut builder = Builder::new_current_thread();
    builder.enable_all().thread_name("limpid").max_blocking_threads(BLOCKING).thread_keep_alive(A_YEAR);
    let runtime = builder.build().map_err(told)?;
    threads::probe(1)?;
    // The panic is told as what it means, below.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let first = catch_unwind(AssertUnwindSafe(|| drop(runtime.spawn_blocking(|| {}))));
    std::panic::set_hook(hook);
    if first.is_err() {
        // tokio has counted the thread that it was not given, and would wait for its end.
        runtime.shutdown_background();
        return Err("cannot start a thread; raise `ulimit -u`".to_owned());
    }
    Ok(runtime)
}

/// Queries of the dashboard, scrapes and the flush at the end, at once.
const BLOCKING: usize = 4;
/// For good.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What limpid does, and where its telemetry goes.
fn welcome(settings: &Settings, process: &Process) {
    tracing::info!(listen = %process.data, "data listener: point clients' base URL here");
    if let Some(admin) = process.admin {
        tracing::info!(listen = %admin, "admin listener: dashboard at http://{admin}/, metrics at /metrics");
    }
    for u in &settings.upstreams {
        tracing::info!(upstream = &*u.name, provider = &*u.provider, url = u.url.origin(), "upstream");
    }
    let t = &settings.telemetry;
    let signals = [("traces", &t.traces), ("metrics", &t.metrics), ("logs", &t.logs)];
    for (signal, export) in signals.into_iter().filter_map(|(signal, export)| Some((signal, export.as_ref()?))) {
        // A query may hold a key, and the values of headers are keys.
        let endpoint = export.endpoint.split(['?', '#']).next().unwrap_or_default();
        let headers: Vec<String> = export.headers.keys().map(|name| format!("{name}=****")).collect();
        let (protocol, headers) = (export.protocol.as_str(), headers.join(","));
        tracing::info!(signal, endpoint, protocol, headers, "telemetry is exported");
    }
    if signals.iter().all(|(_, export)| export.is_none()) {
        tracing::info!("telemetry is exported nowhere: telemetry.endpoint, or OTEL_EXPORTER_OTLP_ENDPOINT, is not set");
    }
}

/// Raises the soft limit on open files to the hard one. Each stream takes two descriptors, and the usual soft limit of 1,024
/// is kept for programs that use `select(2)`.
pub(crate) fn allow_open_files() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::info!(limit, streams = limit.saturating_sub(64) / 2, "open files; two a stream"),
        Err(error) => tracing::warn!(%error, "the limit on open files stays as it is"),
    }
}

fn write_addresses(file: &Path, process: &Process) -> Result<(), String> {
    let mut addresses = json!({"data": process.data.to_string()});
    if let Some(admin) = process.admin {
        addresses["admin"] = admin.to_string().into();
    }
    // Written aside and moved into place, so that who waits for the file never reads half of it.
    let aside = file.with_extension("part");
    std::fs::write(&aside, addresses.to_string())
        .and_then(|()| std::fs::rename(&aside, file))
        .map_err(|e| format!("cannot write {}: {e}; name another file with --addresses-file", file.display()))
}

/// SIGTERM and SIGINT: from now on they end nothing by themselves, and none is missed.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Signals> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns at the next of them.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Returns at SIGTERM or SIGINT.
pub(crate) async fn shutdown_signal() -> std::io::Result<()> {
    Signals::new()?.next().await;
    Ok(())
}

fn tell(stopped: &Stopped) {
    let Stopped { drained, records_dropped, unrecorded, export, log_lines_lost } = stopped;
    if drained.broken_off > 0 {
        tracing::warn!(connections = drained.broken_off, "broken off when the drain's time was up");
    }
    if *records_dropped > 0 {
        tracing::warn!(records = records_dropped, "records were dropped because the queue was full");
    }
    if let Some((records, exchanges)) = unrecorded {
        tracing::warn!(
            records,
            exchanges,
            "lost at the end: records that were still queued, exchanges that did not end"
        );
    }
    if *log_lines_lost > 0 {
        tracing::warn!(log_lines_lost, "lines of the exchange log could not be written in time and are lost");
    }
    if let Some(report) = export.filter(|report| *report != ShutdownReport::default()) {
        let ShutdownReport { spans_lost, log_records_lost, metrics_lost } = report;
        tracing::warn!(spans_lost, log_records_lost, metrics_lost, "telemetry was lost at the end");
    }
    tracing::info!("stopped");
}
