//! How a reply begins: what the rules about refusals read, and nothing else does.
//!
//! This is what a model wrote, so it must not outlive the verdict. It has no serialisation, the record has no member for
//! it, and its `Debug` tells its length alone.

use std::fmt;

const THOUGHTS: &str = "<think>";
const THOUGHTS_END: &str = "</think>";

/// The first visible text of a reply's first choice, at most [`Opening::BYTES`], without white space before it.
///
/// Some backends hand on a model's reasoning as text between `<think>` and `</think>`. That is left out if the text
/// begins with it; while it lasts, the opening is the tag and the last few bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Opening {
    text: String,
    full: bool,
}

impl Opening {
    /// The most that is kept: 300 characters of any script.
    pub const BYTES: usize = 1200;

    /// The text so far; empty if there is none.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Nothing was said yet.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What comes now is not kept.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// More of the text. Allocates once, at the first piece.
    pub fn push_str(&mut self, mut piece: &str) {
        while !self.full {
            if self.text.is_empty() {
                piece = piece.trim_start();
            }
            if piece.is_empty() {
                return;
            }
            if self.text.capacity() == 0 {
                self.text.reserve_exact(Opening::BYTES);
            }
            let mut fits = piece.len().min(Opening::BYTES - self.text.len());
            while !piece.is_char_boundary(fits) {
                fits -= 1;
            }
            let (now, later) = piece.split_at(fits);
            self.text.push_str(now);
            piece = later;
            if self.text.starts_with(THOUGHTS) {
                self.forget_thoughts();
            } else {
                self.full = !piece.is_empty() || self.text.len() == Opening::BYTES;
            }
        }
    }

    /// Drops the thoughts; of unfinished ones all but the end, in which a part of the closing tag may be.
    fn forget_thoughts(&mut self) {
        if let Some(at) = self.text.find(THOUGHTS_END) {
            self.text.drain(..at + THOUGHTS_END.len());
            let blank = self.text.len() - self.text.trim_start().len();
            self.text.drain(..blank);
        } else {
            let mut end = (self.text.len() + 1).saturating_sub(THOUGHTS_END.len()).max(THOUGHTS.len());
            while !self.text.is_char_boundary(end) {
                end += 1;
            }
            self.text.drain(THOUGHTS.len()..end);
        }
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({} bytes)", self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, piece: usize) -> Opening {
        let mut opening = Opening::default();
        let chars: Vec<char> = text.chars().collect();
        for piece in chars.chunks(piece) {
            opening.push_str(&piece.iter().collect::<String>());
        }
        opening
    }

    #[test]
    fn the_pieces_do_not_matter() {
        let thoughtful =
            format!("\n<think>{} </think\n> hm</think>\n\nSorry, no. {}", "é ".repeat(2000), "ß".repeat(900));
        for (text, want) in [
            ("", String::new()),
            (" \n ", String::new()),
            ("  Yes. ", "Yes. ".to_owned()),
            ("<think>", "<think>".to_owned()),
            ("<think></think>No", "No".to_owned()),
            ("<thin king>", "<thin king>".to_owned()),
            ("Use <think>a</think>", "Use <think>a</think>".to_owned()),
            (&thoughtful, format!("Sorry, no. {}", "ß".repeat(594))),
            (&"é".repeat(601), "é".repeat(600)),
            (&format!("a{}z", "€".repeat(400)), format!("a{}", "€".repeat(399))),
        ] {
            for piece in [1, 2, 5, 7, 1000, 100_000] {
                let got = of(text, piece);
                assert_eq!(got.as_str(), want, "{piece} characters at a time");
                assert!(got.as_str().len() <= Opening::BYTES && got.text.capacity() <= Opening::BYTES);
            }
        }
    }

    #[test]
    fn unfinished_thoughts_take_no_room() {
        let opening = of(&format!("<think>{}", "Sorry, I can't. ".repeat(500)), 3);
        assert!(!opening.is_full());
        assert!(opening.as_str().len() < THOUGHTS.len() + THOUGHTS_END.len(), "{}", opening.as_str());
    }

    #[test]
    fn debug_tells_no_text() {
        assert_eq!(format!("{:?}", of("I cannot", 3)), "Opening(8 bytes)");
    }
}
