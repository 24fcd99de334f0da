//! Dialects: what the events and bodies of one API mean.
//!
//! A dialect is given one event's text and writes what it finds into [`Seen`]. It either reads all of an event or, when
//! the text is not JSON, returns a fault and leaves everything as it was. JSON of an unknown shape counts as an event
//! and tells nothing: servers add kinds of events freely.

mod audio;
mod chat;
mod completions;
mod error;
mod gemini;
mod generate;
mod hint;
mod images;
mod messages;
mod ollama;
mod openai;
mod responses;
mod scores;
mod session;
mod usage;

pub(crate) use error::{error_body, plain_error};

use limpid_core::{Endpoint, ObserverFault};

use crate::seen::Seen;

/// See the module.
#[derive(Debug)]
pub(crate) enum Dialect {
    Chat(chat::Chat),
    Completions(openai::Stream),
    Responses,
    Messages(messages::Messages),
    /// Ollama, TGI, SGLang.
    Generate(generate::Generate),
    Gemini,
    Audio(audio::Audio),
    Images,
    /// Responses over WebSocket: Realtime and its like.
    Session,
    /// Embeddings, rerank, moderations: one body, whose usage may be a total alone.
    Scores,
    /// No dialect: bodies are read in OpenAI's common shape, events are counted and not read.
    Other,
}

impl Dialect {
    pub(crate) fn of(endpoint: Endpoint) -> Dialect {
        match endpoint {
            Endpoint::Chat => Dialect::Chat(chat::Chat::default()),
            Endpoint::Completions => Dialect::Completions(openai::Stream::default()),
            Endpoint::Responses => Dialect::Responses,
            Endpoint::Messages => Dialect::Messages(messages::Messages::default()),
            Endpoint::Generate => Dialect::Generate(generate::Generate::default()),
            Endpoint::GenerateContent => Dialect::Gemini,
            Endpoint::Audio => Dialect::Audio(audio::Audio::default()),
            Endpoint::Images => Dialect::Images,
            Endpoint::Embeddings | Endpoint::Rerank | Endpoint::Moderations => Dialect::Scores,
            _ => Dialect::Other,
        }
    }

    /// For what follows a switch to WebSocket.
    pub(crate) fn of_session(endpoint: Endpoint) -> Dialect {
        if matches!(endpoint, Endpoint::Realtime | Endpoint::Responses) { Dialect::Session } else { Dialect::Other }
    }

    /// One event of a stream.
    pub(crate) fn event(&mut self, text: &str, named_error: bool, seen: &mut Seen) -> Result<(), ObserverFault> {
        match self {
            Dialect::Chat(chat) => chat.event(text, named_error, seen),
            Dialect::Completions(stream) => completions::event(stream, text, named_error, seen),
            Dialect::Responses => responses::event(text, named_error, seen),
            Dialect::Messages(messages) => messages.event(text, named_error, seen),
            Dialect::Generate(generate) => generate.event(text, named_error, seen),
            Dialect::Gemini => gemini::event(text, named_error, seen),
            Dialect::Audio(audio) => audio.event(text, named_error, seen),
            Dialect::Images => images::event(text, named_error, seen),
            Dialect::Session => session::event(text, seen),
            Dialect::Scores | Dialect::Other => {
                seen.event();
                Ok(())
            }
        }
    }

    /// `[DONE]`: the end of OpenAI's first two APIs, of what streams as chat does, and of SGLang; the others have marks of
    /// their own.
    pub(crate) fn done(&mut self, seen: &mut Seen) {
        if matches!(self, Dialect::Chat(_) | Dialect::Completions(_) | Dialect::Generate(_) | Dialect::Audio(_)) {
            seen.terminal();
        }
    }
}

/// A body that is one JSON value, with a status below 400.
pub(crate) fn body(dialect: &Dialect, text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    match dialect {
        Dialect::Responses => responses::body(text, seen),
        Dialect::Messages(_) => messages::body(text, seen),
        Dialect::Generate(_) => generate::body(text, seen),
        Dialect::Gemini => gemini::body(text, seen),
        Dialect::Audio(_) => audio::body(text, seen),
        Dialect::Scores => scores::body(text, seen),
        Dialect::Chat(_) | Dialect::Completions(_) | Dialect::Images | Dialect::Session | Dialect::Other => {
            openai::body(text, seen)
        }
    }
}
