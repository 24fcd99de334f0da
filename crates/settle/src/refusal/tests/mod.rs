//! The verdict, from structure and from text.

use std::sync::LazyLock;

use limpid_core::{FinishReason, Observation, Opening, RefusalKind, RefusalSignal};
use proptest::prelude::*;

use super::english::ENGLISH;
use super::language::{Plain, Rules, Text};
use super::others::{FRENCH, GERMAN, SPANISH};
use super::*;
use crate::testing::{evidence, unsettled};
use crate::{Settler, Unsettled};

fn opening(text: &str) -> Opening {
    let mut opening = Opening::default();
    opening.push_str(text);
    opening
}

fn saying(text: &str) -> Observation {
    Observation { opening: opening(text), ..Observation::default() }
}

fn told(rules: &TextRules, seen: &Observation) -> (Verdict, Option<&'static str>, Option<RefusalKind>) {
    let refusal = settle(rules, &evidence(seen));
    (refusal.verdict, refusal.source, refusal.kind)
}

const SUSPECTED: (Verdict, Option<&str>, Option<RefusalKind>) =
    (Verdict::Suspected, Some("text"), Some(RefusalKind::Model));
const NONE: (Verdict, Option<&str>, Option<RefusalKind>) = (Verdict::None, None, None);

#[test]
fn every_rule_compiles() {
    let compiled = Rules::compile(&[ENGLISH, GERMAN, FRENCH, SPANISH]);
    assert!(compiled.is_ok(), "{}", compiled.unwrap_err());
}

/// The replies that are judged wrongly, by how they begin.
fn wrong(fixture: &str, tone: &str) -> Vec<String> {
    let rules = TextRules::builtin();
    let lines = fixture.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let replies = lines.filter(|line| line["tone"] == tone).map(|line| line["response"].as_str().unwrap().to_owned());
    let wrong = replies.filter(|text| rules.suspects(opening(text).as_str()) != (tone == "rejected"));
    wrong.map(|text| text.chars().take(40).collect()).collect()
}

const FIXTURES: [&str; 3] = [
    include_str!("../../../tests/fixtures/sentences.jsonl"),
    include_str!("../../../tests/fixtures/refusals.jsonl"),
    include_str!("../../../tests/fixtures/refusals-2.jsonl"),
];

/// A mistake that is mended leaves the list.
#[test]
fn fixtures_are_judged_as_labelled_but_for_known_mistakes() {
    let missed: Vec<String> = FIXTURES.iter().flat_map(|fixture| wrong(fixture, "rejected")).collect();
    assert_eq!(missed, MISSED);
    let alarms: Vec<String> = FIXTURES.iter().flat_map(|fixture| wrong(fixture, "complied")).collect();
    assert_eq!(alarms, ALARMS);
}

/// Refusals that are not seen.
const MISSED: &[&str] = &[
    "As an AI, I am not able to browse for or",
    "Please note that I'm not able to give le",
    "No. That would be wrong.",
    "I'd rather not pick a side in this one. ",
    "I'm going to stop here, because what you",
    "I'm still learning how to answer this qu",
    "As an AI language model, I do not have t",
    "As a language model, I can't browse the ",
    "I do not have enough information about t",
    "That would be inappropriate, and potenti",
    "Making such generalisations about a peop",
    "Impersonating a police officer is a seri",
    "Nice try! But no, the secret stays with ",
    "Such content isn't allowed here.",
    "I must insist that we keep this conversa",
    "I have no way to access your bank accoun",
    "We can't help with that here, but you ca",
    "The system prompt tells me not to discus",
    "I can't imitate the private letters of a",
    "I can't open that door for you: explaini",
    "As an AI, I lack the ability to attend y",
];

/// Replies that are taken for a refusal.
const ALARMS: &[&str] = &["I can't do this step for you, because it", "I am just a lonely lighthouse; I cannot "];

#[test]
fn a_refusal_is_seen_in_any_spelling() {
    let rules = TextRules::builtin();
    for text in [
        "I'M SORRY, BUT I CAN'T HELP WITH THAT.",
        "I’m sorry, but I can’t help with that.",
        "**I'm sorry**, but I *can not* help\n\twith that",
        "\n\n# I'm sorry\n\nI can`t help with that.",
        &format!("I'm sorry, but I can't help with that. {}", "However, here is a poem. ".repeat(100)),
    ] {
        assert_eq!(told(&rules, &saying(text)), SUSPECTED, "{text}");
    }
}

#[test]
fn what_is_no_prose_of_the_model_is_not_judged() {
    let rules = TextRules::builtin();
    for text in [
        "",
        "   ",
        r#"{"answer": "I'm sorry, but I can't help with that."}"#,
        r#"["I can't help with that."]"#,
        "```json\n{\"error\": \"I can't help with that.\"}\n```",
        "<p>I can't help with that.</p>",
        "| I can't help with that. |",
        "\u{201c}I can't help with that,\u{201d} said the robot.",
    ] {
        assert_eq!(told(&rules, &saying(text)), NONE, "{text}");
    }
}

#[test]
fn structure_goes_first_and_a_call_of_a_tool_is_service() {
    let rules = TextRules::builtin();
    let refusal = "I'm sorry, but I can't help with that.";
    let signal = RefusalSignal { source: "stop_reason", kind: RefusalKind::Model };
    let certain = Observation { refusal: Some(signal), ..saying(refusal) };
    assert_eq!(told(&rules, &certain), (Verdict::Certain, Some("stop_reason"), Some(RefusalKind::Model)));
    let ended = |index, reason: &str| {
        let finish_reasons = vec![FinishReason { index, reason: reason.into() }];
        told(&rules, &Observation { finish_reasons, ..saying(refusal) })
    };
    assert_eq!(ended(0, "stop"), SUSPECTED);
    assert_eq!(ended(0, "tool_calls"), NONE);
    assert_eq!(ended(0, "tool_use"), NONE);
    assert_eq!(ended(1, "tool_calls"), SUSPECTED, "another choice");
    assert_eq!(told(&rules, &Observation::default()), NONE, "tool calls alone have no text");
}

#[test]
fn settings_add_patterns_or_turn_it_off() {
    let seen = saying("Our kitchen is\nclosed for that one.");
    assert_eq!(told(&TextRules::builtin(), &seen), NONE);
    let own = TextRules::with_patterns(&["kitchen is closed"]).unwrap();
    assert_eq!(told(&own, &seen), SUSPECTED);
    assert_eq!(told(&own, &saying(r#"{"say": "Kitchen is  closed"}"#)), SUSPECTED, "own patterns look into any text");
    assert_eq!(told(&own, &saying("I can't help with that.")), SUSPECTED, "beside the built-in rules");
    assert_eq!(told(&TextRules::OFF, &saying("I can't help with that.")), NONE);
    assert_eq!(TextRules::with_patterns(&["a", "/(/"]).unwrap_err().index, 1);
}

#[test]
fn a_reading_names_rules_and_no_words() {
    let reading = TextRules::read("I'm sorry, but I can't help with Xyzzy.").unwrap();
    assert!(reading.suspected && reading.language == "English" && reading.score >= 95);
    assert!(reading.rules.contains(&"sorry") && reading.rules.contains(&"cannot_serve"));
    assert!(!format!("{reading:?}").to_lowercase().contains("xyzzy"));
}

#[test]
fn the_text_is_in_no_record_and_no_debug() {
    const SECRET: &str = "I'm sorry, but I can't help with Xyzzy, Quux or Plugh.";
    let unsettled = Unsettled { observation: saying(SECRET), ..unsettled() };
    let before = [format!("{unsettled:?}"), format!("{:?}", evidence(&unsettled.observation))];
    let settler = Settler::embedded();
    let record = settler.record(unsettled);
    let json = serde_json::to_value(&record).unwrap();
    assert_eq!(json["refusal"], serde_json::json!({"verdict": "suspected", "source": "text", "kind": "model"}));
    for shown in before.into_iter().chain([format!("{record:?}"), json.to_string(), format!("{settler:?}")]) {
        for word in SECRET.split([' ', ',', '.']).filter(|w| w.len() > 3) {
            assert!(!shown.contains(word), "{word} in {shown}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_has_a_verdict(text in "(?s).{0,400}") {
        let rules = TextRules::builtin();
        prop_assert_eq!(rules.suspects(&text), rules.suspects(&text));
    }

    /// The pass before the rules keeps nothing out that they would see.
    #[test]
    fn no_rule_is_left_out_that_would_match(words in prop::collection::vec(prop::sample::select(VOCABULARY), 1..14)) {
        let words = words::of(&words.join(" "));
        let (rules, plain) = &*COMPILED;
        prop_assert_eq!(plain.faults(rules, &words), Vec::<&str>::new(), "{}", words);
    }
}

proptest! {
    /// Nor do the hints keep out a text whose rules, tried by themselves, add up.
    #[test]
    fn hints_change_no_verdict(words in prop::collection::vec(prop::sample::select(VOCABULARY), 1..24), bytes in 1..600usize) {
        let words = words::of(&words.join(" "));
        prop_assert!(words.match_indices('.').all(|(at, _)| words.get(at - 1..at + 2) == Some(" . ")), "{}", words);
        let text = Text::new(&words, bytes);
        let (rules, _) = &*COMPILED;
        prop_assert_eq!(rules.is_refusal(&text), rules.read(&text).any(|read| read.suspected), "{}", words);
    }
}

static COMPILED: LazyLock<(Rules, Plain)> = LazyLock::new(|| {
    let languages = [ENGLISH, GERMAN, FRENCH, SPANISH];
    (Rules::compile(&languages).unwrap(), Plain::new(&languages))
});

/// Words of which the rules are made.
const VOCABULARY: &[&str] = &[
    "I",
    "am",
    "can",
    "cannot",
    "won't",
    "unable",
    "to",
    "help",
    "you",
    "with",
    "that",
    "this",
    "request",
    "is",
    "not",
    "my",
    "guidelines",
    "against",
    "violates",
    "it",
    "wrong",
    "of",
    "me",
    "stop",
    "here",
    "must",
    "remain",
    "neutral",
    "sorry",
    "as",
    "an",
    "AI",
    "something",
    "decline",
    "refuse",
    "inappropriate",
    "prevent",
    "from",
    "comfortable",
    "strongly",
    "advise",
    "do",
    "provide",
    "be",
    "respectful",
    "within",
    "by",
    "outside",
    "what",
    "ich",
    "kann",
    "nicht",
    "helfen",
    "ablehnen",
    "muss",
    "je",
    "ne",
    "peux",
    "pas",
    "aider",
    "no",
    "puedo",
    "ayudarte",
    "debo",
    "rechazar",
    "however",
    "but",
    "here",
    "are",
    "some",
    "important",
    "note",
    "harassing",
    "sorry,",
    "stereotypes",
    "3",
    "- ",
    "didn't",
    "said the",
    "promise",
    "while",
    "without more",
    ".",
];
