//! Where an upstream's name leads: looked up in time, remembered, and taken in turn.
//!
//! **Looking up.** Each new connection asks for the addresses. An answer is good for [`FRESH`], a failure for
//! [`FRESH_FAILURE`]; one look-up of a name runs at a time, in a task of its own, and all who wait share it. Where one
//! takes longer than [`PATIENCE`], fails, or finds nothing, the last addresses that were known serve on, for
//! [`LAST_KNOWN`] from the answer that told them: a name server that hangs for a moment costs nobody anything. A look-up
//! that does not end is given up after [`GIVEN_UP`].
//!
//! **In turn.** New connections begin at another address each, in a fixed order for each family, so that all are used
//! alike, whatever order the resolver prefers. The family that it puts first comes first, and the two alternate behind that
//! (RFC 8305 §4). An address that has failed, or has not answered within the attempt's delay, is put behind all others for
//! [`AVOIDED`]; then one connection tries it again, and it is anybody's once that succeeded.
//!
//! The addresses of an IP literal are itself. Nothing is looked up then.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use limpid_core::Shortage;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::resolve::Resolve;
use crate::shortage;

/// How long an answer is not asked for again. Names of clouds and clusters change within seconds, and nobody notices one.
const FRESH: Duration = Duration::from_secs(1);
/// How long a failure is not tried again.
const FRESH_FAILURE: Duration = Duration::from_millis(250);
/// For how long a look-up is waited for where addresses are known from before.
const PATIENCE: Duration = Duration::from_millis(250);
/// For how long addresses are used that cannot be confirmed.
const LAST_KNOWN: Duration = Duration::from_secs(10 * 60);
/// How long one look-up may take. What a C library waits for its name servers is less.
const GIVEN_UP: Duration = Duration::from_secs(30);
/// For how long an address that failed comes last.
const AVOIDED: Duration = Duration::from_secs(10);
/// Addresses of one name that are used at most: the resolver's first.
const MOST: usize = 256;

/// The addresses of one upstream.
pub(crate) struct Addresses {
    host: Arc<str>,
    port: u16,
    literal: Option<IpAddr>,
    resolver: Arc<dyn Resolve>,
    known: Mutex<Known>,
}

/// A look-up's failure; all who waited get it.
#[derive(Debug, Clone)]
pub(crate) struct LookUpError {
    /// What limpid itself had run out of then, where that was why.
    pub(crate) shortage: Option<Shortage>,
    pub(crate) error: Arc<io::Error>,
}

struct Known {
    /// The last answer, and when it came.
    answer: Option<(Answer, Instant)>,
    failed: Option<(LookUpError, Instant)>,
    looking: Option<LookUp>,
    avoided: Vec<Avoided>,
    /// How many connections have been begun, from a number that each process chooses: two of them do not begin alike.
    turn: usize,
}

/// In the order of the addresses themselves, by family.
#[derive(Clone, Default, PartialEq, Eq)]
struct Answer {
    preferred: Vec<SocketAddr>,
    others: Vec<SocketAddr>,
}

/// A look-up that is under way.
struct LookUp {
    since: Instant,
    done: watch::Receiver<bool>,
}

struct Avoided {
    address: SocketAddr,
    until: Instant,
}

impl Addresses {
    pub(crate) fn new(host: &str, port: u16, resolver: Arc<dyn Resolve>) -> Arc<Addresses> {
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let turn = RandomState::new().hash_one(host) as u32 as usize;
        let known = Known { answer: None, failed: None, looking: None, avoided: Vec::new(), turn };
        let (host, literal) = (Arc::from(host), host.parse().ok());
        Arc::new(Addresses { host, port, literal, resolver, known: Mutex::new(known) })
    }

    /// The addresses to try, best first; never empty. Where none is known it waits for the look-up, without a limit of its
    /// own.
    pub(crate) async fn in_order(self: &Arc<Addresses>) -> Result<Vec<SocketAddr>, LookUpError> {
        if let Some(ip) = self.literal {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        loop {
            let now = Instant::now();
            let (mut done, patience) = {
                let mut known = self.lock();
                let answered = known.answer.as_ref().map(|(_, at)| *at);
                let failed = known.failed.as_ref().filter(|(_, at)| now < *at + FRESH_FAILURE);
                if let Some((error, _)) = failed {
                    let error = error.clone();
                    return if known.is_usable(now) { Ok(known.order(now)) } else { Err(error) };
                }
                if answered.is_some_and(|at| now < at + FRESH) {
                    return Ok(known.order(now));
                }
                let usable = known.is_usable(now);
                let looking = self.look_up(&mut known, now);
                (looking.done.clone(), usable.then(|| looking.since + PATIENCE))
            };
            // It ends with the task that looks up, which has written what it found.
            let ends = done.wait_for(|done| *done);
            match patience {
                None => drop(ends.await),
                Some(by) if timeout_at(by, ends).await.is_err() => return Ok(self.lock().order(now)),
                Some(_) => {}
            }
        }
    }

    /// Whether no address is known.
    pub(crate) fn is_unknown(&self) -> bool {
        self.literal.is_none() && !self.lock().is_usable(Instant::now())
    }

    /// Whether there is more than one.
    pub(crate) fn are_several(&self) -> bool {
        self.lock().answer.as_ref().is_some_and(|(answer, _)| answer.iter().nth(1).is_some())
    }

    /// The address serves.
    pub(crate) fn serves(&self, address: SocketAddr) {
        self.lock().avoided.retain(|a| a.address != address);
    }

    /// The address failed, or has not answered in time.
    pub(crate) fn avoid(&self, address: SocketAddr) {
        self.lock().avoid(address, Instant::now());
    }

    /// The look-up that is under way; begins one if none is.
    fn look_up<'k>(self: &Arc<Addresses>, known: &'k mut Known, now: Instant) -> &'k LookUp {
        // The sender goes with the task, also where that was dropped with its runtime.
        let under_way = known.looking.take().filter(|l| l.done.has_changed().is_ok());
        known.looking.insert(under_way.unwrap_or_else(|| {
            let (tell, done) = watch::channel(false);
            let this = Arc::clone(self);
            tokio::spawn(async move {
                let found = timeout(GIVEN_UP, this.resolver.resolve(&this.host)).await;
                this.found(found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
                tell.send_replace(true);
            });
            LookUp { since: now, done }
        }))
    }

    fn found(&self, found: io::Result<Vec<SocketAddr>>) {
        let found = match found {
            Ok(list) if list.is_empty() => Err(io::Error::other("the name has no address")),
            found => found,
        };
        let shortage = found.as_ref().err().and_then(shortage::of_look_up);
        let mut known = self.lock();
        let now = Instant::now();
        match found {
            Ok(list) => {
                let answer = Answer::of(list, self.port);
                if known.answer.as_ref().is_none_or(|(before, _)| *before != answer) {
                    let (host, count) = (&*self.host, answer.preferred.len() + answer.others.len());
                    tracing::debug!(host, count, addresses = ?answer.iter().collect::<Vec<_>>(), "looked up");
                }
                known.avoided.retain(|a| answer.iter().any(|known| known == a.address));
                known.answer = Some((answer, now));
                known.failed = None;
            }
            Err(error) => known.failed = Some((LookUpError { shortage, error: Arc::new(error) }, now)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_usable(&self, now: Instant) -> bool {
        self.answer.as_ref().is_some_and(|(_, at)| now < *at + LAST_KNOWN)
    }

    fn avoid(&mut self, address: SocketAddr, now: Instant) {
        self.avoided.retain(|a| a.address != address);
        self.avoided.push(Avoided { address, until: now + AVOIDED });
    }

    /// The next connection's addresses.
    fn order(&mut self, now: Instant) -> Vec<SocketAddr> {
        let Some((answer, _)) = &self.answer else { return Vec::new() };
        let avoided = |a: &SocketAddr| self.avoided.iter().any(|v| v.address == *a && now < v.until);
        let good = |list: &[SocketAddr]| {
            let mut good: Vec<_> = list.iter().copied().filter(|a| !avoided(a)).collect();
            if !good.is_empty() {
                let first = self.turn % good.len();
                good.rotate_left(first);
            }
            good
        };
        let mut order = alternate(&good(&answer.preferred), &good(&answer.others));
        let mut last: Vec<_> = answer.iter().filter(avoided).collect();
        if !last.is_empty() {
            let first = self.turn % last.len();
            last.rotate_left(first);
        }
        order.extend(last);
        self.turn = self.turn.wrapping_add(1);
        // Its time is up, and this one tries it for all.
        let first = order.first().copied();
        if let Some(first) = first.filter(|f| self.avoided.iter().any(|a| a.address == *f)) {
            self.avoid(first, now);
        }
        order
    }
}

impl Answer {
    fn of(mut list: Vec<SocketAddr>, port: u16) -> Answer {
        list.truncate(MOST);
        for address in &mut list {
            address.set_port(port);
        }
        let six = list.first().is_some_and(SocketAddr::is_ipv6);
        list.sort_unstable();
        list.dedup();
        let (preferred, others) = list.into_iter().partition(|address| address.is_ipv6() == six);
        Answer { preferred, others }
    }

    fn iter(&self) -> impl Iterator<Item = SocketAddr> {
        self.preferred.iter().chain(&self.others).copied()
    }
}

/// One of each in turn.
fn alternate(a: &[SocketAddr], b: &[SocketAddr]) -> Vec<SocketAddr> {
    let longest = a.len().max(b.len());
    (0..longest).flat_map(|at| [a.get(at), b.get(at)]).flatten().copied().collect()
}

#[cfg(test)]
#[path = "addresses_tests.rs"]
mod tests;
