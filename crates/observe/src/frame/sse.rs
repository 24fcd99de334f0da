//! Server-sent events (WHATWG HTML, 9.2.6 "Interpreting an event stream").
//!
//! Lines end with LF, CR or CRLF, also when a CRLF is split between reads; nothing else ends a line, so U+2028 may
//! stand raw in the JSON. A byte order mark may lead. Comments, `id`, `retry` and unknown fields are skipped.
//!
//! It departs from the standard in three places. An event at the end of the body without its blank line is told, as not
//! whole: vendors cut that line, where a browser would drop the event. `event` without data tells nothing. And a body
//! whose first line looks like JSON is mislabelled: a fault, not an empty stream.

use limpid_core::ObserverFault;
use memchr::{memchr, memchr2};

use super::{Event, Outcome, recycle};

const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// See the module. `limit` bounds a line, and the data lines of one event together, in bytes.
#[expect(clippy::struct_excessive_bools, reason = "four facts of a parser that do not depend on each other")]
#[derive(Debug)]
pub(crate) struct Sse {
    limit: usize,
    /// How much of a byte order mark was matched; 3 when the question is settled.
    bom: usize,
    /// The last line ended with CR: a LF that follows belongs to it.
    skip_lf: bool,
    /// A line whose end has not come yet.
    line: Vec<u8>,
    /// The event's data, unless it is still borrowed from the read.
    data: Vec<u8>,
    has_data: bool,
    /// Bytes of the event's data lines.
    size: usize,
    named_error: bool,
    /// A line of an event stream was seen, so the label is right.
    label_holds: bool,
}

impl Sse {
    pub(crate) fn new(limit: usize) -> Sse {
        Sse {
            limit,
            bom: 0,
            skip_lf: false,
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            size: 0,
            named_error: false,
            label_holds: false,
        }
    }

    /// Takes the next bytes and tells each event that they complete.
    pub(crate) fn feed<'b>(&mut self, bytes: &'b [u8], sink: &mut impl FnMut(Event<'_>) -> Outcome) -> Outcome {
        let mut bytes = self.past_bom(bytes);
        // The event's only data line so far, while it lies in this read.
        let mut held: Option<&'b [u8]> = None;
        loop {
            if self.skip_lf {
                let Some(first) = bytes.first() else { break };
                self.skip_lf = false;
                bytes = bytes.get(usize::from(*first == b'\n')..).unwrap_or_default();
            }
            let Some(at) = memchr2(b'\n', b'\r', bytes) else { break };
            let (line, rest) = bytes.split_at(at);
            self.skip_lf = rest.first() == Some(&b'\r');
            bytes = rest.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                self.take_line(line, &mut held, sink)?;
            } else {
                self.carry(line)?;
                self.take_carried(sink)?;
            }
        }
        if let Some(value) = held {
            self.data.extend_from_slice(value);
        }
        self.carry(bytes)
    }

    /// The body is over: tells what is left if it carries data.
    pub(crate) fn finish(&mut self, sink: &mut impl FnMut(Event<'_>) -> Outcome) -> Outcome {
        if !self.line.is_empty() {
            self.take_carried(sink)?;
        }
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) {
            sink(Event { data: &data, named_error: self.named_error, whole: false })?;
        }
        Ok(())
    }

    /// Keeps a part of a line for the next read.
    fn carry(&mut self, part: &[u8]) -> Outcome {
        if self.size.saturating_add(self.line.len()).saturating_add(part.len()) > self.limit {
            return Err(ObserverFault::TooLarge);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    /// Reads the line that was kept; its data is copied, for the buffer is used again.
    fn take_carried(&mut self, sink: &mut impl FnMut(Event<'_>) -> Outcome) -> Outcome {
        let mut line = std::mem::take(&mut self.line);
        let mut held = None;
        self.take_line(&line, &mut held, sink)?;
        if let Some(value) = held {
            self.data.extend_from_slice(value);
        }
        recycle(&mut line);
        self.line = line;
        Ok(())
    }

    fn take_line<'b>(
        &mut self,
        line: &'b [u8],
        held: &mut Option<&'b [u8]>,
        sink: &mut impl FnMut(Event<'_>) -> Outcome,
    ) -> Outcome {
        let Some(first) = line.first() else { return self.dispatch(held.take(), sink) };
        if self.size.saturating_add(line.len()) > self.limit {
            return Err(ObserverFault::TooLarge);
        }
        if *first == b':' {
            self.label_holds = true;
            return Ok(());
        }
        let (name, value) = match memchr(b':', line) {
            Some(at) => {
                let (name, rest) = line.split_at(at);
                let value = rest.get(1..).unwrap_or_default();
                (name, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match name {
            b"data" => {
                self.size = self.size.saturating_add(line.len());
                if std::mem::replace(&mut self.has_data, true) {
                    if let Some(before) = held.take() {
                        self.data.extend_from_slice(before);
                    }
                    self.data.push(b'\n');
                    self.data.extend_from_slice(value);
                } else {
                    *held = Some(value);
                }
            }
            b"event" => self.named_error = value == b"error",
            b"id" | b"retry" => {}
            _ if !self.label_holds && matches!(first, b'{' | b'[') => return Err(ObserverFault::Json),
            _ => return Ok(()),
        }
        self.label_holds = true;
        Ok(())
    }

    fn dispatch(&mut self, held: Option<&[u8]>, sink: &mut impl FnMut(Event<'_>) -> Outcome) -> Outcome {
        if std::mem::take(&mut self.has_data) {
            let data = held.unwrap_or(&self.data);
            sink(Event { data, named_error: self.named_error, whole: true })?;
            recycle(&mut self.data);
        }
        self.size = 0;
        self.named_error = false;
        Ok(())
    }

    /// What follows a byte order mark. A part of one that turns out to be none goes back in front.
    fn past_bom<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if self.bom >= BOM.len() {
            return bytes;
        }
        let wanted = BOM.get(self.bom..).unwrap_or_default();
        let same = wanted.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        let rest = bytes.get(same..).unwrap_or_default();
        if self.bom + same < BOM.len() && !rest.is_empty() {
            self.line.extend_from_slice(BOM.get(..self.bom + same).unwrap_or_default());
            self.bom = BOM.len();
        } else {
            self.bom += same;
        }
        rest
    }
}

#[cfg(test)]
mod tests;
