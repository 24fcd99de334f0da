//! limpid's own log, on standard error: what the process does, never what a request holds.
//!
//! Nothing that limpid does waits for it or ends by it: each line goes through a bounded queue to a thread of its own
//! ([`own_log`]), and of what repeats only so much is written ([`repeats`]). So nothing in a running process prints to standard
//! error or output by itself, which could block or panic.
//!
//! A panic's message may quote the text in which it happened (a string cut inside a character does), so its place alone is
//! logged, and a message that stands as such in the source. The hook only puts these into the queue, and the log's thread
//! makes the line: a panic within a panic's hook would abort the process.

mod own_log;
mod repeats;

use std::any::Any;
use std::io::{self, IsTerminal as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use limpid_telemetry::OwnLogCounts;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use self::own_log::{Entry, OwnLog, ToLog};
use self::repeats::Repeats;
use crate::settings::{Log, LogFormat};

/// How long the end may wait for what is still to be written.
const FLUSH: Duration = Duration::from_secs(1);

/// There is one standard error.
static LOG: OnceLock<Arc<OwnLog>> = OnceLock::new();

/// Ends the log when it is dropped, in an unwinding panic too: what waits is written, within a second.
#[must_use]
pub(crate) struct Logging(());

impl Drop for Logging {
    fn drop(&mut self) {
        if let Some(log) = LOG.get() {
            log.end(FLUSH);
        }
    }
}

/// Takes standard error and the panic hook, without a log yet: [`say`] works from here on. Fails where there is no thread to
/// be had.
pub(crate) fn open() -> Result<Logging, String> {
    if LOG.get().is_none() {
        let log = OwnLog::start(io::stderr(), Repeats::new())
            .map_err(|e| format!("cannot start a thread: {e}; raise `ulimit -u`"))?;
        // A second one (a test) has lost the race, and ends.
        let _one_is_enough = LOG.set(log);
    }
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().map(str::to_owned);
        put(Entry::Panic { at, thread, message: harmless(panic.payload()) });
    }));
    Ok(Logging(()))
}

/// Starts the log. A terminal gets colours unless `NO_COLOR` is set.
pub(crate) fn start(log: &Log) {
    // It has been read once, and reads again.
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_default();
    let Some(own) = LOG.get() else { return };
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(ToLog(Arc::clone(own)))
        .with_timer(SystemTime)
        .with_ansi(colour && log.format == LogFormat::Text)
        .with_target(log.format == LogFormat::Json)
        // They would be printed to standard error, and a failure to do so panics.
        .log_internal_errors(false);
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let all = tracing_subscriber::registry().with(filter).with(own.repeats().layer()).with(lines);
    // A second start (a test) keeps the first.
    let _already_started = all.try_init();
}

/// Puts text on standard error as it stands, for a command that speaks to a person. Waits for nothing.
pub(crate) fn say(text: &str) {
    put(Entry::Text(text.as_bytes().into()));
}

/// What of the log was lost.
pub(crate) fn counts() -> Arc<OwnLogCounts> {
    LOG.get().map(|log| log.counts()).unwrap_or_default()
}

fn put(entry: Entry) {
    if let Some(log) = LOG.get() {
        log.put(entry);
    }
}

/// The message, unless it was put together at run time.
fn harmless(payload: &dyn Any) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("not told, for it may quote a request")
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::harmless;

    #[test]
    fn a_panic_quotes_no_text() {
        let text = String::from("canary é");
        let cut = catch_unwind(|| text[..8].len()).unwrap_err();
        assert!(cut.downcast_ref::<String>().unwrap().contains("canary"), "what is to be kept back");
        assert!(!harmless(&*cut).contains("canary"));
        let plain = catch_unwind(|| panic!("out of order")).unwrap_err();
        assert_eq!(harmless(&*plain), "out of order");
    }
}
