//! limpid's own log, on standard error: what the process does, never what a request holds.
//!
//! A panic's message may quote the text in which it happened (a string cut inside a character does), so its place alone is
//! logged, and a message that stands as such in the source.

use std::any::Any;
use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::settings::{Log, LogFormat};

/// Starts the log. A terminal gets colours unless `NO_COLOR` is set.
pub(crate) fn start(log: &Log) {
    // It has been read once, and reads again.
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_default();
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        .with_ansi(colour && log.format == LogFormat::Text)
        .with_target(log.format == LogFormat::Json);
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(%at, thread = thread.name(), message = harmless(panic.payload()), "panicked");
    }));
    // A second start (a test, the demo) keeps the first.
    let _already_started = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
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
