//! Whom the data listener answers to: a page of elsewhere must not ask through a visitor's browser.
//!
//! limpid sets the upstream's own `Host`, which takes away what a server on the loopback, such as Ollama, does against DNS
//! rebinding; so limpid does it in its place ([`limpid_core::Hosts`] says how names are judged). A page that asks by the
//! right name tells where it comes from in `Origin`. No `Origin` is no page, or one that limpid's own name served.

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderValue, Request};
use limpid_core::{Hosts, RelayFailure};

/// Refuses a request that is meant for another name, or comes from a page of one.
///
/// # Errors
///
/// [`RelayFailure::ForeignHost`] and [`RelayFailure::ForeignOrigin`]: nothing has gone upstream.
pub(crate) fn check<B>(hosts: &Hosts, request: &Request<B>) -> Result<(), RelayFailure> {
    if hosts.are_any() {
        return Ok(());
    }
    let text = |value: &HeaderValue| value.to_str().is_ok_and(|host| hosts.allow(host));
    let fields = request.headers();
    let named = request.uri().authority().map(Authority::as_str).is_none_or(|host| hosts.allow(host));
    if !named || !fields.get_all(HOST).iter().all(text) {
        return Err(RelayFailure::ForeignHost);
    }
    let near = |value: &HeaderValue| value.to_str().is_ok_and(|origin| hosts.allow_origin(origin));
    if fields.get_all(ORIGIN).iter().all(near) { Ok(()) } else { Err(RelayFailure::ForeignOrigin) }
}
