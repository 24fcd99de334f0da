//! A language's rules, compiled.
//!
//! They run in the order of how seldom they are needed: a gate of a few words that keeps out most replies, then the
//! cores, then, where there is a core, the signs. Each is an automaton of its own: one for all of them in one pass has so
//! many states that it builds them anew for every text, and is several times slower.

use regex::bytes::{Regex, RegexBuilder};

/// A pattern over words, and what it weighs. Its beginning says where it is looked for: `{i}` right after the
/// writer of the first three sentences ("I"), `{1}` in the first sentence, `{3}` in the first three; without
/// any of these, anywhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    name: &'static str,
    /// Hundredths.
    weight: i32,
    pattern: &'static str,
}

/// A rule that says by itself that the writer declines.
pub(super) const fn core(name: &'static str, weight: i32, pattern: &'static str) -> Rule {
    Rule { name, weight, pattern }
}

/// A rule that only speaks for a refusal or, with a negative weight, against one.
pub(super) const fn sign(name: &'static str, weight: i32, pattern: &'static str) -> Rule {
    Rule { name, weight, pattern }
}

/// The rules of a language, as they are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Language {
    pub(super) name: &'static str,
    /// What every text with a core has.
    pub(super) gate: &'static str,
    /// The writer, with what follows at once.
    pub(super) writer: &'static str,
    /// A name in braces, and what it stands for in the patterns.
    pub(super) fragments: &'static [(&'static str, &'static str)],
    pub(super) cores: &'static [Rule],
    pub(super) signs: &'static [Rule],
}

/// A sum from here on is a refusal; hundredths.
const ENOUGH: i32 = 95;

/// A language's rules, ready to run.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) name: &'static str,
    gate: Regex,
    writer: Regex,
    cores: Vec<Ready>,
    signs: Vec<Ready>,
}

#[derive(Debug)]
struct Ready {
    rule: Rule,
    place: Place,
    regex: Regex,
}

/// Where a rule's pattern is looked for.
#[derive(Debug, Clone, Copy)]
enum Place {
    Writer,
    First,
    Head,
    Anywhere,
}

const PLACES: [(&str, Place); 3] = [("{i}", Place::Writer), ("{1}", Place::First), ("{3}", Place::Head)];

/// Sentences in which a refusal is looked for.
const SENTENCES: usize = 3;
/// Times that the writer may name itself there.
const WRITERS: usize = 8;

/// The words of a text, and the pieces of them that rules ask for.
#[derive(Debug)]
pub(super) struct Text<'a> {
    all: &'a [u8],
    first: &'a [u8],
    head: &'a [u8],
}

impl<'a> Text<'a> {
    pub(super) fn new(words: &'a str) -> Text<'a> {
        let upto = |sentences: usize| {
            let end = words.match_indices(" . ").nth(sentences - 1).map_or(words.len(), |(at, stop)| at + stop.len());
            words.as_bytes().get(..end).unwrap_or_default()
        };
        Text { all: words.as_bytes(), first: upto(1), head: upto(SENTENCES) }
    }
}

impl Language {
    pub(super) fn compile(&self) -> Result<Compiled, regex::Error> {
        let one = |rule: &Rule| self.ready(*rule);
        let all = |rules: &[Rule]| rules.iter().map(one).collect::<Result<Vec<_>, _>>();
        let (gate, writer) = (self.regex(self.gate)?, self.regex(self.writer)?);
        Ok(Compiled { name: self.name, gate, writer, cores: all(self.cores)?, signs: all(self.signs)? })
    }

    fn ready(&self, rule: Rule) -> Result<Ready, regex::Error> {
        let told = PLACES.iter().find_map(|(prefix, place)| Some((rule.pattern.strip_prefix(prefix)?, *place)));
        let (pattern, place) = told.unwrap_or((rule.pattern, Place::Anywhere));
        let anchor = if matches!(place, Place::Writer) { "^" } else { "" };
        Ok(Ready { rule, place, regex: self.regex(&format!("{anchor}{pattern}"))? })
    }

    fn regex(&self, pattern: &str) -> Result<Regex, regex::Error> {
        // The last first, for one may use those above it.
        let fragments = self.fragments.iter().rev();
        let pattern = fragments.fold(pattern.to_owned(), |p, (name, is)| p.replace(name, is));
        // Bytes and no Unicode: what separates the words is ASCII, and the automata are a quarter of the size.
        RegexBuilder::new(&pattern).unicode(false).build()
    }
}

impl Compiled {
    /// Whether these words are a refusal.
    pub(super) fn is_refusal(&self, text: &Text<'_>) -> bool {
        self.gate.is_match(text.all)
            && self
                .sum(&self.cores, text)
                .is_some_and(|cores| cores + self.sum(&self.signs, text).unwrap_or(0) >= ENOUGH)
    }

    /// Whether the gate is open.
    #[cfg(test)]
    pub(super) fn passes(&self, text: &Text<'_>) -> bool {
        self.gate.is_match(text.all)
    }

    /// Whether a core is met.
    #[cfg(test)]
    pub(super) fn has_core(&self, text: &Text<'_>) -> bool {
        self.sum(&self.cores, text).is_some()
    }

    /// The sum of all rules that these words meet, and their names.
    pub(super) fn read(&self, text: &Text<'_>) -> (i32, Vec<&'static str>) {
        let all = self.cores.iter().chain(&self.signs);
        let met = all.filter(|ready| self.meets(ready, text));
        met.fold((0, Vec::new()), |(sum, mut names), ready| {
            names.push(ready.rule.name);
            (sum + ready.rule.weight, names)
        })
    }

    /// The weights of the rules met; `None` if none is.
    fn sum(&self, rules: &[Ready], text: &Text<'_>) -> Option<i32> {
        rules.iter().filter(|ready| self.meets(ready, text)).map(|ready| ready.rule.weight).reduce(|a, b| a + b)
    }

    fn meets(&self, ready: &Ready, text: &Text<'_>) -> bool {
        let matches = |piece: &[u8]| ready.regex.is_match(piece);
        match ready.place {
            Place::Anywhere => matches(text.all),
            Place::First => matches(text.first),
            Place::Head => matches(text.head),
            Place::Writer => {
                let writers = self.writer.find_iter(text.head).take(WRITERS);
                writers.into_iter().any(|i| matches(text.head.get(i.end()..).unwrap_or_default()))
            }
        }
    }
}
