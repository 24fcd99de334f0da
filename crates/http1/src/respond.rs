//! One response on its way to a client.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;

use crate::framing::Framing;
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
}

impl Respond {
    /// `at_once`: the head does not wait for a body.
    pub(crate) fn new(head: Vec<u8>, framing: Framing, at_once: bool) -> Respond {
        let ended = (framing == Framing::None).then_some(Outcome::Sent);
        Respond { only_head: !at_once && ended.is_none(), framing, unsent: head, sent: 0, ended }
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
        if polled.is_pending() && lock(inbound).poll_left(cx).is_ready() {
            return Poll::Ready(Outcome::Left);
        }
        polled
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
