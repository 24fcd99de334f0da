//! At most one log line of a kind in ten seconds: what anybody can cause, or what meets everybody at once, must not write
//! the log full. How many were left out stands in the next one.

use std::sync::atomic::{AtomicU64, Ordering};

use limpid_core::Tick;

/// At most one line in this time.
const QUIET_NS: u64 = 10_000_000_000;

/// When the log last told of it.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    /// When it may tell again.
    again: AtomicU64,
    untold: AtomicU64,
}

impl Quiet {
    /// How many were not told of before this one; `None` if this one is not either.
    pub(crate) fn turn(&self, now: Tick) -> Option<u64> {
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
        let quiet = Quiet::default();
        let turns = [0, 1, QUIET_NS - 1, QUIET_NS, QUIET_NS + 1, 5 * QUIET_NS].map(|at| quiet.turn(Tick(at)));
        assert_eq!(turns, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
