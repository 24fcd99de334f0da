//! `[tokens]`: estimates of the token counts that a reply leaves out.

use super::reader::Reader;

/// What may be kept and done for estimates. Nothing that is reported is ever estimated, and every estimate says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Whether token counts that a reply leaves out are estimated from its text and the request's. Default true. Without
    /// it they are absent. It needs the text in memory while the exchange lasts, some milliseconds of one thread for each
    /// such exchange, and, from the first one on, the memory of an encoding (`docs/tokens.md`).
    pub estimate: bool,
    /// The longest request and the longest reply that are kept for it, bytes. Default 256 KiB. A longer one gets no
    /// estimate, and is counted.
    pub max_text_bytes: usize,
    /// How much text may be kept for it at a time, bytes. Default 64 MiB. Where it is spent, there is no estimate, and
    /// that is counted.
    pub text_budget_bytes: usize,
}

impl Tokens {
    /// The default of `max_text_bytes`, which `limpid inspect` takes too.
    pub const MAX_TEXT_BYTES: usize = 256 << 10;

    pub(super) fn read(mut r: Reader<'_>) -> Tokens {
        let tokens = Tokens {
            estimate: r.value("estimate", true),
            max_text_bytes: r.size("max_text_bytes", Self::MAX_TEXT_BYTES, 1 << 10..=16 << 20),
            text_budget_bytes: r.size("text_budget_bytes", 64 << 20, 1 << 10..=16 << 30),
        };
        r.finish();
        tokens
    }
}
