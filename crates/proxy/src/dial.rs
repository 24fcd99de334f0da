//! A TCP connection to one of an upstream's addresses (Happy Eyeballs, RFC 8305).
//!
//! They are tried in the order that [`Addresses`] gives. The next is begun as soon as one fails, and beside it when it has
//! not answered for [`DELAY`]; the first that stands is taken, and the others are dropped. Together they have the time of one
//! connection, `connect_timeout`. `TCP_NODELAY` is set, or small requests wait 40 ms for an acknowledgement.
//!
//! **Which failure is told.** What limpid itself ran out of ends it at once where another address would meet the same.
//! Where every address failed, a refusal is told before a time-out of the kernel's, and that before an unreachable network:
//! that is what the address said that was nearest to a connection.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use limpid_core::{RelayFailure, Shortage};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use crate::addresses::Addresses;
use crate::shortage;

/// How long an address may take before the next is tried beside it (RFC 8305 §5).
const DELAY: Duration = Duration::from_millis(250);

/// Why no address could be connected to.
pub(crate) struct DialError {
    pub(crate) failure: RelayFailure,
    /// Each address and what became of it.
    pub(crate) error: io::Error,
}

/// Connects to the first address that answers, and says which it was.
pub(crate) async fn dial(addresses: &Arc<Addresses>) -> Result<(TcpStream, SocketAddr), DialError> {
    let order = addresses.in_order().await.map_err(|failed| {
        let failure = failed.shortage.map_or(RelayFailure::Dns, RelayFailure::Shortage);
        DialError { failure, error: io::Error::other(failed.error) }
    })?;
    let several = order.len() > 1;
    let mut order = order.into_iter();
    let mut attempts = Attempts::default();
    let mut failed = Failed::default();
    loop {
        match order.next() {
            Some(address) => attempts.begin(address),
            None if attempts.0.is_empty() => return Err(failed.told()),
            None => {}
        }
        let newest = attempts.newest();
        let wait = if order.len() > 0 { Some(Instant::now() + DELAY) } else { None };
        match attempts.first_done(wait).await {
            Some((address, Ok(tcp))) => {
                addresses.serves(address);
                return Ok((tcp, address));
            }
            Some((address, Err(error))) => {
                if several {
                    addresses.avoid(address);
                }
                failed.add(address, &error);
                if failed.of_all.is_some() {
                    return Err(failed.told());
                }
            }
            None => newest.into_iter().for_each(|address| addresses.avoid(address)),
        }
    }
}

/// The attempts that are under way.
#[derive(Default)]
struct Attempts(Vec<(SocketAddr, Connecting)>);

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

impl Attempts {
    fn begin(&mut self, address: SocketAddr) {
        self.0.push((address, Box::pin(connect(address))));
    }

    /// The one that was begun last.
    fn newest(&self) -> Option<SocketAddr> {
        self.0.last().map(|(address, _)| *address)
    }

    /// The first that is done; `None` if the time is up before.
    async fn first_done(&mut self, by: Option<Instant>) -> Option<(SocketAddr, io::Result<TcpStream>)> {
        let time_is_up = async {
            match by {
                Some(by) => sleep_until(by).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            done = poll_fn(|cx| self.poll_done(cx)) => Some(done),
            () = time_is_up => None,
        }
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(SocketAddr, io::Result<TcpStream>)> {
        for at in 0..self.0.len() {
            if let Poll::Ready(done) = self.0[at].1.as_mut().poll(cx) {
                return Poll::Ready((self.0.remove(at).0, done));
            }
        }
        Poll::Pending
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// What has failed so far.
#[derive(Default)]
struct Failed {
    nearest: Option<RelayFailure>,
    /// A failure that every address would meet.
    of_all: Option<RelayFailure>,
    texts: Vec<String>,
}

impl Failed {
    fn add(&mut self, address: SocketAddr, error: &io::Error) {
        let failure = match (shortage::of(error, Some(address)), error.kind()) {
            (Some(what), _) => {
                let failure = RelayFailure::Shortage(what);
                // Ports are counted for each address.
                self.of_all = (what != Shortage::Ports).then_some(failure);
                failure
            }
            (None, io::ErrorKind::ConnectionRefused) => RelayFailure::ConnectRefused,
            (None, io::ErrorKind::TimedOut) => RelayFailure::ConnectTimeout,
            // The last: IPv6 is switched off.
            (
                None,
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::AddrNotAvailable,
            ) => RelayFailure::Unreachable,
            (None, _) => RelayFailure::Connect,
        };
        if self.nearest.is_none_or(|before| nearness(failure) > nearness(before)) {
            self.nearest = Some(failure);
        }
        self.texts.push(format!("{address}: {error}"));
    }

    fn told(self) -> DialError {
        let failure = self.of_all.or(self.nearest).unwrap_or(RelayFailure::Connect);
        DialError { failure, error: io::Error::other(self.texts.join("; ")) }
    }
}

fn nearness(failure: RelayFailure) -> u8 {
    match failure {
        RelayFailure::Shortage(_) => 4,
        RelayFailure::ConnectRefused => 3,
        RelayFailure::Connect => 2,
        RelayFailure::ConnectTimeout => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(errors: &[io::ErrorKind]) -> RelayFailure {
        let mut failed = Failed::default();
        let address = "127.0.0.1:1".parse().unwrap();
        for kind in errors {
            failed.add(address, &io::Error::from(*kind));
        }
        failed.told().failure
    }

    #[test]
    fn the_failure_that_was_nearest_to_a_connection_is_told() {
        use io::ErrorKind::*;
        assert_eq!(told(&[NetworkUnreachable, ConnectionRefused]), RelayFailure::ConnectRefused);
        assert_eq!(told(&[ConnectionRefused, HostUnreachable, TimedOut]), RelayFailure::ConnectRefused);
        assert_eq!(told(&[HostUnreachable, TimedOut]), RelayFailure::ConnectTimeout);
        assert_eq!(told(&[AddrNotAvailable, NetworkUnreachable]), RelayFailure::Unreachable);
        assert_eq!(told(&[PermissionDenied]), RelayFailure::Connect);
    }
}
