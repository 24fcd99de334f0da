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
mod plain;
mod responses;
mod scores;
mod session;
mod usage;

pub(crate) use error::{error_body, plain_error};

use limpid_core::{Endpoint, ObserverFault};

use crate::seen::Seen;

/// See the module.
#[derive(Debug)]
pub(crate) struct Dialect {
    api: Api,
    plain: plain::Plain,
}

#[derive(Debug)]
enum Api {
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
        let api = match endpoint {
            Endpoint::Chat => Api::Chat(chat::Chat::default()),
            Endpoint::Completions => Api::Completions(openai::Stream::default()),
            Endpoint::Responses => Api::Responses,
            Endpoint::Messages => Api::Messages(messages::Messages::default()),
            Endpoint::Generate => Api::Generate(generate::Generate::default()),
            Endpoint::GenerateContent => Api::Gemini,
            Endpoint::Audio => Api::Audio(audio::Audio::default()),
            Endpoint::Images => Api::Images,
            Endpoint::Embeddings | Endpoint::Rerank | Endpoint::Moderations => Api::Scores,
            _ => Api::Other,
        };
        Dialect { api, plain: plain::Plain::default() }
    }

    /// For what follows a switch to WebSocket.
    pub(crate) fn of_session(endpoint: Endpoint) -> Dialect {
        let known = matches!(endpoint, Endpoint::Realtime | Endpoint::Responses);
        Dialect { api: if known { Api::Session } else { Api::Other }, plain: plain::Plain::default() }
    }

    /// One event of a stream: by what it has in common with the one before, else by parsing it.
    pub(crate) fn event(&mut self, text: &str, named_error: bool, seen: &mut Seen) -> Result<(), ObserverFault> {
        if !named_error && self.plain.read(text, seen) {
            return Ok(());
        }
        self.plain.forget();
        let delta = self.api.event(text, named_error, seen)?;
        if let Some(delta) = delta.filter(|_| !named_error) {
            self.plain.learn(text, delta);
        }
        Ok(())
    }

    /// `[DONE]`: the end of OpenAI's first two APIs, of what streams as chat does, and of SGLang; the others have marks of
    /// their own.
    pub(crate) fn done(&mut self, seen: &mut Seen) {
        if matches!(self.api, Api::Chat(_) | Api::Completions(_) | Api::Generate(_) | Api::Audio(_)) {
            seen.terminal();
        }
    }
}

impl Api {
    /// Parses one event, and says what it adds if it is plain.
    fn event<'a>(&mut self, text: &'a str, named_error: bool, seen: &mut Seen) -> plain::Parsed<'a> {
        match self {
            Api::Chat(chat) => return chat.event(text, named_error, seen),
            Api::Completions(stream) => return completions::event(stream, text, named_error, seen),
            Api::Responses => return responses::event(text, named_error, seen),
            Api::Messages(messages) => return messages.event(text, named_error, seen),
            Api::Generate(generate) => return generate.event(text, named_error, seen),
            Api::Gemini => gemini::event(text, named_error, seen)?,
            Api::Audio(audio) => audio.event(text, named_error, seen)?,
            Api::Images => images::event(text, named_error, seen)?,
            Api::Session => session::event(text, seen)?,
            Api::Scores | Api::Other => seen.event(),
        }
        Ok(None)
    }
}

/// A body that is one JSON value, with a status below 400.
pub(crate) fn body(dialect: &Dialect, text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    match &dialect.api {
        Api::Responses => responses::body(text, seen),
        Api::Messages(_) => messages::body(text, seen),
        Api::Generate(_) => generate::body(text, seen),
        Api::Gemini => gemini::body(text, seen),
        Api::Audio(_) => audio::body(text, seen),
        Api::Scores => scores::body(text, seen),
        Api::Chat(_) | Api::Completions(_) | Api::Images | Api::Session | Api::Other => openai::body(text, seen),
    }
}
