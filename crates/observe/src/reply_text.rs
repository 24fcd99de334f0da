//! What a reply's model wrote, kept so that its tokens can be counted should nobody tell them, and, where the operator
//! asked for its content, so that it can be redacted and shown.
//!
//! The pieces are the insides of JSON strings as they came, escapes and all: undoing these is left to whoever reads them,
//! off the relay's path. For counting, pieces that do not follow one another (another choice, reasoning after text,
//! arguments after a name) are parted by a zero byte, which no JSON has; for the content, by a mark that says what comes
//! ([`Spoken`]). The buffer doubles; a plain delta is copied and allocates nothing.

use limpid_core::{KeptText, Spoken, TextGone};

use crate::json::Leaf;

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

impl Piece {
    const fn spoken(self) -> Spoken {
        match self {
            Piece::Text => Spoken::Text,
            Piece::Refusal => Spoken::Refusal,
            Piece::Reasoning => Spoken::Reasoning,
            Piece::Name => Spoken::Name,
            Piece::Arguments => Spoken::Arguments,
        }
    }
}

/// See the module. At least one of the two texts is there.
#[derive(Debug, Default)]
pub(crate) struct ReplyText {
    /// For counting.
    pub(crate) text: Option<KeptText>,
    /// For the content.
    pub(crate) content: Option<KeptText>,
    last: Option<(u32, Piece)>,
    /// What came last was no text.
    other: bool,
}

impl ReplyText {
    /// Adds a string, or an object where some servers have one, of the choice with this index.
    pub(crate) fn add(&mut self, choice: u32, piece: Piece, leaf: Leaf<'_>) {
        let Some(raw) = leaf.filter(|raw| matches!(raw.first(), Some(b'"' | b'{'))) else { return };
        let inside = raw.inside().unwrap_or(raw.text());
        if inside.is_empty() {
            return;
        }
        let last = self.last.replace((choice, piece));
        // Two names never are one.
        let follows = last == Some((choice, piece)) && piece != Piece::Name;
        if let Some(text) = &mut self.text {
            if last.is_some() && !follows {
                text.push(&[0]);
            }
            text.push(inside.as_bytes());
        }
        if let Some(content) = &mut self.content {
            if !follows {
                self.other = false;
                content.push(&piece.spoken().mark(choice));
            }
            content.push(inside.as_bytes());
        }
    }

    /// What was written is not all text: it cannot be counted, and the content says so in its place.
    pub(crate) fn more_than_text(&mut self) {
        if let Some(text) = &mut self.text {
            text.give_up(TextGone::NotText);
        }
        let choice = self.last.take().map_or(0, |(choice, _)| choice);
        if let Some(content) = self.content.as_mut().filter(|_| !std::mem::replace(&mut self.other, true)) {
            content.push(&Spoken::Other.mark(choice));
        }
    }

    /// Nothing is left to count; `None` if nothing else is wanted either.
    pub(crate) fn counted(self) -> Option<ReplyText> {
        self.content.is_some().then_some(ReplyText { text: None, ..self })
    }

    /// Whether the text for counting is still there.
    pub(crate) fn is_kept(&self) -> bool {
        self.text.as_ref().is_some_and(|text| text.get().is_ok())
    }
}
