//! OpenAI audio: `/audio/transcriptions`, `/audio/translations`, `/audio/speech`.
//!
//! Streamed, a transcription is `transcript.text.delta` events with the text as it is heard, speech is
//! `speech.audio.delta` events with a piece of sound; the `….done` of each is the end and has the usage. vLLM streams
//! transcriptions as chunks of chat (`transcription.chunk`) and `[DONE]`. Speech that is not asked for as events is sound
//! alone, which is not looked at.
//!
//! Models that count tokens tell `usage` with `"type":"tokens"`; whisper's tell `"type":"duration"` with the seconds
//! that are billed. `verbose_json` tells the recording's `duration`, which stands in where there is no usage.

use limpid_core::{ObserverFault, Source, Usage};

use super::chat::Chat;
use super::{error, usage};
use crate::json::{self, Leaf, Raw, members};
use crate::reply_text::Piece;
use crate::seen::{Output, Seen};

members! {
    struct Event<'a> {
        kind: Leaf<'a> = "type",
        delta: Leaf<'a>,
        audio: Leaf<'a>,
        usage: usage::Member<'a>,
        duration: Leaf<'a>,
        error: Leaf<'a>,
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Audio {
    /// For servers that stream a transcription as chat.
    chat: Chat,
}

impl Audio {
    /// One event.
    pub(super) fn event(&mut self, text: &str, named_error: bool, seen: &mut Seen) -> Result<(), ObserverFault> {
        let event = json::parse::<Event<'_>>(text)?.unwrap_or_default();
        let Some(kind) = event.kind.and_then(Raw::string) else {
            return self.chat.event(text, named_error, seen).map(drop);
        };
        seen.event();
        match &*kind {
            "transcript.text.delta" => {
                seen.choice(0);
                let mut output = Output::default();
                output.add(event.delta.is_some_and(Raw::is_text), Output::TEXT);
                seen.output(output);
                seen.keep(0, Piece::Text, event.delta);
                seen.says(event.delta);
            }
            "speech.audio.delta" => {
                seen.choice(0);
                let mut output = Output::default();
                output.add(event.audio.is_some_and(Raw::is_text), Output::OTHER);
                seen.output(output);
                seen.generated_more_than_text();
            }
            "transcript.text.done" | "speech.audio.done" => {
                seen.choice(0);
                seen.terminal();
                told(&event.usage, None, seen);
            }
            _ if named_error || kind == "error" || event.error.is_some_and(Raw::is_truthy) => {
                error::in_stream(text, true, seen);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A transcription that is not streamed.
pub(super) fn body(text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    if let Some(event) = json::parse::<Event<'_>>(text)? {
        told(&event.usage, event.duration, seen);
        if event.error.is_some_and(Raw::is_truthy) {
            error::in_stream(text, false, seen);
        }
    }
    Ok(())
}

fn told(counts: &usage::Member<'_>, duration: Leaf<'_>, seen: &mut Seen) {
    if let Some(told) = usage::openai(counts, false) {
        seen.usage(told.usage);
        return;
    }
    if let Some(ms) = duration.and_then(milliseconds) {
        seen.usage(Usage { audio_ms: Some(ms), ..Usage::empty(Source::Reported) });
    }
}

/// Seconds, as a number or in a string (as older servers wrote `duration`), in whole milliseconds.
fn milliseconds(raw: Raw<'_>) -> Option<u64> {
    let seconds = raw.scalar()?.parse().ok()?;
    let length = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    u64::try_from(length.as_micros().saturating_add(500) / 1000).ok()
}
