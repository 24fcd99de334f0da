//! OpenAI completions, streamed: `/completions`. A chunk with text is a token event; there is no role chunk, so an
//! empty text is none.

use super::openai::{Reply, Stream};
use super::plain::{Delta, Parsed};
use crate::json::{self, Raw};
use crate::reply_text::Piece;
use crate::seen::{Output, Seen};

/// One chunk.
pub(super) fn event<'a>(stream: &mut Stream, text: &'a str, named_error: bool, seen: &mut Seen) -> Parsed<'a> {
    let mut reply = Reply::default();
    json::parse_into(text, &mut reply)?;
    seen.event();
    reply.common(text, named_error, seen);
    let mut output = Output::default();
    for choice in reply.choices.iter() {
        choice.common(seen);
        if choice.index() == 0 {
            seen.says(choice.text);
        }
        seen.keep(choice.index(), Piece::Text, choice.text);
        output.add(choice.text.is_some_and(Raw::is_text), Output::TEXT);
    }
    if output.any && seen.awaits_first_token() {
        output.tokens = reply.tokens_so_far();
    }
    seen.output(output);
    stream.usage(&reply, seen);
    Ok(reply.plain_choice().and_then(|choice| {
        Some(Delta { choice: choice.index(), piece: Piece::Text, text: choice.text.filter(|t| t.is_text())? })
    }))
}
