//! `[insight]`: what the dashboard and the API remember.

use super::reader::Reader;

/// The memory of the dashboard and the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insight {
    /// How many finished exchanges are kept for `/api/v1/exchanges`. Default 1000. Each takes one to two KiB.
    pub recent: usize,
    /// How many groups one answer of the API may have. Default 200. The smallest beyond are merged into one.
    pub max_groups: usize,
}

impl Insight {
    pub(super) fn read(mut r: Reader<'_>) -> Insight {
        let insight = Insight {
            recent: r.count("recent", 1000, 1..=1_000_000),
            max_groups: r.count("max_groups", 200, 1..=100_000),
        };
        r.finish();
        insight
    }
}
