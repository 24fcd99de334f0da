//! The signals that would end a process although nobody asked it to end.
//!
//! | signal | what limpid does |
//! |---|---|
//! | SIGTERM, SIGINT | drains and ends; see `serve` |
//! | SIGHUP, SIGUSR1 | opens the exchange log's file again, as logrotate's `postrotate` asks; without one, says so |
//! | SIGUSR2, SIGALRM, SIGIO | says that it does nothing |
//! | SIGXFSZ | nothing: a file at its limit (`ulimit -f`) is an error of the write, which is counted |
//! | SIGPIPE | nothing: a reader that has gone is an error of the write (Rust's runtime ignores it) |
//! | all others | what the system does: SIGQUIT and SIGABRT end it at once with a core, SIGTSTP stops it |
//!
//! A terminal that is closed sends SIGHUP, so a limpid in its background goes on; only SIGTERM, SIGINT or SIGKILL end it. The
//! signals are held from the first moment of a command that runs on: tokio's handlers, once set, stay.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals, held: none of them ends the process from here on.
pub(crate) struct Held {
    reopen: [Signal; 2],
    idle: [Signal; 3],
    file_size: Signal,
}

impl Held {
    /// Holds them; within a tokio runtime.
    pub(crate) fn hold() -> io::Result<Held> {
        let (alarm, io, user2) = (SignalKind::alarm(), SignalKind::io(), SignalKind::user_defined2());
        Ok(Held {
            reopen: [signal(SignalKind::hangup())?, signal(SignalKind::user_defined1())?],
            idle: [signal(alarm)?, signal(io)?, signal(user2)?],
            file_size: signal(SignalKind::from_raw(Number::XFSZ.as_raw()))?,
        })
    }

    /// Does at each what is to be done, and tells of it with `tell`. Ends never.
    pub(crate) async fn attend(self, reopen: Option<Arc<AtomicBool>>, tell: fn(&str)) {
        let Held { reopen: [mut hangup, mut user1], idle: [mut alarm, mut io, mut user2], mut file_size } = self;
        loop {
            let name = tokio::select! {
                _ = hangup.recv() => "SIGHUP",
                _ = user1.recv() => "SIGUSR1",
                _ = user2.recv() => "SIGUSR2",
                _ = alarm.recv() => "SIGALRM",
                _ = io.recv() => "SIGIO",
                // The write that met it has failed and is counted.
                _ = file_size.recv() => continue,
            };
            tell(&answer(name, reopen.as_deref()));
        }
    }
}

fn answer(name: &str, reopen: Option<&AtomicBool>) -> String {
    if !matches!(name, "SIGHUP" | "SIGUSR1") {
        return format!("{name}: nothing is done");
    }
    match reopen {
        Some(reopen) => {
            reopen.store(true, Ordering::Release);
            format!("{name}: the exchange log is opened again before its next line")
        }
        None => {
            format!("{name}: nothing is done, for there is no exchange log's file to open again; SIGTERM ends limpid")
        }
    }
}
