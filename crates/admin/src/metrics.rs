//! `/metrics`, in the format that the scraper prefers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};

use crate::{ApiError, Shared};

/// Where the text comes from.
pub trait MetricsText: Send + Sync {
    /// All metrics in OpenMetrics 1.0 text, else in Prometheus text 0.0.4. Called on a blocking thread.
    fn render(&self, openmetrics: bool) -> String;
}

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics.
pub(crate) async fn metrics(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<([(HeaderName, &'static str); 1], String), ApiError> {
    let accept: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
    let openmetrics = prefers_openmetrics(&accept.join(","));
    let source = Arc::clone(&shared.state.metrics);
    let text = tokio::task::spawn_blocking(move || source.render(openmetrics)).await;
    let text = text.map_err(|_panicked| ApiError::Internal)?;
    Ok(([(CONTENT_TYPE, if openmetrics { OPENMETRICS } else { TEXT })], text))
}

/// Whether OpenMetrics is named and not ranked below plain text (RFC 9110 §12.5.1). Wildcards get plain text, which
/// every reader knows.
fn prefers_openmetrics(accept: &str) -> bool {
    let rank = |media: &str| {
        accept
            .split(',')
            .filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                parts.next().filter(|name| name.eq_ignore_ascii_case(media))?;
                let q = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
                Some(q.map_or(1.0, |q| q.parse::<f64>().unwrap_or(0.0)))
            })
            .fold(0.0, f64::max)
    };
    let openmetrics = rank("application/openmetrics-text");
    openmetrics > 0.0 && openmetrics >= rank("text/plain")
}

#[cfg(test)]
mod tests {
    use super::prefers_openmetrics;

    #[test]
    fn the_accept_field_decides() {
        for (accept, openmetrics) in [
            ("", false),
            ("*/*", false),
            ("text/plain", false),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; version=1.0.0", true),
            // What Prometheus 2.42 sends.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            ("text/plain;q=0.9, application/openmetrics-text;q=0.5", false),
            ("application/openmetrics-text;q=0, */*", false),
            ("application/openmetrics-text;q=x", false),
        ] {
            assert_eq!(prefers_openmetrics(accept), openmetrics, "{accept}");
        }
    }
}
