//! Match clauses: which names an entry of the catalogue answers to.
//!
//! A rule is a list of alternatives, each a list of atoms that must all hold. An atom is one operator and a text in
//! lower case: `=` the whole name, `^` its beginning, `$` its end, `*` anywhere in it, `~` the whole name with `#` for
//! a digit, `%` its beginning likewise; `!` before an atom negates it.
//!
//! Names come in lower case. A provider may have hundreds of atoms and the answer is due in less than a microsecond, so
//! each atom knows the pairs of letters it needs: a name without them is turned down by one comparison.

/// The adjacent pairs of bytes in a text, as a set with collisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pairs(u128);

impl Pairs {
    pub(crate) fn of(text: &str) -> Pairs {
        Pairs(text.as_bytes().windows(2).fold(0, |set, pair| match pair {
            [a, b] if *a != b'#' && *b != b'#' => {
                set | 1 << ((u32::from(*a).wrapping_mul(37) ^ u32::from(*b).wrapping_mul(11)) % 128)
            }
            _ => set,
        }))
    }

    #[inline]
    fn lacks(self, needed: Pairs) -> bool {
        self.0 & needed.0 != needed.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equals,
    Starts,
    Ends,
    Contains,
    Pattern,
    PatternStart,
}

#[derive(Debug, Clone)]
struct Atom {
    negated: bool,
    operator: Operator,
    text: &'static str,
}

impl Atom {
    fn parse(word: &'static str) -> Option<Atom> {
        let (negated, word) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
        let mut rest = word.chars();
        let operator = match rest.next()? {
            '=' => Operator::Equals,
            '^' => Operator::Starts,
            '$' => Operator::Ends,
            '*' => Operator::Contains,
            '~' => Operator::Pattern,
            '%' => Operator::PatternStart,
            _ => return None,
        };
        let text = rest.as_str();
        (!text.is_empty()).then_some(Atom { negated, operator, text })
    }

    fn holds(&self, name: &str) -> bool {
        self.negated
            != match self.operator {
                Operator::Equals => name == self.text,
                Operator::Starts => name.starts_with(self.text),
                Operator::Ends => name.ends_with(self.text),
                Operator::Contains => name.contains(self.text),
                Operator::Pattern => name.len() == self.text.len() && begins_like(name, self.text),
                Operator::PatternStart => begins_like(name, self.text),
            }
    }
}

fn begins_like(name: &str, pattern: &str) -> bool {
    name.len() >= pattern.len()
        && name.bytes().zip(pattern.bytes()).all(|(n, p)| if p == b'#' { n.is_ascii_digit() } else { n == p })
}

/// Atoms that must all hold.
#[derive(Debug, Clone)]
pub(crate) struct Alternative {
    needs: Pairs,
    atoms: Box<[Atom]>,
}

impl Alternative {
    fn parse(word: &'static str) -> Option<Alternative> {
        let atoms = word.split('&').map(Atom::parse).collect::<Option<Box<[Atom]>>>()?;
        let needs = atoms.iter().filter(|a| !a.negated).fold(0, |all, a| all | Pairs::of(a.text).0);
        Some(Alternative { needs: Pairs(needs), atoms })
    }

    /// Whether `name`, in lower case and with the given pairs, is meant. Inlined, the comparison that turns down nearly
    /// every rule costs a third of a call.
    #[inline]
    pub(crate) fn holds(&self, name: &str, pairs: Pairs) -> bool {
        !pairs.lacks(self.needs) && self.each_atom_holds(name)
    }

    fn each_atom_holds(&self, name: &str) -> bool {
        self.atoms.iter().all(|a| a.holds(name))
    }

    /// The one name it means, where that is all it says.
    pub(crate) fn exact(&self) -> Option<&'static str> {
        match &*self.atoms {
            [Atom { negated: false, operator: Operator::Equals, text }] => Some(text),
            _ => None,
        }
    }
}

/// A rule's alternatives; `-` has none. `None` if the text is not a rule.
pub(crate) fn parse_rule(text: &'static str) -> Option<Vec<Alternative>> {
    if text == "-" {
        return Some(Vec::new());
    }
    text.split(' ').map(Alternative::parse).collect()
}

/// The name with compact dates spelled out, as genai-prices does where nothing matched: `gpt-5.2-20251211` becomes
/// `gpt-5.2-2025-12-11`. `None` if there is none.
pub(crate) fn with_spelled_dates(name: &str) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    for (at, _) in name.match_indices('-') {
        let (Some(date), follows) = (name.get(at + 1..at + 9), name.as_bytes().get(at + 9)) else { continue };
        if !matches!(follows, None | Some(b'-' | b':')) || !date.starts_with("20") {
            continue;
        }
        let (Some(year), Some(month), Some(day)) = (date.get(..4), date.get(4..6), date.get(6..)) else { continue };
        let spelled = format!("{year}-{month}-{day}");
        if date.bytes().all(|b| b.is_ascii_digit()) && is_date(&spelled) {
            out.push_str(name.get(copied..=at).unwrap_or_default());
            out.push_str(&spelled);
            copied = at + 9;
        }
    }
    (copied > 0).then(|| out + name.get(copied..).unwrap_or_default())
}

fn is_date(text: &str) -> bool {
    humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(rule: &'static str, name: &str) -> bool {
        parse_rule(rule).unwrap().iter().any(|a| a.holds(name, Pairs::of(name)))
    }

    #[test]
    fn each_operator_means_what_it_says() {
        for (rule, name, holds) in [
            ("=gpt-4o", "gpt-4o", true),
            ("=gpt-4o", "gpt-4o-mini", false),
            ("^gpt-4o", "gpt-4o-mini", true),
            ("^gpt-4o", "x-gpt-4o", false),
            ("$-tts", "model-tts", true),
            ("$-tts", "model-tts-2", false),
            ("*claude", "eu.anthropic.claude-3", true),
            ("*claude", "claud", false),
            ("~gpt-5-####-##-##", "gpt-5-2026-01-02", true),
            ("~gpt-5-####-##-##", "gpt-5-2026-01-02x", false),
            ("~gpt-5-####-##-##", "gpt-5-2026-01-0x", false),
            ("%gemini-4-argon-#", "gemini-4-argon-001", true),
            ("%gemini-4-argon-#", "gemini-4-argon-x", false),
            ("^gemini-2.5-pro&!$-tts&!*-tts-", "gemini-2.5-pro-preview", true),
            ("^gemini-2.5-pro&!$-tts&!*-tts-", "gemini-2.5-pro-preview-tts", false),
            ("=a ^b", "bc", true),
            ("-", "anything", false),
        ] {
            assert_eq!(matches(rule, name), holds, "{rule} on {name}");
        }
        for bad in ["", "gpt", "=", "!", "=a  =b", "=a&"] {
            assert!(parse_rule(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn only_real_dates_are_spelled_out() {
        for (name, expected) in [
            ("gpt-5.2-20251211", Some("gpt-5.2-2025-12-11")),
            ("gpt-5.2-20251211:free", Some("gpt-5.2-2025-12-11:free")),
            ("a-20251211-b-20240229", Some("a-2025-12-11-b-2024-02-29")),
            ("gpt-20250230", None),
            ("gpt-20251311", None),
            ("gpt-19991211", None),
            ("gpt-202512110", None),
            ("gpt-2025-12-11", None),
            ("-", None),
            ("é-20251211é", None),
        ] {
            assert_eq!(with_spelled_dates(name).as_deref(), expected, "{name}");
        }
    }
}
