//! A request on its way up: its head, and its body as it comes.
//!
//! What is there of the body goes out with the head in one write, so that a short request is one packet. What the upstream
//! does not take stops the body's own sender: nothing more is asked of it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request};
use http_body::Body;
use tokio::io::AsyncWrite;

use crate::framing::{Framing, ends_in_chunked};
use crate::reuse::Sent;
use crate::spelling::Spelling;
use crate::{head, trailers};

/// How many bytes are gathered before they are written.
const GATHER: usize = 16 * 1024;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Upload<B> {
    body: B,
    framing: Framing,
    out: Vec<u8>,
    written: usize,
    /// All of the body is in `out`.
    gathered: bool,
}

impl<B: Body<Data = Bytes> + Unpin> Upload<B> {
    /// The request's bytes to be, and what of it decides on its connection.
    pub(crate) fn new(request: Request<B>, spelling: Option<&Spelling>) -> (Upload<B>, Sent) {
        let (parts, body) = request.into_parts();
        let (framing, more) = framing(&parts.headers, &body);
        let sent = Sent::new(&parts.method, &parts.headers, framing != Framing::None);
        let gathered = framing == Framing::None;
        let mut out = Vec::with_capacity(1024);
        head::write_request(&parts, spelling, more.as_bytes(), &mut out);
        (Upload { body, framing, out, written: 0, gathered }, sent)
    }

    /// Writes what can be written. Ready once no more will be: with whether all was. A body that breaks off is an error.
    pub(crate) fn poll_write<T: AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, B::Error>> {
        loop {
            let gathered = self.poll_gather(cx)?;
            while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
                match ready!(Pin::new(&mut *io).poll_write(cx, rest)) {
                    Ok(count @ 1..) => self.written += count,
                    // The response may come nevertheless.
                    Ok(0) | Err(_) => return Poll::Ready(Ok(false)),
                }
            }
            self.written = 0;
            if self.out.capacity() > 2 * GATHER || self.gathered {
                self.out = Vec::new();
            } else {
                self.out.clear();
            }
            let flushed: io::Result<()> = ready!(Pin::new(&mut *io).poll_flush(cx));
            if flushed.is_err() {
                return Poll::Ready(Ok(false));
            }
            ready!(gathered);
            if self.gathered {
                return Poll::Ready(Ok(true));
            }
        }
    }

    /// Puts what is there of the body into the buffer, while that is small. Pending where there is nothing yet.
    fn poll_gather(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, B::Error> {
        while !self.gathered && self.out.len() - self.written < GATHER {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(None) => self.end(None),
                Poll::Ready(Some(frame)) => match frame?.into_data() {
                    Ok(data) => self.data(&data),
                    Err(frame) => self.end(frame.into_trailers().ok().as_ref()),
                },
            }
        }
        Ok(Poll::Ready(()))
    }

    fn data(&mut self, data: &Bytes) {
        if data.is_empty() || self.framing == Framing::None {
            return;
        }
        let chunked = matches!(self.framing, Framing::Chunked(_));
        if chunked {
            self.out.extend_from_slice(format!("{:X}\r\n", data.len()).as_bytes());
        }
        self.out.extend_from_slice(data);
        if chunked {
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn end(&mut self, fields: Option<&HeaderMap>) {
        self.gathered = true;
        let Framing::Chunked(announced) = &self.framing else { return };
        self.out.extend_from_slice(b"0\r\n");
        if let Some(fields) = fields {
            trailers::write(fields, announced, &mut self.out);
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

/// How the body is framed, and the lines that say so where the head does not. Whatever the method is: one that has a body
/// keeps it (over HTTP/2 its length need not be told).
fn framing<B: Body>(fields: &HeaderMap, body: &B) -> (Framing, String) {
    let chunked = || Framing::chunked(fields);
    if ends_in_chunked(fields).is_some() {
        return (chunked(), String::new());
    }
    if body.is_end_stream() {
        return (Framing::None, String::new());
    }
    if fields.contains_key(CONTENT_LENGTH) {
        return (Framing::Length, String::new());
    }
    match body.size_hint().exact() {
        Some(length) => (Framing::Length, format!("content-length: {length}\r\n")),
        None => (chunked(), "transfer-encoding: chunked\r\n".to_owned()),
    }
}
