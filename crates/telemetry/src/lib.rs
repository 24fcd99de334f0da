//! The record as metrics, spans and log lines.
//!
//! Five consumers of the hand-over, each of which turns one finished exchange into what its reader understands:
//! [`Metrics`] for a Prometheus scrape, three of [`Otlp`] (metrics, spans and log records), and that of [`ExchangeLog`].
//! None of them blocks, fails or grows without bound: what may have to wait for somebody (a collector, a pipe, a disk) has a
//! queue and a thread of its own, labels are capped, queues are bounded, and what is lost is counted in [`ExportCounts`],
//! which every surface shows.

mod content;
mod counts;
mod grpc_thread;
mod histogram;
mod instruments;
mod labels;
mod limits;
mod line_out;
mod log;
mod log_file;
mod log_line;
mod log_record;
mod metric_exporter;
mod names;
mod otlp;
mod process;
mod prometheus;
mod protobuf;
mod record_queue;
mod recorder;
mod semconv;
mod settings;
mod span;
mod span_bytes;
mod span_data;
mod span_parts;
mod text;
mod tls;
mod transport;

pub use counts::{ExportCounts, OwnLogCounts};
pub use line_out::{LineOut, Lines};
pub use log::{ExchangeLog, LogTarget, LogWriter};
pub use log_file::LogRotation;
pub use names::is_reserved_label;
pub use otlp::{Otlp, OtlpError, ShutdownReport, SpanBatch};
pub use prometheus::{Format, LiveCounts, Metrics, MetricsConfig, MetricsConsumer};
pub use semconv::Semconv;
pub use settings::{AttributeLimits, OtlpConfig, OtlpExport, Protocol, Temporality};
pub use tls::{IdentityError, OtlpTls};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
