//! What was said in an exchange, redacted and cut: only where the operator asked for it, and only for the spans.
//!
//! A [`Content`] is made after the exchange's end, off the relay's path, by whoever redacts; nothing that is not redacted
//! is ever put into one. It travels in the record, for one record feeds every surface, but in a [`ContentSlot`]: no
//! serialisation, no comparison and no `Debug` shows it, and it can be taken out once. The exporter of spans takes it.
//! After that no copy of the record has it, however long the record is kept.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

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
pub struct ContentSlot(Option<Arc<Mutex<Option<Box<Content>>>>>);

impl ContentSlot {
    /// A slot with this in it.
    pub fn new(content: Content) -> ContentSlot {
        ContentSlot(Some(Arc::new(Mutex::new(Some(Box::new(content))))))
    }

    /// What is in it; from then on it is empty.
    pub fn take(&self) -> Option<Box<Content>> {
        self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()
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
        let mut r = record();
        r.content = ContentSlot::new(content.clone());
        let copy = r.clone();
        assert!(!serde_json::to_string(&r).unwrap().contains("canary"));
        assert!(!format!("{r:?}").contains("canary"));
        assert_eq!(copy.content.take().as_deref(), Some(&content));
        assert_eq!((r.content.take(), copy.content.take()), (None, None), "copies share it");
        assert_eq!(ContentSlot::default().take(), None);
    }
}
