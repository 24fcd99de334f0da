//! Finished exchanges as they come, for whoever watches.
//!
//! A bounded ring that all watchers share: one that is too slow loses the oldest events and is told how many. The
//! hand-over's thread never waits for a watcher.

use std::sync::Arc;

use limpid_core::ExchangeRecord;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// What a watcher gets.
#[derive(Debug, Clone)]
pub enum Live {
    /// An exchange ended.
    Record(Arc<ExchangeRecord>),
    /// This watcher was too slow: so many exchanges passed it by.
    Lost(u64),
    /// There will be no more.
    Closed,
}

/// One watcher's place in the ring.
#[derive(Debug)]
pub struct LiveFeed(pub(crate) Receiver<Arc<ExchangeRecord>>);

impl LiveFeed {
    /// Waits for the next event. Cancel safe: an event not returned is returned by the next call.
    pub async fn next(&mut self) -> Live {
        match self.0.recv().await {
            Ok(record) => Live::Record(record),
            Err(RecvError::Lagged(lost)) => Live::Lost(lost),
            Err(RecvError::Closed) => Live::Closed,
        }
    }
}
