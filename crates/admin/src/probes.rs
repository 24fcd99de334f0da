//! `/healthz` and `/readyz`: for orchestrators, so plain text and no work.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use crate::Shared;

/// 200 while the process can answer at all.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// 200 while requests are accepted, 503 while draining: exchanges in flight go on, new ones belong elsewhere.
///
/// A new limpid that wants the address asks with [`TAKEOVER`](crate::TAKEOVER): one that drains lets go of it.
pub(crate) async fn ready(State(shared): State<Arc<Shared>>, fields: HeaderMap) -> (StatusCode, &'static str) {
    if shared.state.ready.load(Ordering::Acquire) {
        return (StatusCode::OK, "ready\n");
    }
    if fields.contains_key(crate::TAKEOVER) {
        shared.state.let_go.notify_one();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
}
