//! The frames of an edited reply: what comes from upstream goes through the remover, and what it holds at the end goes
//! before the end.

use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::Frame;

use super::UsageRemover;
use crate::response_body::BrokenOff;

/// A frame, an error, or the end.
type Item = Option<Result<Frame<Bytes>, BrokenOff>>;

/// See the module.
pub(crate) struct Edited {
    remover: UsageRemover,
    /// What comes behind what was held.
    next: Option<Next>,
}

enum Next {
    /// At once.
    Now(Item),
    /// After one poll that has nothing, in which hyper writes (HTTP/2): it drops what is not written when an error comes.
    AfterWrite(Item),
}

impl Edited {
    pub(super) fn new(limit: usize) -> Edited {
        Edited { remover: UsageRemover::new(limit), next: None }
    }

    /// What is to come before the upstream is asked again, if anything is.
    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Option<Poll<Item>> {
        match self.next.take()? {
            Next::Now(item) => Some(Poll::Ready(item)),
            Next::AfterWrite(item) => {
                self.next = Some(Next::Now(item));
                cx.waker().wake_by_ref();
                Some(Poll::Pending)
            }
        }
    }

    /// What the client gets of what came from upstream; `None` where that is nothing yet.
    pub(crate) fn edit(&mut self, came: Item) -> Option<Item> {
        let (held, next) = match came {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    let given = self.remover.feed(data);
                    return (!given.is_empty()).then(|| Some(Ok(Frame::data(given))));
                }
                Err(trailers) => (self.remover.finish(), Next::Now(Some(Ok(trailers)))),
            },
            Some(Err(error)) => (self.remover.broke_off(), Next::AfterWrite(Some(Err(error)))),
            None => (self.remover.finish(), Next::Now(None)),
        };
        if held.is_empty() {
            let (Next::Now(item) | Next::AfterWrite(item)) = next;
            return Some(item);
        }
        self.next = Some(next);
        Some(Some(Ok(Frame::data(held))))
    }

    /// Nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.remover.is_empty() && self.next.is_none()
    }
}
