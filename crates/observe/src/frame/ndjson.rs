//! Newline-delimited JSON: one value a line, as Ollama streams it. Blank lines tell nothing; a CR before the LF is
//! white space of JSON. A last line without its end is told, as not whole.

use limpid_core::ObserverFault;
use memchr::memchr;

use super::{Event, Outcome, recycle};

/// See the module. `limit` bounds a line, in bytes.
#[derive(Debug)]
pub(crate) struct Ndjson {
    limit: usize,
    line: Vec<u8>,
}

impl Ndjson {
    pub(crate) fn new(limit: usize) -> Ndjson {
        Ndjson { limit, line: Vec::new() }
    }

    /// Takes the next bytes and tells each line that they complete.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Event<'_>) -> Outcome) -> Outcome {
        while let Some(at) = memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(at);
            bytes = rest.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                if line.len() > self.limit {
                    return Err(ObserverFault::TooLarge);
                }
                sink(Event { data: line, named_error: false, whole: true })?;
            } else {
                self.carry(line)?;
                sink(Event { data: &self.line, named_error: false, whole: true })?;
                recycle(&mut self.line);
            }
        }
        self.carry(bytes)
    }

    /// The body is over: tells what is left.
    pub(crate) fn finish(&mut self, sink: &mut impl FnMut(Event<'_>) -> Outcome) -> Outcome {
        let line = std::mem::take(&mut self.line);
        sink(Event { data: &line, named_error: false, whole: false })
    }

    fn carry(&mut self, part: &[u8]) -> Outcome {
        if self.line.len().saturating_add(part.len()) > self.limit {
            return Err(ObserverFault::TooLarge);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }
}
