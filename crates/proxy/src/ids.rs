//! Ids for exchanges and spans.
//!
//! They must be unique, not secret: a counter under `SipHash` with keys that the standard library draws from the system
//! for each process. No lock, no system call, about 15 ns each.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use limpid_core::ExchangeId;

pub(crate) struct Ids {
    keys: RandomState,
    next: AtomicU64,
}

impl Ids {
    pub(crate) fn new() -> Ids {
        Ids { keys: RandomState::new(), next: AtomicU64::new(0) }
    }

    /// A ULID for an exchange that began at `at`.
    pub(crate) fn exchange(&self, at: SystemTime) -> ExchangeId {
        let millis = at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        ExchangeId::from_parts(u64::try_from(millis).unwrap_or(u64::MAX), self.wide())
    }

    /// A trace id: 16 bytes, not zero.
    pub(crate) fn trace(&self) -> u128 {
        self.wide().max(1)
    }

    /// A span id: 8 bytes, not zero.
    pub(crate) fn span(&self) -> u64 {
        self.word().max(1)
    }

    fn wide(&self) -> u128 {
        u128::from(self.word()) << 64 | u128::from(self.word())
    }

    fn word(&self) -> u64 {
        self.keys.hash_one(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_differ_and_sort_by_time() {
        let ids = Ids::new();
        let seen: HashSet<u64> = (0..10_000).map(|_| ids.span()).collect();
        assert_eq!(seen.len(), 10_000);
        let early = ids.exchange(UNIX_EPOCH);
        let late = ids.exchange(UNIX_EPOCH + std::time::Duration::from_secs(1));
        assert!(early < late);
    }
}
