//! A language's rules, compiled into one automaton that finds all of them in one pass.

use regex::bytes::{RegexSet, RegexSetBuilder};

/// A pattern over words, and what it weighs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// Hundredths.
    weight: i32,
    core: bool,
    pattern: &'static str,
}

/// A rule that says by itself that the writer declines.
pub(super) const fn core(name: &'static str, weight: i32, pattern: &'static str) -> Rule {
    Rule { name, weight, core: true, pattern }
}

/// A rule that only speaks for a refusal or, with a negative weight, against one.
pub(super) const fn sign(name: &'static str, weight: i32, pattern: &'static str) -> Rule {
    Rule { name, weight, core: false, pattern }
}

/// The rules of a language, as they are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Language {
    /// A name in braces, and what it stands for in the patterns.
    pub(super) fragments: &'static [(&'static str, &'static str)],
    pub(super) rules: &'static [Rule],
}

/// A sum from here on is a refusal; hundredths.
pub(super) const ENOUGH: i32 = 95;

/// What the rules of one language say of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Score {
    /// Hundredths.
    pub(super) sum: i32,
    /// One of the rules is a core.
    pub(super) core: bool,
}

impl Score {
    pub(super) fn is_refusal(&self) -> bool {
        self.core && self.sum >= ENOUGH
    }
}

/// The same, ready to run.
#[derive(Debug)]
pub(super) struct Compiled {
    set: RegexSet,
    rules: &'static [Rule],
}

impl Language {
    pub(super) fn compile(self) -> Result<Compiled, regex::Error> {
        let expanded = self.rules.iter().map(|rule| {
            // The last first, for one may use those above it.
            self.fragments.iter().rev().fold(rule.pattern.to_owned(), |p, (name, is)| p.replace(name, is))
        });
        // Bytes and no Unicode: the words' separators are ASCII, and the automaton is a quarter of the size.
        let set = RegexSetBuilder::new(expanded).unicode(false).size_limit(32 << 20).dfa_size_limit(8 << 20).build()?;
        Ok(Compiled { set, rules: self.rules })
    }
}

impl Compiled {
    /// The rules that these words meet.
    pub(super) fn met(&self, words: &str) -> impl Iterator<Item = &'static Rule> {
        let matches = self.set.matches(words.as_bytes());
        self.rules.iter().enumerate().filter(move |(index, _)| matches.matched(*index)).map(|(_, rule)| rule)
    }

    pub(super) fn score(&self, words: &str) -> Score {
        self.met(words).fold(Score { sum: 0, core: false }, |score, rule| Score {
            sum: score.sum + rule.weight,
            core: score.core | rule.core,
        })
    }
}
