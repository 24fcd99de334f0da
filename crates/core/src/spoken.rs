//! A reply's generated text in pieces, as one run of bytes that fits into a [`KeptText`](crate::KeptText).
//!
//! Whoever watches the reply writes it while the pieces come, and whoever redacts it reads it when the exchange is over;
//! the two never meet, so the form stands here. A piece is a zero byte, a letter for its kind, the choice's index in four
//! bytes, and the inside of a JSON string as it came, escapes and all. No JSON has a zero byte, so the next one begins the
//! next piece; what follows on from a piece is written without a mark.

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// Visible text.
    Text,
    /// A refusal in a member of its own.
    Refusal,
    /// Reasoning.
    Reasoning,
    /// The name of a tool that is called.
    Name,
    /// What it is called with.
    Arguments,
    /// Something that is no text, and is not here.
    Other,
}

const MARK: usize = 6;

impl Spoken {
    const LETTERS: [(Spoken, u8); 6] = [
        (Spoken::Text, b't'),
        (Spoken::Refusal, b'f'),
        (Spoken::Reasoning, b'r'),
        (Spoken::Name, b'n'),
        (Spoken::Arguments, b'a'),
        (Spoken::Other, b'x'),
    ];

    /// What begins a piece of this kind, of the choice with this index.
    pub fn mark(self, choice: u32) -> [u8; MARK] {
        let letter = Self::LETTERS.iter().find(|(kind, _)| *kind == self).map_or(b'x', |(_, letter)| *letter);
        let [a, b, c, d] = choice.to_le_bytes();
        [0, letter, a, b, c, d]
    }

    /// The pieces of such bytes, each with its choice and its inside. What does not begin with a mark ends them.
    pub fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = (u32, Spoken, &[u8])> {
        std::iter::from_fn(move || {
            let (mark, rest) = bytes.split_first_chunk::<MARK>()?;
            let [0, letter, choice @ ..] = *mark else { return None };
            let (kind, _) = Self::LETTERS.into_iter().find(|(_, known)| *known == letter)?;
            let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
            let (inside, behind) = rest.split_at(end);
            bytes = behind;
            Some((u32::from_le_bytes(choice), kind, inside))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_as_they_were_written() {
        let said = [
            (0, Spoken::Reasoning, "hm"),
            (300, Spoken::Text, "a\\u0000b"),
            (0, Spoken::Name, ""),
            (u32::MAX, Spoken::Other, ""),
        ];
        let mut bytes = Vec::new();
        for (choice, kind, inside) in said {
            bytes.extend_from_slice(&kind.mark(choice));
            bytes.extend_from_slice(inside.as_bytes());
        }
        let back: Vec<_> = Spoken::pieces(&bytes).map(|(c, k, i)| (c, k, std::str::from_utf8(i).unwrap())).collect();
        assert_eq!(back, said);
        assert_eq!(Spoken::pieces(b"").count(), 0);
        assert_eq!(Spoken::pieces(b"junk without a mark").count(), 0);
        assert_eq!(Spoken::pieces(&bytes[..3]).count(), 0);
    }
}
