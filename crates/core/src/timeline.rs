//! The moments of one exchange, and the durations they define.

use std::time::Duration;

use crate::{GapHistogram, Observation, StreamMarks, Tick};

/// An attempt that came to nothing: the pooled connection had closed and no byte of the request was written, or the upstream
/// said, over HTTP/2, that it did not process it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsent {
    /// When it began.
    pub began: Tick,
    /// When it came back.
    pub ended: Tick,
}

/// When what happened. Marks that did not happen are absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timeline {
    /// The request head is read.
    pub arrived: Tick,
    /// A permit is granted; absent where nothing was asked for one.
    pub admitted: Option<Tick>,
    /// The attempts before the winning one, in order; empty for nearly all exchanges, and at most a few.
    pub unsent: Vec<Unsent>,
    /// The winning attempt's request starts upstream.
    pub sent: Option<Tick>,
    /// How long the winning attempt waited for its connection; absent for one from the pool.
    pub connect: Option<Duration>,
    /// The response head arrives.
    pub headers: Option<Tick>,
    /// The moments of the body.
    pub marks: StreamMarks,
    /// The body's end, or the end of the wait for it.
    pub ended: Tick,
    /// The longest gap between token events.
    pub stall: Option<Duration>,
    /// All gaps between token events.
    pub gaps: GapHistogram,
    /// For how long frames waited for the client to take them.
    pub reader_lag: Option<Duration>,
}

impl Timeline {
    /// Takes over what the observer saw.
    pub fn observe(&mut self, seen: &Observation) {
        self.marks = seen.marks;
        self.stall = seen.stall;
        self.gaps = seen.gaps.clone();
    }

    /// Time to first token: `first_token − arrived`. Absent without a token; never the total.
    pub fn ttft(&self) -> Option<Duration> {
        self.since_arrival(self.marks.first_token)
    }

    /// The queue's part of it: `admitted − arrived`.
    pub fn queue(&self) -> Option<Duration> {
        self.since_arrival(self.admitted)
    }

    /// The upstream's part of it: `first_token − sent`.
    pub fn upstream_ttft(&self) -> Option<Duration> {
        Some(self.marks.first_token?.since(self.sent?))
    }

    /// `headers − sent`.
    pub fn upstream_headers(&self) -> Option<Duration> {
        Some(self.headers?.since(self.sent?))
    }

    /// `first_byte − arrived`.
    pub fn first_byte(&self) -> Option<Duration> {
        self.since_arrival(self.marks.first_byte)
    }

    /// `first_event − arrived`.
    pub fn first_event(&self) -> Option<Duration> {
        self.since_arrival(self.marks.first_event)
    }

    /// `first_content − arrived`.
    pub fn first_content(&self) -> Option<Duration> {
        self.since_arrival(self.marks.first_content)
    }

    /// `ended − arrived`.
    pub fn total(&self) -> Duration {
        self.ended.since(self.arrived)
    }

    /// What limpid itself took before the request went upstream: `sent − arrived`, less queue and connect.
    pub fn overhead(&self) -> Option<Duration> {
        let before = self.sent?.since(self.arrived);
        Some(before.saturating_sub(self.queue().unwrap_or_default()).saturating_sub(self.connect.unwrap_or_default()))
    }

    /// Time per output token: `(last_token − first_token) / (streamed_tokens − first_tokens)`, a slow reader's part taken
    /// off.
    ///
    /// `streamed_tokens` are the output tokens less hidden reasoning, `first_tokens` those in the first token event.
    /// Absent where the divisor is below 1.
    pub fn tpot(&self, streamed_tokens: u64, first_tokens: u64) -> Option<Duration> {
        let divisor = streamed_tokens.checked_sub(first_tokens).filter(|d| *d >= 1)?;
        Some(Duration::from_secs_f64(self.generating()?.as_secs_f64() / divisor as f64))
    }

    /// `last_token − first_token`, less what frames between them waited for the client: that is, the sum of the gaps.
    /// Absent without a second token event.
    pub fn generating(&self) -> Option<Duration> {
        (!self.gaps.is_empty()).then(|| self.gaps.sum())
    }

    fn since_arrival(&self, mark: Option<Tick>) -> Option<Duration> {
        Some(mark?.since(self.arrived))
    }
}
