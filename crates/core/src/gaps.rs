//! The gaps between token events of one stream, in a few counters.
//!
//! `gen_ai.client.operation.time_per_output_chunk` wants one value a chunk, long after the chunks went by. Keeping them
//! all would grow with the stream; counting them into the metric's own buckets, with each bucket's sum, loses nothing
//! that the metric can show, takes 252 bytes and never allocates.

use std::time::Duration;

/// A histogram of durations with fixed bounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GapHistogram {
    counts: [u32; GapHistogram::BOUNDS.len() + 1],
    sums_ns: [u64; GapHistogram::BOUNDS.len() + 1],
}

impl GapHistogram {
    /// Upper bounds in seconds, inclusive; one more bucket takes what is longer. The convention's powers of two for time
    /// per output chunk, 10 ms to 82 s, continued down to 1.25 ms and up to 600 s, because streams are both faster and
    /// slower.
    pub const BOUNDS: [f64; 20] = [
        0.001_25, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96,
        81.92, 163.84, 327.68, 600.0,
    ];
    const BOUNDS_NS: [u64; 20] = [
        1_250_000,
        2_500_000,
        5_000_000,
        10_000_000,
        20_000_000,
        40_000_000,
        80_000_000,
        160_000_000,
        320_000_000,
        640_000_000,
        1_280_000_000,
        2_560_000_000,
        5_120_000_000,
        10_240_000_000,
        20_480_000_000,
        40_960_000_000,
        81_920_000_000,
        163_840_000_000,
        327_680_000_000,
        600_000_000_000,
    ];

    /// Counts one gap.
    #[inline]
    pub fn record(&mut self, gap: Duration) {
        let ns = crate::clock::nanos(gap);
        let bucket = Self::BOUNDS_NS.partition_point(|bound| *bound < ns);
        self.counts[bucket] = self.counts[bucket].saturating_add(1);
        self.sums_ns[bucket] = self.sums_ns[bucket].saturating_add(ns);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.counts == [0; Self::BOUNDS.len() + 1]
    }

    /// How many gaps there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|c| u64::from(*c)).sum()
    }

    /// All gaps together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sums_ns.iter().fold(0, |all, ns| all.saturating_add(*ns)))
    }

    /// The filled buckets: how many gaps, and their mean. The mean lies in the same bucket.
    pub fn buckets(&self) -> impl Iterator<Item = (u32, Duration)> + '_ {
        self.counts
            .iter()
            .zip(self.sums_ns)
            .filter(|(count, _)| **count > 0)
            .map(|(count, sum)| (*count, Duration::from_nanos(sum / u64::from(*count))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_on_a_bound_falls_below_it_and_the_longest_have_a_bucket() {
        let mut h = GapHistogram::default();
        h.record(Duration::from_millis(10));
        h.record(Duration::from_millis(6));
        h.record(Duration::from_secs(100));
        let got: Vec<_> = h.buckets().collect();
        assert_eq!(got, [(2, Duration::from_millis(8)), (1, Duration::from_secs(100))]);
        assert_eq!((h.count(), h.sum()), (3, Duration::from_millis(100_016)));
    }

    #[test]
    fn the_two_tables_of_bounds_agree() {
        for (s, ns) in GapHistogram::BOUNDS.iter().zip(GapHistogram::BOUNDS_NS) {
            assert_eq!(Duration::from_secs_f64(*s), Duration::from_nanos(ns));
        }
    }
}
