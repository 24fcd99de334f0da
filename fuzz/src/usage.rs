//! Asking for usage and taking it out again. Input: a byte of the split, a byte of the limit, and a request's body or a
//! reply's events.

#[path = "../../crates/proxy/src/ask_usage/events.rs"]
mod events;
#[path = "../../crates/proxy/src/ask_usage/json.rs"]
mod json;
#[path = "../../crates/proxy/src/ask_usage/request.rs"]
mod request;

use bytes::Bytes;
use events::UsageRemover;
use request::{Plan, plan};

/// Panics if an invariant does not hold.
pub fn check(input: &[u8]) {
    let [split, limit, bytes @ ..] = input else { return };
    asking(bytes);
    // Small limits too, or no input is ever too long.
    let limit = if *limit == 0 { usize::MAX } else { usize::from(*limit) };
    removing(bytes, usize::from(*split) + 1, limit);
}

/// An edited body is JSON, asks once, and is else what it was.
fn asking(body: &[u8]) {
    let Plan::Ask { cut, insert } = plan(body) else { return };
    let (before, gone, behind) = (&body[..cut.start], &body[cut.clone()], &body[cut.end..]);
    assert!(matches!(gone, b"" | b"null"), "cuts out {}", gone.escape_ascii());
    let edited = [before, insert.as_bytes(), behind].concat();
    assert_eq!(plan(&edited), Plan::Nothing, "asks twice, or for nothing: {}", edited.escape_ascii());
    let value: Option<serde_json::Value> = serde_json::from_slice(&edited).ok();
    // What is too deep for serde_json's values is JSON nonetheless.
    if let Some(value) = value {
        assert_eq!(value["stream_options"]["include_usage"], true);
    }
}

/// However it is cut: the same, never more, nothing of it new, and no longer held than the limit allows. What needs no
/// edit passes.
fn removing(bytes: &[u8], size: usize, limit: usize) {
    let one = edited([bytes], limit);
    for size in [1, 3, size] {
        let cut = edited(bytes.chunks(size), limit);
        // What llama.cpp and vLLM moved goes back only to an event that came in the same read.
        if !has(bytes, b"\"timings\"") && !has(bytes, b"system_fingerprint") && !has(bytes, b"\\u") {
            assert_eq!(cut, one, "depends on the cuts of {size}");
        }
        assert!(cut.len() <= bytes.len() && one.len() <= bytes.len(), "grows");
    }
    if !has(bytes, b"\"usage\"") {
        assert_eq!(one, bytes, "changes what tells no usage");
    }
    if !has(bytes, b"\"timings\"") && !has(bytes, b"system_fingerprint") && !has(bytes, b"\\u") {
        // Only cuts: what is left stands in the input, in this order.
        let mut rest = bytes.iter();
        assert!(one.iter().all(|byte| rest.any(|b| b == byte)), "tells what did not come");
    }
}

fn edited<'r>(reads: impl IntoIterator<Item = &'r [u8]>, limit: usize) -> Vec<u8> {
    let mut remover = UsageRemover::new(limit);
    let mut out = Vec::new();
    for read in reads {
        out.extend_from_slice(&remover.feed(Bytes::copy_from_slice(read)));
    }
    out.extend_from_slice(&remover.finish());
    assert!(remover.is_empty(), "holds something behind the end");
    out
}

fn has(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|w| w == what)
}
