//! What was said in an exchange, redacted and cut: only where the operator asked for it, and only for the spans.
//!
//! A [`Content`] is made after the exchange's end, off the relay's path, by whoever redacts; nothing that is not redacted
//! is ever put into one. It travels in the record, for one record feeds every surface, but in a [`ContentSlot`]: no
//! serialisation, no comparison and no `Debug` shows it, and it can be taken out once. The exporter of spans takes it.
//! After that no copy of the record has it, however long the record is kept. Until then it counts against the budget of all
//! texts that are kept, so that a collector that is gone does not make content pile up.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::TextBudget;

/// Prompt and reply, as JSON texts of the GenAI conventions' schemas. What is absent was not wanted, not there, or could
/// not be read: `…_missing` says which of the last.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// `gen_ai.input.messages`.
    pub input: Option<String>,
    /// `gen_ai.system_instructions`, where the API has them beside the messages.
    pub system: Option<String>,
    /// `gen_ai.output.messages`.
    pub output: Option<String>,
    /// `gen_ai.request.stop_sequences`.
    pub stop_sequences: Vec<String>,
    /// How many places were redacted, in all of it.
    pub redactions: u64,
    /// Bytes of text that the input lost to its limit.
    pub input_truncated: u64,
    /// Likewise the output; and the end of a reply that was cut off, in which half a secret could stand.
    pub output_truncated: u64,
    /// Why there is no input although it was wanted: a fixed reason such as `too_large`.
    pub input_missing: Option<&'static str>,
    /// Likewise the output.
    pub output_missing: Option<&'static str>,
}

impl Content {
    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        let texts = [&self.input, &self.system, &self.output].into_iter().flatten();
        texts.chain(&self.stop_sequences).map(String::len).sum()
    }

    /// The same without the texts, for there is no room for them.
    fn without_room(self) -> Content {
        let missing = |there: bool, known: Option<&'static str>| known.or(there.then_some("no_room"));
        Content {
            input_missing: missing(self.input.is_some() || self.system.is_some(), self.input_missing),
            output_missing: missing(self.output.is_some(), self.output_missing),
            ..Content::default()
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |text: &Option<String>| text.as_ref().map(String::len);
        f.debug_struct("Content")
            .field("input_bytes", &bytes(&self.input))
            .field("system_bytes", &bytes(&self.system))
            .field("output_bytes", &bytes(&self.output))
            .field("redactions", &self.redactions)
            .finish_non_exhaustive()
    }
}

/// A place for content that empties at the first [`ContentSlot::take`]. Copies share it. Nothing is allocated for a slot
/// that is empty from the start.
#[derive(Clone, Default)]
pub struct ContentSlot(Option<Arc<Mutex<Option<Held>>>>);

/// Content, and what it took of the budget.
struct Held {
    content: Option<Box<Content>>,
    taken: usize,
    budget: Arc<TextBudget>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.give_back(self.taken);
    }
}

impl ContentSlot {
    /// A slot with this in it, as far as the budget has room for it.
    pub fn new(content: Content, budget: &Arc<TextBudget>) -> ContentSlot {
        let bytes = content.bytes();
        let (content, taken) = if budget.take(bytes) { (content, bytes) } else { (content.without_room(), 0) };
        let held = Held { content: Some(Box::new(content)), taken, budget: Arc::clone(budget) };
        ContentSlot(Some(Arc::new(Mutex::new(Some(held)))))
    }

    /// What is in it; from then on it is empty.
    pub fn take(&self) -> Option<Box<Content>> {
        self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()?.content.take()
    }
}

/// Two records are the same whatever was captured of them.
impl PartialEq for ContentSlot {
    fn eq(&self, _: &ContentSlot) -> bool {
        true
    }
}

impl fmt::Debug for ContentSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentSlot")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    #[test]
    fn it_is_taken_once_and_no_surface_of_the_record_shows_it() {
        let content = Content { input: Some("a canary".into()), redactions: 3, ..Content::default() };
        assert!(!format!("{content:?}").contains("canary"));
        let budget = TextBudget::new(10);
        let mut r = record();
        r.content = ContentSlot::new(content.clone(), &budget);
        assert_eq!(budget.taken(), 8);
        let copy = r.clone();
        assert!(!serde_json::to_string(&r).unwrap().contains("canary"));
        assert!(!format!("{r:?}").contains("canary"));
        assert_eq!(copy.content.take().as_deref(), Some(&content));
        assert_eq!((r.content.take(), copy.content.take()), (None, None), "copies share it");
        assert_eq!(budget.taken(), 0);
        assert_eq!(ContentSlot::default().take(), None);
    }

    #[test]
    fn without_room_it_says_so_and_what_is_dropped_gives_its_room_back() {
        let budget = TextBudget::new(10);
        let of = |input: &str, output: Option<&str>| {
            let content =
                Content { input: Some(input.into()), output: output.map(str::to_owned), ..Content::default() };
            ContentSlot::new(content, &budget)
        };
        let first = of("12345678", None);
        let second = of("123", Some("4")).take().unwrap();
        assert_eq!((second.input_missing, second.output_missing), (Some("no_room"), Some("no_room")));
        assert_eq!((second.input, second.output), (None, None));
        assert_eq!(of("123", None).take().unwrap().output_missing, None, "there was none");
        drop(first);
        assert_eq!(budget.taken(), 0);
        assert_eq!(of("123", None).take().unwrap().input.as_deref(), Some("123"));
    }
}
