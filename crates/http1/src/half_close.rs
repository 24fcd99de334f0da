//! A client that has closed its sending side while an answer is owed: it gets the answer, and is asked whether it is still there.
//!
//! `close()` and `shutdown(SHUT_WR)` send the same FIN (RFC 9293 §3.6). They differ when something is written: a closed
//! socket answers with a reset. So limpid writes at once what the answer must hold in any case, and no byte of it
//! changes: before the head the first bytes of its first line ([`BEGIN`]), between two chunks a leading zero of the
//! next one's size (RFC 9112 §7.1: `1*HEXDIG`, `1*("0")`). A reset then comes within a round trip, and counts as leaving.
//!
//! A half-closed socket that is closed later sends nothing, so the question is repeated after 1, 4, 16 and 64 s, as long as
//! there is something to say: 7 bytes before the head, [`MAX_ZEROS`] before a chunk. In a body that is no chunks the next
//! byte is the upstream's to choose; there the next write tells, or the kernel's keep-alive.
//!
//! **A cut stays a cut.** A zero and the connection's end look like a last chunk to some (Python's `http.client`). So if a zero
//! was the last that was said, `1` and a line end follow it: a chunk that never comes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Sleep, sleep};

/// What the head of every response begins with.
pub(crate) const BEGIN: &[u8] = b"HTTP/1.";

/// Leading zeros before one chunk's size, at most: readers bound the digits, the strictest to 16.
pub(crate) const MAX_ZEROS: u8 = 4;

/// From the first question to the second; each later one waits four times as long, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(64);

/// The watch over such a client.
pub(crate) struct HalfClosed {
    reset: Pin<Box<dyn Future<Output = ()> + Send>>,
    due: Pin<Box<Sleep>>,
    wait: Duration,
    zero: Zero,
}

/// Whether a zero is the last that was said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zero(Arc<AtomicBool>);

impl Zero {
    pub(crate) fn said(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// More was said behind it.
    pub(crate) fn went_on(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The side that has ended; nothing is read from it any more.
struct Ended {
    from: OwnedReadHalf,
    zero: Zero,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if self.zero.0.load(Ordering::Relaxed) {
            let _unsaid = self.from.as_ref().try_write(b"1\r\n");
        }
    }
}

impl HalfClosed {
    /// Nothing more comes by `from`.
    pub(crate) fn new(from: OwnedReadHalf) -> HalfClosed {
        let zero = Zero::default();
        let ended = Ended { from, zero: zero.clone() };
        let reset = Box::pin(async move {
            // Whatever wakes it but an error is no leaving, and there is nothing else.
            let _error = ended.from.ready(Interest::ERROR).await;
        });
        HalfClosed { reset, due: Box::pin(sleep(Duration::ZERO)), wait: FIRST, zero }
    }

    /// Ready once the client has reset the connection.
    pub(crate) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.reset.as_mut().poll(cx)
    }

    /// Whether it is time to ask; at once for the first time.
    pub(crate) fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        if self.due.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.due.set(sleep(self.wait));
        self.wait = (self.wait * 4).min(LONGEST);
        true
    }

    /// Where it is noted whether a zero is the last that was said.
    pub(crate) fn zero(&self) -> &Zero {
        &self.zero
    }
}

impl std::fmt::Debug for HalfClosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HalfClosed").finish_non_exhaustive()
    }
}
