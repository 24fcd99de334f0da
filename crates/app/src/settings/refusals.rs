//! `[refusals]`: how the text of a reply is judged. What the reply's structure says needs no settings.

use std::sync::Arc;

use limpid_settle::TextRules;

use super::reader::{Checked, Reader, Refused};

/// Whether a reply that reads like a refusal counts as a suspected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    /// Whether the first 300 characters of each reply are judged. Default true. Without it only certain refusals are
    /// told, and `patterns` are not looked for.
    pub text: bool,
    /// What is a suspected refusal too, beside the built-in rules. Default: none. At most 256. A piece of text, or between
    /// slashes a regular expression; both anywhere in the first 300 characters, in either case.
    pub patterns: Vec<Arc<str>>,
}

impl Refusals {
    pub(super) fn read(mut r: Reader<'_>) -> Refusals {
        let refusals = Refusals {
            text: r.value("text", true),
            patterns: r.value_if("patterns", Vec::new(), |p: &Vec<Arc<str>>| good_patterns(p)),
        };
        r.finish();
        refusals
    }

    /// The rules. The patterns were compiled once before, when the settings were read.
    pub fn rules(&self) -> TextRules {
        if !self.text {
            return TextRules::OFF;
        }
        TextRules::with_patterns(&self.patterns).unwrap_or_else(|_| TextRules::builtin())
    }
}

fn good_patterns(patterns: &[Arc<str>]) -> Checked {
    TextRules::with_patterns(patterns).map(drop).map_err(|bad| {
        let mend =
            "write a piece of text (\"outside my remit\"), or a regular expression between slashes ('/^nope[,.]/')";
        Refused::new(bad.to_string(), mend)
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{Env, Faults, Flags, Sources};
    use super::*;

    fn load(section: &str) -> Result<Refusals, Faults> {
        let text = format!("[upstreams.default]\nurl = \"http://127.0.0.1:8000\"\n[refusals]\n{section}\n");
        let sources =
            Sources { file: Some((PathBuf::from("proxy.toml"), text)), env: Env::new(), flags: Flags::default() };
        sources.load().map(|loaded| loaded.settings.refusals)
    }

    const OWN: &str = "Our kitchen is closed.";
    const PLAIN: &str = "I'm sorry, but I can't help with that.";

    #[test]
    fn patterns_join_the_rules_and_text_turns_all_off() {
        let judged = |section: &str| {
            let rules = load(section).unwrap().rules();
            [OWN, PLAIN].map(|text| rules.suspects(text))
        };
        assert_eq!(judged(""), [false, true]);
        assert_eq!(judged("patterns = ['/kitchen (is|was) closed/']"), [true, true]);
        assert_eq!(judged("text = false\npatterns = ['kitchen is closed']"), [false, false]);
    }

    #[test]
    fn a_bad_pattern_is_named_by_its_place() {
        for (section, line, said) in [
            ("patterns = ['ok', '/(no/']", 4, "pattern 2 is no regular expression: unclosed group"),
            ("text = true\npatterns = ['/x*/']", 5, "pattern 1 matches even an empty text, and so every reply"),
            ("patterns = ['  ']", 4, "pattern 1 is empty"),
        ] {
            let faults = load(section).unwrap_err();
            let told = faults.to_string();
            assert_eq!(faults.0.len(), 1, "{told}");
            assert!(told.contains(&format!("proxy.toml:{line}")) && told.contains(said), "{told}");
            assert!(told.contains("refusals") && told.contains("patterns"), "{told}");
        }
    }
}
