//! The relay: the only room that touches a client's bytes.
//!
//! Read `life` first: it is the life of a request on one page, one call a stage. The other modules are the stages:
//!
//! | module | stage |
//! |---|---|
//! | `server` | accepts connections, serves them, drains them |
//! | `workers` | one thread and one runtime a core |
//! | `life` | one request from its head to the hand-over of its body |
//! | `client`, `client_http2` | one connection: which HTTP it speaks, and its requests |
//! | `socket` | probes of connections by which nothing comes |
//! | `unreadable` | what is no request, counted |
//! | `framing` | what could be taken two ways, and is refused |
//! | `hosts` | whom the listener answers to, and which pages may ask through a browser |
//! | `cors` | lets a page read limpid's own answers |
//! | `headers` | what a proxy must take off, in both directions |
//! | `routing` | which upstream; reads ahead for the model, where a route asks for one |
//! | `request_body`, `client_body`, `request_tap` | the client's body on its way up, looked at in passing |
//! | `forward`, `pool`, `connect`, `stream` | the upstream's connection and its response head |
//! | `resolve`, `addresses`, `dial` | where its name leads, and which of the addresses answers |
//! | `tls`, `trust` | TLS with it, and whom its certificate may come from |
//! | `shortage`, `quiet` | what limpid itself has run out of, and a log that is not written full |
//! | `response_body` | the upstream's body on its way down, looked at in passing |
//! | `ask_usage` | asks for the usage of streams, where an upstream's setting says so, and takes it out again |
//! | `trace_context` | the trace context as it came, or with limpid's span in it |
//! | `credentials` | the upstream's own key in place of the client's |
//! | `upgrade` | WebSocket: two connections become one |
//! | `watchdog` | how long an upstream may be silent |
//! | `capture` | whose prompt and reply are kept for the span, where the settings ask |
//! | `estimator` | counts the tokens that a reply left out, and redacts what was captured |
//! | `aside` | settles large bodies, off the relay's threads |
//! | `exchange` | what is known of the exchange; settles it on every ending |
//! | `reply` | what limpid itself answers |
//!
//! The relay never suffers from the observation: a fault of the observer costs numbers, never a byte.

mod addresses;
mod aside;
mod ask_usage;
mod capture;
mod client;
mod client_body;
mod client_http2;
mod connect;
mod cors;
mod credentials;
mod dial;
mod estimator;
mod exchange;
mod forward;
mod framing;
mod headers;
mod hosts;
mod ids;
mod life;
mod pool;
mod quiet;
mod reply;
mod request_body;
mod request_tap;
mod resolve;
mod response_body;
mod routing;
mod server;
mod shared;
mod shortage;
mod socket;
mod stream;
mod tls;
mod trace_context;
mod trust;
mod unreadable;
mod upgrade;
mod watchdog;
mod workers;

pub use capture::CaptureConfig;
pub use connect::{Http2, TrustError};
pub use credentials::UpstreamKey;
pub use estimator::EstimateConfig;
pub use pool::Http2Limits;
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use routing::RoutingConfig;
pub use server::{Drained, Hurry, Proxy, StartError};
pub use shared::{ObserveConfig, ProxyConfig, ServerConfig, UpstreamConfig};
pub use socket::TcpKeepalive;
pub use trace_context::{Propagate, TraceConfig};
pub use trust::Authorities;
pub use watchdog::Timeouts;
