//! Dialects: what the events and bodies of one API mean.
//!
//! A dialect is given one event's text and writes what it finds into [`Seen`]. It either reads all of an event or, when
//! the text is not JSON, returns a fault and leaves everything as it was. JSON of an unknown shape counts as an event
//! and tells nothing: servers add kinds of events freely.

mod chat;
mod completions;
mod error;
mod hint;
mod messages;
mod ollama;
mod openai;
mod responses;
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
    Ollama,
    /// Responses over WebSocket: Realtime and its like.
    Session,
    /// Embeddings, rerank: one body, whose usage may be a total alone.
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
            Endpoint::Generate => Dialect::Ollama,
            Endpoint::Embeddings | Endpoint::Rerank => Dialect::Scores,
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
            Dialect::Ollama => ollama::event(text, seen),
            Dialect::Session => session::event(text, seen),
            Dialect::Scores | Dialect::Other => {
                seen.event();
                Ok(())
            }
        }
    }

    /// `[DONE]`: the end of OpenAI's first two APIs; the others have marks of their own.
    pub(crate) fn done(&mut self, seen: &mut Seen) {
        if matches!(self, Dialect::Chat(_) | Dialect::Completions(_)) {
            seen.terminal();
        }
    }
}

/// A body that is one JSON value, with a status below 400.
pub(crate) fn body(dialect: &Dialect, text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    match dialect {
        Dialect::Responses => responses::body(text, seen),
        Dialect::Messages(_) => messages::body(text, seen),
        Dialect::Ollama => ollama::body(text, seen),
        Dialect::Scores => openai::body(text, true, seen),
        Dialect::Chat(_) | Dialect::Completions(_) | Dialect::Session | Dialect::Other => {
            openai::body(text, false, seen)
        }
    }
}
