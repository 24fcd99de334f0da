//! A simulated inference backend with a known schedule, and [`traffic`] for it.
//!
//! The demo needs a backend, the tests need ground truth, the load benchmark needs both without a GPU. A [`SimServer`]
//! speaks the dialects that limpid observes (OpenAI chat, completions, responses and embeddings, Anthropic messages,
//! Ollama's native API) and sends every event at a moment that is known beforehand. What was really sent, and when,
//! is kept for requests that carry an `x-request-id` (see [`SimStats::trace`]).
//!
//! # What a request can ask for
//!
//! A server has a default [`Behaviour`]. A model name such as `sim-slow` picks a preset (see [`PRESETS`]), and the
//! body member `"sim"` overrides single members of either: see [`Overrides`] for all of them. Unknown members and
//! values out of range are answered with 400, so that a typing error cannot pass for a result.
//!
//! ```json
//! {"model": "any", "stream": true, "messages": [{"role": "user", "content": "hello"}],
//!  "sim": {"ttft_ms": 80, "gap_ms": 10, "tokens": 50, "fault": "cut_off:20"}}
//! ```
//!
//! Paths are told by their endings (`…/chat/completions`, `…/completions`, `…/responses`, `…/messages`,
//! `…/embeddings`, `…/models`, `/api/chat`, `/api/generate`); besides these there are `/health` and `/sim/stats`.
//!
//! # Edges
//!
//! Tokio's timer has a granularity of 1 ms: an event is usually sent within 2 ms after its deadline, later when the
//! machine is busy, never before. Deadlines count from the request's arrival, so lateness does not add up. Tests that
//! compare moments should use the stamps, which are the truth, and not the schedule, which is the intention. A stamp
//! is taken when it is handed to the connection's writer, in the same turn in which the write happens.

mod answer;
mod behaviour;
mod body;
mod dialect;
mod frames;
mod overrides;
mod request;
mod rng;
mod schedule;
mod server;
mod stats;
#[cfg(test)]
mod tests;
pub mod traffic;
mod words;

pub use behaviour::{Behaviour, Coding, Fault, Finish, Output, UsageMode};
pub use overrides::{InvalidOverride, Overrides, PRESETS};
pub use schedule::{Jitter, Schedule};
pub use server::{SimConfig, SimServer};
pub use stats::{EventKind, SimStats, Trace, TraceEnding};
