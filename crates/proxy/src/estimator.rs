//! Token estimates and the redaction of captured content, off the relay's path: one thread, a bounded queue.
//!
//! An exchange that ended without its token counts, or whose content is captured, comes here with its texts, is completed,
//! settled and handed over. If the queue is full it is settled at once without, and its record says so. The thread ends when nothing can
//! come any more, that is when the last exchange is gone; what waits then is estimated for [`LAST`] at most.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use limpid_core::{Endpoint, ExchangeRecord, ExchangeSink, KeptText, TextBudget, TextGone};
use limpid_settle::content::Missing;
use limpid_settle::tokens::{Texts, Unestimated, has_estimates};
use limpid_settle::{Settler, Unsettled};

use crate::capture::Captured;

/// How long estimates may still be made at shutdown; the hand-over waits longer than this.
const LAST: Duration = Duration::from_secs(1);

/// How many may wait where no setting says it.
const QUEUE: usize = 1024;

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
    /// Its token counts are to be estimated.
    pub(crate) estimate: bool,
    /// What is to be redacted for its span.
    pub(crate) content: Option<Captured>,
}

impl Job {
    /// The record without what would have been done.
    pub(crate) fn refused(self, settler: &Settler) -> ExchangeRecord {
        self.without(settler, Unestimated::QueueFull, Missing::QueueFull)
    }

    fn without(mut self, settler: &Settler, unestimated: Unestimated, missing: Missing) -> ExchangeRecord {
        if self.estimate {
            self.exchange.without_estimate(unestimated);
        }
        let content = self.content.map(|captured| captured.without(missing)).unwrap_or_default();
        ExchangeRecord { content, ..settler.record(self.exchange) }
    }

    fn done(mut self, settler: &Settler) -> ExchangeRecord {
        if self.estimate {
            self.exchange.estimate(&Texts { request: held(self.request.as_ref()), reply: held(self.reply.as_ref()) });
        }
        let content = self.content.map(|captured| captured.redacted(&self.exchange)).unwrap_or_default();
        ExchangeRecord { content, ..settler.record(self.exchange) }
    }
}

/// The sending half; one a process.
pub(crate) struct Estimator {
    queue: SyncSender<Job>,
    /// The texts that are kept for estimates; absent if there are none.
    texts: Option<(Arc<TextBudget>, usize)>,
    closing: Arc<AtomicBool>,
}

impl Estimator {
    /// Starts the thread. Without a `config` there are no estimates, and the thread redacts alone.
    pub(crate) fn start(
        config: Option<EstimateConfig>,
        settler: Settler,
        sink: Arc<dyn ExchangeSink>,
    ) -> io::Result<Estimator> {
        let (queue, jobs) = sync_channel(config.map_or(QUEUE, |c| c.queue));
        let closing = Arc::<AtomicBool>::default();
        let told = Arc::clone(&closing);
        std::thread::Builder::new().name("limpid-tokens".into()).spawn(move || work(&jobs, &settler, &*sink, &told))?;
        let texts = config.map(|c| (TextBudget::new(c.budget_bytes), c.text_bytes));
        Ok(Estimator { queue, texts, closing })
    }

    /// Whether token counts are estimated.
    pub(crate) fn estimates(&self) -> bool {
        self.texts.is_some()
    }

    /// An empty text for a request or a reply of this kind, where one can be of use.
    pub(crate) fn text(&self, endpoint: Endpoint) -> Option<KeptText> {
        let (budget, bytes) = self.texts.as_ref().filter(|_| has_estimates(endpoint))?;
        Some(KeptText::new(*bytes, budget))
    }

    /// Takes the exchange, or gives it back where the queue is full.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Box<Job>> {
        self.queue.try_send(job).map_err(|error| {
            let (TrySendError::Full(job) | TrySendError::Disconnected(job)) = error;
            Box::new(job)
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
    while let Ok(job) = jobs.recv() {
        let late =
            closing.load(Ordering::Acquire) && Instant::now() > *until.get_or_insert_with(|| Instant::now() + LAST);
        let record =
            if late { job.without(settler, Unestimated::Shutdown, Missing::Shutdown) } else { job.done(settler) };
        // A consumer's panic must not end this thread.
        let handed = catch_unwind(AssertUnwindSafe(|| sink.finished(Arc::new(record))));
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
