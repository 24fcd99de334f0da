//! One response on its way to a client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;

use crate::framing::Framing;
use crate::half_close::{HalfClosed, MAX_ZEROS, Zero};
use crate::inbound::{Shared, lock};
use crate::scratch::Scratch;
use crate::server::Outgoing;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of it is written.
    Sent,
    /// The client left.
    Left,
    /// The body broke off; all before is written.
    BrokenOff,
}

/// A response, from its head to its last byte.
pub(crate) struct Respond {
    framing: Framing,
    /// What the client has not taken yet.
    unsent: Vec<u8>,
    sent: usize,
    /// The head waits for what may follow it at once.
    only_head: bool,
    ended: Option<Outcome>,
    /// Leading zeros of the next chunk's size that a half-closed client has been sent.
    zeros: u8,
    zero: Option<Zero>,
}

impl Respond {
    /// `begun`: bytes of the head that are written already. `at_once`: the head does not wait for a body.
    pub(crate) fn new(head: Vec<u8>, begun: usize, framing: Framing, at_once: bool) -> Respond {
        let ended = (framing == Framing::None).then_some(Outcome::Sent);
        let only_head = !at_once && ended.is_none();
        Respond { only_head, framing, unsent: head, sent: begun, ended, zeros: 0, zero: None }
    }

    /// Writes what there is, and waits for more. The client is watched while nothing can be done.
    pub(crate) fn poll<B: Outgoing>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut OwnedWriteHalf,
        inbound: &Shared,
        body: &mut B,
    ) -> Poll<Outcome> {
        let polled = self.poll_on(cx, to, body);
        if polled.is_pending() {
            let mut inbound = lock(inbound);
            let left = inbound.poll_left(cx).is_ready();
            if left || inbound.half_closed.as_mut().is_some_and(|half| !self.ask(cx, half, to, body)) {
                return Poll::Ready(Outcome::Left);
            }
        }
        polled
    }

    /// Asks a half-closed client whether it is still there, where the next byte is known. `false`: it is not.
    #[cold]
    fn ask<B: Outgoing>(&mut self, cx: &mut Context<'_>, half: &mut HalfClosed, to: &OwnedWriteHalf, body: &B) -> bool {
        while half.is_due(cx) {
            let is_known =
                self.unsent.is_empty() && matches!(self.framing, Framing::Chunked(_)) && self.ended.is_none();
            if !is_known || self.zeros == MAX_ZEROS || !body.is_between_chunks() {
                continue;
            }
            match to.try_write(b"0") {
                Ok(_) => {
                    self.zeros += 1;
                    half.zero().said();
                    self.zero = Some(half.zero().clone());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
        true
    }

    fn poll_on<B: Outgoing>(&mut self, cx: &mut Context<'_>, to: &mut OwnedWriteHalf, body: &mut B) -> Poll<Outcome> {
        loop {
            if !self.only_head {
                match self.poll_unsent(cx, to) {
                    Poll::Ready(true) => {}
                    Poll::Ready(false) => return Poll::Ready(Outcome::Left),
                    Poll::Pending => return Poll::Pending,
                }
                if let Some(outcome) = self.ended {
                    return Poll::Ready(outcome);
                }
            }
            let mut scratch = Scratch::take();
            match body.poll_wire(cx, &self.framing, &mut scratch) {
                Poll::Ready(Ok(wire)) => {
                    let bytes = scratch.get(..wire.bytes).unwrap_or_default();
                    if !self.write(cx, to, bytes) {
                        return Poll::Ready(Outcome::Left);
                    }
                    if wire.ended {
                        self.ended = Some(Outcome::Sent);
                        body.sent();
                    }
                }
                Poll::Ready(Err(_)) => self.ended = Some(Outcome::BrokenOff),
                Poll::Pending if !self.only_head => return Poll::Pending,
                Poll::Pending => {}
            }
            self.only_head = false;
        }
    }

    /// Writes these bytes, behind a head that waits. What is not taken is kept. `false`: nobody takes them.
    fn write(&mut self, cx: &mut Context<'_>, to: &mut OwnedWriteHalf, bytes: &[u8]) -> bool {
        if let Some(zero) = self.zero.take_if(|_| !bytes.is_empty()) {
            zero.went_on();
            self.zeros = 0;
        }
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return !matches!(self.poll_unsent(cx, to), Poll::Ready(false));
        }
        match Pin::new(to).poll_write(cx, bytes) {
            Poll::Ready(Ok(count)) => {
                self.unsent.extend_from_slice(bytes.get(count..).unwrap_or_default());
                true
            }
            Poll::Pending => {
                self.unsent.extend_from_slice(bytes);
                true
            }
            Poll::Ready(Err(_)) => false,
        }
    }

    /// Ready once all is written, or nobody takes it: `false`.
    fn poll_unsent(&mut self, cx: &mut Context<'_>, to: &mut OwnedWriteHalf) -> Poll<bool> {
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut *to).poll_write(cx, rest) {
                Poll::Ready(Ok(count @ 1..)) => self.sent += count,
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.sent = 0;
        self.unsent = Vec::new();
        Poll::Ready(true)
    }
}
