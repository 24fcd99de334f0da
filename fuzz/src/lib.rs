//! What the fuzz targets check. Each is a function of bytes that panics when something that must hold does not.
//!
//! The modules `request` and `response` are also included by path in `crates/observe/tests/corpus.rs`, `http1` in
//! `crates/http1/tests/corpus.rs`, `route`, `settle` and `usage` in `crates/proxy/tests/corpus.rs`: those replay the corpus
//! with every `cargo test`, and cannot drift. [`cost`] is what an input may cost; the tests `cost.rs` of those crates use it
//! too.

pub mod cost;
pub mod http1;
pub mod request;
pub mod response;
pub mod route;
pub mod settle;
pub mod usage;
