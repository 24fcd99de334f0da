//! Taking the usage out again: a stream of events that was asked for its usage becomes the one that it would have been.
//!
//! | in the asked stream | what becomes of it |
//! |---|---|
//! | the event with `"choices": []` and a usage object | goes whole, with its blank line |
//! | `"usage": null` of any other event (OpenAI, Azure, Ollama) | is cut out with its comma |
//! | the same beside `matched_stop` | stays: SGLang wrote it unasked, before it left it out altogether |
//! | `timings` and `system_fingerprint` of the event that goes | go back to the finish event right before it, if that came in the same read and lacks them: there llama.cpp and vLLM put them unasked |
//! | a usage object beside choices (llama.cpp's completions, transformers) | stays: such servers tell it unasked |
//! | all else, comments and `[DONE]` too | passes by reference |
//!
//! An event is passed on in the poll that brings its last byte, and not before: the parts of one that comes in several
//! reads wait for each other, and are put together once. A comment between events is passed on with its line. What is
//! longer than the limit passes unedited, from the moment that this is known.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::{memchr2, memmem};

use super::json::{members, with_comma};

const BOM: &[u8] = &[0xEF, 0xBB, 0xBF];

/// What servers tell in the finish event unless there is one for the usage.
const MOVED: [&str; 2] = ["system_fingerprint", "timings"];

/// See the module. Sans I/O; any bytes, cut anywhere, give the same.
#[derive(Debug)]
pub(crate) struct UsageRemover {
    limit: usize,
    lines: Lines,
    /// Nothing of the stream was passed on: a byte order mark may lead.
    begins: bool,
    /// The parts of an event whose end has not come.
    held: BytesMut,
    /// The event under way was too long, and its begin is passed on.
    passing: bool,
    /// The last event went, and ended with CR: a LF that follows goes too.
    went: bool,
    /// Where units end in the last read; kept for its allocation.
    ends: Vec<usize>,
}

impl UsageRemover {
    /// Events of more than `limit` bytes pass unedited.
    pub(crate) fn new(limit: usize) -> UsageRemover {
        UsageRemover {
            limit,
            lines: Lines::default(),
            begins: true,
            held: BytesMut::new(),
            passing: false,
            went: false,
            ends: Vec::new(),
        }
    }

    /// Takes the next bytes of the upstream's body; gives what the client gets now, which may be nothing.
    pub(crate) fn feed(&mut self, read: Bytes) -> Bytes {
        let mut ends = std::mem::take(&mut self.ends);
        ends.clear();
        self.lines.ends(&read, &mut ends);
        let given = match ends.last() {
            None => self.hold(read),
            Some(&last) => {
                let before = self.held.len();
                let data = if before == 0 { read } else { self.put_together(&read) };
                let mut kept = Kept::default();
                let mut start = 0;
                for end in ends.iter().map(|end| end + before) {
                    self.unit(&data, start..end, &mut kept);
                    start = end;
                }
                let done = kept.of(&data, last + before);
                let tail = self.hold(data.slice(last + before..));
                joined(done, tail)
            }
        };
        self.ends = ends;
        given
    }

    /// The body is over: what is left, which is an event without its blank line.
    pub(crate) fn finish(&mut self) -> Bytes {
        let data = self.broke_off();
        let mut kept = Kept::default();
        self.unit(&data, 0..data.len(), &mut kept);
        kept.of(&data, data.len())
    }

    /// The body broke off: what is left, as it came.
    pub(crate) fn broke_off(&mut self) -> Bytes {
        std::mem::take(&mut self.held).freeze()
    }

    /// Whether all that came was passed on or taken out.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What is held, and this behind it.
    fn put_together(&mut self, read: &[u8]) -> Bytes {
        self.held.extend_from_slice(read);
        std::mem::take(&mut self.held).freeze()
    }

    /// Keeps a part of an event for the next read; gives it back where that would be too much.
    fn hold(&mut self, part: Bytes) -> Bytes {
        if part.is_empty() {
            return part;
        }
        if self.passing || self.held.len() + part.len() > self.limit {
            self.passing = true;
            self.begins = false;
            return if self.held.is_empty() { part } else { self.put_together(&part) };
        }
        self.held.extend_from_slice(&part);
        Bytes::new()
    }

    /// One event, comment or blank line.
    fn unit(&mut self, data: &Bytes, at: Range<usize>, kept: &mut Kept) {
        let text = data.get(at.clone()).unwrap_or_default();
        if text.is_empty() {
            return;
        }
        if std::mem::take(&mut self.went) && text == b"\n" {
            kept.cut(at);
            return;
        }
        // A LF behind the CR that ends it may come in the next read, and does not count.
        let length = text.len() - usize::from(text.ends_with(b"\r\n"));
        let too_long = std::mem::take(&mut self.passing) || length > self.limit;
        let mark = if std::mem::take(&mut self.begins) && text.starts_with(BOM) { BOM.len() } else { 0 };
        if too_long {
            kept.previous = None;
            return;
        }
        match edit(data, at.start + mark..at.end) {
            Edit::Keep => kept.previous = Some(at),
            Edit::Cut(cut) => {
                kept.cut(cut);
                kept.previous = Some(at);
            }
            Edit::Remove(json) => {
                if let Some(previous) = kept.previous.take() {
                    kept.give_back(data, &previous, &json);
                }
                kept.cut(at.start + mark..at.end);
                self.went = text.ends_with(b"\r");
            }
        }
    }
}

fn joined(a: Bytes, b: Bytes) -> Bytes {
    match (a.is_empty(), b.is_empty()) {
        (_, true) => a,
        (true, _) => b,
        _ => [a, b].concat().into(),
    }
}

/// What is kept of the bytes at hand: the runs between the cuts.
#[derive(Default)]
struct Kept {
    runs: Vec<Range<usize>>,
    from: usize,
    /// The event right before, if it is kept.
    previous: Option<Range<usize>>,
}

impl Kept {
    fn cut(&mut self, cut: Range<usize>) {
        if cut.start > self.from {
            self.runs.push(self.from..cut.start);
        }
        self.from = cut.end;
    }

    fn of(mut self, data: &Bytes, end: usize) -> Bytes {
        if end > self.from {
            self.runs.push(self.from..end);
        }
        match self.runs.as_slice() {
            [] => Bytes::new(),
            [run] => data.slice(run.clone()),
            runs => {
                let mut all = BytesMut::with_capacity(runs.iter().map(ExactSizeIterator::len).sum());
                for run in runs {
                    all.extend_from_slice(data.get(run.clone()).unwrap_or_default());
                }
                all.freeze()
            }
        }
    }

    /// Puts what the finish event would have carried unasked back into it.
    fn give_back(&mut self, data: &Bytes, previous: &Range<usize>, usage: &Range<usize>) {
        let text = data.get(previous.clone()).unwrap_or_default();
        if memmem::find(text, b"\"finish_reason\"").is_none() {
            return;
        }
        let Some(finish) = only_data(data, previous.clone()) else { return };
        let json = data.get(finish.clone()).unwrap_or_default();
        let mut has = [false; MOVED.len()];
        let mut finished = false;
        let seen = members(json, |name, at| {
            for (moved, has) in MOVED.iter().zip(&mut has) {
                *has |= *moved == name;
            }
            finished |= name == "choices" && is_finished(json.get(at).unwrap_or_default());
        });
        let usage_json = data.get(usage.clone()).unwrap_or_default();
        let mut moved = Vec::new();
        members(usage_json, |name, at| {
            if MOVED.iter().zip(has).any(|(moved, has)| *moved == name && !has) {
                let member = with_comma(usage_json, name, &at).filter(|m| usage_json.get(m.start) == Some(&b','));
                moved.extend(member.map(|m| usage.start + m.start..usage.start + m.end));
            }
        });
        // The brace that closes the object is its last byte; a cut may end there, never behind it.
        let brace = finish.end.saturating_sub(1);
        if seen.is_some() && finished && !moved.is_empty() && brace >= self.from {
            self.cut(brace..brace);
            self.runs.append(&mut moved);
        }
    }
}

/// Whether one of these choices has a finish reason.
fn is_finished(choices: &[u8]) -> bool {
    memmem::find_iter(choices, b"\"finish_reason\"").any(|at| {
        let value = choices.get(at + 15..).unwrap_or_default().trim_ascii_start();
        value.strip_prefix(b":").is_some_and(|v| v.trim_ascii_start().starts_with(b"\""))
    })
}

/// What becomes of an event.
enum Edit {
    Keep,
    /// These bytes of it go.
    Cut(Range<usize>),
    /// It goes, and its JSON stands here; empty where that is not in one piece.
    Remove(Range<usize>),
}

/// Decides about the event at `at`.
fn edit(data: &[u8], at: Range<usize>) -> Edit {
    let text = data.get(at.clone()).unwrap_or_default();
    if memmem::find(text, b"\"usage\"").is_none() {
        return Edit::Keep;
    }
    let Some(json_at) = only_data(data, at) else {
        let told = look(&lines_joined(text));
        return if told.is_some_and(|t| t.is_usage_event()) { Edit::Remove(0..0) } else { Edit::Keep };
    };
    let json = data.get(json_at.clone()).unwrap_or_default();
    let Some(told) = look(json) else { return Edit::Keep };
    if told.is_usage_event() {
        return Edit::Remove(json_at);
    }
    let cut = told.null.filter(|_| !told.twice && memmem::find(json, b"\"matched_stop\"").is_none());
    match cut.and_then(|value| with_comma(json, "usage", &value)) {
        Some(cut) => Edit::Cut(json_at.start + cut.start..json_at.start + cut.end),
        None => Edit::Keep,
    }
}

/// What an event tells.
#[derive(Default)]
struct Told {
    no_choices: bool,
    usage: bool,
    null: Option<Range<usize>>,
    /// `usage` stands twice.
    twice: bool,
}

impl Told {
    fn is_usage_event(&self) -> bool {
        self.no_choices && self.usage && !self.twice
    }
}

fn look(json: &[u8]) -> Option<Told> {
    let mut told = Told::default();
    members(json, |name, at| {
        let value = json.get(at.clone()).unwrap_or_default();
        match name {
            "choices" => {
                let inside = value.strip_prefix(b"[").and_then(|v| v.strip_suffix(b"]"));
                told.no_choices = inside.is_some_and(|v| v.trim_ascii().is_empty());
            }
            "usage" => {
                told.twice |= told.usage || told.null.is_some();
                told.usage |= value.starts_with(b"{");
                told.null = (value == b"null").then_some(at);
            }
            _ => {}
        }
    })?;
    Some(told)
}

/// Where the value of the event's `data` stands, if there is one such line only.
fn only_data(data: &[u8], at: Range<usize>) -> Option<Range<usize>> {
    let mut found = None;
    for line in lines(data, at) {
        let text = data.get(line.clone())?;
        if let Some(value) = text.strip_prefix(b"data:")
            && found.replace(line.end - value.trim_ascii_start().len()..line.end - trailing_blanks(value)).is_some()
        {
            return None;
        }
    }
    found
}

fn trailing_blanks(value: &[u8]) -> usize {
    if value.trim_ascii().is_empty() { 0 } else { value.len() - value.trim_ascii_end().len() }
}

/// The values of all `data` lines, joined as a reader of events joins them.
fn lines_joined(text: &[u8]) -> Vec<u8> {
    let values = lines(text, 0..text.len()).filter_map(|line| text.get(line)?.strip_prefix(b"data:"));
    values.collect::<Vec<_>>().join(&b'\n')
}

/// Where the lines of `data` between `at` stand, without their ends; a CRLF gives an empty one more.
fn lines(data: &[u8], at: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut next = at.start;
    std::iter::from_fn(move || {
        let rest = data.get(next..at.end).filter(|rest| !rest.is_empty())?;
        let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = next..next + length;
        next = line.end + 1;
        Some(line)
    })
}

/// Finds the ends of events while bytes go by. Lines end with LF, CR or CRLF (WHATWG HTML, 9.2.6).
#[derive(Debug, Default)]
struct Lines {
    line: Line,
    /// The event under way has a line that is no comment.
    begun: bool,
    after_cr: bool,
}

/// What the line under way is so far.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Line {
    #[default]
    Empty,
    Comment,
    Field,
}

impl Lines {
    /// Adds to `ends` where a unit ends: behind a blank line, or behind a comment that stands between events. A CRLF is
    /// one end of a line; where a read ends between the two, the LF is a unit of its own.
    fn ends(&mut self, bytes: &[u8], ends: &mut Vec<usize>) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                at += 1;
                match ends.last_mut() {
                    Some(end) if *end + 1 == at => *end = at,
                    None if at == 1 && !self.begun => ends.push(at),
                    _ => {}
                }
                continue;
            }
            let rest = bytes.get(at..).unwrap_or_default();
            let length = memchr2(b'\n', b'\r', rest);
            if self.line == Line::Empty && length != Some(0) {
                self.line = if byte == b':' { Line::Comment } else { Line::Field };
            }
            let Some(length) = length else { return };
            self.after_cr = rest.get(length) == Some(&b'\r');
            at += length + 1;
            match std::mem::take(&mut self.line) {
                Line::Empty => {
                    self.begun = false;
                    ends.push(at);
                }
                Line::Comment if !self.begun => ends.push(at),
                Line::Comment => {}
                Line::Field => self.begun = true,
            }
        }
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
