//! Heads and bodies without a connection: what the fuzz target `http1`, the tests beside it and `benches/stages` look at.
//! No part of the crate's interface.
//!
//! To look at an upstream's side, none of this is needed: [`crate::client`] takes any transport. Reading a response's head
//! alone is for counting its instructions.

use bytes::{Bytes, BytesMut};
use http::{Method, request, response};
use http_body::Frame;

use crate::chunks::Malformed;
use crate::framing::Reading;
pub use crate::head::may_have_ended;
use crate::head::{self, Refused};
use crate::spelling::Spelling;

/// A request whose head was read, and what is yet to come of its body.
#[derive(Debug)]
pub struct Request {
    /// Its head.
    pub parts: request::Parts,
    /// Whether another may follow it.
    pub keep_alive: bool,
    /// How it was written.
    pub spelling: Spelling,
    reading: Reading,
}

/// A response's head as it goes on.
#[must_use]
pub fn written_response(parts: &response::Parts, spelling: Option<&Spelling>) -> Vec<u8> {
    let mut out = Vec::new();
    head::write_response(parts, spelling, b"", &mut out);
    out
}

/// Reads a head from the front of `bytes`; `None` where it has not ended. Gives its length too.
///
/// # Errors
///
/// [`Refused`].
pub fn read_request(bytes: &Bytes) -> Result<Option<(Request, usize)>, Refused> {
    let found = head::read_request(&mut BytesMut::from(&**bytes))?;
    Ok(found.map(|(head, len)| {
        let head::RequestHead { parts, spelling, reading, keep_alive, .. } = head;
        (Request { parts, keep_alive, spelling, reading }, len)
    }))
}

/// Reads the head of the response to a GET from the front of `bytes`, and how it was written; `None` where it has not
/// ended.
///
/// # Errors
///
/// [`Refused`].
pub fn read_response(bytes: &Bytes) -> Result<Option<(response::Parts, Spelling)>, Refused> {
    let found = head::read_response(&mut BytesMut::from(&**bytes), &Method::GET)?;
    Ok(found.map(|(head, _)| (head.parts, head.spelling)))
}

impl Request {
    /// The head as it goes on.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        let mut out = Vec::new();
        head::write_request(&self.parts, Some(&self.spelling), b"", &mut out);
        out
    }

    /// The next frame of the body out of what was read; `None` where more is needed, or all has been taken.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub fn take(&mut self, read: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Malformed> {
        self.reading.take(read)
    }

    /// Whether the body is over.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.reading.is_end()
    }

    /// Whether the body comes in chunks.
    #[must_use]
    pub fn is_chunked(&self) -> bool {
        matches!(self.reading, Reading::Chunks(_))
    }
}
