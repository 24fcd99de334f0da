//! The response observer from outside, one module a subject.

mod billed;
mod chat;
mod errors;
mod framing;
mod media;
mod messages;
mod native;
mod ollama;
mod opening;
mod reply_text;
mod responses;
mod shapes;
mod support;
mod time;
mod total;
