//! The way of limpid's own lines to standard error: a bounded queue and a thread.
//!
//! Standard error may be a pipe that nobody reads, full, non-blocking, closed, or a file on a full disk. Whoever logs puts a
//! line into the queue and goes on; the thread waits, or loses the line. What is lost is counted, for `limpid.log.dropped`, and
//! the log itself says how much once it can be written again. `tracing-appender` has such a thread; but it gives up a line
//! that is written in part, knows no `EAGAIN`, tells nobody of what it lost, and its end may take as long as the reader likes.

use std::cell::RefCell;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use limpid_core::{BatchQueue, Batching, NotTaken};
use limpid_telemetry::{LineOut, Lines, OwnLogCounts};
use tracing_subscriber::fmt::MakeWriter;

use super::repeats::Repeats;

/// How many lines may wait.
const QUEUE: usize = 2048;
/// How many are written at a time.
const BATCH: usize = 64;
/// The longest line; what is beyond is cut, for the queue is bounded by lines.
const LONGEST: usize = 16 * 1024;
/// How often the thread looks whether there is something to say by itself.
const TICK: Duration = Duration::from_secs(1);

/// What waits.
pub(super) enum Entry {
    /// One or more lines, with their ends.
    Text(Box<[u8]>),
    /// A panic: where, in which thread, and what can be told of it.
    Panic { at: String, thread: Option<String>, message: &'static str },
}

/// The queue.
pub(super) struct OwnLog {
    queue: BatchQueue<Entry>,
    repeats: Arc<Repeats>,
    counts: Arc<OwnLogCounts>,
    /// Lost lines of which the log has not told yet.
    untold: AtomicU64,
}

thread_local! {
    /// Set while the log's thread makes a line itself.
    static HERE: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

impl OwnLog {
    /// Starts the thread, which writes to `stream`.
    pub(super) fn start<S: AsFd + Write + Send + 'static>(stream: S, repeats: Arc<Repeats>) -> io::Result<Arc<OwnLog>> {
        let batching = Batching { queue: QUEUE, batch: BATCH, delay: Duration::ZERO };
        let (counts, untold) = (Arc::default(), AtomicU64::new(0));
        let log = Arc::new(OwnLog { queue: BatchQueue::new(batching), repeats, counts, untold });
        let of_thread = Arc::clone(&log);
        let mut out = LineOut::stream(stream);
        std::thread::Builder::new().name("limpid-own-log".into()).spawn(move || {
            let mut lines = Lines::default();
            of_thread.queue.run_ticking(Some(TICK), |batch| of_thread.write(batch, &mut lines, &mut out));
        })?;
        Ok(log)
    }

    pub(super) fn repeats(&self) -> &Arc<Repeats> {
        &self.repeats
    }

    pub(super) fn counts(&self) -> Arc<OwnLogCounts> {
        Arc::clone(&self.counts)
    }

    /// Puts it into the queue, or loses it.
    pub(super) fn put(&self, entry: Entry) {
        if self.queue.push(entry) == Err(NotTaken::Full) {
            self.counts.queue_full(1);
            self.untold.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes what waits, for so long at most. What is logged later is not written.
    pub(super) fn end(&self, within: Duration) {
        self.repeats.tell(None);
        self.queue.end(Instant::now() + within);
    }

    fn write(&self, batch: &mut Vec<Entry>, lines: &mut Lines, out: &mut LineOut) {
        for entry in batch.drain(..) {
            match entry {
                Entry::Text(text) => lines.push(&text),
                Entry::Panic { at, message, .. } if !tracing::dispatcher::has_been_set() => {
                    lines.push(format!("limpid: panicked at {at}: {message}\n").as_bytes());
                }
                Entry::Panic { at, thread, message } => add(lines, || {
                    tracing::error!(target: "limpid_panic", %at, thread, message, "panicked");
                }),
            }
        }
        let theirs = lines.len();
        add(lines, || self.repeats.tell(Some(Instant::now())));
        let lost = self.untold.swap(0, Ordering::Relaxed);
        if lost > 0 {
            add(lines, || {
                tracing::warn!(lines = lost, "lines of this log were lost: it was not read, or not to be written");
            });
        }
        let result = out.write(lines, 0, &mut |written| self.queue.done(written, || ()));
        if let Err((whole, _)) = result {
            let failed = theirs.saturating_sub(whole) as u64;
            self.counts.unwritten(failed);
            // What was to be told has not been.
            self.untold.fetch_add(failed + lost, Ordering::Relaxed);
            self.queue.done(theirs, || ());
        }
        lines.clear();
    }
}

/// Adds what `log` logs, which goes through the subscriber as all does.
fn add(lines: &mut Lines, log: impl FnOnce()) {
    HERE.set(Some(Vec::new()));
    log();
    if let Some(text) = HERE.take().filter(|text| !text.is_empty()) {
        lines.push(&text);
    }
}

/// Where the subscriber's lines go.
#[derive(Clone)]
pub(super) struct ToLog(pub(super) Arc<OwnLog>);

impl<'a> MakeWriter<'a> for ToLog {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// One line, written at once.
pub(super) struct Line<'a>(&'a OwnLog);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let cut = &line[..line.len().min(LONGEST)];
        let here = HERE.try_with(|here| {
            here.try_borrow_mut().is_ok_and(|mut here| match &mut *here {
                Some(lines) => {
                    lines.extend_from_slice(cut);
                    true
                }
                None => false,
            })
        });
        if here != Ok(true) {
            let mut text = cut.to_vec();
            if cut.len() < line.len() {
                text.push(b'\n');
            }
            self.0.put(Entry::Text(text.into()));
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
