//! How a reply begins, as plain words: the form that the rules are written in.
//!
//! Lower case, one space before and after each word, contractions spelled out (`can't` and `cannot` are `can not`),
//! curly quotes straight. Of the punctuation only this is left: `.` for any end of a sentence or line, `"` for quotation
//! marks, and brackets. Markdown's stars and commas are gone. So a rule needs no variants of spelling.

/// How many characters are looked at.
pub(super) const CHARACTERS: usize = 300;

/// Contractions that are more than a word and a suffix.
const WHOLE: &[(&str, &str)] = &[
    ("cannot", "can not"),
    ("can't", "can not"),
    ("cant", "can not"),
    ("won't", "will not"),
    ("wont", "will not"),
    ("shan't", "shall not"),
    ("dont", "do not"),
    ("it's", "it is"),
    ("that's", "that is"),
    ("there's", "there is"),
    ("here's", "here is"),
    ("what's", "what is"),
];

const SUFFIXES: &[(&str, &str)] =
    &[("n't", " not"), ("'m", " am"), ("'re", " are"), ("'ve", " have"), ("'ll", " will"), ("'d", " would")];

/// The words of the first 300 characters.
pub(super) fn of(text: &str) -> String {
    let mut words = Words { out: String::with_capacity(CHARACTERS * 2), word: String::with_capacity(32) };
    words.out.push(' ');
    let mut chars = text.trim_start().chars().take(CHARACTERS).peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match c {
            '\'' | '‘' | '’' | '´' | '`' | 'ʼ' | '＇' => words.word.push('\''),
            '-' if !words.word.is_empty() && next.is_some_and(char::is_alphanumeric) => words.word.push('-'),
            c if c.is_alphanumeric() => words.word.extend(c.to_lowercase()),
            // A dot within a number or a name ends nothing.
            '.' if next.is_some_and(|n| !n.is_whitespace() && !matches!(n, '"' | '”' | '*' | ')')) => words.flush(),
            '.' | '!' | '?' | '\n' => words.stop(),
            '"' | '“' | '”' | '„' | '«' | '»' => words.mark('"'),
            '{' | '}' | '[' | ']' | '<' | '>' | '|' | '=' => words.mark(c),
            _ => words.flush(),
        }
    }
    words.flush();
    words.out
}

struct Words {
    /// Begins and ends with a space.
    out: String,
    word: String,
}

impl Words {
    /// The word is over.
    fn flush(&mut self) {
        let word = self.word.trim_matches('\'');
        let suffixed = || {
            let known = |(end, meant): &&(&str, &'static str)| {
                word.strip_suffix(end).filter(|stem| !stem.is_empty()).map(|stem| (stem, *meant))
            };
            SUFFIXES.iter().find_map(|suffix| known(&suffix))
        };
        if let Some((_, meant)) = WHOLE.iter().find(|(short, _)| *short == word) {
            self.out.push_str(meant);
        } else if let Some((stem, meant)) = suffixed() {
            self.out.push_str(stem);
            self.out.push_str(meant);
        } else {
            self.out.push_str(word);
        }
        if !word.is_empty() {
            self.out.push(' ');
        }
        self.word.clear();
    }

    /// A sentence is over; twice is once, and nothing ends before it began.
    fn stop(&mut self) {
        self.flush();
        if self.out.len() > 1 && !self.out.ends_with(" . ") {
            self.out.push_str(". ");
        }
    }

    fn mark(&mut self, c: char) {
        self.flush();
        self.out.push(c);
        self.out.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn spelling_and_marks_do_not_matter() {
        for (text, words) in [
            ("", " "),
            ("...!\n", " "),
            ("**I’m** sorry, but I can't.\n\nNo!", " i am sorry but i can not . no . "),
            ("I cannot; they'd rather - well - isn't 3.5?", " i can not they would rather well is not 3 5 . "),
            ("“Don't,” she said.", " \" do not \" she said . "),
            ("'Cant' n't 'm", " can not n't m "),
            ("A well-known e.g. case…", " a well-known e g . case "),
            ("ÄRGER l'été", " ärger l'été "),
        ] {
            assert_eq!(of(text), words, "{text}");
        }
    }

    #[test]
    fn three_hundred_characters_are_enough() {
        assert_eq!(of(&"ä".repeat(5000)).chars().count(), 302);
    }
}
