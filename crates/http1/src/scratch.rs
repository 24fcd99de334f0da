//! The one buffer of each thread.
//!
//! A stream that waits needs no buffer. What is read is read into the thread's own, looked at and written from there within
//! one poll; only what the other side does not take at once is kept, by the connection. So the memory of ten thousand
//! idle streams does not grow with the size of a read.

use std::cell::Cell;
use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes of a scratch: as much as is read at once.
pub const SIZE: usize = 16 * 1024;

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// The thread's buffer, taken; goes back when it is dropped. Who takes it while it is taken gets another.
#[derive(Debug)]
pub struct Scratch(Box<[u8]>);

impl Scratch {
    /// Takes it. What it holds is whatever was there.
    #[must_use]
    pub fn take() -> Scratch {
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        Scratch(spare.unwrap_or_else(|| vec![0; SIZE].into_boxed_slice()))
    }
}

/// Reads what is there into `into`, which it fills at most; 0 is the end.
pub(crate) fn poll_read<T: AsyncRead + Unpin>(
    io: &mut T,
    cx: &mut Context<'_>,
    into: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut into = ReadBuf::new(into);
    ready!(Pin::new(io).poll_read(cx, &mut into))?;
    Poll::Ready(Ok(into.filled().len()))
}

/// The same, by the scratch, behind what was read before.
pub(crate) fn poll_read_behind<T: AsyncRead + Unpin>(
    io: &mut T,
    cx: &mut Context<'_>,
    read: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let mut scratch = Scratch::take();
    let count = ready!(poll_read(io, cx, &mut scratch))?;
    read.extend_from_slice(scratch.get(..count).unwrap_or_default());
    Poll::Ready(Ok(count))
}

/// Takes `count` bytes off the front of what was read; what comes behind them stays where it is. Taken whole, for what would
/// be left of an empty buffer holds its memory.
pub(crate) fn take_off(read: &mut BytesMut, count: usize) -> Bytes {
    let taken = if count == read.len() { std::mem::take(read) } else { read.split_to(count) };
    taken.freeze()
}

impl Deref for Scratch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.0);
        // At a thread's end there may be no place to put it back.
        let _gone = SPARE.try_with(|spare| spare.set(Some(bytes)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_buffer_comes_back_and_a_second_is_another() {
        let first = Scratch::take();
        let at = first.as_ptr();
        let second = Scratch::take();
        assert_ne!(second.as_ptr(), at);
        assert_eq!((first.len(), second.len()), (SIZE, SIZE));
        drop(second);
        drop(first);
        assert_eq!(Scratch::take().as_ptr(), at, "the last that went back");
    }
}
