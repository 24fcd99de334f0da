//! Families of models: whose tokenizer it is, as far as a name tells.
//!
//! OpenAI's encodings are public and exact. For all others the count of `o200k_base` is multiplied by a factor that
//! depends on the family and on the kind of text: prose, code and data, languages other than English, Chinese and
//! Japanese. The kinds are blended by the shares of their characters. Where the factors come from, and how far off they
//! are, stands in `docs/tokens.md`.

use super::encoding::Encoding;

/// How a family counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    /// Its name in [`super::Estimate`]'s method; absent for OpenAI's own encodings.
    name: Option<&'static str>,
    encoding: Encoding,
    /// Of prose, code, other languages, Chinese and Japanese.
    factors: [f64; 4],
    /// What its chat template adds to a message, the role's word not counted, and to the whole prompt.
    pub(super) per_message: u64,
    pub(super) per_prompt: u64,
    /// What it adds if there is no system prompt: one of its own.
    pub(super) without_system: u64,
    /// What it adds if there are tools.
    pub(super) per_tools: u64,
    /// A name costs a token (OpenAI).
    pub(super) per_name: u64,
}

const fn family(name: &'static str, factors: [f64; 4], per_message: u64, per_prompt: u64) -> Family {
    Family {
        name: Some(name),
        encoding: Encoding::O200k,
        factors,
        per_message,
        per_prompt,
        without_system: 0,
        per_tools: 0,
        per_name: 0,
    }
}

const LLAMA: Family = family("llama", [1.00, 1.00, 1.12, 1.02], 4, 5);
const QWEN: Family = family("qwen", [1.01, 1.03, 1.12, 0.96], 4, 3);
const MISTRAL: Family = family("mistral", [1.03, 1.07, 1.06, 1.25], 1, 1);
const DEEPSEEK: Family = family("deepseek", [1.01, 1.11, 1.10, 0.98], 0, 2);
const GEMMA: Family = family("gemma", [1.04, 1.30, 1.08, 1.09], 4, 4);
/// Its tokenizer is not public; Gemma's is said to be a part of it.
const GEMINI: Family = family("gemini", [1.04, 1.30, 1.08, 1.09], 0, 1);
/// That of Claude 2, the last that is public. The tokens for tools are those of Anthropic's table for Claude 4.
const CLAUDE: Family = Family { per_tools: 346, ..family("claude", [1.07, 1.13, 1.25, 1.20], 3, 4) };
const SMOLLM: Family = Family { without_system: 21, ..family("smollm", [1.12, 1.20, 1.45, 1.90], 4, 3) };
const OTHER: Family = family("other", [1.02, 1.06, 1.12, 1.05], 4, 4);

/// What a part of the name says. The first that is found counts, so a distilled model is of the family it was made from.
const NAMES: &[(&str, Family)] = &[
    ("claude", CLAUDE),
    ("gemini", GEMINI),
    ("gemma", GEMMA),
    ("qwen", QWEN),
    ("qwq", QWEN),
    ("smollm", SMOLLM),
    ("llama", LLAMA),
    ("mistral", MISTRAL),
    ("mixtral", MISTRAL),
    ("ministral", MISTRAL),
    ("codestral", MISTRAL),
    ("devstral", MISTRAL),
    ("magistral", MISTRAL),
    ("pixtral", MISTRAL),
    ("deepseek", DEEPSEEK),
];

impl Family {
    /// The family of the first name that tells one; of none, a family of its own called `other`.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Family {
        names.into_iter().find_map(Family::by_name).unwrap_or(OTHER)
    }

    fn by_name(name: &str) -> Option<Family> {
        let lower = name.to_ascii_lowercase();
        // `openai/gpt-4o`, `accounts/x/models/llama-v3`, `ft:gpt-4o:org`.
        let last = lower.rsplit('/').next().unwrap_or_default();
        let newer = || ["gpt-", "chatgpt-"].iter().any(|p| last.starts_with(p)).then_some(Encoding::O200k);
        if let Some(encoding) = Encoding::of_model(last).or_else(newer) {
            return Some(Family::openai(encoding));
        }
        NAMES.iter().find(|(part, _)| lower.contains(part)).map(|(_, family)| *family)
    }

    const fn openai(encoding: Encoding) -> Family {
        // Of OpenAI's cookbook: 3 a message, 1 a name, 3 for the reply's beginning.
        Family {
            name: None,
            encoding,
            factors: [1.0; 4],
            per_message: 3,
            per_prompt: 3,
            without_system: 0,
            per_tools: 0,
            per_name: 1,
        }
    }

    /// Whether its tokens are those of one of OpenAI's encodings.
    pub const fn is_openai(&self) -> bool {
        self.name.is_none()
    }

    /// Whether it is Claude.
    pub(super) fn is_claude(&self) -> bool {
        self.name == CLAUDE.name
    }

    /// The encoding that is counted with.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What the count of a text is multiplied by.
    pub fn factor(&self, shares: &Shares) -> f64 {
        if self.is_openai() {
            return 1.0;
        }
        let [prose, code, foreign, cjk] = self.factors;
        let written = shares.written.max(1) as f64;
        let symbols = ramp(shares.symbols as f64 / written, 0.06, 0.16);
        let accents = ramp(shares.foreign as f64 / written, 0.005, 0.03);
        let ideographs = ramp(shares.cjk as f64 / written, 0.0, 0.6);
        let plain = prose + (code - prose) * symbols;
        let latin = plain + (foreign - plain).max(0.0) * accents;
        latin + (cjk - latin) * ideographs
    }

    /// The method's name, with the factor that was used: `tiktoken:o200k_base`, `o200k_base*1.12:claude`.
    pub fn method(&self, factor: f64) -> String {
        match self.name {
            None => format!("tiktoken:{}", self.encoding.as_str()),
            Some(name) => format!("{}*{factor:.2}:{name}", self.encoding.as_str()),
        }
    }
}

/// 0 below `from`, 1 above `to`, straight between.
fn ramp(x: f64, from: f64, to: f64) -> f64 {
    ((x - from) / (to - from)).clamp(0.0, 1.0)
}

/// How many characters of which kind a text has; white space is left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    written: u64,
    /// ASCII digits and punctuation.
    symbols: u64,
    /// Letters beyond ASCII that are no ideographs.
    foreign: u64,
    /// Chinese characters and kana; Hangul.
    cjk: u64,
}

impl Shares {
    /// Adds those of `text`.
    pub fn add(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_whitespace()) {
            self.written += 1;
            match c {
                'a'..='z' | 'A'..='Z' => {}
                '\0'..='\x7f' => self.symbols += 1,
                '\u{3000}'..='\u{9fff}'
                | '\u{ac00}'..='\u{d7af}'
                | '\u{f900}'..='\u{faff}'
                | '\u{ff00}'..='\u{ffef}' => {
                    self.cjk += 1;
                }
                c if c.is_alphabetic() => self.foreign += 1,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_family() {
        for (name, method) in [
            ("gpt-4o-2024-11-20", "tiktoken:o200k_base"),
            ("openai/gpt-4.1-mini", "tiktoken:o200k_base"),
            ("ft:gpt-3.5-turbo:org::id", "tiktoken:cl100k_base"),
            ("text-embedding-3-small", "tiktoken:cl100k_base"),
            ("gpt-7-turbo", "tiktoken:o200k_base"),
            ("openai/gpt-oss-120b", "tiktoken:o200k_base"),
            ("us.anthropic.claude-sonnet-4-5-v1:0", "o200k_base*1.07:claude"),
            ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "o200k_base*1.00:llama"),
            ("deepseek-chat", "o200k_base*1.01:deepseek"),
            ("Qwen/Qwen3-8B", "o200k_base*1.01:qwen"),
            ("google/gemma-3-27b-it", "o200k_base*1.04:gemma"),
            ("my-deployment", "o200k_base*1.02:other"),
        ] {
            let mut prose = Shares::default();
            prose.add("Some plain words of English");
            let family = Family::of([name]);
            assert_eq!(family.method(family.factor(&prose)), method, "{name}");
        }
        assert_eq!(Family::of(["my-deployment", "gpt-4"]).encoding(), Encoding::Cl100k, "the next name helps");
    }

    #[test]
    fn the_factor_depends_on_the_text() {
        let factor = |text: &str| {
            let mut shares = Shares::default();
            shares.add(text);
            GEMMA.factor(&shares)
        };
        assert!((factor("Only words here, nothing else at all") - 1.04).abs() < 0.005);
        assert!((factor("{\"a\":[1,2,3],\"b\":{\"c\":\"d\"}}") - 1.30).abs() < 0.005);
        assert!((factor("你好世界这是一个很长的句子") - 1.09).abs() < 0.005);
        assert!((factor("") - 1.04).abs() < 0.005);
    }
}
