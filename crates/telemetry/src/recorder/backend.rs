//! What a recorder needs of an exporter's metrics.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use limpid_core::UpstreamInfo;

use crate::names::{LabelName, Metric};

/// What a series gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    Whole(u64),
    Real(f64),
}

impl Value {
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Value::Whole(n) => n as f64,
            Value::Real(v) => v,
        }
    }
}

impl From<Duration> for Value {
    fn from(d: Duration) -> Value {
        Value::Real(d.as_secs_f64())
    }
}

/// The exchange behind a value, so that one can go from a bucket to its trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trace {
    pub(crate) id: u128,
    pub(crate) span: u64,
    pub(crate) at: SystemTime,
}

/// Where series live.
pub(crate) trait Backend: Send {
    /// A metric with fixed labels.
    type Series: Send;

    /// The series of these labels; created once a label set. `server` is the upstream that the labels name, if they name
    /// one.
    fn bind(&self, metric: Metric, labels: &[(LabelName, Arc<str>)], server: Option<&UpstreamInfo>) -> Self::Series;

    /// Adds a value to it `times` times.
    fn record(series: &Self::Series, value: Value, times: u32, trace: &Trace);
}
