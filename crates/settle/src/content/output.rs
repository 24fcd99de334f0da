//! What was generated, as messages: one a choice, in the choices' order, as the conventions want it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use limpid_core::{Ending, Spoken};
use serde_json::{Value, json};

use super::pen::{Pen, omitted, part};
use crate::Unsettled;

/// Finish reasons after which nothing is missing at the end of the text. With any other it may have been cut.
const WHOLE: [&str; 12] = [
    "stop",
    "end_turn",
    "stop_sequence",
    "tool_calls",
    "tool_use",
    "function_call",
    "eos_token",
    "eos",
    "completed",
    "STOP",
    "COMPLETE",
    "pause_turn",
];

/// The messages; none if nothing was generated.
pub(super) fn read(pen: &mut Pen<'_>, said: &[u8], exchange: &Unsettled) -> Vec<Value> {
    let mut choices: BTreeMap<u32, Vec<(Spoken, String)>> = BTreeMap::new();
    for (choice, kind, inside) in Spoken::pieces(said) {
        choices.entry(choice).or_default().push((kind, unescape(inside).into_owned()));
    }
    let ended_well = exchange.ending == Ending::End && exchange.observation.error.is_none();
    let mut messages = Vec::new();
    for (choice, pieces) in choices {
        let told = exchange.observation.finish_reasons.iter().find(|f| f.index == choice).map(|f| &*f.reason);
        let whole = ended_well && told.is_some_and(|reason| WHOLE.contains(&reason));
        if !pen.begin() {
            pen.truncated += pieces.iter().map(|(_, text)| text.len() as u64).sum::<u64>();
            continue;
        }
        let mut message = json!({"role": "assistant", "parts": parts(pen, pieces, whole)});
        // The conventions' word for a choice that began and did not end.
        if let Some(reason) = told.or((!ended_well).then_some("error")) {
            message["finish_reason"] = json!(reason);
        }
        messages.push(message);
    }
    messages
}

fn parts(pen: &mut Pen<'_>, pieces: Vec<(Spoken, String)>, whole: bool) -> Vec<Value> {
    let mut parts = Vec::new();
    let mut pieces = pieces.into_iter().peekable();
    while let Some((kind, text)) = pieces.next() {
        let arguments = match kind {
            Spoken::Name => pieces.next_if(|(next, _)| *next == Spoken::Arguments).map(|(_, text)| text),
            _ => None,
        };
        if !pen.begin() {
            pen.truncated += (text.len() + arguments.map_or(0, |a| a.len())) as u64;
            continue;
        }
        let broken = !whole && pieces.peek().is_none();
        let mut say = |kind: &str, text: &str| {
            let said = if broken { pen.broken_text(text) } else { pen.text(text) };
            part(kind, said)
        };
        parts.push(match kind {
            Spoken::Text => say("text", &text),
            Spoken::Refusal => say("refusal", &text),
            Spoken::Reasoning => say("reasoning", &text),
            Spoken::Name => {
                let mut call = json!({"type": "tool_call", "name": pen.name(&text)});
                if let Some(text) = arguments {
                    call["arguments"] = pen.arguments(&text, broken);
                }
                call
            }
            // Of a tool whose name was not seen.
            Spoken::Arguments => json!({"type": "limpid.tool_input", "content": pen.arguments(&text, broken)}),
            Spoken::Other => omitted("other"),
        });
    }
    parts
}

/// The text of a JSON string with these insides; as they stand where they are none: an object, half an emoji.
fn unescape(inside: &[u8]) -> Cow<'_, str> {
    if !inside.contains(&b'\\') {
        return String::from_utf8_lossy(inside);
    }
    let quoted = [b"\"", inside, b"\""].concat();
    serde_json::from_slice(&quoted).map_or_else(|_| String::from_utf8_lossy(inside), Cow::Owned)
}
