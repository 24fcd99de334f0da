//! HTTP/1.1 (RFC 9112) as a relay needs it: one task for both of an exchange's connections, and no buffer while nothing
//! passes.
//!
//! hyper serves applications. It gives each connection a task and read and write buffers of its own, takes a body out of
//! its framing and puts it into new one. For a relay that is a wake-up between two tasks, two copies of an event's
//! framing and 24 to 40 KiB of idle buffers a stream. Here an event is one read and one
//! write of the same bytes: the upstream's chunk framing is followed, not taken apart.
//!
//! | module | what |
//! |---|---|
//! | [`server`] | a client's connection: reads requests, writes responses |
//! | [`client`] | an upstream's connection: writes a request, reads its response |
//! | [`head`] | heads, read and written |
//! | [`spelling`] | the case that their names came in, and what else of a head would be lost |
//! | [`chunks`] | the chunked coding, followed byte by byte |
//! | [`framing`] | where a body ends, and how one is framed |
//! | [`reuse`] | whether an upstream's connection may carry another request |
//! | [`trailers`] | fields behind a body, and which of them may pass |
//! | [`scratch`] | the one buffer of each thread |
//!
//! The heads' grammar is `httparse`'s. What it takes is strict: no blank before a colon, no folded lines, no bare CR; a
//! bare LF does end a line. What is refused, and how, stands in docs/transparency.md of the project.
//!
//! Nothing here knows what limpid is. What a message means, whether it may pass and what becomes of it is the caller's.

pub mod chunks;
pub mod client;
pub mod framing;
#[doc(hidden)]
pub mod fuzz;
pub mod head;
pub mod reuse;
pub mod scratch;
pub mod server;
pub mod spelling;
pub mod trailers;

mod half_close;
mod inbound;
mod respond;
mod upload;

/// How many fields a head or the trailers may have, on both legs. hyper's own bound is 100, and a reply above it would be
/// lost.
pub const MAX_FIELDS: usize = 512;
