//! The last hour, in memory: rolling windows, percentiles, recent exchanges, live events.
//!
//! Every number comes from the [`limpid_core::ExchangeRecord`], so it cannot disagree with the exchange log, the metrics
//! or the spans. Records arrive on the hand-over's thread through [`InsightConsumer`]; queries run on any other.
//!
//! **How it is kept.** Time is cut into slots (5 s by default). A slot holds exact counters for each distinct combination
//! of the eight [`Dimension`]s and the outcome's reason (a *cell*), and 24 bytes of latencies for each exchange (a
//! *sample*). A query adds up the cells of its window and feeds the samples to one hdrhistogram at a time. So any
//! grouping and any filter works without a table prepared for it, and a percentile is never an average of percentiles.
//!
//! **What a percentile is over.** All exchanges of the window and group for which the number is known, failed ones
//! included: an exchange without a token has no TTFT and is not in it, but a failed one has a total. `count` beside each
//! percentile says how many those are. Its error is at most 0.8 %, that of a histogram with two significant figures.
//!
//! **Windows.** A window of N seconds begins at the start of the slot that N seconds ago fell into, or when limpid
//! started if that is later, and ends now. So it holds every exchange that ended within the last N seconds, and no
//! exchange for longer than N seconds and one slot. Both ends are in the answer, and rates divide by the time between.
//!
//! **At the edges.** All is bounded ([`InsightConfig::memory_bound`]), and an answer tells when a bound was met: beyond
//! `slot_samples` exchanges in a slot the latencies kept are a uniform sample of them (`sampled` beside the percentile;
//! counts, tokens and prices stay exact); beyond `slot_cells` combinations an exchange is counted under the name `other`
//! (`overflow_records`); beyond `max_groups` groups the smallest are merged into one (`merged_groups`).

mod cell;
mod code;
mod config;
mod dimension;
mod insight;
mod latency;
mod live;
mod quantiles;
mod series;
mod slot;
mod stats;
mod store;
mod summary;
#[cfg(test)]
mod tests;
mod window;

pub use config::InsightConfig;
pub use dimension::{Dimension, Filters};
pub use insight::{Insight, InsightConsumer, RecentQuery};
pub use latency::Latency;
pub use live::{Live, LiveFeed};
pub use quantiles::{Percentiles, Quantiles};
pub use series::{Metric, Point, Series, SeriesQuery, Value};
pub use stats::{
    Counts, Latencies, OutcomeCounts, PriceSum, ReasonCount, RefusalCounts, TokenFlow, TokenFlows, UsageSources,
};
pub use summary::{Group, Summary, SummaryQuery};
pub use window::WindowSpan;
