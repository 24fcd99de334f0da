//! What must not leave the process is taken out of a text.
//!
//! Every rule looks at the whole text as it was said, and what any of them finds is replaced: places that overlap become
//! one. No rule can hide a place from another, and their order does not matter. Each finds in linear time. Better a word
//! too many than one too few: these rules rather take out what is harmless.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use regex::{Regex, RegexBuilder};

use super::cards;
use super::patterns::{Builtin, Found, Patterns};

/// The compiled size of one rule, bytes.
const SIZE: usize = 4 << 20;
/// Most rules of the operator's own.
const MOST: usize = 64;

/// A rule of the operator's own: what it finds, and what stands in its place.
#[derive(Debug, Clone, Copy)]
pub struct OwnRule<'a> {
    /// A regular expression.
    pub pattern: &'a str,
    /// Literally; `$1` means nothing here.
    pub replacement: &'a str,
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRule {
    /// Which of the operator's own, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub fault: RuleFault,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleFault {
    /// It matches even an empty text.
    MatchesEverything,
    /// Not a regular expression; the engine's words.
    Syntax(String),
    /// It would be too large.
    TooLarge,
    /// There are more than 64.
    TooMany,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleFault::MatchesEverything => f.write_str("it matches even an empty text, and so every place"),
            RuleFault::Syntax(why) => write!(f, "it is no regular expression: {why}"),
            RuleFault::TooLarge => f.write_str("it is too large a regular expression"),
            RuleFault::TooMany => write!(f, "it is one too many: at most {MOST} can be set"),
        }
    }
}

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}: {}", self.index + 1, self.fault)
    }
}

impl std::error::Error for BadRule {}

/// See the module. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Redactor {
    cards: bool,
    patterns: Patterns,
    own: Vec<(Regex, Box<str>)>,
}

impl Redactor {
    /// These built-in rules, and the operator's own.
    pub fn new(builtin: &[Builtin], own: &[OwnRule<'_>]) -> Result<Redactor, BadRule> {
        let compiled = own.iter().enumerate().map(|(index, rule)| {
            let bad = |fault| BadRule { index, fault };
            if index >= MOST {
                return Err(bad(RuleFault::TooMany));
            }
            let regex = build(rule.pattern).map_err(bad)?;
            if regex.is_match("") {
                return Err(bad(RuleFault::MatchesEverything));
            }
            Ok((regex, Box::from(rule.replacement)))
        });
        let own = compiled.collect::<Result<_, _>>()?;
        let patterns = Patterns::new(builtin).map_err(|fault| BadRule { index: 0, fault: self::fault(&fault) })?;
        Ok(Redactor { cards: builtin.contains(&Builtin::Cards), patterns, own })
    }

    /// The text without what the rules find, and in how many places that was.
    pub fn redact<'t>(&self, text: &'t str) -> (Cow<'t, str>, u64) {
        let mut found = self.find(text);
        if found.is_empty() {
            return (Cow::Borrowed(text), 0);
        }
        found.sort_by_key(|(at, _)| (at.start, std::cmp::Reverse(at.end)));
        let mut places: Vec<(Range<usize>, &str)> = Vec::with_capacity(found.len());
        for (at, replacement) in found {
            match places.last_mut() {
                Some((last, _)) if at.start < last.end => last.end = last.end.max(at.end),
                _ => places.push((at, replacement)),
            }
        }
        let (mut clean, mut from) = (String::with_capacity(text.len()), 0);
        for (at, replacement) in &places {
            clean.push_str(text.get(from..at.start).unwrap_or_default());
            clean.push_str(replacement);
            from = at.end;
        }
        clean.push_str(text.get(from..).unwrap_or_default());
        (Cow::Owned(clean), places.len() as u64)
    }

    /// Whether a member of this name holds a secret, whatever its value looks like.
    pub fn is_secret_name(&self, name: &str) -> bool {
        self.patterns.is_secret_name(name)
    }

    fn find<'r>(&'r self, text: &str) -> Vec<Found<'r>> {
        let mut found = Vec::new();
        self.patterns.find(text, &mut found);
        if self.cards {
            cards::find(text, |at| found.push((at, Builtin::Cards.replacement())));
        }
        for (regex, replacement) in &self.own {
            // An empty match inside a text (`\b`) takes nothing out.
            found.extend(regex.find_iter(text).filter(|m| !m.is_empty()).map(|m| (m.range(), &**replacement)));
        }
        found
    }
}

fn build(pattern: &str) -> Result<Regex, RuleFault> {
    RegexBuilder::new(pattern).size_limit(SIZE).build().map_err(|error| fault(&error))
}

fn fault(error: &regex::Error) -> RuleFault {
    crate::engine::syntax(error).map_or(RuleFault::TooLarge, RuleFault::Syntax)
}
