//! How a reply begins, as plain words: the form that the rules are written in.
//!
//! Lower case, one space before and after each word, contractions spelled out (`can't` and `cannot` are `can not`),
//! curly quotes straight. Of the punctuation only this is left: `.` for any end of a sentence or line, `"` for
//! quotation marks, `-` for an item of a list, `#` for a fence of code, and brackets. Markdown's stars and commas are
//! gone. So a rule needs no variants of spelling.

/// How many characters are looked at.
pub(super) const CHARACTERS: usize = 300;

/// Contractions that are more than a word and a suffix.
const WHOLE: &[(&str, &str)] = &[
    ("can't", "can not"),
    ("won't", "will not"),
    ("shan't", "shall not"),
    ("let's", "let us"),
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
    let mut words = Words { out: Vec::with_capacity(CHARACTERS * 2), start: 1, apostrophe: false };
    words.out.push(b' ');
    let text = text.trim_start();
    let bytes = text.as_bytes();
    let (mut at, mut left) = (0, CHARACTERS);
    let mut line_begins = true;
    while left > 0 {
        // Nearly all of a text is plain letters and spaces.
        match bytes.get(at) {
            Some(letter @ (b'a'..=b'z' | b'A'..=b'Z')) => {
                words.out.push(letter.to_ascii_lowercase());
                line_begins = false;
                (at, left) = (at + 1, left - 1);
                continue;
            }
            Some(b' ') => {
                words.flush();
                (at, left) = (at + 1, left - 1);
                continue;
            }
            _ => {}
        }
        let Some(c) = char_at(text, at) else { break };
        (at, left) = (at + c.len_utf8(), left - 1);
        let next = || if left > 0 { char_at(text, at) } else { None };
        let item = line_begins && is_item(c, next());
        line_begins = c == '\n';
        match c {
            ',' => words.flush(),
            '`' if next() == Some('`') => words.mark('#'),
            _ if item => words.mark('-'),
            '0'..='9' | 'ß'..='ö' | 'ø'..='ÿ' => words.letter(c),
            '\'' | '‘' | '’' | '´' | '`' | 'ʼ' | '＇' => words.apostrophe(),
            '-' if words.in_word() && next().is_some_and(char::is_alphanumeric) => words.out.push(b'-'),
            '"' | '“' | '”' | '„' | '«' | '»' => words.mark('"'),
            // A dot within a number or a name ends nothing.
            '.' if next().is_some_and(|n| !n.is_whitespace() && !matches!(n, '"' | '”' | '*' | ')')) => words.flush(),
            '.' | '!' | '?' | '\n' => words.stop(),
            '{' | '}' | '[' | ']' | '<' | '>' | '|' | '=' => words.mark(c),
            c if c.is_ascii() => words.flush(),
            c if c.is_alphanumeric() => c.to_lowercase().for_each(|c| words.letter(c)),
            _ => words.flush(),
        }
    }
    words.flush();
    // Whole characters went in.
    String::from_utf8(words.out).unwrap_or_default()
}

#[inline]
fn char_at(text: &str, at: usize) -> Option<char> {
    match text.as_bytes().get(at) {
        Some(byte) if byte.is_ascii() => Some(char::from(*byte)),
        _ => text.get(at..)?.chars().next(),
    }
}

/// Whether a line that begins so is an item of a list.
fn is_item(c: char, next: Option<char>) -> bool {
    match c {
        '-' | '*' | '•' => next == Some(' '),
        '1'..='9' => matches!(next, Some('.' | ')')),
        _ => false,
    }
}

struct Words {
    /// Text. Ends with a space, or with a part of a word.
    out: Vec<u8>,
    /// Where the word begins.
    start: usize,
    /// The word has one.
    apostrophe: bool,
}

impl Words {
    fn in_word(&self) -> bool {
        self.out.len() > self.start
    }

    fn letter(&mut self, c: char) {
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn apostrophe(&mut self) {
        self.out.push(b'\'');
        self.apostrophe = true;
    }

    /// The word is over.
    fn flush(&mut self) {
        if !self.in_word() {
            return;
        }
        let word = self.out.get(self.start..).unwrap_or_default();
        if self.apostrophe {
            let plain = spelled_out(str::from_utf8(word).unwrap_or_default().trim_matches('\''));
            self.instead(plain.as_bytes());
        } else if let Some(meant) = bare(word) {
            self.instead(meant);
        }
        if self.in_word() {
            self.out.push(b' ');
        }
        self.start = self.out.len();
        self.apostrophe = false;
    }

    /// The word was meant so.
    fn instead(&mut self, plain: &[u8]) {
        self.out.truncate(self.start);
        self.out.extend_from_slice(plain);
    }

    /// A sentence is over; twice is once, and nothing ends before it began.
    fn stop(&mut self) {
        self.flush();
        if self.out.len() > 1 && !self.out.ends_with(b" . ") {
            self.out.extend_from_slice(b". ");
            self.start = self.out.len();
        }
    }

    fn mark(&mut self, c: char) {
        self.flush();
        self.letter(c);
        self.out.push(b' ');
        self.start = self.out.len();
    }
}

/// A contraction without an apostrophe, as words.
fn bare(word: &[u8]) -> Option<&'static [u8]> {
    match word {
        b"cannot" | b"cant" => Some(b"can not"),
        b"wont" => Some(b"will not"),
        b"dont" => Some(b"do not"),
        _ => None,
    }
}

/// A word with an apostrophe, as words.
fn spelled_out(word: &str) -> String {
    if let Some((_, meant)) = WHOLE.iter().find(|(short, _)| *short == word) {
        return (*meant).to_owned();
    }
    let stem = |(end, _): &&(&str, &str)| word.strip_suffix(end).is_some_and(|stem| !stem.is_empty());
    match SUFFIXES.iter().find(stem) {
        Some((end, meant)) => format!("{}{meant}", word.strip_suffix(end).unwrap_or_default()),
        None => word.to_owned(),
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
            ("'Cant' n't 'm dont", " cant n't m do not "),
            ("A well-known e.g. case…", " a well-known e g . case "),
            ("ÄRGER l'été", " ärger l'été "),
            ("So:\n- a\n  2) b\n\n```sh", " so . - a . - b . # # sh "),
        ] {
            assert_eq!(of(text), words, "{text}");
        }
    }

    #[test]
    fn three_hundred_characters_are_enough() {
        assert_eq!(of(&"ä".repeat(5000)).chars().count(), 302);
    }
}
