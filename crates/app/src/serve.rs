//! `limpid serve`: the proxy, until a signal ends it.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use limpid_core::Clock;
use limpid_telemetry::ShutdownReport;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::cli::{Output, ServeArgs};
use crate::logging;
use crate::process::{Process, Stopped};
use crate::settings::{Env, Settings};

/// `limpid serve`, from its arguments to its end.
pub(crate) fn command(args: &ServeArgs, env: Env) -> ExitCode {
    let loaded = match args.settings.load(env) {
        Ok(loaded) => loaded,
        Err(faults) => return Output { stderr: format!("{faults}\n"), code: 1, ..Output::default() }.print(),
    };
    logging::start(&loaded.settings.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    run(&loaded.settings, args.addresses_file.as_deref()).unwrap_or_else(|fault| Output::fault(&fault).print())
}

/// Runs until SIGTERM or SIGINT, then drains; a second signal ends it at once. Writes the listeners' addresses as JSON to
/// `addresses_file` once they listen. A failure to start is one line.
fn run(settings: &Settings, addresses_file: Option<&Path>) -> Result<ExitCode, String> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let process = Process::start(settings, Clock::system()).await.map_err(|e| e.to_string())?;
        if let Some(file) = addresses_file {
            write_addresses(file, &process)?;
        }
        allow_open_files();
        tracing::info!(listen = %process.data, "data listener: point clients' base URL here");
        if let Some(admin) = process.admin {
            tracing::info!(listen = %admin, "admin listener: dashboard at http://{admin}/, metrics at /metrics");
        }
        for u in &settings.upstreams {
            tracing::info!(upstream = &*u.name, provider = &*u.provider, url = u.url.origin(), "upstream");
        }
        if let Some(reopen) = process.reopen_log.clone() {
            tokio::spawn(reopen_on_hangup(reopen));
        }
        shutdown_signal().await.map_err(|e| format!("cannot wait for signals: {e}"))?;
        tracing::info!(within = ?settings.server.drain_timeout, "draining; a second signal ends it at once");
        tokio::select! {
            stopped = process.stop() => {
                tell(&stopped);
                Ok(ExitCode::SUCCESS)
            }
            _ = shutdown_signal() => Ok(ExitCode::FAILURE),
        }
    })
}

/// The runtime of everything but the relay, which has one a core (`limpid_proxy`'s workers): it accepts connections and
/// serves the admin listener.
pub(crate) fn runtime() -> Result<Runtime, String> {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(1)
        .enable_all()
        .thread_name("limpid")
        .build()
        .map_err(|e| format!("cannot start the runtime: {e}"))
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

/// Returns at SIGTERM or SIGINT.
pub(crate) async fn shutdown_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

/// At SIGHUP, has the exchange log's file opened again, as logrotate's `postrotate` expects. Without such a file the
/// signal keeps its usual meaning, the end of the terminal.
async fn reopen_on_hangup(reopen: Arc<AtomicBool>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangups) = signal(SignalKind::hangup()) else { return };
    while hangups.recv().await.is_some() {
        reopen.store(true, Ordering::Release);
        tracing::info!("SIGHUP: the exchange log is opened again before its next line");
    }
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
