//! The shared store, its one writer and its readers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use limpid_core::{Clock, ExchangeRecord, RecordConsumer};
use tokio::sync::broadcast;

use crate::config::InsightConfig;
use crate::dimension::Filters;
use crate::live::LiveFeed;
use crate::series::{Series, SeriesQuery, series};
use crate::slot::Slot;
use crate::store::Store;
use crate::summary::{Summary, SummaryQuery, summarize};
use crate::window::{Grid, Window};

/// Which recent exchanges are asked for.
#[derive(Debug, Clone, Default)]
pub struct RecentQuery {
    /// At most so many.
    pub limit: usize,
    /// Only those that ended in this window, which begins as that of a summary; `None` for any.
    pub window: Option<Duration>,
    /// Which exchanges.
    pub filters: Filters,
}

/// The last hour. A query over an hour of 400 exchanges a second takes some 0.4 s of CPU, one over five minutes 20 ms: call
/// them off the relay's threads.
pub struct Insight {
    config: InsightConfig,
    grid: Grid,
    store: Mutex<Store>,
    recent: Mutex<VecDeque<Arc<ExchangeRecord>>>,
    live: broadcast::Sender<Arc<ExchangeRecord>>,
}

/// The writer.
pub struct InsightConsumer(Arc<Insight>);

impl RecordConsumer for InsightConsumer {
    fn consume(&mut self, record: &Arc<ExchangeRecord>) {
        self.0.take(record);
    }
}

impl Insight {
    /// An empty store that begins now, and the consumer that fills it.
    pub fn new(config: InsightConfig, clock: Clock) -> (Arc<Insight>, InsightConsumer) {
        let config = config.clamped();
        let grid = Grid { started: clock.now(), clock, slot: config.slot, slots: config.slots as u64 };
        let insight = Arc::new(Insight {
            grid,
            store: Mutex::new(Store::new(config.clone())),
            recent: Mutex::new(VecDeque::with_capacity(config.recent)),
            live: broadcast::Sender::new(config.live),
            config,
        });
        (Arc::clone(&insight), InsightConsumer(insight))
    }

    /// The bounds in force.
    pub fn config(&self) -> &InsightConfig {
        &self.config
    }

    /// The wall time now, by the injected clock.
    pub fn now(&self) -> SystemTime {
        self.grid.clock.wall(self.grid.clock.now())
    }

    /// When it began, as the wall clock stands now: one that was put right since then counts.
    pub fn started_at(&self) -> SystemTime {
        self.grid.clock.wall(self.grid.started)
    }

    /// For how long it has been there.
    pub fn uptime(&self) -> Duration {
        self.grid.clock.now().since(self.grid.started)
    }

    /// Counts, token flow, price and percentiles of a window, per group.
    pub fn summary(&self, query: &SummaryQuery) -> Summary {
        let (window, slots) = self.slots(query.window);
        summarize(&self.grid, &window, &slots, query, self.config.max_groups)
    }

    /// One number over time.
    pub fn series(&self, query: &SeriesQuery) -> Series {
        let (window, slots) = self.slots(query.window);
        series(&self.grid, &window, &slots, query)
    }

    /// The most recent exchanges, newest first.
    pub fn recent(&self, query: &RecentQuery) -> Vec<Arc<ExchangeRecord>> {
        let from = query.window.map(|window| self.grid.window(window).from);
        lock(&self.recent)
            .iter()
            .rev()
            .filter(|record| from.is_none_or(|from| record.timeline.ended >= from))
            .filter(|record| query.filters.pass(|dimension| dimension.of(record)))
            .take(query.limit)
            .map(Arc::clone)
            .collect()
    }

    /// Watches exchanges end, from now on.
    pub fn subscribe(&self) -> LiveFeed {
        LiveFeed(self.live.subscribe())
    }

    fn slots(&self, asked: Duration) -> (Window, Vec<(u64, Arc<Slot>)>) {
        let window = self.grid.window(asked);
        let slots = lock(&self.store).range(window.slots.clone());
        (window, slots)
    }

    fn take(&self, record: &Arc<ExchangeRecord>) {
        // A moment in the future would push the whole hour out of the ring.
        let ended = record.timeline.ended.min(self.grid.clock.now());
        lock(&self.store).add(self.grid.number(ended), record);
        {
            let mut recent = lock(&self.recent);
            if recent.len() >= self.config.recent {
                recent.pop_front();
            }
            recent.push_back(Arc::clone(record));
        }
        // Fails only when nobody watches.
        let _ = self.live.send(Arc::clone(record));
    }

    #[cfg(test)]
    pub(crate) fn footprint(&self) -> usize {
        lock(&self.store).footprint()
    }
}

/// What a panicking holder left behind is counters: still the best there is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
