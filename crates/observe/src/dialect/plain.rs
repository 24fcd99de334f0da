//! Plain deltas, told by what they have in common with the event before them.
//!
//! The deltas of a stream are one text over and over: only the token differs, and beside it perhaps a clock, a running
//! number or a filler that nobody reads. So the last event is kept if its dialect says it was a plain delta, with holes
//! where these stand. An event that is the same but for what is in the holes has the same meaning but for its token, and
//! is not parsed: comparing takes a third of the time.
//!
//! **Why that is sound.** A hole is the inside of one JSON string, or the digits of one number, and takes only what keeps
//! it one; so the two events are the same tree but for these leaves. Only the token's leaf is read by a dialect, and of it
//! only that it is a string that is not empty, and its text. All else that the event does to the observation it has in
//! common with the one before, which did it already, and a second time would change nothing: a dialect calls an event plain
//! only if that holds. Anything else in between, and the next event is parsed again.
//!
//! Edges: an event larger than [`MOST_BYTES`] is not kept; the events of two choices in turn are never like the one before,
//! and after [`PATIENCE`] of them few are kept; a number that gets another digit is parsed.

use limpid_core::ObserverFault;
use memchr::memmem;

use crate::json::{Raw, string_end};
use crate::reply_text::Piece;
use crate::seen::{Output, Seen};

/// Larger events are not kept.
const MOST_BYTES: usize = 4096;
/// Where so many events were kept and none was like the next, one in so many is.
const PATIENCE: u32 = 8;
/// The token's and two more.
const MOST_HOLES: usize = 3;

/// Members whose value changes from event to event and which no dialect reads, anywhere.
const UNREAD: [(&[u8], Kind); 4] = [
    (b"\"created\":", Kind::Digits),
    (b"\"created_at\":", Kind::Text),
    (b"\"sequence_number\":", Kind::Digits),
    (b"\"obfuscation\":", Kind::Text),
];

/// What a plain event adds: one string, which is not empty, of one choice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delta<'a> {
    pub(super) choice: u32,
    /// [`Piece::Text`], [`Piece::Reasoning`] or [`Piece::Arguments`].
    pub(super) piece: Piece,
    /// Borrowed from the event's text.
    pub(super) text: Raw<'a>,
}

/// What parsing an event comes to: what it adds if it is plain.
pub(super) type Parsed<'a> = Result<Option<Delta<'a>>, ObserverFault>;

impl Delta<'_> {
    /// What such an event does to the observation, beyond what the one before it did.
    fn tell(self, seen: &mut Seen) {
        seen.event();
        if self.choice == 0 && self.piece == Piece::Text {
            seen.says(Some(self.text));
        }
        seen.keep(self.choice, self.piece, Some(self.text));
        seen.output(match self.piece {
            Piece::Text | Piece::Refusal => Output::TEXT,
            Piece::Reasoning => Output::REASONING,
            Piece::Name | Piece::Arguments => Output::OTHER,
        });
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    /// The inside of the token's string; at least one byte.
    #[default]
    Token,
    /// The inside of a string.
    Text,
    /// As many digits as before.
    Digits,
}

#[derive(Debug, Clone, Copy, Default)]
struct Hole {
    kind: Kind,
    from: usize,
    to: usize,
}

/// The last event, if it was plain. See the module.
#[derive(Debug, Default)]
pub(super) struct Plain {
    /// Empty if the last event was not plain.
    text: Vec<u8>,
    /// In the order in which they stand in `text`.
    holes: [Hole; MOST_HOLES],
    count: usize,
    choice: u32,
    piece: Option<Piece>,
    /// Plain events since one was like the one before.
    unlike: u32,
}

impl Plain {
    /// Reads `text` if it is like the event before; false, and nothing done, if not.
    pub(super) fn read(&mut self, text: &str, seen: &mut Seen) -> bool {
        let Some((piece, text)) = self.piece.and_then(|piece| Some((piece, self.token(text)?))) else { return false };
        self.unlike = 0;
        Delta { choice: self.choice, piece, text }.tell(seen);
        true
    }

    /// Something else came.
    pub(super) fn forget(&mut self) {
        self.piece = None;
    }

    /// `text` was parsed, and is plain: it only adds `delta`.
    pub(super) fn learn(&mut self, text: &str, delta: Delta<'_>) {
        self.unlike = self.unlike.wrapping_add(1);
        if self.unlike > PATIENCE && !self.unlike.is_multiple_of(PATIENCE) {
            return;
        }
        let bytes = text.as_bytes();
        let from = delta.text.text().as_ptr().addr().wrapping_sub(text.as_ptr().addr());
        let to = from.saturating_add(delta.text.text().len());
        if bytes.len() > MOST_BYTES || text.get(from..to) != Some(delta.text.text()) || !delta.text.is_text() {
            return;
        }
        self.count = 0;
        self.add(Hole { kind: Kind::Token, from: from + 1, to: to - 1 });
        for (name, kind) in UNREAD {
            if let Some((from, to)) = value(bytes, name, kind) {
                self.add(Hole { kind, from, to });
            }
        }
        if let Some(holes) = self.holes.get_mut(..self.count) {
            holes.sort_unstable_by_key(|hole| hole.from);
        }
        self.text.clear();
        self.text.extend_from_slice(bytes);
        self.choice = delta.choice;
        self.piece = Some(delta.piece);
    }

    /// Beyond the last it is left out, and must be the same then.
    fn add(&mut self, hole: Hole) {
        if let Some(slot) = self.holes.get_mut(self.count) {
            *slot = hole;
            self.count += 1;
        }
    }

    /// The token in `text`, quotes included, if the rest is like the event before.
    fn token<'a>(&self, text: &'a str) -> Option<Raw<'a>> {
        let bytes = text.as_bytes();
        let (mut known, mut at, mut token) = (0, 0, None);
        for hole in self.holes.get(..self.count)? {
            let same = self.text.get(known..hole.from)?;
            let rest = bytes.get(at..)?.strip_prefix(same)?;
            let length = match hole.kind {
                Kind::Token | Kind::Text => string_end(rest, 0)?.0,
                Kind::Digits => digits(rest).filter(|n| *n == hole.to - hole.from)?,
            };
            at += same.len();
            if hole.kind == Kind::Token {
                token = text.get(at.checked_sub(1)?..at + length + 1).filter(|_| length > 0);
            }
            at += length;
            known = hole.to;
        }
        if bytes.get(at..)? != self.text.get(known..)? {
            return None;
        }
        Some(Raw::of_string(token?))
    }
}

/// Where the value of the first member of this name stands, without quotes, if it is of this kind.
///
/// In valid JSON an unescaped quote, a colon and a value stand together only behind a member's name, so this is no part
/// of a string; it may be the end of a longer name, which no dialect reads either.
fn value(text: &[u8], name: &[u8], kind: Kind) -> Option<(usize, usize)> {
    let mut from = memmem::find(text, name)? + name.len();
    from += usize::from(text.get(from) == Some(&b' '));
    if kind == Kind::Digits {
        let to = from + digits(text.get(from..)?)?;
        return matches!(text.get(to), Some(b',' | b'}')).then_some((from, to));
    }
    let inside = text.get(from..)?.strip_prefix(b"\"")?;
    Some((from + 1, from + 1 + string_end(inside, 0)?.0))
}

/// How many digits `text` begins with; `None` if they are no number.
fn digits(text: &[u8]) -> Option<usize> {
    let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
    (count == 1 || count > 1 && text.first() != Some(&b'0')).then_some(count)
}

#[cfg(test)]
mod tests;
