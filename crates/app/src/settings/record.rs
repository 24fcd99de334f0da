//! `[record]`: the hand-over of finished records.

use super::reader::Reader;

/// The hand-over from the relay to metrics, spans, windows and log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// How many finished records may wait. Default 8192. When it is full, records are dropped and counted; the relay
    /// never waits.
    pub queue: usize,
}

impl Record {
    pub(super) fn read(mut r: Reader<'_>) -> Record {
        let record = Record { queue: r.count("queue", 8192, 1..=1_000_000) };
        r.finish();
        record
    }
}
