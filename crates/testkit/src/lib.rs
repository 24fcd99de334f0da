//! Helpers for tests that look at limpid from outside: exact bytes in, exact bytes out.
//!
//! An HTTP library at either end would hide what a proxy must not change: the order and case of headers, transfer
//! chunks, how a connection ends. So both ends are plain sockets here.
//!
//! * [`RawServer`]: an upstream that plays a script of byte strings and keeps what it was sent.
//! * [`RawClient`]: sends bytes, reads bytes, or a whole [`Reply`] with a stamp for each read.
//! * [`CollectingSink`]: takes finished records and waits for them.
//! * [`sim`]: the simulated backend, for upstreams that should behave.
//!
//! Nothing here panics or asserts: it returns what happened, and the test says what should have. Every wait has a time
//! limit, which a passing test never reaches.

mod client;
mod server;
mod sink;
mod wire;

pub use client::{RawClient, exchange, request};
pub use limpid_sim as sim;
pub use server::{RawServer, Seen, Step};
pub use sink::{CollectingSink, Missing};
pub use wire::{Read, Reply, ReplyEnd};
