//! A JSON request's top-level facts, found while its body goes by.
//!
//! Prompts and images run to megabytes and `model` may stand behind them, so the body is neither held nor parsed: a
//! scanner follows strings and brackets and keeps the text of the few members that matter, 2 KiB at most. It reads what
//! backends read: of a member that stands twice the last one counts. It is no validator; what is no JSON object (a
//! compressed or multipart body) ends the scan at its first byte, and nothing is known.

use limpid_core::RequestFacts;
use memchr::memchr2;

use crate::seen::cut;

/// A member's name or text is kept up to here, in bytes.
const KEEP_BYTES: usize = 2048;
/// Names such as the model's, in bytes.
const NAME_BYTES: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct RequestObserver {
    left: usize,
    state: State,
    /// Open brackets, the top-level object's included.
    depth: u32,
    /// A name is expected at this depth, not a value.
    name_next: bool,
    /// The member's name at the top and in the object below it.
    names: [Name; 2],
    /// The name or value that is being read, if it is worth keeping.
    kept: Vec<u8>,
    keep: bool,
    facts: RequestFacts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the top-level object; how much of a byte order mark was there.
    Start(u8),
    /// Between strings and scalars.
    Structure,
    String,
    /// Behind a backslash.
    Escape,
    /// A number, `true`, `false`, `null`.
    Scalar,
    /// The object is closed, or this is none, or the limit is reached.
    Over,
}

/// The names that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Other,
    Model,
    Stream,
    StreamOptions,
    IncludeUsage,
    MaxTokens,
    N,
    Temperature,
    TopP,
    TopK,
    FrequencyPenalty,
    PresencePenalty,
    Seed,
    ServiceTier,
    ReasoningEffort,
    Reasoning,
    Effort,
    Conversation,
}

impl RequestObserver {
    /// An observer that looks at no more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        RequestObserver {
            left: limit,
            state: if limit == 0 { State::Over } else { State::Start(0) },
            depth: 0,
            name_next: false,
            names: [Name::Other; 2],
            kept: Vec::new(),
            keep: false,
            facts: RequestFacts::default(),
        }
    }

    /// Takes the next bytes of the body, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.state == State::Over {
            return;
        }
        let seen = bytes.get(..self.left.min(bytes.len())).unwrap_or_default();
        self.left -= seen.len();
        let mut rest = seen;
        while let [byte, behind @ ..] = rest {
            rest = if self.state == State::String { self.in_string(rest) } else { self.step(*byte, rest, behind) };
            if self.state == State::Over {
                return;
            }
        }
        if self.left == 0 {
            self.state = State::Over;
        }
    }

    /// What is known so far.
    pub fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    /// `model` was seen, or cannot be seen any more.
    pub fn model_settled(&self) -> bool {
        self.facts.model.is_some() || self.state == State::Over
    }

    /// One byte outside a string. Answers with what to read next: the same byte again where it ends a scalar.
    fn step<'b>(&mut self, byte: u8, all: &'b [u8], behind: &'b [u8]) -> &'b [u8] {
        match self.state {
            State::Start(mark) => self.start(mark, byte),
            State::Structure => self.structure(byte),
            State::Escape => {
                self.keep_bytes(&[byte]);
                self.state = State::String;
            }
            State::Scalar if matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') => {
                self.value(false);
                self.state = State::Structure;
                return all;
            }
            State::Scalar => self.keep_bytes(&[byte]),
            State::String | State::Over => {}
        }
        behind
    }

    fn start(&mut self, mark: u8, byte: u8) {
        self.state = match (mark, byte) {
            (0, 0xEF) => State::Start(1),
            (1, 0xBB) => State::Start(2),
            (2, 0xBF) | (0 | 3, b' ' | b'\t' | b'\r' | b'\n') => State::Start(3),
            (0 | 3, b'{') => {
                self.depth = 1;
                self.name_next = true;
                State::Structure
            }
            _ => State::Over,
        };
    }

    fn structure(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.state = State::String;
                self.keep = self.name_next && self.depth <= 2 && self.inside_known() || self.wanted();
            }
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                // Names count in the object right below a member; never in an array.
                self.name_next = byte == b'{' && self.depth == 2;
                if self.depth == 2 {
                    self.set_name(Name::Other);
                }
                if byte == b'[' && self.depth == 2 {
                    self.names = [Name::Other; 2];
                }
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.name_next = false;
                if self.depth == 0 {
                    self.state = State::Over;
                }
            }
            b',' => self.name_next = self.depth == 1 || self.depth == 2 && self.inside_known(),
            b':' => self.name_next = false,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            scalar => {
                self.state = State::Scalar;
                self.keep = self.wanted();
                self.keep_bytes(&[scalar]);
            }
        }
    }

    fn in_string<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let end = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
        let (text, rest) = bytes.split_at(end);
        self.keep_bytes(text);
        let Some((byte, behind)) = rest.split_first() else { return rest };
        if *byte == b'\\' {
            self.keep_bytes(b"\\");
            self.state = State::Escape;
            return behind;
        }
        self.state = State::Structure;
        if self.name_next && self.depth <= 2 {
            let name = if self.keep { Name::of(&unescape(&self.kept), self.depth) } else { Name::Other };
            self.set_name(name);
            self.drop_kept();
        } else {
            self.value(true);
        }
        behind
    }

    /// The top-level member holds an object that matters.
    fn inside_known(&self) -> bool {
        self.depth == 1 || matches!(self.names, [Name::StreamOptions | Name::Reasoning, _])
    }

    /// The value that begins here is one of those that matter.
    fn wanted(&self) -> bool {
        !self.name_next && self.name() != Name::Other
    }

    fn name(&self) -> Name {
        match (self.depth, self.names) {
            (1, [name, _]) | (2, [Name::StreamOptions | Name::Reasoning, name]) => name,
            _ => Name::Other,
        }
    }

    fn set_name(&mut self, name: Name) {
        let [top, below] = &mut self.names;
        if self.depth == 1 { *top = name } else { *below = name }
    }

    fn keep_bytes(&mut self, bytes: &[u8]) {
        if self.keep {
            let room = KEEP_BYTES.saturating_sub(self.kept.len()).min(bytes.len());
            self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        }
    }

    fn drop_kept(&mut self) {
        self.kept.clear();
        self.keep = false;
    }

    /// A value is complete.
    fn value(&mut self, string: bool) {
        if self.keep {
            let name = self.name();
            if string {
                let text = unescape(&self.kept);
                self.facts_from_text(name, &text);
            } else if let Ok(text) = std::str::from_utf8(&self.kept) {
                facts_from_scalar(&mut self.facts, name, text);
            }
        }
        self.drop_kept();
    }

    fn facts_from_text(&mut self, name: Name, text: &str) {
        let facts = &mut self.facts;
        let slot = match name {
            Name::Model => &mut facts.model,
            Name::ServiceTier => &mut facts.service_tier,
            Name::ReasoningEffort => &mut facts.reasoning_effort,
            Name::Effort if self.names.first() == Some(&Name::Reasoning) => &mut facts.reasoning_effort,
            Name::Conversation => &mut facts.conversation_id,
            _ => return,
        };
        *slot = (!text.is_empty()).then(|| cut(text, NAME_BYTES));
    }
}

fn facts_from_scalar(facts: &mut RequestFacts, name: Name, text: &str) {
    let truth = match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    let number = || text.parse::<f64>().ok().filter(|n| n.is_finite());
    match name {
        Name::Stream => facts.stream = truth,
        Name::IncludeUsage => facts.include_usage = truth,
        Name::MaxTokens => facts.max_tokens = text.parse().ok().or(facts.max_tokens),
        Name::N => facts.choices = text.parse().ok(),
        Name::Temperature => facts.temperature = number(),
        Name::TopP => facts.top_p = number(),
        Name::TopK => facts.top_k = number(),
        Name::FrequencyPenalty => facts.frequency_penalty = number(),
        Name::PresencePenalty => facts.presence_penalty = number(),
        Name::Seed => facts.seed = text.parse().ok(),
        _ => {}
    }
}

impl Name {
    fn of(text: &str, depth: u32) -> Name {
        match (depth, text) {
            (1, "model") => Name::Model,
            (1, "stream") => Name::Stream,
            (1, "stream_options") => Name::StreamOptions,
            (1, "max_tokens" | "max_completion_tokens" | "max_output_tokens") => Name::MaxTokens,
            (1, "n") => Name::N,
            (1, "temperature") => Name::Temperature,
            (1, "top_p") => Name::TopP,
            (1, "top_k") => Name::TopK,
            (1, "frequency_penalty") => Name::FrequencyPenalty,
            (1, "presence_penalty") => Name::PresencePenalty,
            (1, "seed") => Name::Seed,
            (1, "service_tier") => Name::ServiceTier,
            (1, "reasoning_effort") => Name::ReasoningEffort,
            (1, "reasoning") => Name::Reasoning,
            (1, "conversation" | "previous_response_id") => Name::Conversation,
            (2, "include_usage") => Name::IncludeUsage,
            (2, "effort") => Name::Effort,
            _ => Name::Other,
        }
    }
}

/// The text of a string whose inner bytes these are. One that was cut off loses what it was cut in.
fn unescape(inner: &[u8]) -> String {
    for less in 0..=12.min(inner.len()) {
        let part = inner.get(..inner.len() - less).unwrap_or_default();
        let quoted = [b"\"", part, b"\""].concat();
        if let Ok(text) = serde_json::from_slice(&quoted) {
            return text;
        }
    }
    String::new()
}

#[cfg(test)]
mod tests;
