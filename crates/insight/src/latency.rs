//! The numbers of which there are percentiles.

use std::time::Duration;

use limpid_core::ExchangeRecord;

/// A latency, or the output speed. Defined in `limpid_core::Timeline`; named as in the exchange log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Latency {
    /// Time to first token.
    Ttft,
    /// The upstream's part of it.
    UpstreamTtft,
    /// Time to the first visible text.
    FirstContent,
    /// Time to the first body byte.
    FirstByte,
    /// Time per output token.
    Tpot,
    /// The longest gap between token events.
    Stall,
    /// Streamed output tokens per second.
    OutputSpeed,
    /// From the request's head to the response's end.
    Total,
    /// The wait for a permit.
    Queue,
    /// What a slow client cost.
    ReaderLag,
    /// What limpid itself took before the request went upstream.
    Overhead,
}

impl Latency {
    /// How many there are.
    pub const COUNT: usize = 11;

    /// All of them.
    pub const ALL: [Latency; Self::COUNT] = [
        Latency::Ttft,
        Latency::UpstreamTtft,
        Latency::FirstContent,
        Latency::FirstByte,
        Latency::Tpot,
        Latency::Stall,
        Latency::OutputSpeed,
        Latency::Total,
        Latency::Queue,
        Latency::ReaderLag,
        Latency::Overhead,
    ];

    /// The name in queries: `ttft`.
    pub const fn name(self) -> &'static str {
        match self {
            Latency::Ttft => "ttft",
            Latency::UpstreamTtft => "upstream_ttft",
            Latency::FirstContent => "first_content",
            Latency::FirstByte => "first_byte",
            Latency::Tpot => "tpot",
            Latency::Stall => "stall",
            Latency::OutputSpeed => "output_tokens_per_s",
            Latency::Total => "total",
            Latency::Queue => "queue",
            Latency::ReaderLag => "reader_lag",
            Latency::Overhead => "overhead",
        }
    }

    /// The member in answers, which is that of the exchange log: `ttft_ms`.
    pub const fn member(self) -> &'static str {
        match self {
            Latency::Ttft => "ttft_ms",
            Latency::UpstreamTtft => "upstream_ttft_ms",
            Latency::FirstContent => "first_content_ms",
            Latency::FirstByte => "first_byte_ms",
            Latency::Tpot => "tpot_ms",
            Latency::Stall => "stall_ms",
            Latency::OutputSpeed => "output_tokens_per_s",
            Latency::Total => "total_ms",
            Latency::Queue => "queue_ms",
            Latency::ReaderLag => "reader_lag_ms",
            Latency::Overhead => "overhead_ms",
        }
    }

    /// `ms`, or `tokens/s`.
    pub const fn unit(self) -> &'static str {
        match self {
            Latency::OutputSpeed => "tokens/s",
            _ => "ms",
        }
    }

    /// How many of the units that are kept make one of the units told: nanoseconds in a millisecond, thousandths of a
    /// token per second.
    pub(crate) const fn scale(self) -> f64 {
        match self {
            Latency::OutputSpeed => 1e3,
            _ => 1e6,
        }
    }

    /// The record's value in the unit that is kept; absent where the record does not know it.
    pub(crate) fn of(self, record: &ExchangeRecord) -> Option<u64> {
        let t = &record.timeline;
        let duration = match self {
            Latency::Ttft => t.ttft(),
            Latency::UpstreamTtft => t.upstream_ttft(),
            Latency::FirstContent => t.first_content(),
            Latency::FirstByte => t.first_byte(),
            Latency::Tpot => record.tpot(),
            Latency::Stall => t.stall,
            Latency::OutputSpeed => return record.output_tokens_per_s().map(thousandths),
            Latency::Total => Some(t.total()),
            Latency::Queue => t.queue(),
            Latency::ReaderLag => t.reader_lag,
            Latency::Overhead => t.overhead(),
        };
        duration.map(|d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and a speed is not negative"
)]
fn thousandths(speed: f64) -> u64 {
    (speed * 1e3).round() as u64
}
