//! `/api/v1/events`: exchanges as they end, and a tick each second.
//!
//! Events: `record` (the exchange log's object), `tick` (`at`, `in_flight`, `ready`) and `lost` (`count` exchanges that
//! this watcher was too slow for). The stream is polled only when the connection takes more, so a slow reader's events
//! wait in the ring that all watchers share, and the oldest are overwritten; limpid keeps no queue for anyone.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::Event;
use futures_util::stream::{Stream, unfold};
use limpid_insight::{Filters, Live, LiveFeed};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::api::rfc3339;
use crate::params::{Params, RawParams};
use crate::{ApiError, Shared, WATCHERS};

struct Watcher {
    shared: Arc<Shared>,
    feed: LiveFeed,
    ticks: Interval,
    filters: Filters,
    _place: OwnedSemaphorePermit,
}

/// The stream; the first event is a tick.
pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    raw: RawParams,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let filters = Params::read(raw, &[])?.filters;
    let place = Arc::clone(&shared.watchers).try_acquire_owned();
    let place = place.map_err(|_full| ApiError::TooManyWatchers { most: WATCHERS })?;
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watcher = Watcher { feed: shared.state.insight.subscribe(), shared, ticks, filters, _place: place };
    Ok(Sse::new(unfold(watcher, async |mut watcher| {
        let event = watcher.next().await?;
        Some((Ok(event), watcher))
    })))
}

impl Watcher {
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                _ = self.ticks.tick() => return Some(self.tick()),
                live = self.feed.next() => match live {
                    Live::Record(record) if self.filters.pass(|dimension| dimension.of(&record)) => {
                        return named("record", &record);
                    }
                    Live::Record(_) => {}
                    Live::Lost(count) => return named("lost", &json!({ "count": count })),
                    Live::Closed => return None,
                },
            }
        }
    }

    fn tick(&self) -> Event {
        let state = &self.shared.state;
        let tick = json!({
            "at": rfc3339(state.insight.now()),
            "in_flight": self.shared.in_flight(),
            "ready": state.ready.load(Ordering::Acquire),
        });
        Event::default().event("tick").data(tick.to_string())
    }
}

/// `None`, which ends the stream, if the data cannot be written as JSON; ours can.
fn named(name: &str, data: &impl serde::Serialize) -> Option<Event> {
    Event::default().event(name).json_data(data).ok()
}
