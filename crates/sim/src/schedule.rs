//! When each event of a reply is due.
//!
//! All moments are offsets from the request's arrival (the head is read), computed from the chunk's number alone:
//! a late event does not push the later ones.

use std::time::Duration;

use crate::rng::Rng;

/// A random delay of each token chunk against the even grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Jitter {
    /// None: chunk `k` is due at `ttft + k · gap`.
    #[default]
    None,
    /// Uniform in `0 ..= min(max, gap)`, the same for a seed. The limit by the gap keeps chunks in order.
    Uniform {
        /// Picks the sequence.
        seed: u64,
        /// The largest delay.
        max: Duration,
    },
}

/// What a reply contains, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// When the response head of a stream is sent; at most `ttft` counts. Default 0.
    pub headers: Duration,
    /// When the events before the first token are sent (role chunk, `response.created`, `message_start`); at most
    /// `ttft` counts. Default 0: with the head.
    pub preamble: Duration,
    /// When the first token chunk is due. Default 50 ms.
    pub ttft: Duration,
    /// Between token chunks. Default 10 ms.
    pub gap: Duration,
    /// From the last token chunk to the closing events (finish, usage, `[DONE]`). Default 0.
    pub tail: Duration,
    /// A random delay of the token chunks. Default none.
    pub jitter: Jitter,
    /// After this many token chunks, the rest is later by this much. Default none.
    pub stall: Option<(u32, Duration)>,
    /// Visible output tokens (or those of a tool call's arguments): one token is one word. Default 50.
    pub tokens: u32,
    /// Tokens in one chunk, at least 1; the last chunk may have fewer. Default 1.
    pub tokens_per_chunk: u32,
    /// Reasoning tokens, besides `tokens`: streamed before the text where the dialect can do that. The reported output
    /// is the sum. Default 0.
    pub reasoning_tokens: u32,
    /// Report the reasoning tokens without streaming them, as OpenAI's chat does. Default false.
    pub reasoning_hidden: bool,
    /// Reported input tokens, cached ones included; `None`: as many as the prompt has words. Default `None`.
    pub input_tokens: Option<u32>,
    /// How many of them are reported as cached; at most all. Default 0.
    pub cached_input_tokens: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule {
            headers: Duration::ZERO,
            preamble: Duration::ZERO,
            ttft: Duration::from_millis(50),
            gap: Duration::from_millis(10),
            tail: Duration::ZERO,
            jitter: Jitter::None,
            stall: None,
            tokens: 50,
            tokens_per_chunk: 1,
            reasoning_tokens: 0,
            reasoning_hidden: false,
            input_tokens: None,
            cached_input_tokens: 0,
        }
    }
}

impl Schedule {
    /// When token chunk `k` (from 0, reasoning included) is due after the arrival.
    pub fn chunk_due(&self, k: u32) -> Duration {
        let stalled = self.stall.filter(|(after, _)| k >= *after).map_or(Duration::ZERO, |(_, pause)| pause);
        let grid = self.ttft.saturating_add(self.gap.saturating_mul(k));
        grid.saturating_add(self.jitter_of(k)).saturating_add(stalled)
    }

    /// How many token chunks are streamed.
    pub fn chunks(&self) -> u32 {
        let per_chunk = self.tokens_per_chunk.max(1);
        self.streamed_reasoning().div_ceil(per_chunk).saturating_add(self.tokens.div_ceil(per_chunk))
    }

    /// When the closing events are due; a reply that is not streamed is sent whole at that moment.
    pub fn ends(&self) -> Duration {
        self.chunk_due(self.chunks().saturating_sub(1)).saturating_add(self.tail)
    }

    /// When the events before the first token are due.
    pub(crate) fn preamble_due(&self) -> Duration {
        self.preamble.max(self.headers).min(self.ttft)
    }

    /// When the response head is due.
    pub(crate) fn headers_due(&self) -> Duration {
        self.headers.min(self.ttft)
    }

    /// Reasoning tokens that are streamed.
    pub(crate) fn streamed_reasoning(&self) -> u32 {
        if self.reasoning_hidden { 0 } else { self.reasoning_tokens }
    }

    fn jitter_of(&self, k: u32) -> Duration {
        match self.jitter {
            Jitter::None => Duration::ZERO,
            Jitter::Uniform { seed, max } => max.min(self.gap).mul_f64(Rng::nth(seed, u64::from(k)).unit()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_stall_moves_the_rest_and_jitter_keeps_the_order() {
        let s = Schedule { ttft: 20 * MS, gap: 5 * MS, stall: Some((2, 100 * MS)), ..Schedule::default() };
        let due: Vec<_> = (0..4).map(|k| s.chunk_due(k).as_millis()).collect();
        assert_eq!(due, [20, 25, 130, 135]);

        let s = Schedule { jitter: Jitter::Uniform { seed: 3, max: 50 * MS }, ..s };
        let due: Vec<_> = (0..200).map(|k| s.chunk_due(k)).collect();
        assert!(due.is_sorted());
        assert_eq!(due, (0..200).map(|k| s.chunk_due(k)).collect::<Vec<_>>());
        assert!(due[0] >= 20 * MS && due[0] <= 25 * MS);
    }

    #[test]
    fn chunks_are_counted_for_each_part() {
        let s = Schedule { tokens: 10, reasoning_tokens: 5, tokens_per_chunk: 4, ..Schedule::default() };
        assert_eq!(s.chunks(), 2 + 3);
        assert_eq!(Schedule { reasoning_hidden: true, ..s }.chunks(), 3);
        assert_eq!(Schedule { tokens: 0, ..Schedule::default() }.ends(), Schedule::default().ttft);
    }
}
