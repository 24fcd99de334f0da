//! Work that takes milliseconds, off the threads that relay: one thread, a bounded queue.
//!
//! A large body that ended is parsed and settled here: the last bytes, and other streams, must not wait for that. The thread
//! is started once and checked; a runtime's own blocking threads are started when they are needed, and panic where they
//! cannot be had. If the queue is full, the work is done by who brings it. The thread ends with the last sender.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

/// How much work may wait.
const QUEUE: usize = 64;

type Work = Box<dyn FnOnce() + Send>;

/// The way to the thread.
pub(crate) struct Aside(SyncSender<Work>);

impl Aside {
    pub(crate) fn start(name: &str) -> io::Result<Aside> {
        let (queue, work) = sync_channel::<Work>(QUEUE);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            for one in work {
                if catch_unwind(AssertUnwindSafe(one)).is_err() {
                    tracing::error!("settling an exchange panicked; its record is lost");
                }
            }
        })?;
        Ok(Aside(queue))
    }

    /// Has it done there, or here where too much waits.
    pub(crate) fn run(&self, work: impl FnOnce() + Send + 'static) {
        if let Err(TrySendError::Full(work) | TrySendError::Disconnected(work)) = self.0.try_send(Box::new(work)) {
            work();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn what_finds_no_room_is_done_at_once_and_a_panic_ends_nothing() {
        let aside = Aside::start("aside").unwrap();
        let (go, wait) = channel::<()>();
        let (tell, did) = channel();
        let (taken, begun) = channel();
        aside.run(move || {
            taken.send(()).unwrap();
            let _go = wait.recv();
            panic!("on purpose");
        });
        begun.recv().unwrap();
        let mut here = 0;
        for _ in 0..QUEUE + 2 {
            let tell = tell.clone();
            aside.run(move || tell.send(thread::current().id()).unwrap());
        }
        while let Ok(id) = did.try_recv() {
            assert_eq!(id, thread::current().id());
            here += 1;
        }
        assert_eq!(here, 2, "the queue takes as many as it has room for");
        drop(go);
        for _ in 0..QUEUE + 2 - here {
            assert_ne!(did.recv().unwrap(), thread::current().id());
        }
    }
}
