//! A sink that keeps every record.

use std::fmt;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use limpid_core::{Endpoint, ExchangeRecord, ExchangeSink, Unreadable};
use tokio::sync::Notify;

/// Gathers the records of finished exchanges, in order of their endings. Share it in an `Arc`.
#[derive(Debug, Default)]
pub struct CollectingSink {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    started: usize,
    records: Vec<ExchangeRecord>,
    unreadable: Vec<Unreadable>,
}

/// Fewer records came than were waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// How many were waited for.
    pub wanted: usize,
    /// How many exchanges had begun.
    pub started: usize,
    /// How many had ended.
    pub finished: usize,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing { wanted, started, finished } = self;
        write!(f, "waited for {wanted} records: {started} exchanges began, {finished} ended")
    }
}

impl std::error::Error for Missing {}

impl CollectingSink {
    /// How many exchanges began.
    pub fn started_count(&self) -> usize {
        self.lock().started
    }

    /// The records so far.
    pub fn records(&self) -> Vec<ExchangeRecord> {
        self.lock().records.clone()
    }

    /// What came of which no request could be made, once there are at least `n`; what there is after `timeout`.
    pub async fn unreadable(&self, n: usize, timeout: Duration) -> Vec<Unreadable> {
        let _in_time = tokio::time::timeout(timeout, self.until(|state| state.unreadable.len() >= n)).await;
        self.lock().unreadable.clone()
    }

    /// The records, once there are at least `n`.
    ///
    /// # Errors
    ///
    /// There are fewer after `timeout`.
    pub async fn wait_for(&self, n: usize, timeout: Duration) -> Result<Vec<ExchangeRecord>, Missing> {
        let in_time = tokio::time::timeout(timeout, self.until(|state| state.records.len() >= n)).await.is_ok();
        let state = self.lock();
        if in_time {
            Ok(state.records.clone())
        } else {
            Err(Missing { wanted: n, started: state.started, finished: state.records.len() })
        }
    }

    async fn until(&self, enough: impl Fn(&State) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Listen before asking, or a change in between is missed.
            changed.as_mut().enable();
            if enough(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExchangeSink for CollectingSink {
    fn started(&self, _endpoint: Endpoint) {
        self.lock().started += 1;
    }

    fn finished(&self, record: Arc<ExchangeRecord>) {
        self.lock().records.push(Arc::unwrap_or_clone(record));
        self.changed.notify_waiters();
    }

    fn unreadable(&self, why: Unreadable) {
        self.lock().unreadable.push(why);
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn missing_records_are_told_in_time() {
        let sink = CollectingSink::default();
        sink.started(Endpoint::Chat);
        assert_eq!(sink.wait_for(0, Duration::ZERO).await, Ok(Vec::new()));
        let missing = sink.wait_for(1, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(missing, Missing { wanted: 1, started: 1, finished: 0 });
        assert_eq!(missing.to_string(), "waited for 1 records: 1 exchanges began, 0 ended");
    }
}
