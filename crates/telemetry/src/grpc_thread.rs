//! The thread that drives gRPC.
//!
//! A runtime for it alone, on one thread that is started checked: tokio's own threads panic where the system gives none.
//! The one that looks names up is started with it, and stays, for the same reason.
//!
//! At the end the runtime goes with what is under way on it; nobody waits for a name server that is silent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::otlp::OtlpError;

/// Names that are looked up at once, at most.
const LOOKING_UP: usize = 4;
/// For good.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A runtime, until this is dropped.
pub(crate) struct GrpcThread {
    runtime: Handle,
    /// Says nothing; when it goes, the thread ends.
    _alive: oneshot::Sender<()>,
}

impl GrpcThread {
    pub(crate) fn start() -> Result<GrpcThread, OtlpError> {
        let (tell, started) = channel();
        let (alive, ended) = oneshot::channel::<()>();
        let failed = |e: std::io::Error| OtlpError::Thread(e.to_string());
        thread::Builder::new()
            .name("limpid-otlp-grpc".into())
            .spawn(move || {
                if let Some(runtime) = begin(&tell) {
                    let _the_end = runtime.block_on(ended);
                    runtime.shutdown_background();
                }
            })
            .map_err(failed)?;
        let runtime = started.recv().map_err(|_| OtlpError::Thread("it ended at once".to_owned()))?;
        Ok(GrpcThread { runtime: runtime.map_err(failed)?, _alive: alive })
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

fn begin(tell: &Sender<std::io::Result<Handle>>) -> Option<Runtime> {
    let (answer, runtime) = match runtime() {
        Ok(runtime) => (Ok(runtime.handle().clone()), Some(runtime)),
        Err(error) => (Err(error), None),
    };
    let _waits_for_it = tell.send(answer);
    runtime
}

fn runtime() -> std::io::Result<Runtime> {
    let mut building = Builder::new_current_thread();
    building.enable_all().thread_name("limpid-otlp-dns").max_blocking_threads(LOOKING_UP).thread_keep_alive(A_YEAR);
    let runtime = building.build()?;
    // One is to be had, or this is: tokio panics where it is not. From then on there is always one that takes the next.
    thread::Builder::new().name("limpid-otlp-probe".into()).spawn(|| {})?.join().unwrap_or(());
    let first = catch_unwind(AssertUnwindSafe(|| drop(runtime.spawn_blocking(|| {}))));
    first.map_err(|_| std::io::Error::other("none to look names up"))?;
    Ok(runtime)
}
