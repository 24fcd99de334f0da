//! Percentiles out of samples.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::code::Code;
use crate::latency::Latency;

/// Percentiles of one number over the exchanges that have it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many exchanges have the number. Exact.
    pub count: u64,
    /// From how many of them the percentiles are computed, where that is not all: a bound was met, and these are a
    /// uniform sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled: Option<u64>,
    /// The percentiles; absent where there is nothing to compute them from.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Quantiles>,
}

/// In the latency's unit, to a thousandth. Each is the upper end of a histogram bucket, so at most 0.8 % too high.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// 90 % are at most this.
    pub p90: f64,
    /// 95 %.
    pub p95: f64,
    /// 99 %; of fewer than a hundred values, the highest.
    pub p99: f64,
}

/// One histogram a latency, used for one group after another: 220 KiB in all, where a set for each group would be 44 MB.
pub(crate) struct Quantiler {
    histograms: Vec<Histogram<u32>>,
}

impl Quantiler {
    /// Up to a day in nanoseconds; longer saturates. `None` only if hdrhistogram refused these constants.
    pub(crate) fn new() -> Option<Quantiler> {
        let one = Histogram::new_with_bounds(1, 86_400_000_000_000, 2).ok()?;
        Some(Quantiler { histograms: vec![one; Latency::COUNT] })
    }

    /// The percentiles of every latency over samples, each with its weight. `measured` exchanges have it.
    pub(crate) fn all<'a>(
        &mut self,
        measured: &[u64; Latency::COUNT],
        samples: impl Iterator<Item = (u32, &'a [Code; Latency::COUNT])>,
    ) -> [Percentiles; Latency::COUNT] {
        let mut kept = [0; Latency::COUNT];
        self.histograms.iter_mut().for_each(Histogram::reset);
        // All in one pass: the samples of a group are strewn over memory, and reaching them is what takes the time.
        for (weight, codes) in samples {
            for ((histogram, code), kept) in self.histograms.iter_mut().zip(codes).zip(&mut kept) {
                *kept += put(histogram, weight, *code);
            }
        }
        Latency::ALL.map(|l| tell(l, &self.histograms[l as usize], measured[l as usize], kept[l as usize]))
    }

    /// The percentiles of one latency.
    pub(crate) fn one(
        &mut self,
        latency: Latency,
        measured: u64,
        samples: impl Iterator<Item = (u32, Code)>,
    ) -> Percentiles {
        let histogram = &mut self.histograms[latency as usize];
        histogram.reset();
        let kept = samples.map(|(weight, code)| put(histogram, weight, code)).sum();
        tell(latency, histogram, measured, kept)
    }

    #[cfg(test)]
    pub(crate) fn same_bucket(&self, a: u64, b: u64) -> bool {
        self.histograms[0].equivalent(a, b)
    }
}

/// Returns 1 if there is a value.
fn put(histogram: &mut Histogram<u32>, weight: u32, code: Code) -> u64 {
    let Some(value) = code.value() else { return 0 };
    histogram.saturating_record_n(value, weight);
    1
}

fn tell(latency: Latency, histogram: &Histogram<u32>, measured: u64, kept: u64) -> Percentiles {
    let at = |q| (histogram.value_at_quantile(q) as f64 / latency.scale() * 1e3).round() / 1e3;
    Percentiles {
        count: measured,
        sampled: (kept != measured).then_some(kept),
        quantiles: (kept > 0).then(|| Quantiles { p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99) }),
    }
}
