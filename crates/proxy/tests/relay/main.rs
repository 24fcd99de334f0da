//! The relay from outside: a proxy between plain sockets that send and keep exact bytes.
//!
//! One binary, one module a subject: the proxy is linked once. No sleep decides a result; the time limits are there to
//! end a test that has failed.

#![expect(clippy::unwrap_used, reason = "the helpers beside the tests are tests too: a failed unwrap is a failed test")]

mod addresses;
mod any_bytes;
mod ask_usage;
mod by_model;
mod cancel;
mod capture;
mod client_limits;
mod common;
mod credentials;
mod desync;
mod draining;
mod endings;
mod framing;
mod hosts;
mod http2;
mod http2_alpn;
mod http2_faults;
mod http2_upstream;
mod keep_alive;
mod numbers;
mod observer;
mod one_reply;
mod private;
mod routing;
mod streaming;
mod timeouts;
mod traces;
mod transparency;
mod upgrade;
mod uploads;
mod workers;
