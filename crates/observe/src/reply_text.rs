//! What a reply's model wrote, kept so that its tokens can be counted should nobody tell them.
//!
//! The pieces are the insides of JSON strings as they came, escapes and all: undoing these is left to whoever counts,
//! off the relay's path. Pieces that do not follow one another (another choice, reasoning after text, arguments after a
//! name) are parted by a zero byte, which no JSON has. The buffer doubles; a plain delta is copied and allocates nothing.

use limpid_core::{KeptText, TextGone};

use crate::json::{Leaf, Raw};

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    Text,
    Refusal,
    Reasoning,
    /// The name of a call.
    Name,
    /// Its arguments or input.
    Arguments,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ReplyText {
    text: KeptText,
    last: Option<(u32, Piece)>,
}

impl ReplyText {
    pub(crate) fn new(text: KeptText) -> ReplyText {
        ReplyText { text, last: None }
    }

    /// Adds a string, or an object where some servers have one, of the choice with this index.
    pub(crate) fn add(&mut self, choice: u32, piece: Piece, leaf: Leaf<'_>) {
        let Some(raw) = leaf.map(Raw::text).filter(|text| text.starts_with(['"', '{'])) else { return };
        let inside = raw.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(raw);
        if inside.is_empty() {
            return;
        }
        // Two names never are one.
        if self.last.replace((choice, piece)).is_some_and(|last| last != (choice, piece) || piece == Piece::Name) {
            self.text.push(&[0]);
        }
        self.text.push(inside.as_bytes());
    }

    /// What was written is not all text, or needs no counting.
    pub(crate) fn give_up(&mut self, why: TextGone) {
        self.text.give_up(why);
    }

    /// Whether it is still there.
    pub(crate) fn is_kept(&self) -> bool {
        self.text.get().is_ok()
    }

    pub(crate) fn into_text(self) -> KeptText {
        self.text
    }
}
