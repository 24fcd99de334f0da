//! `[observe]`: how much of the traffic is looked at.

use super::reader::Reader;

/// What the observer may hold for one exchange. It looks at a copy; no limit here ever touches the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observe {
    /// Whether bodies are looked at. Default true. Without it records have times, status and bytes, but no tokens,
    /// model, refusal or price.
    pub enabled: bool,
    /// The largest event of a stream, bytes, decompressed. Default 1 MiB. A larger one ends the observation of that
    /// exchange, and is counted.
    pub max_event_bytes: usize,
    /// The largest body that is not a stream, bytes, decompressed. Default 8 MiB. A larger one ends the observation.
    pub max_body_bytes: usize,
    /// How much of a request's body is looked at, bytes, decompressed. Default 1 MiB: clients write `model` behind the messages,
    /// and a prompt of 200,000 tokens fits. What stands behind it (`model` after an image, say) is not seen; where routes ask for
    /// models, `routing.lookahead_bytes` holds if it is more.
    pub max_request_bytes: usize,
}

impl Observe {
    /// The default of `max_request_bytes`, which `limpid inspect` takes too.
    pub const MAX_REQUEST_BYTES: usize = 1 << 20;

    pub(super) fn read(mut r: Reader<'_>) -> Observe {
        let observe = Observe {
            enabled: r.value("enabled", true),
            max_event_bytes: r.size("max_event_bytes", 1 << 20, 1 << 10..=1 << 30),
            max_body_bytes: r.size("max_body_bytes", 8 << 20, 1 << 10..=1 << 30),
            max_request_bytes: r.size("max_request_bytes", Self::MAX_REQUEST_BYTES, 1 << 10..=1 << 30),
        };
        r.finish();
        observe
    }
}
