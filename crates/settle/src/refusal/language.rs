//! Rules, compiled.
//!
//! A text is passed once for [the pieces](super::needs) that rules need, of all languages at once. Most rules are out
//! then, and of the others those that are lists of words are met. The rest are tried one by one, the cores first, for
//! without a core the signs do not count. Each is an automaton of its own: one for all of them has so many states that
//! it builds them anew for every text, and is several times slower.

use std::collections::BTreeMap;

use aho_corasick::automaton::Automaton as _;
use aho_corasick::dfa::DFA;
use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored};
use regex::bytes::{Regex, RegexBuilder};

use super::needs;

/// A pattern over words, and what it weighs. Its beginning says where it is looked for: `{i}` right after the
/// writer of the first three sentences ("I"), `{1}` in the first sentence, `{3}` in the first three; without
/// any of these, anywhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    name: &'static str,
    /// Hundredths.
    weight: i32,
    pattern: &'static str,
    /// What it weighs more once the reply has so many bytes.
    longer: &'static [(usize, i32)],
}

impl Rule {
    /// With these weights besides, each from so many bytes of the reply on.
    pub(super) const fn longer(self, longer: &'static [(usize, i32)]) -> Rule {
        Rule { longer, ..self }
    }

    fn weighs(&self, text: &Text<'_>) -> i32 {
        let added = self.longer.iter().filter(|(from, _)| text.bytes >= *from).map(|(_, weight)| weight);
        self.weight + added.sum::<i32>()
    }
}

/// A rule that says by itself that the writer declines.
pub(super) const fn core(name: &'static str, weight: i32, pattern: &'static str) -> Rule {
    Rule { name, weight, pattern, longer: &[] }
}

/// A rule that only speaks for a refusal or, with a negative weight, against one.
pub(super) const fn sign(name: &'static str, weight: i32, pattern: &'static str) -> Rule {
    Rule { name, weight, pattern, longer: &[] }
}

/// The rules of a language, as they are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Language {
    pub(super) name: &'static str,
    /// The writer, with what follows at once.
    pub(super) writer: &'static str,
    /// A name in braces, and what it stands for in the patterns.
    pub(super) fragments: &'static [(&'static str, &'static str)],
    pub(super) cores: &'static [Rule],
    pub(super) signs: &'static [&'static [Rule]],
}

/// A sum from here on is a refusal; hundredths.
const ENOUGH: i32 = 95;

/// Rules by their number, a bit each.
type Bits = u128;

/// The languages' rules, ready to run.
#[derive(Debug)]
pub(super) struct Rules {
    languages: Vec<Compiled>,
    /// Finds the beginnings of the pieces that cores need. Most texts have none that matters, and without a core there is
    /// no refusal. It is a table of 0.6 MB, in which a byte takes a look; all pieces would fill several.
    hints: DFA,
    /// By the beginning's number: languages, and their cores that need it.
    hinted: Vec<Vec<(usize, Bits)>>,
    /// Finds the pieces that rules need.
    finder: AhoCorasick,
    /// By the piece's number: a language, and its rule that needs it.
    owners: Vec<(usize, Bits)>,
}

#[derive(Debug)]
struct Compiled {
    name: &'static str,
    writer: Regex,
    rules: Vec<Ready>,
    cores: Bits,
    /// Those that are looked for after the writer alone.
    by_writer: Bits,
    /// Those that need nothing.
    always: Bits,
}

#[derive(Debug)]
struct Ready {
    rule: Rule,
    is_core: bool,
    place: Place,
    /// Absent where a piece found is a match.
    regex: Option<Regex>,
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

/// Bytes of a piece that are looked for at first.
const HINT: usize = 8;

/// What a language's rules make of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The language whose rules came nearest to a refusal.
    pub language: &'static str,
    /// Whether it is a suspected refusal.
    pub suspected: bool,
    /// The sum of the weights, hundredths; 95 are enough, with a core.
    pub score: i32,
    /// The rules met, by name.
    pub rules: Vec<&'static str>,
}

/// The words of a text, and the pieces of them that rules ask for.
#[derive(Debug)]
pub(super) struct Text<'a> {
    all: &'a [u8],
    first: &'a [u8],
    head: &'a [u8],
    /// The reply's, as far as it is known.
    bytes: usize,
}

impl<'a> Text<'a> {
    /// The words of a reply of so many bytes.
    pub(super) fn new(words: &'a str, bytes: usize) -> Text<'a> {
        let all = words.as_bytes();
        // A full stop stands nowhere else, and always between spaces.
        let mut ends = all.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at + 2);
        let first = ends.next().unwrap_or(all.len());
        let head = ends.nth(SENTENCES - 2).unwrap_or(all.len());
        let upto = |end| all.get(..end).unwrap_or_default();
        Text { all, first: upto(first), head: upto(head), bytes }
    }
}

/// Rules by their number, and a piece that each needs.
type Needed = Vec<(usize, Vec<u8>)>;

/// Rules that do not compile; a test says that there are none.
pub(super) type Fault = Box<dyn std::error::Error + Send + Sync>;

impl Rules {
    pub(super) fn compile(languages: &[Language]) -> Result<Rules, Fault> {
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let mut owners = Vec::new();
        let mut all = Vec::new();
        let mut beginnings: BTreeMap<Vec<u8>, Vec<(usize, Bits)>> = BTreeMap::new();
        for (index, language) in languages.iter().enumerate() {
            let (compiled, needs) = language.compile()?;
            for (rule, piece) in needs {
                if rule < language.cores.len() {
                    let beginning = piece.iter().copied().take(HINT).collect();
                    beginnings.entry(beginning).or_default().push((index, 1 << rule));
                }
                pieces.push(piece);
                owners.push((index, 1 << rule));
            }
            all.push(compiled);
        }
        let finder = AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(&pieces)?;
        let hints = DFA::builder().build(beginnings.keys())?;
        Ok(Rules { languages: all, hints, hinted: beginnings.into_values().collect(), finder, owners })
    }

    /// Whether these words are a refusal.
    pub(super) fn is_refusal(&self, text: &Text<'_>) -> bool {
        // Signs are looked for only where a core is met, for without one they do not count.
        let hinted = self.hinted(text);
        if !self.languages.iter().zip(hinted).any(|(language, cores)| language.may_decline(cores, text)) {
            return false;
        }
        let found = self.found(text.all);
        self.languages.iter().zip(found).any(|(language, found)| language.is_refusal(found, text))
    }

    /// Each language's cores that may be worth trying: no fewer than are.
    fn hinted(&self, text: &Text<'_>) -> Vec<Bits> {
        let mut hinted: Vec<Bits> = self.languages.iter().map(|l| l.always & l.cores).collect();
        // The library's own search for all that overlaps takes three times as long.
        let Ok(mut state) = self.hints.start_state(Anchored::No) else {
            return self.languages.iter().map(|l| l.cores).collect();
        };
        for byte in text.all {
            state = self.hints.next_state(Anchored::No, state, *byte);
            if !self.hints.is_special(state) || !self.hints.is_match(state) {
                continue;
            }
            for hit in 0..self.hints.match_len(state) {
                let beginning = self.hints.match_pattern(state, hit).as_usize();
                for (language, cores) in self.hinted.get(beginning).into_iter().flatten() {
                    if let Some(bits) = hinted.get_mut(*language) {
                        *bits |= cores;
                    }
                }
            }
        }
        hinted
    }

    /// What the rules of each language make of these words.
    pub(super) fn read(&self, text: &Text<'_>) -> impl Iterator<Item = Reading> {
        let found = self.found(text.all);
        self.languages.iter().zip(found).map(|(language, found)| language.read(found, text))
    }

    /// Each language's rules that are worth trying.
    fn found(&self, words: &[u8]) -> Vec<Bits> {
        let mut found: Vec<Bits> = self.languages.iter().map(|l| l.always).collect();
        for hit in self.finder.find_overlapping_iter(words) {
            let owner = self.owners.get(hit.pattern().as_usize());
            if let Some((bits, rule)) = owner.and_then(|(language, rule)| Some((found.get_mut(*language)?, rule))) {
                *bits |= rule;
            }
        }
        found
    }
}

impl Language {
    /// The rules, and which of them needs which pieces.
    fn compile(&self) -> Result<(Compiled, Needed), Fault> {
        let signs = self.signs.iter().flat_map(|some| some.iter());
        let all: Vec<Rule> = self.cores.iter().chain(signs).copied().collect();
        if all.len() >= Bits::BITS as usize {
            return Err(format!("{}: {} rules are too many", self.name, all.len()).into());
        }
        let (mut rules, mut needed, mut always, mut by_writer) = (Vec::new(), Vec::new(), 0, 0);
        for (number, rule) in all.iter().enumerate() {
            let (pattern, place) = self.pattern(rule);
            let tree = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(&pattern)?;
            let needs = needs::of(&tree);
            let exact =
                pattern.is_empty() || matches!(place, Place::Anywhere) && needs.as_ref().is_some_and(|n| n.exact);
            match needs {
                Some(needs) => needed.extend(needs.pieces.into_iter().map(|piece| (number, piece))),
                None => always |= 1 << number,
            }
            if matches!(place, Place::Writer) {
                by_writer |= 1 << number;
            }
            let regex = if exact { None } else { Some(regex(&pattern)?) };
            rules.push(Ready { rule: *rule, is_core: number < self.cores.len(), place, regex });
        }
        let writer = regex(self.writer)?;
        let cores = (1 << self.cores.len()) - 1;
        Ok((Compiled { name: self.name, writer, rules, cores, by_writer, always }, needed))
    }

    /// A rule's pattern, spelled out, and where it is looked for.
    fn pattern(&self, rule: &Rule) -> (String, Place) {
        let told = PLACES.iter().find_map(|(prefix, place)| Some((rule.pattern.strip_prefix(prefix)?, *place)));
        let (pattern, place) = told.unwrap_or((rule.pattern, Place::Anywhere));
        let anchor = if matches!(place, Place::Writer) { "^" } else { "" };
        // The last first, for one may use those above it.
        let fragments = self.fragments.iter().rev();
        (fragments.fold(format!("{anchor}{pattern}"), |p, (name, is)| p.replace(name, is)), place)
    }
}

/// Bytes and no Unicode: what separates the words is ASCII, and the automata are a quarter of the size.
fn regex(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).unicode(false).build()
}

impl Compiled {
    fn is_refusal(&self, found: Bits, text: &Text<'_>) -> bool {
        if found & self.cores == 0 {
            return false;
        }
        let writers = self.writers(text);
        // The most and the least that the sum can still become.
        let (mut most, mut least) = (0, 0);
        for ready in self.tried(found) {
            let weight = ready.rule.weighs(text);
            *if weight > 0 { &mut most } else { &mut least } += weight;
        }
        let mut declines = false;
        for ready in self.tried(found) {
            if !ready.is_core && !declines {
                return false;
            }
            let weight = ready.rule.weighs(text);
            let met = ready.meets(text, &writers);
            match (met, weight > 0) {
                (true, true) => least += weight,
                (true, false) => most += weight,
                (false, true) => most -= weight,
                (false, false) => least -= weight,
            }
            declines |= ready.is_core && met;
            if most < ENOUGH || declines && least >= ENOUGH {
                break;
            }
        }
        declines && least >= ENOUGH
    }

    /// Whether one of these cores may be met. One that has no more to it than its pieces may be, for of those only the
    /// beginning was seen.
    fn may_decline(&self, cores: Bits, text: &Text<'_>) -> bool {
        let writers = if cores & self.by_writer == 0 { Vec::new() } else { self.writers(text) };
        let tried = if writers.is_empty() { cores & !self.by_writer } else { cores };
        self.tried(tried).any(|core| core.meets(text, &writers))
    }

    /// Where the writer has named itself.
    fn writers(&self, text: &Text<'_>) -> Vec<usize> {
        self.writer.find_iter(text.head).take(WRITERS).map(|named| named.end()).collect()
    }

    fn read(&self, found: Bits, text: &Text<'_>) -> Reading {
        let writers = self.writers(text);
        let met = self.tried(found).filter(|ready| ready.meets(text, &writers));
        let met: Vec<&Rule> = met.map(|ready| &ready.rule).collect();
        let score = met.iter().map(|rule| rule.weighs(text)).sum();
        let rules = met.iter().map(|rule| rule.name).collect();
        Reading { language: self.name, suspected: self.is_refusal(found, text), score, rules }
    }

    /// The rules worth trying, the cores first.
    fn tried(&self, mut found: Bits) -> impl Iterator<Item = &Ready> {
        std::iter::from_fn(move || {
            let number = usize::try_from(found.trailing_zeros()).unwrap_or(usize::MAX);
            found &= found.wrapping_sub(1);
            self.rules.get(number)
        })
    }
}

impl Ready {
    fn meets(&self, text: &Text<'_>, writers: &[usize]) -> bool {
        let Some(regex) = &self.regex else { return true };
        let matches = |piece: &[u8]| regex.is_match(piece);
        match self.place {
            Place::Anywhere => matches(text.all),
            Place::First => matches(text.first),
            Place::Head => matches(text.head),
            Place::Writer => writers.iter().any(|after| matches(text.head.get(*after..).unwrap_or_default())),
        }
    }
}

/// Every rule as it stands, tried on any text: what the pass for pieces must not change.
#[cfg(test)]
pub(super) struct Plain(Vec<Vec<(&'static str, Regex)>>);

#[cfg(test)]
impl Plain {
    pub(super) fn new(languages: &[Language]) -> Plain {
        let one = |language: &Language, rule: &Rule| {
            let (pattern, place) = language.pattern(rule);
            // Anywhere, for the pass knows no places.
            let anywhere = if matches!(place, Place::Writer) { pattern.trim_start_matches('^') } else { &pattern };
            (rule.name, regex(anywhere).unwrap())
        };
        let rules =
            |l: &Language| l.cores.iter().chain(l.signs.iter().flat_map(|s| s.iter())).map(|r| one(l, r)).collect();
        Plain(languages.iter().map(rules).collect())
    }

    /// The rules that match these words and would not be tried, or would be taken for met and do not match.
    pub(super) fn faults(&self, rules: &Rules, words: &str) -> Vec<&'static str> {
        let mut faults = Vec::new();
        for ((plain, compiled), found) in self.0.iter().zip(&rules.languages).zip(rules.found(words.as_bytes())) {
            for (number, ((name, regex), ready)) in plain.iter().zip(&compiled.rules).enumerate() {
                let (matches, tried) = (regex.is_match(words.as_bytes()), found >> number & 1 == 1);
                if matches && !tried || ready.regex.is_none() && tried != matches {
                    faults.push(*name);
                }
            }
        }
        faults
    }
}
