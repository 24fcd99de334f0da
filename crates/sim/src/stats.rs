//! What the simulator really did: counters, and for traced requests the stamp of every event.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use limpid_core::{Clock, Tick};
use tokio::sync::Notify;

/// The most events that are kept of one request; later ones are left out.
const MAX_EVENTS: usize = 65_536;

/// What an event carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// No output: role chunk, block start and stop, finish, usage, error, end marker; a whole body.
    Structure,
    /// Reasoning text.
    Reasoning,
    /// Visible text.
    Content,
    /// A structured refusal's text.
    Refusal,
    /// A tool call's name or arguments.
    Tool,
}

impl EventKind {
    /// Whether it is generated output.
    pub const fn is_token(self) -> bool {
        !matches!(self, EventKind::Structure)
    }
}

/// How a traced request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceEnding {
    /// All that was to be sent was handed to the connection.
    Completed,
    /// The client hung up before that.
    Cancelled,
    /// The simulator broke off, as it was told to.
    Aborted,
}

/// What happened to one request that carried an `x-request-id`. Moments are those of [`crate::SimConfig::clock`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The request's head was read.
    pub arrived: Tick,
    /// Every event as it was handed to the connection's writer, at most 65,536.
    pub events: Vec<(Tick, EventKind)>,
    /// How and when it ended: for a cancelled request, when that was noticed.
    pub ended: Option<(Tick, TraceEnding)>,
}

impl Trace {
    /// The stamps of the events with generated output.
    pub fn tokens(&self) -> Vec<Tick> {
        self.events.iter().filter(|(_, kind)| kind.is_token()).map(|(at, _)| *at).collect()
    }
}

/// Counters of a server; read at any time.
#[derive(Debug)]
pub struct SimStats {
    clock: Clock,
    requests: AtomicU64,
    completed: AtomicU64,
    cancelled: AtomicU64,
    aborted: AtomicU64,
    bytes: AtomicU64,
    events: AtomicU64,
    connections: AtomicU64,
    open_connections: AtomicU64,
    changed: Notify,
    traces: Mutex<Traces>,
}

#[derive(Debug)]
struct Traces {
    capacity: usize,
    by_id: HashMap<String, Arc<Mutex<Trace>>>,
    order: VecDeque<String>,
}

impl SimStats {
    pub(crate) fn new(clock: Clock, trace_capacity: usize) -> SimStats {
        let traces = Traces { capacity: trace_capacity, by_id: HashMap::new(), order: VecDeque::new() };
        SimStats {
            clock,
            requests: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            aborted: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            events: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            open_connections: AtomicU64::new(0),
            changed: Notify::new(),
            traces: Mutex::new(traces),
        }
    }

    /// Requests whose head was read, of any kind: `/health` and the like included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Acquire)
    }

    /// Requests that were answered to the end, error replies included.
    pub fn completed(&self) -> u64 {
        self.completed.load(Ordering::Acquire)
    }

    /// Requests whose client hung up first.
    pub fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Requests that were broken off on purpose.
    pub fn aborted(&self) -> u64 {
        self.aborted.load(Ordering::Acquire)
    }

    /// Body bytes handed to connections.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Events (or whole bodies) handed to connections.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Acquire)
    }

    /// Connections that were accepted.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    /// Connections that are open.
    pub fn open_connections(&self) -> u64 {
        self.open_connections.load(Ordering::Acquire)
    }

    /// What happened to the last request with this `x-request-id`; `None` if it is unknown or was pushed out by newer
    /// ones (see [`crate::SimConfig::trace_capacity`]).
    pub fn trace(&self, request_id: &str) -> Option<Trace> {
        lock(&self.traces).by_id.get(request_id).map(|trace| lock(trace).clone())
    }

    /// The stamps of all events sent so far to the last request with this `x-request-id`.
    pub fn sent(&self, request_id: &str) -> Option<Vec<Tick>> {
        self.trace(request_id).map(|t| t.events.into_iter().map(|(at, _)| at).collect())
    }

    /// Waits until `condition` holds. It is asked whenever a request begins or ends and a connection opens or closes,
    /// so it can rest on these counts and on [`Trace::ended`]. Set a time limit around it.
    pub async fn until(&self, condition: impl Fn(&SimStats) -> bool + Send) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Listen before asking, or a change in between is lost.
            changed.as_mut().enable();
            if condition(self) {
                return;
            }
            changed.await;
        }
    }

    /// The counters as JSON, for `/sim/stats`.
    pub(crate) fn json(&self) -> String {
        serde_json::json!({
            "requests": self.requests(),
            "completed": self.completed(),
            "cancelled": self.cancelled(),
            "aborted": self.aborted(),
            "events": self.events(),
            "bytes": self.bytes(),
            "connections": self.connections(),
            "open_connections": self.open_connections(),
        })
        .to_string()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn connection_opened(&self) {
        self.connections.fetch_add(1, Ordering::AcqRel);
        self.open_connections.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    pub(crate) fn connection_closed(&self) {
        self.open_connections.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    fn traced(&self, request_id: &str, arrived: Tick) -> Option<Arc<Mutex<Trace>>> {
        let mut traces = lock(&self.traces);
        if traces.capacity == 0 {
            return None;
        }
        let trace = Arc::new(Mutex::new(Trace { arrived, ..Trace::default() }));
        if traces.by_id.insert(request_id.to_owned(), Arc::clone(&trace)).is_none() {
            traces.order.push_back(request_id.to_owned());
        }
        while traces.order.len() > traces.capacity {
            if let Some(oldest) = traces.order.pop_front() {
                traces.by_id.remove(&oldest);
            }
        }
        Some(trace)
    }
}

/// One request being served. Dropped without [`Exchange::end`], it counts as cancelled: that is what happens when the
/// connection goes away, before the response as well as in its middle.
#[derive(Debug)]
pub(crate) struct Exchange {
    stats: Arc<SimStats>,
    trace: Option<Arc<Mutex<Trace>>>,
    number: u64,
    ended: bool,
}

impl Exchange {
    pub(crate) fn begin(stats: &Arc<SimStats>, request_id: Option<&str>) -> Exchange {
        let number = stats.requests.fetch_add(1, Ordering::AcqRel);
        let trace = request_id.and_then(|id| stats.traced(id, stats.clock.now()));
        stats.changed.notify_waiters();
        Exchange { stats: Arc::clone(stats), trace, number, ended: false }
    }

    /// How many requests came before this one.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Notes that an event of `bytes` goes out now.
    pub(crate) fn sent(&self, kind: EventKind, bytes: usize) {
        self.stats.events.fetch_add(1, Ordering::Relaxed);
        self.stats.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(trace) = &self.trace {
            let mut trace = lock(trace);
            if trace.events.len() < MAX_EVENTS {
                trace.events.push((self.stats.clock.now(), kind));
            }
        }
    }

    /// Notes the ending; only the first counts.
    pub(crate) fn end(&mut self, ending: TraceEnding) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Some(trace) = &self.trace {
            lock(trace).ended = Some((self.stats.clock.now(), ending));
        }
        let counter = match ending {
            TraceEnding::Completed => &self.stats.completed,
            TraceEnding::Cancelled => &self.stats.cancelled,
            TraceEnding::Aborted => &self.stats.aborted,
        };
        counter.fetch_add(1, Ordering::AcqRel);
        self.stats.changed.notify_waiters();
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.end(TraceEnding::Cancelled);
    }
}

/// A poisoned lock guards counters that are valid at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn traces_are_bounded_and_the_newest_of_an_id_counts() {
        let clock = Clock::manual(SystemTime::UNIX_EPOCH);
        let stats = Arc::new(SimStats::new(clock.clone(), 2));
        for id in ["a", "b", "c"] {
            Exchange::begin(&stats, Some(id)).end(TraceEnding::Completed);
        }
        assert_eq!(stats.trace("a"), None);
        clock.advance(std::time::Duration::from_millis(1));
        drop(Exchange::begin(&stats, Some("b")));
        assert_eq!(stats.trace("b").unwrap().ended, Some((Tick(1_000_000), TraceEnding::Cancelled)));
        assert_eq!((stats.requests(), stats.completed(), stats.cancelled()), (4, 3, 1));
    }
}
