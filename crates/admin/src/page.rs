//! The dashboard: a few files in the binary, so that nothing has to be found on a disk or fetched from a network.

use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;

const SCRIPT: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/javascript; charset=utf-8")];

type File = ([(HeaderName, &'static str); 1], &'static str);

/// The page.
pub(crate) async fn html() -> File {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], include_str!("../assets/index.html"))
}

/// Its script.
pub(crate) async fn script() -> File {
    (SCRIPT, include_str!("../assets/app.js"))
}

/// What the script draws charts with.
pub(crate) async fn charts() -> File {
    (SCRIPT, include_str!("../assets/charts.js"))
}

/// What the script writes numbers with.
pub(crate) async fn format() -> File {
    (SCRIPT, include_str!("../assets/format.js"))
}

/// Its style.
pub(crate) async fn style() -> File {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../assets/app.css"))
}
