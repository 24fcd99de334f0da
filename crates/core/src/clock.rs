//! Time, injected.
//!
//! A [`Tick`] is a count of nanoseconds since the [`Clock`] was made: monotonic, 8 bytes, and meaningless outside the
//! process. Wall time is read once, when the clock is made, and carried forward by the monotonic clock, so that
//! `started_at` and the durations of one record cannot contradict each other when the system's time is set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A moment: nanoseconds since its [`Clock`] was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(pub u64);

impl Tick {
    /// The time from `earlier` to this moment; zero if `earlier` is later.
    #[inline]
    pub fn since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment moved on by `by`; saturates after 584 years.
    #[inline]
    #[must_use]
    pub fn plus(self, by: Duration) -> Tick {
        Tick(self.0.saturating_add(nanos(by)))
    }
}

#[inline]
pub(crate) fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// A source of [`Tick`]s and of wall time. Cloning is cheap; clones agree.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    wall_at_zero: SystemTime,
    source: ClockSource,
}

enum ClockSource {
    System(Instant),
    Manual(AtomicU64),
    Function(Box<dyn Fn() -> Duration + Send + Sync>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock::with(SystemTime::now(), ClockSource::System(Instant::now()))
    }

    /// A clock that stands still until [`Clock::advance`] moves it; its zero is `wall_at_zero`.
    pub fn manual(wall_at_zero: SystemTime) -> Clock {
        Clock::with(wall_at_zero, ClockSource::Manual(AtomicU64::new(0)))
    }

    /// A clock that asks `elapsed` for the time since its zero; for tests on a runtime whose time is paused.
    pub fn from_fn(wall_at_zero: SystemTime, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Clock {
        Clock::with(wall_at_zero, ClockSource::Function(Box::new(elapsed)))
    }

    fn with(wall_at_zero: SystemTime, source: ClockSource) -> Clock {
        Clock(Arc::new(Inner { wall_at_zero, source }))
    }

    /// Now.
    #[inline]
    pub fn now(&self) -> Tick {
        match &self.0.source {
            ClockSource::System(zero) => Tick(nanos(zero.elapsed())),
            ClockSource::Manual(t) => Tick(t.load(Ordering::Acquire)),
            ClockSource::Function(f) => Tick(nanos(f())),
        }
    }

    /// The wall time of a moment of this clock.
    pub fn wall(&self, at: Tick) -> SystemTime {
        self.0.wall_at_zero + Duration::from_nanos(at.0)
    }

    /// Moves a manual clock on; does nothing to the others.
    pub fn advance(&self, by: Duration) {
        if let ClockSource::Manual(t) = &self.0.source {
            t.fetch_add(nanos(by), Ordering::AcqRel);
        }
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let c = Clock::manual(SystemTime::UNIX_EPOCH);
        assert_eq!(c.now(), Tick(0));
        c.clone().advance(Duration::from_millis(3));
        assert_eq!(c.now(), Tick(3_000_000));
        assert_eq!(c.wall(c.now()), SystemTime::UNIX_EPOCH + Duration::from_millis(3));
    }

    #[test]
    fn since_never_goes_negative() {
        assert_eq!(Tick(5).since(Tick(9)), Duration::ZERO);
    }
}
