//! `[capture]` and `[redactions.NAME]`: content on spans. Which upstreams' it is, each says itself (`capture = true`).
//!
//! What cannot be is refused here: a rule that does not read would let through what it was written for.

use std::collections::BTreeSet;
use std::sync::Arc;

use limpid_settle::content::{Builtin, ContentRules, OwnRule, Redactor};

use super::Settings;
use super::faults::{Fault, Origin, nearest};
use super::kinds::Share;
use super::reader::{Checked, Reader, Refused};
use super::upstreams::good_name;

/// What of an exchange is captured where its upstream has `capture = true`.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    /// The share of exchanges whose content goes to their span. Default 1%. An upstream may have its own
    /// (`capture_sample`). It is told from the exchange's id at its begin; of the others no text is kept.
    pub sample: Share,
    /// Whether the request is captured: messages, instructions, stop sequences. Default true.
    pub input: bool,
    /// Whether the reply is. Default true.
    pub output: bool,
    /// How much text of a request, bytes. Default 4 KiB, at most 64 KiB. The newest messages are kept, and the rest is
    /// counted.
    pub max_input_bytes: usize,
    /// How much text of a reply, bytes. Default 4 KiB, at most 64 KiB.
    pub max_output_bytes: usize,
    /// The built-in rules about what never leaves. Default: all of them.
    pub redact: Vec<Arc<str>>,
    /// The longest request and the longest reply that are held until the exchange ends, bytes. Default 1 MiB: a text must
    /// be whole to be redacted, so a longer one is not captured.
    pub max_text_bytes: usize,
    /// How much text is held at a time, in all, bytes: while exchanges last, and redacted until their spans are exported.
    /// Default 32 MiB. Where it is spent, nothing is captured.
    pub text_budget_bytes: usize,
}

/// A rule of the operator's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// Its name.
    pub name: Arc<str>,
    /// A regular expression. No default.
    pub pattern: Arc<str>,
    /// What stands in place of what it finds, literally. Default `[NAME]`.
    pub replacement: Arc<str>,
}

impl Capture {
    /// What of each, at most; more than this is no sample but an archive.
    const MOST: usize = 64 << 10;

    pub(super) fn read(mut r: Reader<'_>) -> Capture {
        let all = || Builtin::ALL.iter().map(|rule| Arc::from(rule.as_str())).collect();
        let capture = Capture {
            sample: r.value("sample", Share::percent(1)),
            input: r.value("input", true),
            output: r.value("output", true),
            max_input_bytes: r.size("max_input_bytes", 4 << 10, 256..=Self::MOST),
            max_output_bytes: r.size("max_output_bytes", 4 << 10, 256..=Self::MOST),
            redact: r.value_if("redact", all(), |names: &Vec<Arc<str>>| known_rules(names)),
            max_text_bytes: r.size("max_text_bytes", 1 << 20, 4 << 10..=16 << 20),
            text_budget_bytes: r.size("text_budget_bytes", 32 << 20, 4 << 10..=16 << 30),
        };
        r.finish();
        capture
    }

    /// The rules, with the operator's own. They were tried one by one when the settings were read; should they not hold
    /// together, nothing is captured.
    pub fn rules(&self, own: &[Redaction]) -> Option<ContentRules> {
        let builtin: Vec<Builtin> = self.redact.iter().filter_map(|name| Builtin::from_name(name)).collect();
        let own: Vec<_> =
            own.iter().map(|rule| OwnRule { pattern: &rule.pattern, replacement: &rule.replacement }).collect();
        let redactor = Redactor::new(&builtin, &own).ok()?;
        Some(ContentRules {
            input: self.input.then_some(self.max_input_bytes),
            output: self.output.then_some(self.max_output_bytes),
            redactor,
        })
    }
}

fn known_rules(names: &[Arc<str>]) -> Checked {
    let all = Builtin::ALL.map(Builtin::as_str);
    let Some(unknown) = names.iter().find(|name| Builtin::from_name(name).is_none()) else { return Ok(()) };
    let mend = match nearest(unknown, all) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("write some of {}", all.join(", ")),
    };
    Err(Refused::new(format!("there is no rule {unknown:?}"), mend))
}

impl Redaction {
    /// `None` after a fault.
    pub(super) fn read(name: &str, mut r: Reader<'_>) -> Option<Redaction> {
        let named = good_name(name);
        if !named {
            let at = r.origin();
            let why = "a name has letters, digits, `-`, `_` and `.`, at most 64 of them";
            r.fault(at, format!("redaction {name:?}"), why, "choose a name such as employee");
        }
        let pattern = r.required("pattern", "write pattern = 'EMP-\\d{6}'", |p: &Arc<str>| good_pattern(p));
        let replacement = r.value("replacement", Arc::from(format!("[{name}]")));
        r.finish();
        named.then_some(Redaction { name: Arc::from(name), pattern: pattern?, replacement })
    }
}

fn good_pattern(pattern: &str) -> Checked {
    let own = [OwnRule { pattern, replacement: "" }];
    let mend = "write a regular expression such as 'EMP-\\d{6}'";
    Redactor::new(&[], &own).map(drop).map_err(|bad| Refused::new(bad.fault.to_string(), mend))
}

/// What no section can see alone: capturing that has no effect, and too many rules.
pub(super) fn check_together(settings: &Settings, r: &mut Reader<'_>) {
    let names: BTreeSet<_> = settings.redactions.iter().map(|rule| &rule.name).collect();
    if settings.capture.rules(&settings.redactions).is_none() && !names.is_empty() {
        let what = format!("{} sections [redactions.NAME]", names.len());
        r.fault(Origin::Default, what, "together they are too many or too large", "take the least useful out");
    }
    let Some(upstream) = settings.upstreams.iter().find(|u| u.capture) else { return };
    let why = match settings {
        s if s.telemetry.traces.is_none() => "no spans are exported, and content goes nowhere else",
        s if !s.observe.enabled => "observe.enabled is false, so nothing is read",
        s if !s.capture.input && !s.capture.output => "capture.input and capture.output are false",
        _ => return,
    };
    r.report.warnings.push(Fault {
        at: upstream.at.clone(),
        what: format!("upstreams.{}.capture = true", upstream.name),
        why: why.to_owned(),
        mend: "nothing is captured".to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{Env, Faults, Flags, Loaded, Sources};
    use super::*;

    fn load(upstream: &str, sections: &str) -> Result<Loaded, Faults> {
        let text = format!(
            "[telemetry]\nendpoint = \"http://c:1\"\n[upstreams.default]\nurl = \"http://127.0.0.1:8000\"\n{upstream}\n{sections}\n"
        );
        let sources =
            Sources { file: Some((PathBuf::from("proxy.toml"), text)), env: Env::new(), flags: Flags::default() };
        sources.load()
    }

    #[test]
    fn it_is_off_and_an_upstream_opts_in_with_its_share() {
        let share = |upstream: &str, sections: &str| {
            let loaded = load(upstream, sections).unwrap();
            assert_eq!(loaded.warnings, []);
            loaded.settings.upstreams[0].captured(loaded.settings.capture.sample).map(Share::ratio)
        };
        assert_eq!(share("", ""), None);
        assert_eq!(share("capture = true", ""), Some(0.01));
        assert_eq!(share("capture = true", "[capture]\nsample = \"5%\""), Some(0.05));
        assert_eq!(share("capture = true\ncapture_sample = \"100%\"", "[capture]\nsample = \"5%\""), Some(1.0));
        assert_eq!(share("capture = true\ncapture_sample = 0.025", ""), Some(0.025));
        assert_eq!(share("capture = true\ncapture_sample = 0", ""), Some(0.0));
        assert_eq!(share("capture = false\ncapture_sample = \"100%\"", ""), None);
    }

    #[test]
    fn the_rules_are_all_in_force_and_the_operators_join_them() {
        let rules = |sections: &str| {
            let settings = load("", sections).unwrap().settings;
            settings.capture.rules(&settings.redactions).unwrap()
        };
        let text = "EMP-123456 wrote to a@b.example";
        assert_eq!(rules("").redactor.redact(text).0, "EMP-123456 wrote to [email]");
        let own = "[redactions.employee]\npattern = 'EMP-\\d{6}'";
        assert_eq!(rules(own).redactor.redact(text).0, "[employee] wrote to [email]");
        let other = format!("[capture]\nredact = []\noutput = false\n{own}\nreplacement = \"***\"");
        let rules = rules(&other);
        assert_eq!(rules.redactor.redact(text).0, "*** wrote to a@b.example");
        assert_eq!((rules.input, rules.output), (Some(4096), None));
    }

    #[test]
    fn what_cannot_be_is_one_clear_fault_with_its_place() {
        for (upstream, sections, line, said) in [
            ("", "[capture]\nsample = \"101%\"", 7, "that is not a share from nothing to all"),
            ("", "[capture]\nsample = 5", 7, "that is not a share from nothing to all"),
            ("capture_sample = -0.1", "", 5, "that is not a share from nothing to all"),
            ("capture_sample = 1.5", "", 5, "that is not a share from nothing to all"),
            ("", "[capture]\nmax_input_bytes = \"1MiB\"", 7, "the most is 65536"),
            ("", "[capture]\nredact = [\"email\"]", 7, "did you mean \"emails\"?"),
            ("", "[redactions.a]\npattern = '(no'", 7, "it is no regular expression: unclosed group"),
            ("", "[redactions.a]\npattern = 'x*'", 7, "it matches even an empty text"),
            ("", "[redactions.a]\nreplacement = \"x\"", 6, "has no `pattern`"),
            ("", "[redactions.\"a b\"]\npattern = 'x'", 6, "choose a name such as employee"),
        ] {
            let faults = load(upstream, sections).unwrap_err();
            let told = faults.to_string();
            assert_eq!(faults.0.len(), 1, "{told}");
            assert!(told.contains(&format!("proxy.toml:{line}")) && told.contains(said), "{told}");
        }
    }

    #[test]
    fn capturing_without_effect_is_a_warning() {
        let text = "[upstreams.default]\nurl = \"http://127.0.0.1:8000\"\ncapture = true\n";
        let sources = Sources {
            file: Some((PathBuf::from("proxy.toml"), text.to_owned())),
            env: Env::new(),
            flags: Flags::default(),
        };
        let warnings = sources.load().unwrap().warnings;
        assert!(warnings.len() == 1 && warnings[0].why.contains("no spans are exported"), "{warnings:?}");
        let off = load("capture = true", "[capture]\ninput = false\noutput = false").unwrap().warnings;
        assert!(off.len() == 1 && off[0].why.contains("are false"), "{off:?}");
    }
}
