//! Whether the system gives as many threads as limpid needs, asked before anything is started.
//!
//! Each thread is started checked where it is needed. But libraries start some as well, and not all of them say so where they
//! cannot; and a limit that is met in the middle tells only of one thread, not of how many are missing. So all that will be
//! needed are started at once, idle, and ended again; only then the start goes on.

use std::sync::mpsc::channel;
use std::thread::Builder;

use crate::settings::{Protocol, Settings};
use crate::wiring::one_a_core;

/// Threads of a process that waits: records, token estimates, large bodies, the exchange log, the admin listener's queries,
/// what purges memory, and some for look-ups of names.
const ALWAYS: usize = 10;
/// Of a signal's export: its queue, its client, its look-ups.
const EACH_EXPORT: usize = 3;

/// How many threads a process of these settings has, at most and without what clients cause.
pub(crate) fn needed(settings: &Settings) -> usize {
    let t = &settings.telemetry;
    let exports = [&t.traces, &t.metrics, &t.logs].into_iter().flatten();
    let grpc = exports.clone().any(|export| export.protocol == Protocol::Grpc);
    let relaying = settings.server.worker_threads.unwrap_or_else(one_a_core).get();
    ALWAYS + relaying + EACH_EXPORT * exports.count() + 2 * usize::from(grpc)
}

/// Starts so many threads together and ends them.
///
/// # Errors
///
/// One line: how many there were, what the system said, and what raises the limit.
pub(crate) fn probe(needed: usize) -> Result<(), String> {
    let mut started = Vec::new();
    let mut fault = None;
    for _ in 0..needed {
        let (wait, go) = channel::<()>();
        match Builder::new().name("limpid-probe".to_owned()).spawn(move || go.recv().unwrap_or(())) {
            Ok(thread) => started.push((wait, thread)),
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    let had = started.len();
    for (wait, thread) in started {
        drop(wait);
        // It does nothing that could fail.
        let _ended = thread.join();
    }
    let Some(error) = fault else { return Ok(()) };
    Err(format!(
        "limpid needs {needed} threads beside its first and is given {had}: {error}; raise `ulimit -u` or `ulimit -v`, \
         TasksMax= (systemd) or the container's limit of pids, or set server.worker_threads lower"
    ))
}
