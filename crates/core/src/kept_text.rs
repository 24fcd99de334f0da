//! Text of a request or a reply that is kept for a while, so that its tokens can be counted if nobody tells them.
//!
//! It never leaves the process and has no `Debug` of its contents. It is bounded twice: each text by its own limit, all
//! texts together by one [`TextBudget`]. What does not fit is given up whole, at once and for good, for half a text
//! would make a wrong number; the reason is kept. The bytes are copies: a slice of a connection's read buffer would keep
//! all of that buffer, however small the slice, and nobody could say how much is held.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The first allocation of a text, bytes.
const FIRST: usize = 1024;

/// How much text may be kept at a time, in the whole process.
#[derive(Debug)]
pub struct TextBudget {
    most: usize,
    taken: AtomicUsize,
}

impl TextBudget {
    /// At most `most` bytes.
    pub fn new(most: usize) -> Arc<TextBudget> {
        Arc::new(TextBudget { most, taken: AtomicUsize::new(0) })
    }

    /// Bytes that are taken now.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes so much, if it is there.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let fits = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= self.most);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Why a text is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextGone {
    /// It was not kept, or given up because it was no longer needed.
    NotKept,
    /// It is longer than its limit.
    TooLarge,
    /// The budget of all texts is spent.
    NoRoom,
    /// A part of it is no text: audio, an image.
    NotText,
}

/// See the module.
pub struct KeptText {
    bytes: Vec<u8>,
    most: usize,
    budget: Arc<TextBudget>,
    gone: Option<TextGone>,
}

impl KeptText {
    /// An empty text of at most `most` bytes. Nothing is allocated before the first byte.
    pub fn new(most: usize, budget: &Arc<TextBudget>) -> KeptText {
        KeptText { bytes: Vec::new(), most, budget: Arc::clone(budget), gone: None }
    }

    /// Adds bytes, or gives the text up. Its buffer doubles, so that it is allocated a few times only.
    pub fn push(&mut self, more: &[u8]) {
        if self.gone.is_some() || more.is_empty() {
            return;
        }
        let length = self.bytes.len().saturating_add(more.len());
        if length > self.most {
            return self.give_up(TextGone::TooLarge);
        }
        let held = self.bytes.capacity();
        if length > held {
            let wanted = length.max(held.saturating_mul(2)).max(FIRST).min(self.most);
            if !self.budget.take(wanted - held) {
                return self.give_up(TextGone::NoRoom);
            }
            let mut larger = Vec::with_capacity(wanted);
            larger.extend_from_slice(&self.bytes);
            // An allocator may give more than was asked for.
            let surplus = larger.capacity() - wanted;
            self.budget.taken.fetch_add(surplus, Ordering::Relaxed);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(more);
    }

    /// Gives it up: it is not needed any more, or has become useless. The first reason stays.
    pub fn give_up(&mut self, why: TextGone) {
        if self.gone.is_none() {
            self.budget.give_back(self.bytes.capacity());
            self.bytes = Vec::new();
            self.gone = Some(why);
        }
    }

    /// The whole text, or why there is none.
    pub fn get(&self) -> Result<&[u8], TextGone> {
        self.gone.map_or(Ok(&self.bytes), Err)
    }
}

impl Drop for KeptText {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes.capacity());
    }
}

impl fmt::Debug for KeptText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptText").field("bytes", &self.bytes.len()).field("gone", &self.gone).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_whole_or_gone_and_gives_back_what_it_took() {
        let budget = TextBudget::new(10_000);
        let mut text = KeptText::new(4000, &budget);
        assert_eq!(budget.taken(), 0);
        for _ in 0..300 {
            text.push(b"0123456789");
        }
        assert_eq!(text.get().map(<[u8]>::len), Ok(3000));
        assert_eq!(budget.taken(), 4000);
        let mut other = KeptText::new(9000, &budget);
        other.push(&[b'x'; 6001]);
        assert_eq!((other.get(), budget.taken()), (Err(TextGone::NoRoom), 4000));
        text.push(&[b'x'; 1001]);
        assert_eq!((text.get(), budget.taken()), (Err(TextGone::TooLarge), 0));
        text.push(b"more");
        assert_eq!(text.get(), Err(TextGone::TooLarge), "the first reason stays");
        let mut kept = KeptText::new(5000, &budget);
        kept.push(b"a prompt");
        assert!(!format!("{kept:?}").contains("prompt"));
        drop(kept);
        assert_eq!(budget.taken(), 0);
    }
}
