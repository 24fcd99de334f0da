//! Which names the listener answers to: a page of elsewhere must not read the API through a visitor's browser.
//!
//! [`limpid_core::Hosts`] says how and why. Dashboard and API answer to those names only. `/metrics`, `/healthz` and
//! `/readyz` answer to every name, for scrapers and orchestrators ask by names that differ from place to place, and there is
//! little in them to steal. A request without a `Host` comes from no browser.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::Response;

use crate::{ApiError, Shared};

/// Answers 421 where the request is meant for another host.
pub(crate) async fn check(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let fields = request.headers().get_all(HOST).iter().map(|value| value.to_str().unwrap_or(""));
    let asked = fields.chain(request.uri().authority().map(Authority::as_str));
    let foreign = asked.filter(|host| !shared.state.hosts.allow(host)).map(str::to_owned).next();
    match foreign {
        Some(host) => Err(ApiError::ForeignHost { host }),
        None => Ok(next.run(request).await),
    }
}
