//! A JSON request's top-level facts, found while its body goes by.
//!
//! Prompts and images run to megabytes and `model` may stand behind them, so the body is neither held nor parsed: a
//! scanner follows strings and brackets and keeps the text of the few members that matter, 2 KiB at most. It reads what
//! backends read: of a member that stands twice the last one counts. It is no validator; what is no JSON object (a
//! compressed or multipart body) ends the scan at its first byte, and nothing is known.

use std::borrow::Cow;
use std::sync::Arc;

use limpid_core::{OutputType, OwnLabel, RequestFacts};
use memchr::memchr2;

use crate::seen::cut;
use names::Name;

mod names;

/// A member's name or text is kept up to here, in bytes.
const KEEP_BYTES: usize = 2048;
/// Names such as the model's, in bytes.
const NAME_BYTES: usize = 256;
/// Encoding formats, in bytes, and how many.
const FORMAT_BYTES: usize = 64;
const MOST_FORMATS: usize = 8;
/// How deep a member may stand: `text.format.type`.
const DEEPEST: usize = 3;

/// A member of `metadata` that becomes a label: its name, and the label's.
pub type MetadataLabel = (Box<str>, Arc<str>);

/// See the module.
#[derive(Debug)]
pub struct RequestObserver {
    /// Empty: `metadata` is passed over like any other member.
    metadata: Arc<[MetadataLabel]>,
    left: usize,
    state: State,
    /// Open brackets, the top-level object's included.
    depth: u32,
    /// A name is expected at this depth, not a value.
    name_next: bool,
    /// The member's name at the top and in the objects below it.
    names: [Name; DEEPEST],
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

impl RequestObserver {
    /// An observer that looks at no more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self::with_metadata(limit, Arc::default())
    }

    /// The same, which also makes labels of these members of `metadata`, where they are strings, numbers or truths.
    pub fn with_metadata(limit: usize, metadata: Arc<[MetadataLabel]>) -> Self {
        RequestObserver {
            metadata,
            left: limit,
            state: if limit == 0 { State::Over } else { State::Start(0) },
            depth: 0,
            name_next: false,
            names: [Name::Other; DEEPEST],
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
                self.keep = self.name_next && self.inside_known() || self.wanted();
            }
            b'{' | b'[' => self.opens(byte == b'{'),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.name_next = false;
                if self.depth == 0 {
                    self.state = State::Over;
                }
            }
            b',' => self.name_next = self.inside_known(),
            b':' => self.name_next = false,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            scalar => {
                self.state = State::Scalar;
                self.keep = self.wanted();
                self.keep_bytes(&[scalar]);
            }
        }
    }

    /// An object or an array begins. Names count in an object right below a member that matters; never in an array, whose
    /// strings count where it is a list of formats.
    fn opens(&mut self, object: bool) {
        match (self.name(), object) {
            (Name::Metadata, true) if self.depth == 1 => self.facts.metadata.clear(),
            // Ollama: a schema.
            (Name::Format, true) if self.depth == 1 => self.facts.output_type = Some(OutputType::Json),
            (Name::EncodingFormats, false) if self.depth == 1 => self.facts.encoding_formats.clear(),
            (Name::EncodingFormats, true) | (_, false) => self.set_name(Name::Other),
            _ => {}
        }
        self.depth = self.depth.saturating_add(1);
        self.set_name(Name::Other);
        self.name_next = object && self.inside_known();
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
        if self.name_next {
            let above = self.path().split_last().map_or(&[][..], |(_, above)| above);
            let name = if self.keep { self.name_of(above, &unescape(&self.kept)) } else { Name::Other };
            self.set_name(name);
            self.drop_kept();
        } else {
            self.value(true);
        }
        behind
    }

    fn name_of(&self, above: &[Name], text: &str) -> Name {
        match above {
            [] if text == "metadata" && !self.metadata.is_empty() => Name::Metadata,
            [Name::Metadata] => {
                let at = self.metadata.iter().position(|(member, _)| **member == *text);
                at.and_then(|at| u8::try_from(at).ok()).map_or(Name::Other, Name::MetadataMember)
            }
            _ => Name::of(above, text),
        }
    }

    /// The names from the top down to where this is; empty where it is too deep.
    fn path(&self) -> &[Name] {
        let depth = usize::try_from(self.depth).unwrap_or(usize::MAX);
        self.names.get(..depth).unwrap_or_default()
    }

    /// What is directly in here may be a member that matters.
    fn inside_known(&self) -> bool {
        self.path().split_last().is_some_and(|(_, above)| names::holds_members(above))
    }

    /// The value that begins here is one of those that matter.
    fn wanted(&self) -> bool {
        !self.name_next && self.name().has_value()
    }

    fn name(&self) -> Name {
        match self.path() {
            [Name::EncodingFormats, _] => Name::EncodingFormats,
            [above @ .., name] if names::holds_members(above) => *name,
            _ => Name::Other,
        }
    }

    fn set_name(&mut self, name: Name) {
        let at = usize::try_from(self.depth).unwrap_or(usize::MAX).wrapping_sub(1);
        if let Some(slot) = self.names.get_mut(at) {
            *slot = name;
        }
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
            if let Name::MetadataMember(at) = name {
                self.label(usize::from(at), string);
            } else if string {
                let text = unescape(&self.kept).into_owned();
                self.facts_from_text(name, &text);
            } else if let Ok(text) = std::str::from_utf8(&self.kept) {
                facts_from_scalar(&mut self.facts, name, text);
            }
        }
        self.drop_kept();
    }

    /// A member of `metadata` is complete. What is no value of its own (`null`) takes back what stood there before.
    fn label(&mut self, at: usize, string: bool) {
        let text = if string { unescape(&self.kept) } else { String::from_utf8_lossy(&self.kept) };
        let Some((_, name)) = self.metadata.get(at) else { return };
        self.facts.metadata.retain(|label| label.name != *name);
        if string || text != "null" {
            self.facts.metadata.extend(OwnLabel::new(name, &text));
        }
    }

    fn facts_from_text(&mut self, name: Name, text: &str) {
        let facts = &mut self.facts;
        let slot = match name {
            Name::Model => &mut facts.model,
            Name::ServiceTier => &mut facts.service_tier,
            Name::ReasoningEffort => &mut facts.reasoning_effort,
            Name::Conversation => &mut facts.conversation_id,
            Name::PreviousResponse => &mut facts.previous_response_id,
            Name::Format | Name::FormatType => {
                return facts.output_type = output_type(text).or(facts.output_type);
            }
            Name::EncodingFormats => {
                let formats = &mut facts.encoding_formats;
                if self.depth == 1 {
                    formats.clear();
                }
                if formats.len() < MOST_FORMATS && !text.is_empty() {
                    formats.push(cut(text, FORMAT_BYTES));
                }
                return;
            }
            _ => return,
        };
        *slot = (!text.is_empty()).then(|| cut(text, NAME_BYTES));
    }
}

/// What a format by this name is; the names of OpenAI, Ollama and, as a media type, of Google.
fn output_type(name: &str) -> Option<OutputType> {
    match name {
        "text" | "text/plain" => Some(OutputType::Text),
        "json" | "json_object" | "json_schema" | "application/json" => Some(OutputType::Json),
        _ => None,
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
        Name::Dimensions => facts.dimensions = text.parse().ok(),
        _ => {}
    }
}

/// The text of a string whose inner bytes these are. One that was cut off loses what it was cut in.
fn unescape(inner: &[u8]) -> Cow<'_, str> {
    if !inner.iter().any(|byte| matches!(byte, b'\\' | 0..0x20))
        && let Ok(text) = std::str::from_utf8(inner)
    {
        return Cow::Borrowed(text);
    }
    for less in 0..=12.min(inner.len()) {
        let part = inner.get(..inner.len() - less).unwrap_or_default();
        let quoted = [b"\"", part, b"\""].concat();
        if let Ok(text) = serde_json::from_slice(&quoted) {
            return Cow::Owned(text);
        }
    }
    Cow::Borrowed("")
}

#[cfg(test)]
mod tests;
