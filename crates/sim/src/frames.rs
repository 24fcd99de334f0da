//! The events of one reply, made one ahead of time.
//!
//! A dialect describes its stream once a request, as a [`Script`]: fixed events around templates of the token chunks.
//! Making the next chunk is then a copy of a few hundred bytes, without a JSON serializer, and a stream holds one
//! chunk in memory however long it is.

use std::collections::VecDeque;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;

use crate::behaviour::Fault;
use crate::schedule::Schedule;
use crate::stats::EventKind;
use crate::words::Words;

/// A part of a token chunk.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// The same in each.
    Fixed(Box<str>),
    /// The chunk's words.
    Text,
    /// All output tokens so far, this chunk's included, plus a constant.
    Tokens(u64),
    /// The number of the chunk in its phase, plus a constant.
    Index(u64),
}

/// A token chunk with gaps to fill.
#[derive(Debug, Clone, Default)]
pub(crate) struct Template(Vec<Piece>);

impl Template {
    pub(crate) fn fixed(mut self, text: impl Into<Box<str>>) -> Self {
        self.0.push(Piece::Fixed(text.into()));
        self
    }

    pub(crate) fn piece(mut self, piece: Piece) -> Self {
        self.0.push(piece);
        self
    }
}

/// A run of token chunks of one kind.
#[derive(Debug)]
pub(crate) struct Phase {
    /// Events at the beginning of the run: with the preamble for the first run, else with its first chunk.
    pub(crate) opens: Vec<(EventKind, Bytes)>,
    pub(crate) kind: EventKind,
    pub(crate) tokens: u32,
    pub(crate) words: Words,
    pub(crate) chunk: Template,
    /// Events right after the last chunk.
    pub(crate) closes: Vec<Bytes>,
}

/// The events of one streamed reply.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Before the first token.
    pub(crate) preamble: Vec<Bytes>,
    pub(crate) phases: Vec<Phase>,
    /// Finish, usage, end marker.
    pub(crate) tail: Vec<Bytes>,
    /// What an error inside the stream looks like.
    pub(crate) error: Vec<Bytes>,
    /// An event that is not JSON.
    pub(crate) junk: Bytes,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As announced.
    Clean,
    /// The connection is closed.
    Abort,
    /// Nothing more comes, and the connection stays open.
    Hang,
}

/// What a body does next, and when (after the request's arrival).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    Frame(EventKind, Bytes),
    End(End),
}

/// Gives the steps of one reply in order.
#[derive(Debug)]
pub(crate) struct Frames {
    schedule: Schedule,
    fault: Option<(u32, StreamFault)>,
    script: Script,
    ready: VecDeque<(EventKind, Bytes)>,
    ready_at: Duration,
    end: End,
    phase: usize,
    /// Chunks and tokens given in this phase.
    in_phase: (u32, u32),
    /// Chunks and tokens given in all.
    chunks: u32,
    tokens: u64,
    closing: bool,
    scratch: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamFault {
    Error,
    Junk,
    End(End),
}

impl Frames {
    /// A stream.
    pub(crate) fn stream(schedule: Schedule, fault: Option<Fault>, mut script: Script) -> Frames {
        let mut ready: VecDeque<_> = script.preamble.drain(..).map(|b| (EventKind::Structure, b)).collect();
        // A block that opens with a token (a tool's name) has to wait for the first token's time.
        if let Some(first) = script.phases.first_mut()
            && first.opens.iter().all(|(kind, _)| *kind == EventKind::Structure)
        {
            ready.extend(first.opens.drain(..));
        }
        script.phases.retain(|p| p.tokens > 0 || !p.opens.is_empty() || !p.closes.is_empty());
        let ready_at = schedule.preamble_due();
        // A fault after more chunks than there are comes after the last.
        let fault = fault.and_then(stream_fault).map(|(after, what)| (after.min(schedule.chunks()), what));
        Frames { fault, script, ready, ready_at, ..Frames::empty(schedule) }
    }

    /// A body in one piece at that moment; `end` says what follows it.
    pub(crate) fn whole(at: Duration, body: Bytes, end: End) -> Frames {
        let ready = if body.is_empty() { VecDeque::new() } else { VecDeque::from([(EventKind::Structure, body)]) };
        Frames { ready, ready_at: at, closing: true, end, ..Frames::empty(Schedule::default()) }
    }

    fn empty(schedule: Schedule) -> Frames {
        Frames {
            schedule,
            fault: None,
            script: Script::default(),
            ready: VecDeque::new(),
            ready_at: Duration::ZERO,
            end: End::Clean,
            phase: 0,
            in_phase: (0, 0),
            chunks: 0,
            tokens: 0,
            closing: false,
            scratch: Vec::with_capacity(512),
        }
    }

    /// The next step; after an `End` it is the same again.
    pub(crate) fn next_step(&mut self) -> Step {
        loop {
            if let Some((kind, bytes)) = self.ready.pop_front() {
                return Step { at: self.ready_at, what: What::Frame(kind, bytes) };
            }
            if self.closing {
                return Step { at: self.ready_at, what: What::End(self.end) };
            }
            self.refill();
        }
    }

    /// Puts the next events in `ready`, or sets `closing`.
    fn refill(&mut self) {
        if let Some((after, fault)) = self.fault
            && self.chunks >= after
        {
            self.fault = None;
            // At the time of the chunk that does not come; junk is an extra event.
            self.ready_at = self.ready_at.max(self.next_due());
            match fault {
                StreamFault::Junk => self.ready.push_back((EventKind::Structure, self.script.junk.clone())),
                StreamFault::Error => self.close_with(End::Clean, |s| std::mem::take(&mut s.error)),
                StreamFault::End(end) => {
                    if self.chunks > 0 && end != End::Hang {
                        // The break follows the last chunk at once: `after` chunks and not a moment of the next.
                        self.ready_at = self.schedule.chunk_due(self.chunks - 1).max(self.schedule.preamble_due());
                    }
                    self.close_with(end, |_| Vec::new());
                }
            }
            return;
        }
        match self.script.phases.get(self.phase) {
            Some(phase) if self.in_phase.1 < phase.tokens => self.push_chunk(),
            Some(_) => self.next_phase(),
            None => {
                self.ready_at = self.ready_at.max(self.schedule.ends());
                self.close_with(End::Clean, |s| std::mem::take(&mut s.tail));
            }
        }
    }

    fn close_with(&mut self, end: End, last: impl FnOnce(&mut Script) -> Vec<Bytes>) {
        self.ready.extend(last(&mut self.script).into_iter().map(|b| (EventKind::Structure, b)));
        self.end = end;
        self.closing = true;
    }

    fn next_due(&self) -> Duration {
        self.schedule.chunk_due(self.chunks)
    }

    fn next_phase(&mut self) {
        if let Some(phase) = self.script.phases.get_mut(self.phase) {
            self.ready.extend(phase.closes.drain(..).map(|b| (EventKind::Structure, b)));
        }
        self.phase += 1;
        self.in_phase = (0, 0);
    }

    fn push_chunk(&mut self) {
        self.ready_at = self.next_due();
        let Some(phase) = self.script.phases.get_mut(self.phase) else { return };
        self.ready.extend(phase.opens.drain(..));
        let (index, first) = self.in_phase;
        let count = self.schedule.tokens_per_chunk.max(1).min(phase.tokens - first);
        self.tokens += u64::from(count);
        self.scratch.clear();
        for piece in &phase.chunk.0 {
            match piece {
                Piece::Fixed(text) => self.scratch.extend_from_slice(text.as_bytes()),
                Piece::Text => {
                    for token in first..first + count {
                        self.scratch.extend_from_slice(phase.words.escaped(token, phase.tokens).as_bytes());
                    }
                }
                Piece::Tokens(plus) => push_number(&mut self.scratch, self.tokens + plus),
                Piece::Index(plus) => push_number(&mut self.scratch, u64::from(index) + plus),
            }
        }
        self.ready.push_back((phase.kind, Bytes::copy_from_slice(&self.scratch)));
        self.in_phase = (index + 1, first + count);
        self.chunks += 1;
    }
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{number}");
}

fn stream_fault(fault: Fault) -> Option<(u32, StreamFault)> {
    match fault {
        Fault::InStreamError { after } => Some((after, StreamFault::Error)),
        Fault::CutOff { after } => Some((after, StreamFault::End(End::Abort))),
        Fault::TruncateCleanly { after } => Some((after, StreamFault::End(End::Clean))),
        Fault::StallForever { after } => Some((after, StreamFault::End(End::Hang))),
        Fault::Junk { after } => Some((after, StreamFault::Junk)),
        _ => None,
    }
}
