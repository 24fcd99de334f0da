//! The exchange log: one JSON object a line for each finished exchange.
//!
//! Lines are gathered and written when 64 KB have come together or the hand-over is idle, so a quiet proxy's log is up
//! to date and a busy one writes in blocks. A write that fails costs its lines, which are counted; the log goes on,
//! except when its reader closed the pipe. A reader that does not read holds up the hand-over thread, whose queue then
//! drops and counts; the relay goes on.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use limpid_core::{ExchangeRecord, RecordConsumer};

use crate::counts::{ExportCounts, Throttle, add};

const FLUSH_AT: usize = 64 * 1024;
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file, made if it is not there, else added to.
    File(PathBuf),
}

/// Writes records as lines of JSON.
pub struct ExchangeLog {
    out: Option<Box<dyn Write + Send>>,
    pending: Vec<u8>,
    /// The last line written was cut by an error, so the next needs a line end before it.
    torn: bool,
    counts: Arc<ExportCounts>,
    complaints: Throttle,
}

impl ExchangeLog {
    /// Opens the log. Lines that cannot be written are counted in `counts`. Fails where the file cannot be opened.
    pub fn open(target: LogTarget, counts: Arc<ExportCounts>) -> io::Result<ExchangeLog> {
        let out: Box<dyn Write + Send> = match target {
            LogTarget::Stdout => Box::new(io::stdout()),
            LogTarget::File(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
        };
        Ok(ExchangeLog::to(out, counts))
    }

    pub(crate) fn to(out: Box<dyn Write + Send>, counts: Arc<ExportCounts>) -> ExchangeLog {
        let complaints = Throttle::new(COMPLAIN_EVERY);
        ExchangeLog { out: Some(out), pending: Vec::with_capacity(FLUSH_AT), torn: false, counts, complaints }
    }

    fn flush(&mut self) {
        let Some(out) = self.out.as_mut().filter(|_| !self.pending.is_empty()) else { return };
        if self.torn {
            self.pending.insert(0, b'\n');
        }
        let (written, result) = write_out(out, &self.pending);
        let Err(error) = result else {
            self.torn = false;
            self.pending.clear();
            return;
        };
        // A line end put before a torn line's successor is no line.
        let lines = &self.pending[written.max(usize::from(self.torn))..];
        let lost = lines.split(|b| *b == b'\n').count().saturating_sub(1);
        if written > 0 {
            self.torn = self.pending[written - 1] != b'\n';
        }
        self.pending.clear();
        if error.kind() == ErrorKind::BrokenPipe {
            self.out = None;
            tracing::warn!("the exchange log ends: its reader closed the pipe");
        }
        self.lost(lost, &error);
    }

    fn lost(&self, lines: usize, error: &dyn std::fmt::Display) {
        add(&self.counts.log_lines_failed, lines);
        if let Some(lines) = self.complaints.note(lines, Instant::now()) {
            tracing::warn!(lines, %error, "lines of the exchange log were lost");
        }
    }
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
            add(&self.counts.log_lines_failed, 1);
            return;
        }
        let start = self.pending.len();
        if let Err(error) = serde_json::to_writer(&mut self.pending, &**record) {
            self.pending.truncate(start);
            self.lost(1, &error);
            return;
        }
        self.pending.push(b'\n');
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
    }
}
