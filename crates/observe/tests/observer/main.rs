//! The response observer from outside, one module a subject.

mod chat;
mod errors;
mod framing;
mod messages;
mod ollama;
mod opening;
mod responses;
mod support;
mod time;
mod total;
