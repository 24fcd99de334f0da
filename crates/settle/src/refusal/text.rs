//! Refusals that the reply's text tells, by how it begins: suspected, never certain.
//!
//! Precision goes first. A reply counts when the rules of one language add up: the writer declines in so many words, and
//! what stands around it does not turn it into an answer. No rule looks for a topic alone. Not judged is what is no
//! prose of the model's own: JSON, code, a table, a quotation. Neither is a text in a language without rules; a user's
//! [own patterns](super::own) are looked for in any text.

use std::sync::{Arc, LazyLock};

use super::english::ENGLISH;
use super::language::{Compiled, Language, Text};
use super::others::{FRENCH, GERMAN, SPANISH};
use super::own::{BadPattern, Own};
use super::words;

/// The languages that have rules.
const LANGUAGES: [Language; 4] = [ENGLISH, GERMAN, FRENCH, SPANISH];

/// Compiled once for all. One that does not compile, which a test rules out, would have no rules.
static COMPILED: LazyLock<Vec<Compiled>> =
    LazyLock::new(|| LANGUAGES.iter().filter_map(|language| language.compile().ok()).collect());

/// How texts are judged. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct TextRules(Option<Arc<Own>>);

/// What the rules make of one text; for those who look for a rule's faults. It has no word of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The language whose rules came nearest to a refusal.
    pub language: &'static str,
    /// Whether it is a suspected refusal.
    pub suspected: bool,
    /// The sum of the weights, hundredths; 95 are enough.
    pub score: i32,
    /// The rules met, by name.
    pub rules: Vec<&'static str>,
}

impl TextRules {
    /// No verdict from a text.
    pub const OFF: TextRules = TextRules(None);

    /// The rules that limpid has.
    pub fn builtin() -> TextRules {
        let own = Own::new::<&str>(&[]);
        TextRules::ready(own.ok())
    }

    /// These, and a user's own patterns.
    pub fn with_patterns<P: AsRef<str>>(patterns: &[P]) -> Result<TextRules, BadPattern> {
        Own::new(patterns).map(|own| TextRules::ready(Some(own)))
    }

    /// Compiles them now, so that no exchange waits for it.
    fn ready(own: Option<Own>) -> TextRules {
        LazyLock::force(&COMPILED);
        TextRules(own.map(Arc::new))
    }

    /// Whether a reply that begins like this is a suspected refusal.
    pub fn suspects(&self, opening: &str) -> bool {
        let Some(own) = &self.0 else { return false };
        if opening.is_empty() {
            return false;
        }
        own.find(opening) || is_prose(opening) && is_refusal(opening)
    }

    /// What the built-in rules make of a reply that begins like this.
    pub fn read(opening: &str) -> Option<Reading> {
        let words = words::of(opening);
        let text = Text::new(&words);
        let read = COMPILED.iter().map(|rules| {
            let (score, met) = rules.read(&text);
            let suspected = is_prose(opening) && rules.is_refusal(&text);
            Reading { language: rules.name, suspected, score, rules: met }
        });
        read.max_by_key(|reading| (reading.suspected, reading.score))
    }
}

fn is_refusal(opening: &str) -> bool {
    let words = words::of(opening);
    let text = Text::new(&words);
    COMPILED.iter().any(|rules| rules.is_refusal(&text))
}

/// The model's own prose, by its first character: no JSON, code, mark-up, table or quotation.
fn is_prose(text: &str) -> bool {
    let text = text.trim_start();
    !text.starts_with("```") && !text.starts_with(['{', '[', '<', '|', '"', '“', '„', '«'])
}
