//! The observer of a response's body.
//!
//! The response's `Content-Type` alone says how the body is framed: `text/event-stream` and NDJSON are streams, JSON is
//! one value that is read at the end, anything else is opaque and only its first byte is marked. The request's `stream`
//! is a wish that a server may ignore. A label that lies (JSON that says it is an event stream, or events that say they
//! are JSON) is a [`ObserverFault::Json`]: a wrong guess would make wrong numbers.
//!
//! Gemini streams one JSON array where events are not asked for; its first byte tells it from a reply.
//!
//! After a 101 the bytes are WebSocket frames, of which the text messages are events. Compressed ones cannot be read.
//!
//! An answer with a status of 400 or more is read as an error, whatever its label; one that cannot be read is no fault,
//! unless it says it is JSON.
//!
//! What is left when the body is over may have been cut off. It counts if it is whole JSON (vendors leave out the last
//! blank line); if not, it is dropped without a fault, for the ending tells of the cut.

use std::borrow::Cow;
use std::time::Duration;

use limpid_core::{Endpoint, KeptText, Observation, ObserverFault, Tick};

use crate::decode::Decoder;
use crate::dialect::{self, Dialect};
use crate::frame::{Array, Body, Elide, Event, Message, Ndjson, Sse, WebSocket};
use crate::reply_text::ReplyText;
use crate::seen::Seen;

/// What is known of a response before its body.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    /// The API that was called: it chooses the dialect.
    pub endpoint: Endpoint,
    /// The status.
    pub status: u16,
    /// `Content-Type`, parameters included.
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a str>,
}

/// How much an observer looks at before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One event of a stream, in decoded bytes; 1 MiB. A larger one is [`ObserverFault::TooLarge`].
    pub event_bytes: usize,
    /// A JSON body, in decoded bytes; 8 MiB. It is held until [`ResponseObserver::finish`] reads it. A larger one is [`ObserverFault::TooLarge`].
    pub body_bytes: usize,
    /// A compressed body once decoded, in bytes; 256 MiB. A larger one is [`ObserverFault::DecompressLimit`].
    pub decoded_bytes: usize,
    /// Decoded bytes for each compressed one, once there is 1 MiB of them; 100. vLLM's gzip streams have 8 to 21, a bomb
    /// 200 to thousands; more than this is [`ObserverFault::DecompressLimit`].
    pub ratio: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { event_bytes: 1 << 20, body_bytes: 8 << 20, decoded_bytes: 256 << 20, ratio: 100 }
    }
}

/// An error body that does not say it is JSON is looked at up to here, in bytes.
const PLAIN_ERROR_BYTES: usize = 64 * 1024;

/// Watches a response's body go by. See the module.
pub struct ResponseObserver {
    decoder: Option<Decoder>,
    eye: Eye,
}

/// What stands behind the decoder.
struct Eye {
    frame: Frame,
    dialect: Dialect,
    seen: Seen,
    /// The status is 400 or more.
    failed: bool,
    /// Nothing was seen yet of a body whose label does not tell all.
    unseen: Option<Unseen>,
    /// Takes what nobody reads out of bodies that may hold images.
    elide: Option<Elide>,
    limits: Limits,
}

/// What the first byte has yet to tell.
enum Unseen {
    /// An error that says it is an event stream, and may be plain JSON.
    Error,
    /// Gemini's JSON: a reply, or an array of chunks.
    Gemini,
}

enum Frame {
    /// Nothing to see, or no more.
    Opaque,
    Sse(Sse),
    Ndjson(Ndjson),
    /// What follows a 101.
    WebSocket(WebSocket),
    Json(Body),
    /// JSON that grows.
    Array(Array),
    /// An error of no told format.
    PlainError(Body),
}

impl ResponseObserver {
    /// An observer for the body of this response.
    pub fn new(head: &ResponseHead<'_>, limits: Limits) -> Self {
        let failed = head.status >= 400;
        let switched = head.status == 101;
        let mut frame = if switched {
            Frame::WebSocket(WebSocket::new(Some(limits.event_bytes)))
        } else {
            Frame::for_type(head.content_type, failed, head.endpoint, limits)
        };
        let streamed = matches!(frame, Frame::Sse(_) | Frame::Ndjson(_) | Frame::WebSocket(_));
        let (mut decoder, mut fault) = (None, None);
        if !matches!(frame, Frame::Opaque) {
            match Decoder::new(head.content_encoding, limits) {
                Ok(known) => decoder = known,
                Err(unknown) => {
                    fault = Some(unknown);
                    frame = Frame::Opaque;
                }
            }
        }
        let dialect = if switched { Dialect::of_session(head.endpoint) } else { Dialect::of(head.endpoint) };
        let unseen = match frame {
            Frame::Sse(_) if failed => Some(Unseen::Error),
            Frame::Json(_) if !failed && head.endpoint == Endpoint::GenerateContent => Some(Unseen::Gemini),
            _ => None,
        };
        let images = matches!(head.endpoint, Endpoint::Images | Endpoint::GenerateContent);
        let elide = images.then(Elide::default);
        let eye = Eye { frame, dialect, seen: Seen::default(), failed, unseen, elide, limits };
        let mut observer = ResponseObserver { decoder, eye };
        observer.eye.seen.observation.streamed = streamed;
        observer.eye.seen.observation.fault = fault;
        observer
    }

    /// Keeps what is generated in `text`, for [`ResponseObserver::take_text`].
    pub fn keep_text(&mut self, text: KeptText) {
        self.eye.seen.reply.get_or_insert_with(ReplyText::default).text = Some(text);
    }

    /// Keeps what is generated in `text` with what each piece of it is, for [`ResponseObserver::take_content`].
    pub fn keep_content(&mut self, text: KeptText) {
        self.eye.seen.reply.get_or_insert_with(ReplyText::default).content = Some(text);
    }

    /// Whether what is generated is kept: not once the reply told all its token counts, or after a fault.
    pub fn keeps_text(&self) -> bool {
        self.eye.seen.reply.as_ref().is_some_and(ReplyText::is_kept)
    }

    /// What was generated, if it is still kept or was given up for a reason: the insides of JSON strings, parted by zero
    /// bytes where they do not follow one another.
    pub fn take_text(&mut self) -> Option<KeptText> {
        self.eye.seen.reply.as_mut()?.text.take()
    }

    /// What was generated, as [`Spoken`](limpid_core::Spoken) reads it: whether or not the reply told its token counts, but
    /// not after a fault.
    pub fn take_content(&mut self) -> Option<KeptText> {
        self.eye.seen.reply.as_mut()?.content.take()
    }

    /// Bytes of the body as they pass, content coding kept, read at `at`.
    pub fn on_bytes(&mut self, bytes: &[u8], at: Tick) {
        if bytes.is_empty() {
            return;
        }
        self.eye.seen.read_at(at);
        if matches!(self.eye.frame, Frame::Opaque) {
            return;
        }
        let eye = &mut self.eye;
        let done = match &mut self.decoder {
            Some(decoder) => decoder.feed(bytes, &mut |decoded| eye.look_at(decoded)),
            None => eye.look_at(bytes),
        };
        if let Err(fault) = done {
            self.close(Some(fault));
        }
    }

    /// A slow reader held back the next read for `waited`: the next gap between token events is shorter by that.
    pub fn reader_waited(&mut self, waited: Duration) {
        self.eye.seen.reader_waited(waited);
    }

    /// The body is over, on whatever ending. What comes after is ignored.
    pub fn finish(&mut self, at: Tick) {
        if !matches!(self.eye.frame, Frame::Opaque) {
            let done = self.eye.finish(at);
            self.close(done.err());
        }
    }

    /// How many decoded bytes [`ResponseObserver::finish`] has yet to read: the body of a reply that is not a stream.
    pub fn held_bytes(&self) -> usize {
        match &self.eye.frame {
            Frame::Json(body) | Frame::PlainError(body) => body.len(),
            Frame::Opaque | Frame::Sse(_) | Frame::Ndjson(_) | Frame::Array(_) | Frame::WebSocket(_) => 0,
        }
    }

    /// What was seen so far.
    pub fn observation(&self) -> &Observation {
        &self.eye.seen.observation
    }

    /// What was seen.
    pub fn into_observation(self) -> Observation {
        self.eye.seen.observation
    }

    /// Looks no further, and gives the buffers back.
    fn close(&mut self, fault: Option<ObserverFault>) {
        self.eye.frame = Frame::Opaque;
        self.decoder = None;
        if let Some(fault) = fault {
            self.eye.seen.reply = None;
            self.eye.seen.observation.fault.get_or_insert(fault);
        }
    }
}

impl Eye {
    fn look_at(&mut self, bytes: &[u8]) -> Result<(), ObserverFault> {
        let Some(mut elide) = self.elide.take() else { return self.look(bytes) };
        let done = elide.feed(bytes, &mut |kept| self.look(kept));
        self.elide = Some(elide);
        done
    }

    fn look(&mut self, bytes: &[u8]) -> Result<(), ObserverFault> {
        let bytes = if self.unseen.is_some() { self.first_look(bytes) } else { bytes };
        let Eye { frame, dialect, seen, .. } = self;
        match frame {
            Frame::Opaque => Ok(()),
            Frame::Sse(sse) => sse.feed(bytes, &mut |event| on_event(event, true, dialect, seen)),
            Frame::Ndjson(lines) => lines.feed(bytes, &mut |event| on_event(event, false, dialect, seen)),
            Frame::Array(array) => array.feed(bytes, &mut |event| on_event(event, false, dialect, seen)),
            Frame::WebSocket(frames) => frames.feed(bytes, &mut |message| on_message(&message, dialect, seen)),
            Frame::Json(body) => body.feed(bytes),
            Frame::PlainError(body) => {
                if body.feed(bytes).is_err() {
                    self.frame = Frame::Opaque;
                }
                Ok(())
            }
        }
    }

    /// The first byte that is no white space tells. Some servers answer a streaming request with a plain JSON error and
    /// leave the label of the stream on it; Gemini streams an array where a reply would be an object.
    fn first_look<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let bytes = bytes.trim_ascii_start();
        let Some(first) = bytes.first() else { return bytes };
        match (self.unseen.take(), first) {
            (Some(Unseen::Error), b'{') => {
                self.frame = Frame::Json(Body::new(self.limits.body_bytes));
                self.seen.observation.streamed = false;
            }
            (Some(Unseen::Gemini), b'[') => {
                self.frame = Frame::Array(Array::new(self.limits.event_bytes));
                self.seen.observation.streamed = true;
            }
            _ => {}
        }
        bytes
    }

    fn finish(&mut self, at: Tick) -> Result<(), ObserverFault> {
        let Eye { frame, dialect, seen, failed, .. } = self;
        match frame {
            Frame::Opaque | Frame::WebSocket(_) => Ok(()),
            Frame::Sse(sse) => {
                seen.set_now(at);
                sse.finish(&mut |event| on_event(event, true, dialect, seen))
            }
            Frame::Ndjson(lines) => {
                seen.set_now(at);
                lines.finish(&mut |event| on_event(event, false, dialect, seen))
            }
            Frame::Array(array) => {
                seen.set_now(at);
                array.finish(&mut |event| on_event(event, false, dialect, seen))
            }
            Frame::Json(body) => {
                let bytes = body.take();
                let text = text_of(bytes.trim_ascii());
                if text.is_empty() {
                    return Ok(());
                }
                if *failed { dialect::error_body(&text, seen) } else { dialect::body(dialect, &text, seen) }
            }
            Frame::PlainError(body) => {
                let bytes = body.take();
                dialect::plain_error(&String::from_utf8_lossy(bytes.trim_ascii()), seen);
                Ok(())
            }
        }
    }
}

/// One event of a stream. What is left at the end of the body may be a part of one, and is then ignored.
fn on_event(event: Event<'_>, sse: bool, dialect: &mut Dialect, seen: &mut Seen) -> Result<(), ObserverFault> {
    let data = event.data.trim_ascii();
    if data.is_empty() {
        return Ok(());
    }
    // As the openai package does: whatever begins with it ends the stream.
    if sse && matches!(data, [b'[', b'D', b'O', b'N', b'E', b']', ..]) {
        seen.event();
        dialect.done(seen);
        return Ok(());
    }
    // The standard's decoding never fails; in JSON a replaced character stands within a string.
    let text = text_of(data);
    match dialect.event(&text, event.named_error, seen) {
        Err(_) if !event.whole => Ok(()),
        done => done,
    }
}

/// As `from_utf8_lossy`, which looks at each byte; `from_utf8` looks at sixteen at a time where they are ASCII.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// One message of a WebSocket. Audio is binary in some sessions, and an event like any other.
fn on_message(message: &Message<'_>, dialect: &mut Dialect, seen: &mut Seen) -> Result<(), ObserverFault> {
    match message {
        Message::Text(text) => dialect.event(&text_of(text), false, seen),
        Message::Binary => {
            seen.event();
            Ok(())
        }
    }
}

impl Frame {
    fn for_type(content_type: Option<&str>, failed: bool, endpoint: Endpoint, limits: Limits) -> Frame {
        let told = content_type.unwrap_or_default();
        let essence = memchr::memchr(b';', told.as_bytes()).and_then(|at| told.get(..at)).unwrap_or(told).trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        let json = is("application/json") || is("text/json") || ends_with(essence, "+json");
        let ndjson = ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"];
        if endpoint == Endpoint::Files && !failed {
            // A file's content is the user's own, JSON or not.
            Frame::Opaque
        } else if is("text/event-stream") {
            Frame::Sse(Sse::new(limits.event_bytes))
        } else if ndjson.into_iter().any(is) {
            Frame::Ndjson(Ndjson::new(limits.event_bytes))
        } else if json {
            Frame::Json(Body::new(limits.body_bytes))
        } else if failed {
            Frame::PlainError(Body::new(PLAIN_ERROR_BYTES.min(limits.body_bytes)))
        } else {
            Frame::Opaque
        }
    }
}

fn ends_with(text: &str, suffix: &str) -> bool {
    text.len() > suffix.len()
        && text.get(text.len() - suffix.len()..).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}
