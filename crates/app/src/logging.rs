//! limpid's own log, on standard error: what the process does, never what a request holds.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::settings::{Log, LogFormat, LogLevel};

/// Starts the log. The libraries below limpid speak only from `warn` on, unless `RUST_LOG` says otherwise; a terminal
/// gets colours unless `NO_COLOR` is set.
pub(crate) fn start(log: &Log) {
    let level = match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    // A target's name is a prefix, so this one stands for every room.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("warn,limpid={level}")));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        .with_ansi(colour && log.format == LogFormat::Text)
        .with_target(log.format == LogFormat::Json);
    // A second start (a test, the demo) keeps the first.
    let _already_started = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
