//! `/healthz` and `/readyz`: for orchestrators, so plain text and no work.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::StatusCode;

use crate::Shared;

/// 200 while the process can answer at all.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// 200 while requests are accepted, 503 while draining: exchanges in flight go on, new ones belong elsewhere.
pub(crate) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.state.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    }
}
