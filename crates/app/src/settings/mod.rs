//! Settings: from `proxy.toml`, the environment and the command line to types.
//!
//! Each section has a file of its own with its struct; a field's doc gives unit, default and consequence, and
//! `proxy.toml` in the repository's root shows them all. What is unknown, wrong or contradictory is a fault that names
//! its line; see [`Sources::load`].

mod admin;
mod capture;
mod env;
mod exchange_log;
pub(crate) mod faults;
mod insight;
mod keys;
mod kinds;
mod labels;
mod load;
mod log;
mod observe;
mod prices;
mod reader;
mod record;
mod refusals;
mod routing;
mod server;
mod telemetry;
#[cfg(test)]
mod tests;
mod tokens;
mod tree;
mod upstreams;

pub use admin::Admin;
pub use capture::{Capture, Redaction};
pub use env::Env;
pub use exchange_log::{ExchangeLog, LogFile};
pub use faults::{Fault, Faults, Origin};
pub use insight::Insight;
pub use keys::Key;
pub use kinds::{Secret, Share};
pub use labels::Label;
pub use load::{DEFAULT_FILE, Flags, Loaded, Sources};
pub use log::{Log, LogFormat, LogLevel};
pub use observe::Observe;
pub use prices::{Gpu, PriceEntry};
pub use reader::Resolved;
pub use record::Record;
pub use refusals::Refusals;
pub use routing::{Routing, UnknownModel};
pub use server::Server;
pub use telemetry::{
    Attributes, Compression, Export, Histograms, Propagate, Propagator, Protocol, Semconv, Telemetry, Temporality,
    Waiting,
};
pub use tokens::Tokens;
pub use upstreams::{Upstream, UpstreamHttp2};

/// All settings, checked. Made by [`Sources::load`].
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `[server]`.
    pub server: Server,
    /// `[admin]`.
    pub admin: Admin,
    /// `[upstreams.NAME]`, by name; at least one.
    pub upstreams: Vec<Upstream>,
    /// `[routing]`.
    pub routing: Routing,
    /// `[keys.NAME]`, by name.
    pub keys: Vec<Key>,
    /// `[labels.NAME]`, by name.
    pub labels: Vec<Label>,
    /// `[prices.NAME]`, by name.
    pub prices: Vec<PriceEntry>,
    /// `[observe]`.
    pub observe: Observe,
    /// `[tokens]`.
    pub tokens: Tokens,
    /// `[capture]`.
    pub capture: Capture,
    /// `[redactions.NAME]`, by name.
    pub redactions: Vec<Redaction>,
    /// `[refusals]`.
    pub refusals: Refusals,
    /// `[record]`.
    pub record: Record,
    /// `[exchange_log]`.
    pub exchange_log: ExchangeLog,
    /// `[telemetry]`.
    pub telemetry: Telemetry,
    /// `[insight]`.
    pub insight: Insight,
    /// `[log]`.
    pub log: Log,
}
