//! How well the rules about text find refusals, on a file of labelled replies.
//!
//! ```sh
//! cargo run --release -p limpid-settle --example refusals -- FILE [--text response] [--label tone] [--yes rejected] [--no complied]
//! ```
//!
//! FILE is a JSON array of objects, or one object a line; two members name the reply's text and its label. Several labels
//! are separated by commas, and replies with others are left out. It prints counts alone: no text.

#![expect(clippy::print_stdout, reason = "a command")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use limpid_settle::TextRules;
use serde_json::Value;

const USAGE: &str = "usage: refusals FILE [--text response] [--label tone] [--yes rejected] [--no complied]\n\
     This needs a file of labelled replies, which is not part of limpid; docs/refusals.md says where one is.";

struct Options {
    file: String,
    text: String,
    label: String,
    yes: String,
    no: String,
}

fn options() -> Option<Options> {
    let mut o = Options {
        file: String::new(),
        text: "response".into(),
        label: "tone".into(),
        yes: "rejected".into(),
        no: "complied".into(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match &*arg {
            "--text" => o.text = args.next()?,
            "--label" => o.label = args.next()?,
            "--yes" => o.yes = args.next()?,
            "--no" => o.no = args.next()?,
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
    let (mut first, mut second, mut all) = (Tally::default(), Tally::default(), Tally::default());
    let (mut left_out, mut spent) = (0, Duration::ZERO);
    for row in rows(&o.file)? {
        let member = |name: &str| row.get(name).and_then(Value::as_str);
        let (Some(text), Some(label)) = (member(&o.text), member(&o.label)) else {
            left_out += 1;
            continue;
        };
        let is = |labels: &str| labels.split(',').any(|l| l == label);
        if !is(&o.yes) && !is(&o.no) {
            left_out += 1;
            continue;
        }
        rules.suspects(text);
        let start = Instant::now();
        let suspected = rules.suspects(text);
        spent += start.elapsed();
        let half = if in_first_half(text) { &mut first } else { &mut second };
        half.add(text, is(&o.yes), suspected);
        all.add(text, is(&o.yes), suspected);
    }
    let judged = all.hit + all.missed + all.false_alarm + all.passed;
    println!("{judged} replies judged, {left_out} left out (another label, or a member is missing)");
    if judged == 0 {
        println!("Nothing was judged: are --text, --label, --yes and --no right?");
        std::process::exit(1)
    }
    first.print("first half (by the text's hash)");
    second.print("second half");
    all.print("all");
    all.print_mistakes();
    println!("\n{:.1} µs a reply", spent.as_secs_f64() * 1e6 / f64::from(judged));
    Ok(())
}
