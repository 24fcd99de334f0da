//! What a client sent that is no request.
//!
//! It is answered with a bare 400, 414 or 431, and the connection is closed: there is no request, so there is no JSON and
//! no record. That must not pass unseen: each is counted, and the log tells of them, but not of each, for whoever sends
//! rubbish would write it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use limpid_core::{Tick, Unreadable};
use limpid_http1::head::Refused;

/// At most one line in this time.
const QUIET_NS: u64 = 10_000_000_000;

/// When the log last told of it.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// When it may tell again.
    again: AtomicU64,
    untold: AtomicU64,
}

/// What is counted.
pub(crate) fn kind(why: Refused) -> Unreadable {
    match why {
        Refused::TooLarge | Refused::TargetTooLong => Unreadable::TooLarge,
        Refused::Malformed => Unreadable::Malformed,
    }
}

impl Log {
    /// Tells of it, unless it has just told of another.
    pub(crate) fn tell(&self, now: Tick, peer: SocketAddr, why: Refused) {
        if let Some(untold) = self.turn(now) {
            tracing::warn!(%peer, error = %why, untold, "refused what is no HTTP request, or has too large a head");
        }
    }

    /// How many were not told of before this one; `None` if this one is not either.
    fn turn(&self, now: Tick) -> Option<u64> {
        let again = self.again.load(Ordering::Relaxed);
        let mine = again <= now.0
            && self.again.compare_exchange(again, now.0 + QUIET_NS, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            Some(self.untold.swap(0, Ordering::Relaxed))
        } else {
            self.untold.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_now_and_then_and_how_many_it_left_out() {
        let log = Log::default();
        let turns = [0, 1, QUIET_NS - 1, QUIET_NS, QUIET_NS + 1, 5 * QUIET_NS].map(|at| log.turn(Tick(at)));
        assert_eq!(turns, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
