//! The exchange log: one JSON object a line for each finished exchange.
//!
//! Lines are gathered and written when 64 KB have come together or the hand-over is idle, so a quiet proxy's log is up
//! to date and a busy one writes in blocks. A write that fails costs its lines, which are counted; the log goes on,
//! except when its reader closed the pipe. A reader or a disk that is slow holds up the hand-over thread, whose queue
//! then drops and counts; the relay goes on. Rotation is `log_file`'s.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use limpid_core::{Clock, ExchangeRecord, RecordConsumer};

use crate::counts::{ExportCounts, Ledger, Why};
use crate::log_file::{LogFile, LogRotation};
use crate::log_line::LineWriter;

const FLUSH_AT: usize = 64 * 1024;
/// A line is far shorter, so the buffer does not grow.
const ROOM: usize = FLUSH_AT + 16 * 1024;
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

enum Out {
    Stream(Box<dyn Write + Send>),
    File(LogFile),
}

impl Out {
    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Out::Stream(stream) => stream,
            Out::File(file) => file,
        }
    }
}

/// Writes records as lines of JSON.
pub struct ExchangeLog {
    out: Option<Out>,
    writer: LineWriter,
    pending: Vec<u8>,
    /// Lines in `pending`.
    lines: u64,
    /// The last line written was cut by an error, so the next needs a line end before it.
    torn: bool,
    ledger: Arc<Ledger>,
    complained: Option<Instant>,
}

impl ExchangeLog {
    /// Opens the log. Lines that cannot be written are counted in `counts`; `clock` tells a file's age. Fails where the
    /// file cannot be opened.
    pub fn open(target: LogTarget, clock: Clock, counts: &ExportCounts) -> io::Result<ExchangeLog> {
        let out = match target {
            LogTarget::Stdout => Out::Stream(Box::new(io::stdout())),
            LogTarget::File(path, rotation) => Out::File(LogFile::open(path, rotation, clock)?),
        };
        Ok(ExchangeLog::with(out, counts))
    }

    #[cfg(test)]
    pub(crate) fn to(out: Box<dyn Write + Send>, counts: &ExportCounts) -> ExchangeLog {
        ExchangeLog::with(Out::Stream(out), counts)
    }

    fn with(out: Out, counts: &ExportCounts) -> ExchangeLog {
        let (pending, ledger) = (Vec::with_capacity(ROOM), Arc::clone(&counts.log_lines));
        let (writer, lines) = (LineWriter::default(), 0);
        ExchangeLog { out: Some(out), writer, pending, lines, torn: false, ledger, complained: None }
    }

    /// For SIGHUP: while it is set, the file is opened again before the next line. `None` for standard output.
    pub fn reopen(&self) -> Option<Arc<AtomicBool>> {
        match &self.out {
            Some(Out::File(file)) => Some(file.reopen()),
            _ => None,
        }
    }

    fn flush(&mut self) {
        if self.pending.is_empty() || !self.is_ready() {
            return;
        }
        let Some(out) = self.out.as_mut() else { return };
        if self.torn {
            self.pending.insert(0, b'\n');
        }
        let (written, result) = write_out(out.writer(), &self.pending);
        let lines = std::mem::take(&mut self.lines);
        let Err(error) = result else {
            self.torn = false;
            self.pending.clear();
            self.ledger.sent(lines);
            return;
        };
        // A line end put before a torn line's successor is no line.
        let lost = line_ends(&self.pending[written.max(usize::from(self.torn))..]);
        if written > 0 {
            self.torn = self.pending[written - 1] != b'\n';
        }
        self.pending.clear();
        if error.kind() == ErrorKind::BrokenPipe {
            self.out = None;
            tracing::warn!("the exchange log ends: its reader closed the pipe");
        }
        self.ledger.sent(lines - lost);
        self.ledger.lost(Why::Write, lost, Some(&error));
    }

    /// Whether the lines can be written; else they are lost.
    fn is_ready(&mut self) -> bool {
        let Some(Out::File(file)) = &mut self.out else { return true };
        match file.ready(self.pending.len()) {
            Ok(ready) => {
                self.torn &= !ready.fresh;
                let due = self.complained.is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY);
                if let Some(error) = ready.stuck.filter(|_| due) {
                    self.complained = Some(Instant::now());
                    tracing::warn!(%error, "the exchange log cannot be rotated, and goes on as it is");
                }
                true
            }
            Err(error) => {
                let lost = std::mem::take(&mut self.lines);
                self.pending.clear();
                self.ledger.lost(Why::Write, lost, Some(&error));
                false
            }
        }
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.split(|b| *b == b'\n').count().saturating_sub(1) as u64
}

/// Writes all, and says how far it came.
fn write_out(out: &mut dyn Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match out.write(&bytes[written..]) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(n) => written += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return (written, Err(e)),
        }
    }
    (written, out.flush())
}

impl RecordConsumer for ExchangeLog {
    fn consume(&mut self, record: &Arc<ExchangeRecord>) {
        if self.out.is_none() {
            self.ledger.lost(Why::Write, 1, None);
            return;
        }
        self.writer.write(record, &mut self.pending);
        self.pending.push(b'\n');
        self.lines += 1;
        if self.pending.len() >= FLUSH_AT {
            self.flush();
        }
    }

    fn idle(&mut self) {
        self.flush();
    }
}

impl Drop for ExchangeLog {
    fn drop(&mut self) {
        self.flush();
        self.ledger.end();
    }
}
