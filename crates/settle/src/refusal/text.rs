//! Refusals that the reply's text tells, by how it begins: suspected, never certain.
//!
//! Precision goes first. A reply counts when the rules of one language add up: the writer declines in so many words,
//! and what stands around it does not turn it into an answer. No rule looks for a topic alone. Not judged is what is
//! no prose of the model's own: JSON, code, a table, a quotation. Neither is a text in a language without rules; a
//! user's [own patterns](super::own) are looked for in any text.

use std::sync::{Arc, LazyLock};

use super::english::ENGLISH;
pub use super::language::Reading;
use super::language::{Language, Rules, Text};
use super::others::{FRENCH, GERMAN, SPANISH};
use super::own::{BadPattern, Own};
use super::words;

/// The languages that have rules.
const LANGUAGES: [Language; 4] = [ENGLISH, GERMAN, FRENCH, SPANISH];

/// Compiled once for all. Rules that do not compile, which a test rules out, would be none.
static COMPILED: LazyLock<Option<Rules>> = LazyLock::new(|| Rules::compile(&LANGUAGES).ok());

/// How texts are judged. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct TextRules(Option<Arc<Own>>);

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
        let text = Text::new(&words, opening.len());
        let read = COMPILED.as_ref()?.read(&text);
        let read = read.map(|r| Reading { suspected: r.suspected && is_prose(opening), ..r });
        read.max_by_key(|reading| (reading.suspected, reading.score))
    }
}

fn is_refusal(opening: &str) -> bool {
    let words = words::of(opening);
    COMPILED.as_ref().is_some_and(|rules| rules.is_refusal(&Text::new(&words, opening.len())))
}

/// The model's own prose, by its first character: no JSON, code, mark-up, table or quotation.
fn is_prose(text: &str) -> bool {
    let text = text.trim_start();
    !text.starts_with("```") && !text.starts_with(['{', '[', '<', '|', '"', '“', '„', '«'])
}
