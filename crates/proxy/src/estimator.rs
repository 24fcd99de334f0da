//! Token estimates, off the relay's path: one thread, a bounded queue.
//!
//! An exchange that ended without its token counts comes here with its texts, is completed, settled and handed over. If
//! the queue is full it is settled at once without an estimate, and its record says so. The thread ends when nothing can
//! come any more, that is when the last exchange is gone; what waits then is estimated for [`LAST`] at most.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use limpid_core::{Endpoint, ExchangeSink, KeptText, TextBudget, TextGone};
use limpid_settle::tokens::{Texts, Unestimated, has_estimates};
use limpid_settle::{Settler, Unsettled};

/// How long estimates may still be made at shutdown; the hand-over waits longer than this.
const LAST: Duration = Duration::from_secs(1);

/// How much text is kept for estimates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EstimateConfig {
    /// Of one request's body, and of one reply, bytes. A longer one gets no estimate.
    pub text_bytes: usize,
    /// Of all of them together, bytes. Where it is spent, there is no estimate.
    pub budget_bytes: usize,
    /// How many exchanges may wait for their estimate.
    pub queue: usize,
}

/// An exchange that has ended, and its texts.
pub(crate) struct Job {
    pub(crate) exchange: Unsettled,
    pub(crate) request: Option<KeptText>,
    pub(crate) reply: Option<KeptText>,
}

/// The sending half; one a process.
pub(crate) struct Estimator {
    queue: SyncSender<Job>,
    budget: Arc<TextBudget>,
    text_bytes: usize,
    closing: Arc<AtomicBool>,
}

impl Estimator {
    /// Starts the thread.
    pub(crate) fn start(
        config: EstimateConfig,
        settler: Settler,
        sink: Arc<dyn ExchangeSink>,
    ) -> io::Result<Estimator> {
        let (queue, jobs) = sync_channel(config.queue);
        let closing = Arc::<AtomicBool>::default();
        let told = Arc::clone(&closing);
        std::thread::Builder::new().name("limpid-tokens".into()).spawn(move || work(&jobs, &settler, &*sink, &told))?;
        Ok(Estimator { queue, budget: TextBudget::new(config.budget_bytes), text_bytes: config.text_bytes, closing })
    }

    /// An empty text for a request or a reply of this kind, where one can be of use.
    pub(crate) fn text(&self, endpoint: Endpoint) -> Option<KeptText> {
        has_estimates(endpoint).then(|| KeptText::new(self.text_bytes, &self.budget))
    }

    /// Takes the exchange, or gives it back where the queue is full.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Box<Unsettled>> {
        self.queue.try_send(job).map_err(|error| {
            let (TrySendError::Full(job) | TrySendError::Disconnected(job)) = error;
            Box::new(job.exchange)
        })
    }
}

impl Drop for Estimator {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
    }
}

fn work(jobs: &Receiver<Job>, settler: &Settler, sink: &dyn ExchangeSink, closing: &AtomicBool) {
    let mut until = None;
    while let Ok(Job { mut exchange, request, reply }) = jobs.recv() {
        if closing.load(Ordering::Acquire) && Instant::now() > *until.get_or_insert_with(|| Instant::now() + LAST) {
            exchange.without_estimate(Unestimated::Shutdown);
        } else {
            exchange.estimate(&Texts { request: held(request.as_ref()), reply: held(reply.as_ref()) });
        }
        drop((request, reply));
        // A consumer's panic must not end this thread.
        let handed = catch_unwind(AssertUnwindSafe(|| sink.finished(Box::new(settler.record(exchange)))));
        if handed.is_err() {
            tracing::error!("the hand-over of an estimated exchange panicked; its record is lost");
        }
    }
}

fn held(text: Option<&KeptText>) -> Result<&[u8], TextGone> {
    text.map_or(Err(TextGone::NotKept), KeptText::get)
}

#[cfg(test)]
mod tests;
