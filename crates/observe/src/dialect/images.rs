//! OpenAI images: `/images/generations`, `/images/edits`, `/images/variations`.
//!
//! Streamed, `image_generation.partial_image` and `image_edit.partial_image` are sketches on the way, and the
//! `….completed` of each is the end and has the usage. A sketch is no token event: it stands for hundreds of tokens that
//! came at once, and a time per token made of it would mean nothing. The time to the first event is the time to the first
//! sketch.
//!
//! The images themselves are megabytes of base64 in the events, which `frame/elide.rs` takes out of the observed copy.

use limpid_core::ObserverFault;

use super::{error, usage};
use crate::json::{self, Leaf, Raw, members};
use crate::seen::Seen;

members! {
    struct Event<'a> {
        kind: Leaf<'a> = "type",
        usage: usage::Member<'a>,
        error: Leaf<'a>,
    }
}

/// One event.
pub(super) fn event(text: &str, named_error: bool, seen: &mut Seen) -> Result<(), ObserverFault> {
    let event = json::parse::<Event<'_>>(text)?;
    seen.event();
    let event = event.unwrap_or_default();
    let kind = event.kind.and_then(Raw::string).unwrap_or_default();
    match &*kind {
        "image_generation.partial_image" | "image_edit.partial_image" => seen.choice(0),
        "image_generation.completed" | "image_edit.completed" => {
            seen.choice(0);
            seen.terminal();
            if let Some(told) = usage::openai(&event.usage, false) {
                seen.usage(told.usage);
            }
        }
        _ if named_error || kind == "error" || event.error.is_some_and(Raw::is_truthy) => {
            error::in_stream(text, true, seen);
        }
        _ => {}
    }
    Ok(())
}
