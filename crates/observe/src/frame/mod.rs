//! Framing: where one event ends and the next begins.
//!
//! A framer is fed any split of a body and calls its sink once an event. An event that lies whole in one read is
//! borrowed from it; only one that straddles reads is copied, into a buffer that is bounded and used again.

mod array;
mod body;
mod elide;
mod ndjson;
mod sse;
mod websocket;

pub(crate) use array::Array;
pub(crate) use body::Body;
pub(crate) use elide::Elide;
pub(crate) use ndjson::Ndjson;
pub(crate) use sse::Sse;
pub use websocket::CloseWatch;
pub(crate) use websocket::{Message, WebSocket};

use limpid_core::ObserverFault;

/// One event's data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    /// Its data; several lines are joined with a line feed.
    pub(crate) data: &'a [u8],
    /// The event's name is `error`. No other name matters: the dialects repeat it in the data.
    pub(crate) named_error: bool,
    /// It ended as its framing wants; false for what is left at the end of the body, which may have been cut off.
    pub(crate) whole: bool,
}

/// What a framer's sink answers.
pub(crate) type Outcome = Result<(), ObserverFault>;

/// A buffer larger than this is given back after use: one large event must not weigh on a stream for its life.
const KEEP_BYTES: usize = 64 * 1024;

fn recycle(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEEP_BYTES {
        *buffer = Vec::new();
    }
}
