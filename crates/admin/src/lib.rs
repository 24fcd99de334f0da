//! The second listener: health, metrics, the JSON API and the dashboard.
//!
//! It only reads. It has a listener of its own so that a scrape or a dashboard never competes with an exchange for a
//! connection, and so that an operator can keep it off the network; it knows no password, and its default address is the
//! loopback. Queries over the windows take milliseconds to tenths of a second of CPU, so they run on blocking threads,
//! two at a time; watchers of live events are counted, and one that is too slow loses events and is told how many.
//!
//! At the edges: a wrong parameter is a 400 that says what to write instead; another method than GET or HEAD is a 405;
//! everything unknown is a 404; a name that a stranger could own is a 421 for dashboard and API (see `host`); all of them as `{"error":{"message":…}}`. Nothing is cached, no other origin may read
//! anything, and the page loads nothing from elsewhere.

mod api;
mod error;
mod host;
mod live;
mod metrics;
mod page;
mod params;
mod probes;
mod serve;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;
pub use limpid_core::Hosts;
use limpid_core::{HandoverCounts, UpstreamInfo};
use limpid_insight::Insight;
use tokio::sync::{Notify, Semaphore};

use crate::error::ApiError;
pub use crate::metrics::MetricsText;
pub use crate::serve::{Limits, serve};

/// Queries over the windows that may run at once; more wait.
const QUERIES: usize = 2;

/// Watchers of live events; one more gets 503.
const WATCHERS: usize = 32;

/// The field by which a new limpid asks the one that drains for its address, at `/readyz`.
pub const TAKEOVER: &str = "x-limpid-takeover";

/// What the listener reads.
#[derive(Clone)]
pub struct AdminState {
    /// The windows.
    pub insight: Arc<Insight>,
    /// The metrics.
    pub metrics: Arc<dyn MetricsText>,
    /// Exchanges in flight, and records dropped.
    pub counts: Arc<HandoverCounts>,
    /// Whether requests are accepted; false while draining.
    pub ready: Arc<AtomicBool>,
    /// Notified when a new limpid wants the address of one that drains.
    pub let_go: Arc<Notify>,
    /// The names by which dashboard and API may be asked for.
    pub hosts: Hosts,
    /// What does not change.
    pub about: About,
}

/// What is told of the process.
#[derive(Debug, Clone)]
pub struct About {
    /// limpid's version.
    pub version: &'static str,
    /// The upstreams, in the order of the settings.
    pub upstreams: Vec<Arc<UpstreamInfo>>,
}

/// The state and the bounds on its use.
struct Shared {
    state: AdminState,
    queries: Semaphore,
    watchers: Arc<Semaphore>,
}

/// The routes; [`serve`] serves them. `/api/v1/events` never ends by itself.
pub fn router(state: AdminState) -> Router {
    let shared =
        Arc::new(Shared { state, queries: Semaphore::new(QUERIES), watchers: Arc::new(Semaphore::new(WATCHERS)) });
    let checked = Router::new()
        .route("/", get(page::html))
        .route("/assets/app.js", get(page::script))
        .route("/assets/charts.js", get(page::charts))
        .route("/assets/format.js", get(page::format))
        .route("/assets/app.css", get(page::style))
        .route("/api/v1/about", get(api::about))
        .route("/api/v1/summary", get(api::summary))
        .route("/api/v1/series", get(api::series))
        .route("/api/v1/exchanges", get(api::exchanges))
        .route("/api/v1/events", get(live::events))
        .route_layer(from_fn_with_state(Arc::clone(&shared), host::check));
    Router::new()
        .route("/healthz", get(probes::health))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(metrics::metrics))
        .merge(checked)
        .fallback(async || ApiError::NoSuchPath)
        .method_not_allowed_fallback(async || ApiError::OnlyGet)
        .layer(map_response(guard))
        .with_state(shared)
}

/// The page's own files and nothing else: no inline script or style, no frame around it, no form, no other host.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Fields of every response.
async fn guard(mut response: Response) -> Response {
    let fields = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
