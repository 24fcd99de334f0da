//! Asking an upstream for its usage where the client does not, and taking the answer out again.
//!
//! Streams of chat and completions tell their tokens only when `stream_options.include_usage` is set, which most clients
//! do not do. An upstream with `ask_for_usage` gets it from limpid. It is the one exception from "no byte is changed",
//! hence an opt-in: [`request`] edits a body that goes up, [`events`] the events that come down, so that the client sees
//! what it would have seen. The observer looks at the upstream's bytes, before the second edit.

mod events;
mod json;
mod request;

pub use events::UsageRemover;
pub use request::{Plan as UsagePlan, plan as plan_usage};
