//! Sans-I/O observers of requests and responses.
//!
//! The relay hands each piece of a body, by reference, to an observer and forwards it whatever the observer makes of
//! it. A [`RequestObserver`] finds the top-level facts of a request (JSON or a form, compressed or not) without holding its body; a
//! [`ResponseObserver`] decodes a copy of the response, cuts it into events and lets one dialect read each.
//!
//! ```text
//! bytes → decode (gzip, deflate, br, zstd) → frame (SSE, NDJSON, WebSocket, JSON body) → dialect → Observation
//! ```
//!
//! Every part is total (any bytes, cut anywhere, give some observation), bounded ([`Limits`]) and free of clocks: the
//! caller says when bytes came. What cannot be read latches one [`ObserverFault`](limpid_core::ObserverFault), after
//! which the observer keeps what it had and looks no further. A plain delta event allocates nothing.

mod decode;
mod dialect;
mod frame;
mod head;
mod json;
mod opening;
mod reply_text;
mod request;
mod response;
mod seen;

pub use frame::CloseWatch;
pub use head::rate_limits;
pub use request::{MetadataLabel, RequestHead, RequestObserver};
pub use response::{Limits, ResponseHead, ResponseObserver};
