//! Time, injected.
//!
//! A [`Tick`] is a count of nanoseconds since the [`Clock`] was made: monotonic, 8 bytes, and meaningless outside the
//! process. Wall time is the monotonic clock and the distance between the two, which is measured anew once a second where
//! it is asked for: a clock that is put right, and a machine that has slept (which the monotonic clock does not see), are
//! noticed within [`MEASURED_EVERY`]. A record's wall time is asked for once, at its begin; all else in it are durations
//! of the monotonic clock, so that no record contradicts itself when the system's time is set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a measured distance between wall time and the monotonic clock holds.
const MEASURED_EVERY: Duration = Duration::from_secs(1);

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
    /// Wall time at tick 0, nanoseconds since the epoch.
    wall_at_zero: AtomicU64,
    /// From which tick on that is measured again.
    measure_at: AtomicU64,
    source: ClockSource,
}

enum ClockSource {
    System(Instant),
    Manual(AtomicU64),
    Function(Box<dyn Fn() -> Duration + Send + Sync>),
    Both(Box<dyn Fn() -> (Duration, SystemTime) + Send + Sync>),
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

    /// A clock that asks `both` for the time since its zero and for the wall time; for tests in which the wall clock is set.
    pub fn from_both(both: impl Fn() -> (Duration, SystemTime) + Send + Sync + 'static) -> Clock {
        let (elapsed, wall) = both();
        Clock::with(wall - elapsed, ClockSource::Both(Box::new(both)))
    }

    fn with(wall_at_zero: SystemTime, source: ClockSource) -> Clock {
        let measured = matches!(source, ClockSource::System(_) | ClockSource::Both(_));
        Clock(Arc::new(Inner {
            wall_at_zero: AtomicU64::new(since_epoch(wall_at_zero)),
            measure_at: AtomicU64::new(if measured { nanos(MEASURED_EVERY) } else { u64::MAX }),
            source,
        }))
    }

    /// Now.
    #[inline]
    pub fn now(&self) -> Tick {
        match &self.0.source {
            ClockSource::System(zero) => Tick(nanos(zero.elapsed())),
            ClockSource::Manual(t) => Tick(t.load(Ordering::Acquire)),
            ClockSource::Function(f) => Tick(nanos(f())),
            ClockSource::Both(f) => Tick(nanos(f().0)),
        }
    }

    /// The wall time of a moment of this clock, as the wall clock stands now. Two moments keep their order and their
    /// distance only where they are asked for together.
    #[inline]
    pub fn wall(&self, at: Tick) -> SystemTime {
        if at.0 >= self.0.measure_at.load(Ordering::Relaxed) {
            self.measure();
        }
        UNIX_EPOCH + Duration::from_nanos(self.0.wall_at_zero.load(Ordering::Relaxed).saturating_add(at.0))
    }

    /// Two threads may do this at once: both find the same.
    #[cold]
    fn measure(&self) {
        let (elapsed, wall) = match &self.0.source {
            ClockSource::System(zero) => (zero.elapsed(), SystemTime::now()),
            ClockSource::Both(f) => f(),
            ClockSource::Manual(_) | ClockSource::Function(_) => return,
        };
        let now = nanos(elapsed);
        self.0.wall_at_zero.store(since_epoch(wall).saturating_sub(now), Ordering::Relaxed);
        self.0.measure_at.store(now.saturating_add(nanos(MEASURED_EVERY)), Ordering::Relaxed);
    }

    /// Moves a manual clock on; does nothing to the others.
    pub fn advance(&self, by: Duration) {
        if let ClockSource::Manual(t) = &self.0.source {
            t.fetch_add(nanos(by), Ordering::AcqRel);
        }
    }
}

/// Nanoseconds since the epoch; a clock that stands before it, or after the year 2554, stands at its end.
fn since_epoch(wall: SystemTime) -> u64 {
    wall.duration_since(UNIX_EPOCH).map_or(0, nanos)
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
    fn a_wall_clock_that_is_set_and_a_machine_that_slept_are_noticed() {
        let times = Arc::new(std::sync::Mutex::new((Duration::ZERO, UNIX_EPOCH + Duration::from_secs(7_200))));
        let told = Arc::clone(&times);
        let c = Clock::from_both(move || *told.lock().unwrap());
        let wall = || c.wall(c.now()).duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(wall(), 7_200);
        // Put back by two hours within the second: seen at its end.
        *times.lock().unwrap() = (Duration::from_millis(500), UNIX_EPOCH);
        assert_eq!(wall(), 7_200);
        *times.lock().unwrap() = (Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(1));
        assert_eq!(wall(), 1);
        // Asleep for a day.
        *times.lock().unwrap() = (Duration::from_secs(3), UNIX_EPOCH + Duration::from_secs(86_403));
        let (now, before) = (c.now(), Tick(0));
        assert_eq!(wall(), 86_403);
        assert_eq!(c.wall(now).duration_since(c.wall(before)).unwrap(), Duration::from_secs(3), "durations are not");
    }

    #[test]
    fn since_never_goes_negative() {
        assert_eq!(Tick(5).since(Tick(9)), Duration::ZERO);
    }
}
