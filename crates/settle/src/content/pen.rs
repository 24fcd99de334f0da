//! The one way by which text gets into content: redacted whole, then cut to what room is left.

use serde_json::{Map, Value, json};

use super::redact::Redactor;

/// What a part or a message costs beside its text, bytes: its braces and names.
const PART: usize = 32;
/// A name of a role, tool or participant, or an id, is cut to this.
const NAME_BYTES: usize = 128;
/// From here on (CJK and beyond) scripts write no spaces between words.
const NO_SPACES_FROM: char = '\u{2e80}';

/// See the module.
pub(super) struct Pen<'r> {
    redactor: &'r Redactor,
    left: usize,
    /// Bytes of text that did not fit or must not be told.
    pub(super) truncated: u64,
    /// Places that were redacted.
    pub(super) redactions: u64,
}

impl<'r> Pen<'r> {
    pub(super) fn new(redactor: &'r Redactor, limit: usize) -> Pen<'r> {
        Pen { redactor, left: limit, truncated: 0, redactions: 0 }
    }

    /// Takes the room of a part or a message; false if there is none.
    pub(super) fn begin(&mut self) -> bool {
        let fits = self.left > PART;
        if fits {
            self.left -= PART;
        }
        fits
    }

    /// Writes with half of the room; what is left of that comes back.
    pub(super) fn half<T>(&mut self, write: impl FnOnce(&mut Self) -> T) -> T {
        let other = self.left - self.left / 2;
        self.left /= 2;
        let written = write(self);
        self.left += other;
        written
    }

    /// A text as far as there is room.
    pub(super) fn text(&mut self, text: &str) -> String {
        let (clean, places) = self.redactor.redact(text);
        self.redactions += places;
        let kept = head(&clean, self.left);
        self.left -= kept.len();
        self.truncated += (clean.len() - kept.len()) as u64;
        kept.to_owned()
    }

    /// A text that was cut off somewhere: without its last word, and without digits before that, for they may be the
    /// first part of something that a rule would have found.
    pub(super) fn broken_text(&mut self, text: &str) -> String {
        let word = text.trim_end_matches(|c: char| !c.is_whitespace() && c < NO_SPACES_FROM);
        let sound = word.trim_end_matches(|c: char| c.is_whitespace() || c.is_numeric() || c.is_ascii_punctuation());
        self.truncated += (text.len() - sound.len()) as u64;
        self.text(sound)
    }

    /// A name or an id: short, or cut.
    pub(super) fn name(&mut self, name: &str) -> String {
        let (clean, places) = self.redactor.redact(name);
        self.redactions += places;
        let kept = head(&clean, NAME_BYTES.min(self.left));
        self.left -= kept.len();
        self.truncated += (clean.len() - kept.len()) as u64;
        kept.to_owned()
    }

    /// What a tool is called with or answers. As it is built if it fits, else the beginning of its text.
    pub(super) fn value(&mut self, value: &Value) -> Value {
        if let Value::String(text) = value {
            return Value::String(self.text(text));
        }
        let clean = self.clean(value);
        let text = clean.to_string();
        if text.len() <= self.left {
            self.left -= text.len();
            return clean;
        }
        let kept = head(&text, self.left).to_owned();
        self.truncated += (text.len() - kept.len()) as u64;
        self.left = 0;
        Value::String(kept)
    }

    /// Arguments as a model wrote them: JSON in most cases.
    pub(super) fn arguments(&mut self, text: &str, broken: bool) -> Value {
        match serde_json::from_str(text) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => self.value(&value),
            _ if broken => Value::String(self.broken_text(text)),
            _ => Value::String(self.text(text)),
        }
    }

    /// There is no room for this.
    pub(super) fn leave_out(&mut self, value: &Value) {
        self.truncated += match value {
            Value::String(text) => text.len() as u64,
            Value::Array(all) => return all.iter().for_each(|one| self.leave_out(one)),
            Value::Object(members) => return members.values().for_each(|one| self.leave_out(one)),
            _ => 0,
        };
    }

    fn clean(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redacted(text)),
            // A card's number may be written without quotes.
            Value::Number(number) => match self.redacted(&number.to_string()) {
                same if same == number.to_string() => value.clone(),
                redacted => Value::String(redacted),
            },
            Value::Array(all) => Value::Array(all.iter().map(|one| self.clean(one)).collect()),
            Value::Object(members) => {
                let clean = members.iter().map(|(name, value)| (self.redacted(name), self.member(name, value)));
                Value::Object(clean.collect::<Map<_, _>>())
            }
            Value::Null | Value::Bool(_) => value.clone(),
        }
    }

    /// A member whose name says that it is a secret has none of it, whatever it looks like.
    fn member(&mut self, name: &str, value: &Value) -> Value {
        let secret = matches!(value, Value::String(_) | Value::Number(_)) && self.redactor.is_secret_name(name);
        if secret {
            self.redactions += 1;
            return json!(super::Builtin::Secrets.replacement());
        }
        self.clean(value)
    }

    fn redacted(&mut self, text: &str) -> String {
        let (clean, places) = self.redactor.redact(text);
        self.redactions += places;
        clean.into_owned()
    }
}

/// At most `bytes` of the text, on a character's boundary.
fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A part of a message that is text of this type.
pub(super) fn part(kind: &str, content: impl Into<Value>) -> Value {
    json!({"type": kind, "content": content.into()})
}

/// In place of what is no text: of which type it was, if that is a plain word.
pub(super) fn omitted(kind: &str) -> Value {
    let plain = kind.len() <= 32 && !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    json!({"type": "limpid.omitted", "of": if plain { kind } else { "other" }})
}
