//! Looking names up: the machine's own way (`getaddrinfo`), or what a test puts in its place.
//!
//! `getaddrinfo` blocks, for tens of seconds where name servers are silent, so each look-up has a thread of its own while
//! it lasts. A name has one at a time ([`crate::addresses`]); one that outlives its caller's patience runs on, and there are
//! [`MOST`] at most. A thread that cannot be started is a failure of its own, never the name's.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot;

/// Look-ups that may run together, of all names.
const MOST: usize = 64;

/// A look-up that is under way.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// How upstreams' names are looked up.
pub trait Resolve: Send + Sync {
    /// The addresses of a host, the best first (RFC 6724); their port does not matter. An empty list is a failure too.
    fn resolve(&self, host: &str) -> Resolving;
}

/// As the machine does it: hosts file, name servers, and whatever else it is set up for.
#[derive(Debug, Default)]
pub struct SystemResolver(Arc<AtomicUsize>);

/// No thread could be started.
#[derive(Debug)]
pub(crate) struct NoThread(io::Error);

impl fmt::Display for NoThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no thread to look the name up: {}", self.0)
    }
}

impl std::error::Error for NoThread {}

/// Counts a look-up while it lasts.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> Resolving {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        let running = Running(Arc::clone(&self.0));
        let host = host.to_owned();
        Box::pin(async move {
            if before >= MOST {
                return Err(io::Error::other("too many look-ups hang"));
            }
            let (tell, found) = oneshot::channel();
            let look_up = move || {
                let found = (host.as_str(), 0).to_socket_addrs().map(Iterator::collect);
                drop(running);
                let _nobody_waits = tell.send(found);
            };
            let thread = std::thread::Builder::new().name("limpid-lookup".to_owned()).spawn(look_up);
            thread.map_err(|error| io::Error::other(NoThread(error)))?;
            found.await.map_err(|_| io::Error::other("the look-up panicked"))?
        })
    }
}
