//! What a client sent that is no request.
//!
//! It is answered with a bare 400, 414 or 431, and the connection is closed: there is no request, so there is no JSON and
//! no record. That must not pass unseen: each is counted, and the log tells of them, but not of each, for whoever sends
//! rubbish would write it.

use std::net::SocketAddr;

use limpid_core::{Tick, Unreadable};
use limpid_http1::head::Refused;

use crate::quiet::Quiet;

/// Tells of it now and then.
#[derive(Debug, Default)]
pub(crate) struct Log(Quiet);

/// What is counted.
pub(crate) fn kind(why: Refused) -> Unreadable {
    match why {
        Refused::TooLarge | Refused::TargetTooLong => Unreadable::TooLarge,
        Refused::Malformed => Unreadable::Malformed,
    }
}

impl Log {
    /// Tells of it, unless it has just told of another.
    pub(crate) fn tell(&self, now: Tick, peer: SocketAddr, why: Refused) {
        if let Some(untold) = self.0.turn(now) {
            tracing::warn!(%peer, error = %why, untold, "refused what is no HTTP request, or has too large a head");
        }
    }
}
