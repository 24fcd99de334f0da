//! A JSON body's top-level facts, found while it goes by.
//!
//! Prompts and images run to megabytes and `model` may stand behind them, so the body is neither held nor parsed: a
//! scanner follows strings and brackets and keeps the text of the few members that matter, 2 KiB at most. It reads what
//! backends read: of a member that stands twice the last one counts. It is no validator; what is no JSON object (a
//! list, text) ends the scan at its first byte, and nothing is known. Two members `model` that differ are told: who chose an
//! upstream by the first cannot let the second through.

use std::sync::Arc;

use limpid_core::{OutputType, OwnLabel, RequestFacts};

use crate::json::is_plain;
use crate::seen::cut;

use super::names::{self, Name};
use super::text::{quote_or_escape, unescape};
use super::{KEEP_BYTES, MetadataLabel, NAME_BYTES};

/// Encoding formats, in bytes, and how many.
const FORMAT_BYTES: usize = 64;
const MOST_FORMATS: usize = 8;
/// How deep a member may stand: `text.format.type`.
const DEEPEST: usize = 3;

/// See the module.
#[expect(clippy::struct_excessive_bools, reason = "facts of a parser that do not depend on each other")]
#[derive(Debug)]
pub(super) struct JsonBody {
    /// Empty: `metadata` is passed over like any other member.
    metadata: Arc<[MetadataLabel]>,
    left: usize,
    state: State,
    /// Open brackets, the top-level object's included.
    depth: u32,
    /// A name is expected at this depth, not a value.
    name_next: bool,
    /// Members that matter may stand directly in here. Worked out where a bracket opens or closes.
    known: bool,
    /// The member's name at the top and in the objects below it.
    names: [Name; DEEPEST],
    /// The part of a name or value that earlier bytes held, if it is worth keeping. What lies whole in the bytes at hand
    /// is read there.
    kept: Vec<u8>,
    keep: bool,
    facts: RequestFacts,
    /// A second `model` says something else.
    two_models: bool,
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

impl JsonBody {
    pub(super) fn new(limit: usize, metadata: Arc<[MetadataLabel]>) -> Self {
        JsonBody {
            metadata,
            left: limit,
            state: if limit == 0 { State::Over } else { State::Start(0) },
            depth: 0,
            name_next: false,
            known: false,
            names: [Name::Other; DEEPEST],
            kept: Vec::new(),
            keep: false,
            facts: RequestFacts::default(),
            two_models: false,
        }
    }

    /// Takes the next bytes of the body, cut anywhere.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.state == State::Over {
            return;
        }
        let seen = bytes.get(..self.left.min(bytes.len())).unwrap_or_default();
        self.left -= seen.len();
        let mut rest = seen;
        while let [byte, behind @ ..] = rest {
            rest = match self.state {
                State::String => self.in_string(rest),
                State::Scalar => self.in_scalar(rest),
                State::Structure => {
                    self.structure(*byte);
                    if self.state == State::Scalar { rest } else { behind }
                }
                State::Escape => {
                    self.keep_bytes(&[*byte]);
                    self.state = State::String;
                    behind
                }
                State::Start(mark) => {
                    self.start(mark, *byte);
                    behind
                }
                State::Over => return,
            };
            if self.state == State::Over {
                return;
            }
        }
        if self.left == 0 {
            self.state = State::Over;
        }
    }

    pub(super) fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    pub(super) fn into_facts(self) -> RequestFacts {
        self.facts
    }

    /// Nothing more is looked at.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(super) fn has_two_models(&self) -> bool {
        self.two_models
    }

    fn start(&mut self, mark: u8, byte: u8) {
        self.state = match (mark, byte) {
            (0, 0xEF) => State::Start(1),
            (1, 0xBB) => State::Start(2),
            (2, 0xBF) | (0 | 3, b' ' | b'\t' | b'\r' | b'\n') => State::Start(3),
            (0 | 3, b'{') => {
                self.depth = 1;
                self.known = self.inside_known();
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
                self.keep = if self.name_next { self.known } else { self.name().has_value() };
            }
            b'{' | b'[' => self.opens(byte == b'{'),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.known = self.inside_known();
                self.name_next = false;
                if self.depth == 0 {
                    self.state = State::Over;
                }
            }
            b',' => self.name_next = self.known,
            b':' => self.name_next = false,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => {
                self.state = State::Scalar;
                self.keep = !self.name_next && self.name().has_value();
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
            (Name::Model, _) if self.depth == 1 => {
                self.names_model(None);
                self.set_name(Name::Other);
            }
            (Name::EncodingFormats, true) | (_, false) => self.set_name(Name::Other),
            _ => {}
        }
        self.depth = self.depth.saturating_add(1);
        self.set_name(Name::Other);
        self.known = self.inside_known();
        self.name_next = object && self.known;
    }

    fn in_string<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (text, rest) = bytes.split_at(quote_or_escape(bytes));
        match rest.split_first() {
            Some((b'"', behind)) => {
                self.state = State::Structure;
                self.ends(text, true);
                behind
            }
            Some((_, behind)) => {
                self.keep_bytes(text);
                self.keep_bytes(b"\\");
                self.state = State::Escape;
                behind
            }
            None => {
                self.keep_bytes(text);
                rest
            }
        }
    }

    fn in_scalar<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
        let Some(end) = bytes.iter().position(ends) else {
            self.keep_bytes(bytes);
            return &[];
        };
        let (text, rest) = bytes.split_at(end);
        self.state = State::Structure;
        self.ends(text, false);
        rest
    }

    /// A name or value is complete whose last bytes these are.
    fn ends(&mut self, text: &[u8], string: bool) {
        let naming = self.name_next && string;
        if naming {
            self.set_name(Name::Other);
        }
        if !self.keep {
            return;
        }
        let mut kept = std::mem::take(&mut self.kept);
        let whole = if kept.is_empty() {
            text.get(..KEEP_BYTES).unwrap_or(text)
        } else {
            let room = KEEP_BYTES.saturating_sub(kept.len()).min(text.len());
            kept.extend_from_slice(text.get(..room).unwrap_or_default());
            &kept
        };
        if naming {
            let above = self.path().split_last().map_or(&[][..], |(_, above)| above);
            // Nearly every name stands as it is meant.
            let name = if whole.is_ascii() && is_plain(whole) {
                self.name_of(above, whole)
            } else {
                self.name_of(above, unescape(whole).as_bytes())
            };
            self.set_name(name);
        } else {
            self.value(whole, string);
        }
        kept.clear();
        self.kept = kept;
        self.keep = false;
    }

    fn name_of(&self, above: &[Name], text: &[u8]) -> Name {
        match above {
            [] if text == b"metadata" && !self.metadata.is_empty() => Name::Metadata,
            [Name::Metadata] => {
                let at = self.metadata.iter().position(|(member, _)| member.as_bytes() == text);
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

    fn name(&self) -> Name {
        match self.path() {
            [Name::EncodingFormats, _] => Name::EncodingFormats,
            [.., name] if self.known => *name,
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

    /// A value that matters is complete.
    fn value(&mut self, inner: &[u8], string: bool) {
        let name = self.name();
        if let Name::MetadataMember(at) = name {
            self.label(usize::from(at), inner, string);
        } else if string {
            self.facts_from_text(name, &unescape(inner));
        } else if name == Name::Model {
            self.names_model(None);
        } else if let Ok(text) = std::str::from_utf8(inner) {
            facts_from_scalar(&mut self.facts, name, text);
        }
    }

    /// A member of `metadata` is complete. What is no value of its own (`null`) takes back what stood there before.
    fn label(&mut self, at: usize, inner: &[u8], string: bool) {
        let text = if string { unescape(inner) } else { String::from_utf8_lossy(inner) };
        let Some((_, name)) = self.metadata.get(at) else { return };
        self.facts.metadata.retain(|label| label.name != *name);
        if string || text != "null" {
            self.facts.metadata.extend(OwnLabel::new(name, &text));
        }
    }

    /// Of members that stand twice the last one counts, as backends read it.
    fn names_model(&mut self, model: Option<Box<str>>) {
        self.two_models |= self.facts.model.is_some() && self.facts.model != model;
        if model.is_some() {
            self.facts.model = model;
        }
    }

    fn facts_from_text(&mut self, name: Name, text: &str) {
        let facts = &mut self.facts;
        let slot = match name {
            Name::Model => return self.names_model((!text.is_empty()).then(|| cut(text, NAME_BYTES))),
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

pub(super) fn facts_from_scalar(facts: &mut RequestFacts, name: Name, text: &str) {
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
