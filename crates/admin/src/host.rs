//! Which names the listener answers to: a page of elsewhere must not read the API through a visitor's browser.
//!
//! A web page can have its own name resolve to the loopback, or to an address inside the visitor's network (DNS
//! rebinding). The browser then takes limpid's answers for that page's own. What it cannot do is send another `Host` than
//! that name. So dashboard and API answer only to what no stranger can own: IP addresses, `localhost`, and the names that
//! the settings give. `/metrics`, `/healthz` and `/readyz` answer to every name, for scrapers and orchestrators ask by
//! names that differ from place to place, and there is little in them to steal. A request without a `Host` comes from no
//! browser.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::Response;

use crate::{ApiError, Shared};

/// The names beside IP addresses and `localhost`.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    any: bool,
    names: Vec<Box<str>>,
}

impl Hosts {
    /// These names, without port, in either case; `*` is every name.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Hosts {
        let names: Vec<Box<str>> =
            names.into_iter().map(|n| n.trim_end_matches('.').to_ascii_lowercase().into()).collect();
        Hosts { any: names.iter().any(|n| **n == *"*"), names }
    }

    /// Whether a `Host` field, with or without a port, is one of these.
    fn allow(&self, field: &str) -> bool {
        if self.any {
            return true;
        }
        let Ok(authority) = field.parse::<Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        bracketed.is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok())
            || host.parse::<IpAddr>().is_ok()
            || host == "localhost"
            || host.ends_with(".localhost")
            || self.names.iter().any(|name| **name == *host)
    }
}

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

#[cfg(test)]
mod tests {
    use super::Hosts;

    #[test]
    fn only_what_no_stranger_can_own_is_allowed() {
        let hosts = Hosts::new(["limpid.internal", "Grafana-Side."]);
        for good in [
            "127.0.0.1:4801",
            "10.1.2.3",
            "[::1]:4801",
            "[2001:db8::1]",
            "localhost:4801",
            "LOCALHOST",
            "limpid.localhost:4801",
            "limpid.internal:4801",
            "LIMPID.internal.",
            "grafana-side",
        ] {
            assert!(hosts.allow(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:4801",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "limpid.internal.evil.example",
            "localhost@evil.example",
            "127.0.0.1@evil.example:4801",
            "evil.example@127.0.0.1",
            "[evil]",
            "a b",
        ] {
            assert!(!hosts.allow(bad), "{bad}");
        }
        assert!(Hosts::new(["*"]).allow("evil.example"));
        assert!(!Hosts::default().allow("limpid"));
    }
}
