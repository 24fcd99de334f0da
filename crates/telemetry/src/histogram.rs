//! A histogram for `/metrics` whose buckets carry no trace.
//!
//! `prometheus-client`'s own takes a value at a time; a stream has one for each of its tokens, already counted by bucket
//! (`limpid_core::GapHistogram`). This one takes the same value any number of times at once, and finds its bucket by
//! halving. What is written of it is the same.

use std::fmt::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Histogram(Arc<Mutex<State>>);

#[derive(Debug, Clone)]
struct State {
    sum: f64,
    count: u64,
    /// Inclusive upper bounds, the last infinite, and how many values are in each.
    buckets: Box<[(f64, u64)]>,
}

impl Histogram {
    /// With these upper bounds, ascending.
    pub(crate) fn new(bounds: &[f64]) -> Histogram {
        let buckets = bounds.iter().copied().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
        Histogram(Arc::new(Mutex::new(State { sum: 0.0, count: 0, buckets })))
    }

    /// Counts a value so many times.
    pub(crate) fn observe(&self, value: f64, times: u32) {
        let mut state = self.lock();
        state.sum += value * f64::from(times);
        state.count += u64::from(times);
        let bucket = state.buckets.partition_point(|(bound, _)| *bound < value);
        if let Some((_, count)) = state.buckets.get_mut(bucket) {
            *count += u64::from(times);
        }
    }

    /// Numbers are whole after each step, whoever panicked.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), Error> {
        // A copy, so that nobody who records waits for the writing.
        let State { sum, count, buckets } = self.lock().clone();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::metrics::histogram::Histogram as Library;
    use prometheus_client::registry::Registry;

    use super::*;

    fn text(metric: impl prometheus_client::registry::Metric) -> String {
        let mut registry = Registry::default();
        registry.register("x", "X", metric);
        let mut out = String::new();
        text::encode(&mut out, &registry).unwrap();
        out
    }

    #[test]
    fn it_is_written_as_the_librarys_own() {
        let bounds = [0.25, 1.0, 2.5];
        let (ours, library) = (Histogram::new(&bounds), Library::new(bounds));
        assert_eq!(text(ours.clone()), text(library.clone()));
        for (value, times) in [(0.0, 1), (0.25, 3), (0.5, 2), (1.0, 1), (2.5, 4), (3.0, 2), (1e9, 1)] {
            ours.observe(value, times);
            (0..times).for_each(|_| library.observe(value));
        }
        assert_eq!(text(ours), text(library));
    }
}
