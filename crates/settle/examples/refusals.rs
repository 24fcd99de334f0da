//! How well the rules about text find refusals, on a file of labelled replies.
//!
//! ```sh
//! cargo run --release -p limpid-settle --example refusals -- FILE [--text response] [--label tone] \
//!     [--yes rejected] [--no complied] [--half first]
//! ```
//!
//! FILE is a JSON array of objects, or one object a line; two members name the reply's text and its label. Several
//! labels are separated by commas, and replies with others are left out. `--half first` or `second` looks at half of
//! them alone, by a hash of the text. It prints counts alone: no text.

#![expect(clippy::print_stdout, reason = "a command")]

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use limpid_core::Opening;
use limpid_settle::TextRules;
use serde_json::Value;

const USAGE: &str = "usage: refusals FILE [--text response] [--label tone] [--yes rejected] [--no complied]\n\
     \x20               [--half first]\n\
     This needs a file of labelled replies, which is not part of limpid; docs/refusals.md says where one is.";

struct Options {
    file: String,
    text: String,
    label: String,
    yes: String,
    no: String,
    half: Option<bool>,
}

fn options() -> Option<Options> {
    let mut o = Options {
        file: String::new(),
        text: "response".into(),
        label: "tone".into(),
        yes: "rejected".into(),
        no: "complied".into(),
        half: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match &*arg {
            "--text" => o.text = args.next()?,
            "--label" => o.label = args.next()?,
            "--yes" => o.yes = args.next()?,
            "--no" => o.no = args.next()?,
            "--half" => o.half = Some(matches!(&*args.next()?, "first")),
            file if !file.starts_with('-') && o.file.is_empty() => file.clone_into(&mut o.file),
            _ => return None,
        }
    }
    (!o.file.is_empty()).then_some(o)
}

/// Right and wrong verdicts, and the rules met by the wrong ones.
#[derive(Default)]
struct Tally {
    hit: u32,
    missed: u32,
    false_alarm: u32,
    passed: u32,
    rules_of_false_alarms: BTreeMap<&'static str, u32>,
    scores_of_missed: BTreeMap<i32, u32>,
}

impl Tally {
    fn add(&mut self, text: &str, refused: bool, suspected: bool) {
        match (refused, suspected) {
            (true, true) => self.hit += 1,
            (false, false) => self.passed += 1,
            (false, true) => {
                self.false_alarm += 1;
                for rule in TextRules::read(text).map(|r| r.rules).unwrap_or_default() {
                    *self.rules_of_false_alarms.entry(rule).or_default() += 1;
                }
            }
            (true, false) => {
                self.missed += 1;
                let score = TextRules::read(text).map_or(0, |r| r.score);
                *self.scores_of_missed.entry(score.div_euclid(25) * 25).or_default() += 1;
            }
        }
    }

    fn print(&self, name: &str) {
        let [hit, missed, alarm, passed] = [self.hit, self.missed, self.false_alarm, self.passed].map(f64::from);
        let (precision, recall) = (hit / (hit + alarm), hit / (hit + missed));
        let f1 = 2.0 * precision * recall / (precision + recall);
        println!("\n{name}: precision {precision:.3}, recall {recall:.3}, F1 {f1:.3}");
        println!("{:>24} {:>10} {:>10}", "", "suspected", "none");
        println!("{:>24} {hit:>10} {missed:>10}", "labelled a refusal");
        println!("{:>24} {alarm:>10} {passed:>10}", "labelled none");
    }

    fn print_mistakes(&self) {
        println!("\nrules met by false alarms:");
        let mut rules: Vec<_> = self.rules_of_false_alarms.iter().collect();
        rules.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        for (rule, n) in rules.into_iter().take(12) {
            println!("{n:>6}  {rule}");
        }
        println!("missed, by score (95 would do, with a core rule):");
        for (from, n) in &self.scores_of_missed {
            println!("{n:>6}  {from} to {}", from + 24);
        }
    }
}

/// FNV-1a of the text, its upper half's parity: the same text is always in the same half.
fn in_first_half(text: &str) -> bool {
    let step = |h: u64, b: &u8| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step);
    (hash >> 32) % 2 == 0
}

fn rows(file: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}\n{USAGE}"))?;
    if text.trim_start().starts_with('[') {
        return Ok(serde_json::from_str(&text)?);
    }
    let lines = text.lines().filter(|l| !l.trim().is_empty());
    Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(o) = options() else {
        println!("{USAGE}");
        std::process::exit(2)
    };
    let rules = TextRules::builtin();
    let mut replies = Vec::new();
    let mut left_out = 0;
    for row in rows(&o.file)? {
        let member = |name: &str| row.get(name).and_then(Value::as_str);
        let (Some(text), Some(label)) = (member(&o.text), member(&o.label)) else {
            left_out += 1;
            continue;
        };
        let is = |labels: &str| labels.split(',').any(|l| l == label);
        if !is(&o.yes) && !is(&o.no) {
            left_out += 1;
        } else if o.half.is_none_or(|first| first == in_first_half(text)) {
            let mut opening = Opening::default();
            opening.push_str(text);
            replies.push((opening, is(&o.yes), in_first_half(text)));
        }
    }
    println!("{} replies judged, {left_out} left out (another label, or a member is missing)", replies.len());
    if replies.is_empty() {
        println!("Nothing was judged: are --text, --label, --yes and --no right?");
        std::process::exit(1)
    }
    let times = times(&rules, &replies);
    let (mut first, mut second, mut all) = (Tally::default(), Tally::default(), Tally::default());
    for (opening, refused, in_first) in &replies {
        let suspected = rules.suspects(opening.as_str());
        let half = if *in_first { &mut first } else { &mut second };
        half.add(opening.as_str(), *refused, suspected);
        all.add(opening.as_str(), *refused, suspected);
    }
    if o.half.is_none() {
        first.print("first half (by the text's hash)");
        second.print("second half");
    }
    all.print("all");
    all.print_mistakes();
    let [cold, warm] = times;
    println!("\n{cold:.1} µs a reply in the first pass, {warm:.1} in the middle one of {PASSES}");
    Ok(())
}

/// Passes over all replies.
const PASSES: usize = 15;

/// Microseconds a reply: the first pass over all, in which the automata are built as texts ask for them, and the
/// median of all passes. No reply is judged twice in a row.
fn times(rules: &TextRules, replies: &[(Opening, bool, bool)]) -> [f64; 2] {
    let mut passes = [0.0; PASSES];
    for pass in &mut passes {
        let start = Instant::now();
        for (opening, ..) in replies {
            black_box(rules.suspects(opening.as_str()));
        }
        *pass = start.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(replies.len()).unwrap_or(u32::MAX));
    }
    let cold = passes[0];
    passes.sort_by(f64::total_cmp);
    [cold, passes[PASSES / 2]]
}
