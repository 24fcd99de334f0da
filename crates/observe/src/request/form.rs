//! What both kinds of forms share: the label that tells them, and the facts that their fields give.

use limpid_core::RequestFacts;

use crate::seen::cut;

use super::NAME_BYTES;
use super::json::facts_from_scalar;
use super::names::Name;

/// The longest boundary that is believed; RFC 2046 §5.1.1 allows 70.
const BOUNDARY_BYTES: usize = 256;

/// What `Content-Type` says of a request's body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// No form.
    Other,
    UrlEncoded,
    /// With its boundary.
    Multipart(Vec<u8>),
    /// A multipart form without a boundary that could be believed.
    Unreadable,
}

/// Reads a `Content-Type`.
pub(super) fn label(content_type: &str) -> Label {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let kind = kind.trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Label::UrlEncoded;
    }
    if !kind.eq_ignore_ascii_case("multipart/form-data") {
        return Label::Other;
    }
    let boundary = parameters_of(parameters.as_bytes()).find(|(name, _)| name.eq_ignore_ascii_case(b"boundary"));
    match boundary {
        Some((_, value)) if (1..=BOUNDARY_BYTES).contains(&value.len()) && !value.contains(&b'\n') => {
            Label::Multipart(value)
        }
        _ => Label::Unreadable,
    }
}

/// The parameters of a field's value, `; name=value` and `; name="value"`, their quotes and backslashes undone.
pub(super) fn parameters_of(text: &[u8]) -> impl Iterator<Item = (&[u8], Vec<u8>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        while let [b';', behind @ ..] = rest {
            rest = behind.trim_ascii_start();
        }
        let at = rest.iter().position(|b| matches!(b, b'=' | b';'))?;
        let (name, behind) = rest.split_at(at);
        rest = behind;
        let [b'=', behind @ ..] = rest else { return Some((name.trim_ascii(), Vec::new())) };
        let behind = behind.trim_ascii_start();
        let mut value = Vec::new();
        if let [b'"', quoted @ ..] = behind {
            let mut bytes = quoted.iter();
            while let Some(byte) = bytes.next() {
                match byte {
                    b'"' => break,
                    // Browsers of old write the backslashes of a path as they are; no name has one.
                    b'\\' => value.extend(bytes.next()),
                    other => value.push(*other),
                }
            }
            rest = bytes.as_slice();
            let end = rest.iter().position(|b| *b == b';').unwrap_or(rest.len());
            rest = rest.get(end..).unwrap_or_default();
        } else {
            let end = behind.iter().position(|b| *b == b';').unwrap_or(behind.len());
            value.extend_from_slice(behind.get(..end).unwrap_or_default().trim_ascii_end());
            rest = behind.get(end..).unwrap_or_default();
        }
        Some((name.trim_ascii(), value))
    })
}

/// What the fields of a form said.
#[derive(Debug, Default)]
pub(super) struct Fields {
    facts: Box<RequestFacts>,
    two_models: bool,
}

impl Fields {
    /// Whether the value of a field is wanted.
    pub(super) fn wants(name: &[u8]) -> bool {
        let name = Name::of(&[], name);
        name.has_value() && !matches!(name, Name::Format | Name::EncodingFormats)
    }

    /// A field is complete.
    pub(super) fn is(&mut self, name: &[u8], value: &[u8]) {
        let name = Name::of(&[], name);
        let Ok(text) = std::str::from_utf8(value) else {
            self.two_models |= name == Name::Model && self.facts.model.is_some();
            return;
        };
        let facts = &mut *self.facts;
        let slot = match name {
            Name::Model => &mut facts.model,
            Name::ServiceTier => &mut facts.service_tier,
            Name::ReasoningEffort => &mut facts.reasoning_effort,
            Name::Conversation => &mut facts.conversation_id,
            Name::PreviousResponse => &mut facts.previous_response_id,
            _ => return facts_from_scalar(facts, name, text),
        };
        let value = (!text.is_empty()).then(|| cut(text, NAME_BYTES));
        self.two_models |= name == Name::Model && slot.is_some() && *slot != value;
        if value.is_some() {
            *slot = value;
        }
    }

    pub(super) fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    pub(super) fn has_two_models(&self) -> bool {
        self.two_models
    }

    pub(super) fn into_facts(self) -> (Box<RequestFacts>, bool) {
        (self.facts, self.two_models)
    }
}
