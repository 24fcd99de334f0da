//! The built-in rules that are regular expressions: what secrets, addresses and phone numbers look like.
//!
//! Keys are told by the prefixes that their issuers gave them, by the words before them (`Authorization: Bearer …`,
//! `password = …`), or by their form (a JWT, a PEM block). A key without any of these looks like any other word, and needs a
//! rule of the operator's own.

use std::ops::Range;

use regex::{Match, Regex, RegexBuilder};

/// A named group of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    /// Keys, tokens, passwords, private keys.
    Secrets,
    /// E-mail addresses.
    Emails,
    /// Numbers of payment cards that pass their check.
    Cards,
    /// What looks like a phone number.
    Phones,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Builtin; 4] = [Builtin::Secrets, Builtin::Emails, Builtin::Cards, Builtin::Phones];

    /// Its name in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Builtin::Secrets => "secrets",
            Builtin::Emails => "emails",
            Builtin::Cards => "cards",
            Builtin::Phones => "phones",
        }
    }

    /// The group of that name.
    pub fn from_name(name: &str) -> Option<Builtin> {
        Builtin::ALL.into_iter().find(|rule| rule.as_str() == name)
    }

    /// What stands in place of what it finds.
    pub const fn replacement(self) -> &'static str {
        match self {
            Builtin::Secrets => "[secret]",
            Builtin::Emails => "[email]",
            Builtin::Cards => "[card]",
            Builtin::Phones => "[phone]",
        }
    }
}

/// A place, and what takes it.
pub(super) type Found<'r> = (Range<usize>, &'r str);

/// Words that stand before a secret, in its member's name or in prose.
const NAMES: &str = r"(?:api[_\s-]?|access[_\s-]?|secret[_\s-]?|private[_\s-]?|account[_\s-]?|encryption[_\s-]?|signing[_\s-]?)key|secret|token|passw(?:or)?d|passwort|passphrase|passcode|pwd|credentials?|authorization|bearer";

/// Expressions of [`Builtin::Secrets`]. Where one has a group, the group alone is the secret. The yes: what it finds
/// counts only if it looks random, for plain words have the same form.
const SECRETS: [(&str, bool); 9] = [
    // A private key, whole or without its end.
    (
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z)",
        false,
    ),
    // JWT, JWS, JWE: a JSON object in base64url begins so.
    (r"(?-u:\b)eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_=-]*){0,4}", false),
    (r"(?i)(?-u:\b)(?:bearer|basic|digest)[\s:]+([A-Za-z0-9._~+/=-]{8,})", true),
    // OpenAI, Anthropic, OpenRouter, Stripe, DeepSeek, Langfuse, …
    (r"(?i)(?-u:\b)(?:sk|pk|rk|ak)[_-][A-Za-z0-9_-]{8,}", true),
    // GitHub, GitLab, Slack, Hugging Face, Google, Groq, xAI, NVIDIA, Replicate, Perplexity, npm, PyPI, DigitalOcean,
    // SendGrid, Databricks, Twilio, Shopify, age.
    (
        r"(?-u:\b)(?:gh[opsur]_|github_pat_|glpat-|xox[abeoprs]-|xapp-|hf_|AIza|ya29\.|GOCSPX-|gsk_|xai-|nvapi-|r8_|pplx-|npm_|pypi-|do[opr]_v1_|SG\.|dapi|shp(?:at|ca|pa|ss)_|AGE-SECRET-KEY-|whsec_|lsv2_(?:pt|sk)_|tvly-|fw_|jina_|csk-)[A-Za-z0-9._-]{10,}",
        true,
    ),
    (r"(?-u:\b)(?:SK|AC)[0-9a-f]{32}(?-u:\b)", false),
    // AWS.
    (r"(?-u:\b)(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA|ABIA|ACCA|APKA)[A-Z0-9]{12,}", false),
    // A password in a URL.
    (r"(?i)(?-u:\b)[a-z][a-z0-9+.-]{1,30}://[^\s/@:]{0,256}:([^\s/@]+)@", false),
    // A parameter of a signed URL.
    (
        r"(?i)[?&](?:sig|signature|key|code|x-amz-signature|x-amz-security-token|x-goog-signature)=([^\s&#\x22'<>]{6,})",
        true,
    ),
];

const EMAIL: &str = r"[\w.%+'&*=/-]+@(?:[\w-]+\.)+\w{2,}";

/// With `+` or `00`; the North American form; a national number with its leading 0, in groups or not.
const PHONES: [&str; 4] = [
    r"(?:\+|(?-u:\b)00)\(?[1-9](?:[ ./()\x{a0}\x{2010}-\x{2013}-]{0,3}\d){6,14}",
    r"(?:(?-u:\b)1[ .-])?(?:\([2-9]\d{2}\)\s{0,2}|(?-u:\b)[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?-u:\b)",
    r"(?:^|[^\w.,])(\(?0\d{1,4}[ )/.\x{a0}-]{1,3}\d{2,4}(?:[ .\x{a0}-]?\d{2,4}){1,3})(?-u:\b)",
    r"(?:^|[^\w.,])(0\d{9,10})(?-u:\b)",
];

/// The fewest digits of a phone number.
const PHONE_DIGITS: usize = 8;
const DATE: &str = r"^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?-u:\b)";

/// The expressions that are in force.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    secrets: Vec<(Regex, bool)>,
    /// A name, and what is assigned to it.
    assigned: Option<Regex>,
    /// The same in prose: "the password is …".
    told: Option<Regex>,
    names: Option<Regex>,
    email: Option<Regex>,
    phones: Vec<Regex>,
    date: Option<Regex>,
}

impl Patterns {
    pub(super) fn new(rules: &[Builtin]) -> Result<Patterns, regex::Error> {
        let wanted = |rule: Builtin, source: &str| rules.contains(&rule).then(|| build(source)).transpose();
        let mut secrets = Vec::new();
        let mut phones = Vec::new();
        if rules.contains(&Builtin::Secrets) {
            for (source, random) in SECRETS {
                secrets.push((build(source)?, random));
            }
        }
        if rules.contains(&Builtin::Phones) {
            for source in PHONES {
                phones.push(build(source)?);
            }
        }
        let before = r"[\x22'`\\\]]{0,4}\s{0,4}(?:=>|:=|[:=])\s{0,4}";
        let quoted = r"\\?\x22([^\x22\\\n]+)|'([^'\n]+)'";
        let bare = r"`?((?:bearer |basic )?[^\s\x22'`,;\\<>]{4,})";
        let assigned = format!("(?i)(?:{NAMES}){before}(?:{quoted}|{bare})");
        let told =
            format!(r"(?i)(?:{NAMES})\s{{1,4}}(?:is|was|ist|:)\s{{1,4}}[\x22'`\\]{{0,4}}([^\s\x22'`,;\\<>]{{4,}})");
        let names = format!(r"(?i)(?:{NAMES})$|^(?:cookie|auth|jwt|pin|cvv|cvc|ssn)$");
        Ok(Patterns {
            secrets,
            assigned: wanted(Builtin::Secrets, &assigned)?,
            told: wanted(Builtin::Secrets, &told)?,
            names: wanted(Builtin::Secrets, &names)?,
            email: wanted(Builtin::Emails, EMAIL)?,
            phones,
            date: wanted(Builtin::Phones, DATE)?,
        })
    }

    pub(super) fn is_secret_name(&self, name: &str) -> bool {
        self.names.as_ref().is_some_and(|names| names.is_match(name))
    }

    pub(super) fn find(&self, text: &str, found: &mut Vec<Found<'_>>) {
        let secret = Builtin::Secrets.replacement();
        let checked = self.secrets.iter().map(|(regex, random)| (regex, *random));
        let named = self.assigned.iter().map(|regex| (regex, false)).chain(self.told.iter().map(|regex| (regex, true)));
        for (regex, random) in checked.chain(named) {
            found.extend(
                places(regex, text).filter(|m| !random || looks_random(m.as_str())).map(|m| (m.range(), secret)),
            );
        }
        if let Some(email) = &self.email {
            found.extend(email.find_iter(text).map(|m| (m.range(), Builtin::Emails.replacement())));
        }
        for phone in &self.phones {
            let is_date = |text: &str| self.date.as_ref().is_some_and(|date| date.is_match(text));
            let is_number = |m: &Match<'_>| digits(m.as_str()) >= PHONE_DIGITS && !is_date(m.as_str());
            found.extend(places(phone, text).filter(is_number).map(|m| (m.range(), Builtin::Phones.replacement())));
        }
    }
}

/// The group that matched, or the whole match of an expression without any.
fn places<'t>(regex: &Regex, text: &'t str) -> impl Iterator<Item = Match<'t>> {
    regex.captures_iter(text).filter_map(|c| c.iter().skip(1).flatten().next().or(c.get(0)))
}

/// Whether it is no word of a language: a digit or a symbol of base64 in it, capitals inside, or longer than words are.
fn looks_random(text: &str) -> bool {
    let text = text.trim_end_matches(['.', '!', '?', ')', ':', '*']);
    let inside = text.char_indices().skip(1).any(|(_, c)| c.is_uppercase()) && text.chars().any(char::is_lowercase);
    let symbols =
        text.chars().any(|c| c.is_numeric() || matches!(c, '+' | '=' | '~' | '$' | '!' | '%' | '#' | '@' | '^' | '*'));
    symbols || inside || text.len() >= 20
}

fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

fn build(source: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(source).size_limit(8 << 20).build()
}
