//! The exchange log: one JSON object a line for each finished exchange.
//!
//! It has a queue and a thread of its own (`record_queue`), so that a pipe that nobody reads, a full disk or a file server
//! that hangs holds up nothing but itself: what comes while its queue is full is lost and counted. Lines are gathered and
//! written when 64 KB have come together or no more wait, so a quiet proxy's log is up to date and a busy one writes in
//! blocks. A line is there whole or not at all (`line_out`). A write that fails costs its lines, which are counted, and the
//! next block is tried anew, a closed pipe too: a named pipe may get another reader, and its lines wait for it. Rotation is
//! `log_file`'s.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use limpid_core::{Batching, Clock, ExchangeRecord, RecordConsumer};

use crate::counts::{ExportCounts, Ledger, Why};
use crate::line_out::{LineOut, Lines};
use crate::log_file::{LogFile, LogRotation};
use crate::log_line::LineWriter;
use crate::record_queue::{QueueConsumer, RecordQueue};

const FLUSH_AT: usize = 64 * 1024;
/// A line is far shorter, so the buffer does not grow.
const ROOM: usize = FLUSH_AT + 16 * 1024;
/// How many records the thread takes at a time.
const BATCH: usize = 512;
/// How often a line may say that the log cannot be put aside.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file, made if it is not there, else added to.
    File(PathBuf, LogRotation),
}

/// The running log. End it with [`ExchangeLog::shutdown`].
pub struct ExchangeLog {
    queue: Arc<RecordQueue>,
    ledger: Arc<Ledger>,
    reopen: Option<Arc<AtomicBool>>,
}

impl ExchangeLog {
    /// Opens the log, starts its thread, and returns the consumer that feeds it: at most `queue` records wait. What becomes
    /// of the lines is counted in `counts`; `clock` tells a file's age. Fails where the file cannot be opened, or the
    /// thread cannot be started. A named pipe is opened by the thread, for that waits for its reader.
    pub fn start(
        target: LogTarget,
        queue: usize,
        clock: Clock,
        counts: &ExportCounts,
    ) -> io::Result<(ExchangeLog, Box<dyn RecordConsumer>)> {
        ExchangeLog::with(Writer::open(target, clock)?, queue, counts)
    }

    pub(crate) fn with(
        mut writer: Writer,
        queue: usize,
        counts: &ExportCounts,
    ) -> io::Result<(ExchangeLog, Box<dyn RecordConsumer>)> {
        let reopen = writer.reopen();
        let ledger = Arc::clone(&counts.log_lines);
        let batching = Batching { queue, batch: BATCH, delay: Duration::ZERO };
        let queue = RecordQueue::start("limpid-log", batching, &ledger, move |queue, batch| {
            writer.write(batch, &mut |end| match end {
                End::Sent(lines) => queue.sent(lines),
                End::Lost(lines, error) => queue.lost(Why::Write, lines, Some(error)),
            });
        })?;
        let of_consumer = Arc::clone(&queue);
        let consumer = QueueConsumer { queue: of_consumer, wanted: Box::new(|_| true), takes_content: false };
        Ok((ExchangeLog { queue, ledger, reopen }, Box::new(consumer)))
    }

    /// For SIGHUP: while it is set, the file is opened again before the next line. `None` for standard output.
    pub fn reopen(&self) -> Option<Arc<AtomicBool>> {
        self.reopen.clone()
    }

    /// Takes no more; what waits is written at once.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Writes what waits, and returns when that is done or `within` has passed: how many lines were lost by then, which are
    /// counted. End the hand-over first: what comes later is lost. Blocks.
    pub fn shutdown(self, within: Duration) -> u64 {
        let before = self.ledger.lost_in_all();
        self.queue.end(Instant::now() + within);
        self.ledger.lost_in_all().saturating_sub(before)
    }
}

/// What became of some lines.
pub(crate) enum End<'a> {
    Sent(u64),
    Lost(u64, &'a io::Error),
}

/// Hears what became of lines, and whether to go on.
type Hear<'a> = dyn FnMut(End<'_>) -> bool + 'a;

enum Out {
    Stream(LineOut),
    File(LogFile),
}

/// The thread's part: records into lines, and lines out.
pub(crate) struct Writer {
    out: Out,
    line: LineWriter,
    pending: Lines,
    complained: Option<Instant>,
}

impl Writer {
    fn open(target: LogTarget, clock: Clock) -> io::Result<Writer> {
        Ok(Writer::new(match target {
            LogTarget::Stdout => Out::Stream(LineOut::stream(io::stdout())),
            LogTarget::File(path, rotation) => Out::File(LogFile::open(path, rotation, clock)?),
        }))
    }

    #[cfg(test)]
    pub(crate) fn to(out: Box<dyn io::Write + Send>) -> Writer {
        Writer::new(Out::Stream(LineOut::to(out)))
    }

    fn new(out: Out) -> Writer {
        Writer { out, line: LineWriter::default(), pending: Lines::with_capacity(ROOM), complained: None }
    }

    fn reopen(&self) -> Option<Arc<AtomicBool>> {
        match &self.out {
            Out::File(file) => Some(file.reopen()),
            Out::Stream(_) => None,
        }
    }

    fn write(&mut self, records: &[Arc<ExchangeRecord>], hear: &mut Hear<'_>) {
        for record in records {
            self.line.write(record, self.pending.bytes());
            self.pending.end_line();
            if self.pending.size() >= FLUSH_AT && !self.flush(hear) {
                return;
            }
        }
        self.flush(hear);
    }

    /// Whether to go on.
    fn flush(&mut self, hear: &mut Hear<'_>) -> bool {
        let mut go_on = true;
        let mut first = 0;
        while go_on && first < self.pending.len() {
            let result = match self.out.ready(self.pending.size(), &mut self.complained) {
                Ok(out) => out.write(&self.pending, first, &mut |lines| {
                    go_on = hear(End::Sent(lines as u64));
                    go_on
                }),
                Err(error) => Err((first, error)),
            };
            let Err((stopped, error)) = result else { break };
            first = stopped;
            if error.kind() == ErrorKind::BrokenPipe && self.out.has_other_readers() {
                // The rest waits for the next one.
                continue;
            }
            go_on = hear(End::Lost((self.pending.len() - first) as u64, &error));
            break;
        }
        self.pending.clear();
        go_on
    }
}

impl Out {
    /// Where lines of so many bytes can be written.
    fn ready(&mut self, bytes: usize, complained: &mut Option<Instant>) -> io::Result<&mut LineOut> {
        let file = match self {
            Out::Stream(stream) => return Ok(stream),
            Out::File(file) => file,
        };
        let due = complained.is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY);
        if let Some(error) = file.ready(bytes)?.filter(|_| due) {
            *complained = Some(Instant::now());
            tracing::warn!(%error, "the exchange log cannot be rotated, and goes on as it is");
        }
        file.out()
    }

    /// After its reader has gone: whether another may come.
    fn has_other_readers(&mut self) -> bool {
        match self {
            Out::Stream(_) => false,
            Out::File(file) => file.forget_reader(),
        }
    }
}

/// The thread's work on records, without queue and thread: for measurements.
pub struct LogWriter(Writer);

impl LogWriter {
    /// Opens the log.
    pub fn open(target: LogTarget, clock: Clock) -> io::Result<LogWriter> {
        Writer::open(target, clock).map(LogWriter)
    }

    /// Writes the lines; whether all were written.
    pub fn write(&mut self, records: &[Arc<ExchangeRecord>]) -> bool {
        let mut all = true;
        self.0.write(records, &mut |end| {
            all &= matches!(end, End::Sent(_));
            true
        });
        all
    }
}

#[cfg(test)]
mod tests;
