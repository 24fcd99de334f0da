//! What an input costs, in CPU time of the thread that reads it: that is no shorter on a busy machine, and hardly longer.
//!
//! Nobody who sends may choose what it costs out of proportion to what was sent. [`in_proportion`] says so of a shape of
//! input: sixteen times as much of it costs sixteen times as much, give or take; where each byte looks at all before it,
//! it would be 256 times. [`bounded`] says so of any input of a fuzz target. What is over is measured again, and the least
//! counts: a thread that shares its core with others is slowed by them, never sped up.

#![allow(dead_code, reason = "included by path, and not every test needs all of it")]

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Bytes of the smaller input, and how many times as many the larger has.
const SMALL: usize = 4 * 1024;
const TIMES: u32 = 16;
/// How much more than in proportion the larger may cost.
const SLACK: u32 = 3;
/// What is lost in the noise, and what a byte may always cost: a small input may have a shorter way. A look at all bytes before
/// would cost a hundred times that.
const NOISE: Duration = Duration::from_micros(300);
const CHEAP: Duration = Duration::from_nanos(15);

/// What one input of a fuzz target may cost, and what each byte of it on top. A target reads each input several times, in
/// ever other pieces.
const INPUT: Duration = Duration::from_millis(20);
const BYTE: Duration = Duration::from_micros(4);

/// How many generated inputs a property test tries: a few by default, for each is measured; as many as `PROPTEST_CASES` says.
pub fn cases() -> u32 {
    let told = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    told.unwrap_or(100)
}

/// A shape of input: what stands before, what is repeated, what stands behind.
#[derive(Debug, Clone)]
pub struct Shape {
    pub begin: Vec<u8>,
    /// The n-th repetition has the n-th of these, and so on from the first.
    pub pump: Vec<Vec<u8>>,
    pub end: Vec<u8>,
}

impl Shape {
    pub fn new(begin: &str, pump: &str, end: &str) -> Shape {
        Shape { begin: begin.into(), pump: vec![pump.into()], end: end.into() }
    }

    /// `pump` has a `#` that becomes a number, another one each time.
    pub fn numbered(begin: &str, pump: &str, end: &str) -> Shape {
        let pump = (0..9999).map(|n| pump.replace('#', &n.to_string()).into_bytes()).collect();
        Shape { begin: begin.into(), pump, end: end.into() }
    }

    /// About so many bytes of it.
    pub fn of(&self, size: usize) -> Vec<u8> {
        let mut all = self.begin.clone();
        for part in self.pump.iter().cycle().take_while(|part| !part.is_empty()) {
            if all.len() >= size {
                break;
            }
            all.extend_from_slice(part);
        }
        all.extend_from_slice(&self.end);
        all
    }
}

/// CPU time of this thread.
pub fn spent(run: impl FnOnce()) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    let before = now();
    run();
    now().saturating_sub(before)
}

fn least(times: u32, mut run: impl FnMut()) -> Duration {
    (0..times).map(|_| spent(&mut run)).min().unwrap_or_default()
}

/// Panics if more of it costs out of proportion.
pub fn in_proportion(what: &str, shape: &Shape, mut run: impl FnMut(&[u8])) {
    let (small, large) = (shape.of(SMALL), shape.of(SMALL * TIMES as usize));
    let always = NOISE + CHEAP * u32::try_from(large.len()).unwrap_or(u32::MAX);
    let mut least_small = least(3, || run(&small));
    let mut least_large = spent(|| run(&large));
    for _ in 0..5 {
        // What ends at its first bytes costs nothing, however much there is.
        if least_large <= least_small * TIMES * SLACK + always {
            return;
        }
        least_large = least_large.min(least(2, || run(&large)));
        // Not the least: a small one that was slowed by chance would excuse the large one, so it is measured as often.
        least_small = least_small.min(least(2, || run(&small)));
    }
    panic!("{what}: {} bytes cost {least_small:?}, {} cost {least_large:?}", small.len(), large.len());
}

/// Runs it, and panics if it costs more than an input of its length may.
pub fn bounded(input: &[u8], mut run: impl FnMut(&[u8])) {
    let most = INPUT + BYTE * u32::try_from(input.len()).unwrap_or(u32::MAX);
    let first = spent(|| run(input));
    if first > most {
        let cost = least(3, || run(input)).min(first);
        assert!(cost <= most, "{} bytes cost {cost:?}", input.len());
    }
}
