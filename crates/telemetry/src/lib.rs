//! The record as metrics, spans and log lines.
//!
//! Four consumers of the hand-over, each of which turns one finished exchange into what its reader understands:
//! [`Metrics`] for a Prometheus scrape, two of [`Otlp`] (metrics and spans), and [`ExchangeLog`]. None of them blocks,
//! fails or grows without bound: labels are capped, queues are bounded, and what is lost is counted in
//! [`ExportCounts`], which every surface shows.

mod counts;
mod exporters;
mod instruments;
mod labels;
mod log;
mod names;
mod otlp;
mod process;
mod prometheus;
mod recorder;
mod settings;
mod span;
mod span_queue;
mod text;

pub use counts::ExportCounts;
pub use log::{ExchangeLog, LogTarget};
pub use otlp::{Otlp, OtlpError, ShutdownReport};
pub use prometheus::{Format, LiveCounts, Metrics, MetricsConfig, MetricsConsumer};
pub use settings::{OtlpConfig, OtlpExport, Protocol};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
