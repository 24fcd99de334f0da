//! Patterns that users add.
//!
//! A pattern is a piece of text, or between slashes a regular expression (`/^no[,.]/`). Both are looked for anywhere
//! in the first 300 characters, in either case; curly quotes count as straight ones, and any white space as one space.
//! The engine runs in linear time and its size is limited, so no pattern can hold up a verdict.

use std::fmt;

use regex::{RegexSet, RegexSetBuilder};

use super::words::CHARACTERS;

/// Most patterns.
const MOST: usize = 256;
/// The compiled patterns' size, bytes.
const SIZE: usize = 4 << 20;

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern {
    /// Which one, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub fault: PatternFault,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternFault {
    /// Nothing but white space.
    Empty,
    /// It matches even an empty text, and so every reply.
    MatchesEverything,
    /// Not a regular expression; the engine's words.
    Syntax(String),
    /// It, or all of them together, would be too large.
    TooLarge,
    /// There are more than 256.
    TooMany,
}

impl fmt::Display for PatternFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PatternFault::Empty => f.write_str("is empty"),
            PatternFault::MatchesEverything => f.write_str("matches even an empty text, and so every reply"),
            PatternFault::Syntax(why) => write!(f, "is no regular expression: {why}"),
            PatternFault::TooLarge => f.write_str("is too large a regular expression"),
            PatternFault::TooMany => write!(f, "is one too many: at most {MOST} can be set"),
        }
    }
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pattern {} {}", self.index + 1, self.fault)
    }
}

impl std::error::Error for BadPattern {}

/// See the module.
#[derive(Debug)]
pub(super) struct Own(RegexSet);

impl Own {
    pub(super) fn new<P: AsRef<str>>(patterns: &[P]) -> Result<Own, BadPattern> {
        let mut sources = Vec::with_capacity(patterns.len().min(MOST));
        for (index, pattern) in patterns.iter().enumerate() {
            let bad = |fault| BadPattern { index, fault };
            if index == MOST {
                return Err(bad(PatternFault::TooMany));
            }
            let source = source(pattern.as_ref()).map_err(bad)?;
            let alone = build(std::slice::from_ref(&source)).map_err(|e| bad(fault(&e)))?;
            if alone.is_match("") {
                return Err(bad(PatternFault::MatchesEverything));
            }
            sources.push(source);
        }
        // Each is good; all of them may be too large.
        let index = sources.len().saturating_sub(1);
        build(&sources).map(Own).map_err(|e| BadPattern { index, fault: fault(&e) })
    }

    pub(super) fn find(&self, opening: &str) -> bool {
        !self.0.is_empty() && self.0.is_match(&plain(opening))
    }
}

/// The regular expression that a setting means.
fn source(pattern: &str) -> Result<String, PatternFault> {
    let trimmed = pattern.trim();
    if let Some(inner) = trimmed.strip_prefix('/').and_then(|p| p.strip_suffix('/')) {
        return if inner.is_empty() { Err(PatternFault::Empty) } else { Ok(inner.to_owned()) };
    }
    if trimmed.is_empty() { Err(PatternFault::Empty) } else { Ok(regex::escape(&plain(trimmed))) }
}

fn build(sources: &[String]) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(sources).case_insensitive(true).size_limit(SIZE).build()
}

fn fault(error: &regex::Error) -> PatternFault {
    crate::engine::syntax(error).map_or(PatternFault::TooLarge, PatternFault::Syntax)
}

/// The first 300 characters with straight quotes and single spaces.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(4 * CHARACTERS));
    for c in text.trim().chars().take(CHARACTERS) {
        match c {
            '‘' | '’' | 'ʼ' | '＇' => out.push('\''),
            '“' | '”' => out.push('"'),
            c if c.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_expressions_are_found() {
        let own = Own::new(&["Outside my   remit", "/^(nope|nah)[,.!]/", "can't (do)", "/résumé/"]).unwrap();
        for (text, found) in [
            ("That is outside\n my remit.", true),
            ("Nope! Ask another.", true),
            ("Well, nope!", false),
            ("I CAN’T (DO) it", true),
            ("I can't do it", false),
            ("My RÉSUMÉ", true),
            ("", false),
            (&"a".repeat(290), false),
            (&format!("{}outside my remit", "a".repeat(290)), false),
        ] {
            assert_eq!(own.find(text), found, "{text}");
        }
        assert!(!Own::new::<&str>(&[]).unwrap().find("outside my remit"));
    }

    #[test]
    fn a_bad_one_is_named() {
        let many = vec!["x"; MOST + 1];
        for (patterns, index, said) in [
            (&["ok", "  "][..], 1, "pattern 2 is empty"),
            (&["//"], 0, "pattern 1 is empty"),
            (&["/a*/"], 0, "pattern 1 matches even an empty text, and so every reply"),
            (&["/(/"], 0, "pattern 1 is no regular expression: unclosed group"),
            (&["/(?=no)/"], 0, "pattern 1 is no regular expression: look-around"),
            (&["a", "/(x{1000}){1000}/"], 1, "pattern 2 is too large a regular expression"),
            (&many[..], 256, "pattern 257 is one too many: at most 256 can be set"),
        ] {
            let bad = Own::new(patterns).unwrap_err();
            assert_eq!(bad.index, index);
            assert!(bad.to_string().starts_with(said), "{bad}");
        }
    }
}
