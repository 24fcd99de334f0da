//! The text of replies: plain words, one a token, so that counts are exact.
//!
//! A word carries its leading space, as tokens do. All are ASCII without quotes or backslashes, hence need no JSON
//! escape; the only exceptions are the first and last token of a tool call's arguments, which have their own spelling
//! for use inside a JSON string.

const PROSE: [&str; 48] = [
    " the", " tide", " came", " in", " slowly", " and", " every", " boat", " along", " our", " quiet", " harbour",
    " rose", " with", " it", " while", " gulls", " turned", " above", " grey", " roofs", " then", " rain", " began",
    " to", " fall", " on", " stone", " steps", " where", " someone", " had", " left", " a", " lamp", " burning", " so",
    " that", " late", " sailors", " might", " find", " their", " way", " home", " before", " morning", " broke.",
];

const REFUSAL: [&str; 8] = ["I'm", " sorry,", " but", " I", " can't", " help", " with", " that."];

/// What the tokens say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// Harmless text.
    Prose,
    /// A polite refusal, over and over.
    Refusal,
    /// A JSON object with one string member: a tool call's arguments, valid from 2 tokens on.
    Arguments,
}

/// How many tokens the refusal has.
pub(crate) const REFUSAL_TOKENS: u32 = 8;

impl Words {
    /// Token `n` of `total`.
    fn plain(self, n: u32, total: u32) -> &'static str {
        match self {
            Words::Arguments if n == 0 => "{\"place\":\"",
            Words::Arguments if n + 1 == total => "\"}",
            Words::Refusal => REFUSAL[n as usize % REFUSAL.len()],
            Words::Prose | Words::Arguments => PROSE[n as usize % PROSE.len()],
        }
    }

    /// The same, spelt for the inside of a JSON string.
    pub(crate) fn escaped(self, n: u32, total: u32) -> &'static str {
        match self {
            Words::Arguments if n == 0 => "{\\\"place\\\":\\\"",
            Words::Arguments if n + 1 == total => "\\\"}",
            other => other.plain(n, total),
        }
    }

    /// All tokens in one text.
    pub(crate) fn text(self, total: u32) -> String {
        (0..total).map(|n| self.plain(n, total)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_word_and_the_escaped_spelling_reads_the_same() {
        assert_eq!(Words::Prose.text(100).split_whitespace().count(), 100);
        assert_eq!(Words::Refusal.text(REFUSAL_TOKENS), "I'm sorry, but I can't help with that.");
        for words in [Words::Prose, Words::Refusal, Words::Arguments] {
            let escaped: String = (0..60).map(|n| words.escaped(n, 60)).collect();
            assert_eq!(serde_json::from_str::<String>(&format!("\"{escaped}\"")).unwrap(), words.text(60));
        }
        let arguments: serde_json::Value = serde_json::from_str(&Words::Arguments.text(4)).unwrap();
        assert_eq!(arguments["place"], " tide came");
    }
}
