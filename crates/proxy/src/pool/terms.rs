//! For how long a connection may be used again: its age, and what its server says of that.
//!
//! **Age.** A connection goes to one address for as long as it lives. So that constant traffic follows its name to other
//! addresses, a connection that is older than `max_connection_age` takes no further request; what it carries runs to its
//! end, and then it is closed. Ages differ by up to a tenth either way, or all that were opened together would be opened anew
//! together.
//!
//! **`Keep-Alive`.** A server of HTTP/1.1 may tell for how many seconds it keeps an unused connection (`timeout`), and for
//! how many further requests (`max`). A request that meets its close is lost, so the connection is not used within
//! [`MARGIN`] of that, or the second half of a shorter time. Of `max`, servers tell what is left or what there was at first:
//! the smaller number counts.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use limpid_core::Tick;

/// How much of the time that a server tells is left to the way of a request.
const MARGIN: Duration = Duration::from_secs(1);

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Gives each connection of an upstream its age.
pub(super) struct Ages {
    /// `None`: any.
    most: Option<Duration>,
    keys: RandomState,
    given: AtomicU64,
}

impl Ages {
    pub(super) fn new(most: Option<Duration>) -> Ages {
        Ages { most, keys: RandomState::new(), given: AtomicU64::new(0) }
    }

    /// When a connection that is opened now is too old for a further request.
    pub(super) fn end(&self, now: Tick) -> Tick {
        let Some(most) = self.most else { return Tick(u64::MAX) };
        let any = self.keys.hash_one(self.given.fetch_add(1, Ordering::Relaxed));
        let per_mille = 900 + u32::try_from(any % 201).unwrap_or(100);
        now.plus(most.saturating_mul(per_mille) / 1000)
    }
}

/// What is agreed on about one connection of HTTP/1.1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    age_ends: Tick,
    /// For how long its server keeps it unused.
    idle: Option<Duration>,
    /// For how many further requests.
    requests: u32,
}

impl Terms {
    pub(super) fn new(age_ends: Tick) -> Terms {
        Terms { age_ends, idle: None, requests: u32::MAX }
    }

    /// A response came, with these fields.
    pub(super) fn answered(&mut self, fields: &HeaderMap) {
        self.requests = self.requests.saturating_sub(u32::from(self.requests != u32::MAX));
        for (name, told) in fields.get_all(KEEP_ALIVE).iter().filter_map(|v| v.to_str().ok()).flat_map(parameters) {
            match name {
                _ if name.eq_ignore_ascii_case("timeout") => {
                    let told = Duration::from_secs(told.into());
                    self.idle = Some(self.idle.map_or(told, |before| before.min(told)));
                }
                _ if name.eq_ignore_ascii_case("max") => self.requests = self.requests.min(told),
                _ => {}
            }
        }
    }

    /// Until when it may be used again, if it is unused from now on; `None` if not at all.
    pub(super) fn until(&self, now: Tick, idle_timeout: Duration) -> Option<Tick> {
        let told = self.idle.map(|told| told.saturating_sub(MARGIN.min(told / 2)));
        let idle = told.map_or(idle_timeout, |told| told.min(idle_timeout));
        let until = now.plus(idle).min(self.age_ends);
        (self.requests > 0 && until > now).then_some(until)
    }
}

/// The parameters that are numbers.
fn parameters(value: &str) -> impl Iterator<Item = (&str, u32)> {
    value.split(',').filter_map(|parameter| {
        let (name, told) = parameter.split_once('=')?;
        let told = told.trim().trim_matches('"');
        let number = !told.is_empty() && told.bytes().all(|b| b.is_ascii_digit());
        Some((name.trim(), told.parse().unwrap_or(u32::MAX))).filter(|_| number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Tick = Tick(1_000_000_000_000);

    fn told(values: &[&str]) -> Terms {
        let mut terms = Terms::new(Tick(u64::MAX));
        tell(&mut terms, values);
        terms
    }

    fn tell(terms: &mut Terms, values: &[&str]) {
        let mut fields = HeaderMap::new();
        for value in values {
            fields.append(KEEP_ALIVE, value.parse().unwrap());
        }
        terms.answered(&fields);
    }

    fn kept_ms(terms: Terms, idle_timeout: Duration) -> Option<u128> {
        terms.until(NOW, idle_timeout).map(|until| until.since(NOW).as_millis())
    }

    #[test]
    fn a_connection_is_left_before_its_server_closes_it() {
        for (values, kept) in [
            (&[][..], Some(60_000)),
            (&["timeout=5"], Some(4000)),
            (&["timeout=2"], Some(1000)),
            (&["timeout=1"], Some(500)),
            (&["timeout=0"], None),
            (&["Timeout = \"5\" , max=100"], Some(4000)),
            (&["max=100, timeout=5", "timeout=3"], Some(2000)),
            (&["timeout=600"], Some(60_000)),
            (&["timeout=99999999999999999999"], Some(60_000)),
            (&["timeout=-1", "timeout", "timeout=", "timeout=x", "=5", ""], Some(60_000)),
            (&["max=0"], None),
            (&["max=1"], Some(60_000)),
        ] {
            assert_eq!(kept_ms(told(values), Duration::from_secs(60)), kept, "{values:?}");
        }
        assert_eq!(kept_ms(told(&["timeout=5"]), Duration::from_millis(10)), Some(10));
        assert_eq!(kept_ms(told(&[]), Duration::ZERO), None);
    }

    #[test]
    fn requests_are_counted_down_by_whoever_counts() {
        let minute = Duration::from_secs(60);
        // It tells what is left.
        let mut terms = told(&["max=2"]);
        tell(&mut terms, &["max=1"]);
        assert!(kept_ms(terms, minute).is_some());
        tell(&mut terms, &["max=0"]);
        assert_eq!(kept_ms(terms, minute), None);
        // It tells the same number each time, or only once.
        for later in [&["max=2"][..], &[]] {
            let mut terms = told(&["max=2"]);
            tell(&mut terms, later);
            assert!(kept_ms(terms, minute).is_some());
            tell(&mut terms, later);
            assert_eq!(kept_ms(terms, minute), None, "{later:?}");
        }
    }

    #[test]
    fn ages_differ_by_a_tenth_and_bound_what_is_kept() {
        let ages = Ages::new(Some(Duration::from_secs(100)));
        let ends: Vec<_> = (0..1000).map(|_| ages.end(NOW).since(NOW)).collect();
        let (least, most) = (ends.iter().min().unwrap(), ends.iter().max().unwrap());
        assert!(*least >= Duration::from_secs(90) && *most <= Duration::from_secs(110), "{least:?} {most:?}");
        assert!(most.saturating_sub(*least) > Duration::from_secs(15), "{least:?} {most:?}");
        assert_eq!(Ages::new(None).end(NOW), Tick(u64::MAX));
        let old = Terms::new(NOW);
        assert_eq!(kept_ms(old, Duration::from_secs(60)), None);
        let young = Terms::new(NOW.plus(Duration::from_secs(2)));
        assert_eq!(kept_ms(young, Duration::from_secs(60)), Some(2000));
    }
}
