//! How much each plan runs, from the environment.

use std::str::FromStr;

/// Descriptors that a process needs beside those of the load.
const SPARE: usize = 450;

/// The sizes of all plans.
pub(crate) struct Sizes {
    pub(crate) streams: usize,
    pub(crate) events: u64,
    pub(crate) gap_ms: u64,
    pub(crate) rounds: usize,
    pub(crate) clients: usize,
    pub(crate) rate: usize,
    pub(crate) seconds: u64,
    pub(crate) idle: usize,
    pub(crate) scale: usize,
    pub(crate) scale_events: u64,
    /// Streams where each takes one descriptor of a process, not two.
    pub(crate) scale_h2c: usize,
    /// Streams of a burst.
    pub(crate) burst: usize,
    /// The streams of `flat`, from few to many.
    pub(crate) flat: Vec<usize>,
    /// What `gateways` runs: streams, and milliseconds between two events of each.
    pub(crate) gateways: Vec<(usize, u64)>,
}

impl Sizes {
    /// From the environment, within what `connections` allow.
    pub(crate) fn from_env(connections: u64) -> Sizes {
        let connections = usize::try_from(connections).unwrap_or(usize::MAX);
        let most = (connections / 2).saturating_sub(SPARE);
        let flat = [10, 100, 1000, number("SCALE", 10_000)].map(|streams: usize| streams.min(most));
        let steady = (number("GATEWAY_STREAMS", 100), number("GATEWAY_GAP_MS", 500));
        Sizes {
            streams: number("STREAMS", 200).min(most),
            events: number("EVENTS", 100),
            gap_ms: number("GAP_MS", 20),
            rounds: number("ROUNDS", 5),
            clients: number("CLIENTS", 32),
            rate: number("RATE", 1000),
            seconds: number("FOR_S", 2),
            idle: number("IDLE", 1000).min(most),
            scale: number("SCALE", 10_000).min(most),
            scale_events: number("SCALE_EVENTS", 10),
            scale_h2c: number("SCALE", 10_000).min(connections.saturating_sub(SPARE)),
            burst: number("BURST", 4000).min(most),
            flat: flat.to_vec(),
            gateways: vec![steady, (number("STREAMS", 200).min(most), number("GAP_MS", 20))],
        }
    }
}

fn number<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
