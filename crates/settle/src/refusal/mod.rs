//! Whether the model, or a filter beside it, refused.
//!
//! Orthogonal to the outcome: most refusals are a 200. Two kinds of evidence are judged, the stronger first. The
//! reply's [structure](structural) makes the verdict `certain`. How its [text] begins makes it `suspected`, with
//! the source `text`; it is read for every reply, and dropped with the observation.

mod english;
mod english_cores;
mod english_signs;
mod english_turns;
mod language;
mod needs;
mod others;
mod own;
mod structural;
#[cfg(test)]
mod tests;
mod text;
mod words;

use limpid_core::{Refusal, RefusalKind, Verdict};

pub use own::{BadPattern, PatternFault};
pub use text::{Reading, TextRules};

use crate::Evidence;

/// The verdict.
pub(crate) fn settle(rules: &TextRules, e: &Evidence<'_>) -> Refusal {
    if let Some(certain) = structural::settle(e) {
        return certain;
    }
    if !calls_tools(e) && rules.suspects(e.observation.opening.as_str()) {
        return Refusal { verdict: Verdict::Suspected, source: Some("text"), kind: Some(RefusalKind::Model) };
    }
    Refusal::NONE
}

/// The first choice ended in a tool call: "I can't tell by myself, let me look" goes on to serve.
fn calls_tools(e: &Evidence<'_>) -> bool {
    let first = e.observation.finish_reasons.iter().find(|f| f.index == 0);
    first.is_some_and(|f| matches!(&*f.reason, "tool_calls" | "tool_use" | "function_call"))
}
