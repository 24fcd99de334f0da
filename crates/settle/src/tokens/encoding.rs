//! Counting with OpenAI's encodings, which the binary carries (tiktoken-rs; the tables are those of tiktoken 0.14).
//!
//! A table is built when it is first asked for, once in the process, and stays. Special tokens are read as plain text:
//! what a user writes is text.
//!
//! Text is counted in pieces of 16 to 64 KiB, cut before white space that follows something else. There every encoding
//! begins a new word, so the sum is exact; only a text without white space for 48 KiB is cut anywhere, which may cost a
//! token. The bound matters: the regular expressions behind the encodings fail on a run of a million spaces.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::Tokenizer;

/// A piece is at least so long, bytes, where the text is.
const PIECE: usize = 16 * 1024;
/// And at most so long.
const LONGEST: usize = 64 * 1024;

/// An encoding of OpenAI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// GPT-4o and later, the o series, gpt-oss; the measure for all other families.
    O200k,
    /// GPT-4, GPT-3.5, embeddings.
    Cl100k,
    /// `text-davinci-002` and -003, Codex.
    P50k,
    /// GPT-3.
    R50k,
}

impl Encoding {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Encoding::O200k => "o200k_base",
            Encoding::Cl100k => "cl100k_base",
            Encoding::P50k => "p50k_base",
            Encoding::R50k => "r50k_base",
        }
    }

    /// That of an OpenAI model, as tiktoken has it; `None` for a name that it does not know.
    pub(super) fn of_model(name: &str) -> Option<Encoding> {
        Some(match tiktoken_rs::tokenizer::get_tokenizer(name)? {
            // The tables are the same; harmony has more special tokens, and none is counted.
            Tokenizer::O200kBase | Tokenizer::O200kHarmony => Encoding::O200k,
            Tokenizer::Cl100kBase => Encoding::Cl100k,
            Tokenizer::P50kBase | Tokenizer::P50kEdit => Encoding::P50k,
            Tokenizer::R50kBase | Tokenizer::Gpt2 => Encoding::R50k,
        })
    }

    fn table(self) -> &'static CoreBPE {
        match self {
            Encoding::O200k => tiktoken_rs::o200k_base_singleton(),
            Encoding::Cl100k => tiktoken_rs::cl100k_base_singleton(),
            Encoding::P50k => tiktoken_rs::p50k_base_singleton(),
            Encoding::R50k => tiktoken_rs::r50k_base_singleton(),
        }
    }

    /// How many tokens `text` is. `None` if the library panicked; contained.
    pub fn count(self, text: &str) -> Option<u64> {
        catch_unwind(AssertUnwindSafe(|| {
            let table = self.table();
            pieces(text).fold(0u64, |sum, piece| sum.saturating_add(table.count_ordinary(piece) as u64))
        }))
        .ok()
    }
}

/// The text in pieces; see the module.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at_checked(cut(rest))?;
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

fn cut(text: &str) -> usize {
    if text.len() <= LONGEST {
        return text.len();
    }
    let bytes = text.as_bytes();
    let word = bytes.get(PIECE..LONGEST).unwrap_or_default().windows(2);
    // ASCII bytes are never a part of another character.
    let space = |pair: &[u8]| matches!(pair, [before, b' ' | b'\n'] if before.is_ascii_alphanumeric());
    let mut at = word.into_iter().position(space).map_or(LONGEST, |found| PIECE + found + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_tiktokens() {
        // Checked with tiktoken 0.14.0.
        for (encoding, text, tokens) in [
            (Encoding::O200k, "tiktoken is great!", 6),
            (Encoding::Cl100k, "tiktoken is great!", 6),
            (Encoding::Cl100k, "お誕生日おめでとう", 9),
            (Encoding::P50k, "お誕生日おめでとう", 14),
            (Encoding::O200k, "<|endoftext|>", 7),
            (Encoding::O200k, "", 0),
        ] {
            assert_eq!(encoding.count(text), Some(tokens), "{} {text}", encoding.as_str());
        }
    }

    #[test]
    fn a_text_in_pieces_counts_as_whole() {
        let prose = "The quick brown fox, 12 345 times:\n    it jumps\tover the lazy dog's café. ".repeat(4000);
        assert!(pieces(&prose).count() > 4);
        let whole = tiktoken_rs::o200k_base_singleton().count_ordinary(&prose) as u64;
        assert_eq!(Encoding::O200k.count(&prose), Some(whole));
    }

    #[test]
    fn hostile_texts_are_counted_or_given_up() {
        for text in [" ".repeat(1_000_000), "a".repeat(300_000), "é".repeat(200_000), "\n".repeat(300_000)] {
            assert_eq!(pieces(&text).map(str::len).sum::<usize>(), text.len());
            let count = Encoding::O200k.count(&text);
            assert!(count.is_none_or(|n| n > 0));
        }
    }
}
