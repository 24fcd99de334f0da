//! `[admin]`: the second listener.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::reader::{Checked, Reader, Refused, positive};

/// The listener for health, metrics, the API and the dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Whether there is one. Default true. Without it there is no health check, no `/metrics` and no dashboard.
    pub enabled: bool,
    /// Where it listens. Default `127.0.0.1:4801`: this machine only. It asks for no password, and shows what models,
    /// projects and users do; open it to a network only where all may see that.
    pub listen: SocketAddr,
    /// Names by which dashboard and API may be asked for, beside IP addresses and `localhost`: without port; `*` is every
    /// name. Default: none. Any other is refused, for a web page could make a visitor's browser ask by a name of its own.
    /// `/metrics`, `/healthz` and `/readyz` answer to every name.
    pub hosts: Vec<Arc<str>>,
    /// How long a client may take from connecting, or from its last answer's end, to the end of a request's head; and how long
    /// nothing may move by its connection, live events included, which have a tick each second. Default 75 s, as for clients.
    /// Then it is closed.
    pub header_timeout: Duration,
    /// How many connections at a time. Default 256. One more takes the place of the one by which nothing has moved for the
    /// longest time.
    pub max_connections: usize,
}

impl Admin {
    pub(super) fn read(mut r: Reader<'_>) -> Admin {
        let admin = Admin {
            enabled: r.value("enabled", true),
            listen: r.value("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 4801))),
            header_timeout: r.value_if("header_timeout", Duration::from_secs(75), positive),
            max_connections: r.count("max_connections", 256, 16..=65_536),
            hosts: r.value_if("hosts", Vec::new(), |hosts: &Vec<Arc<str>>| good_hosts(hosts)),
        };
        r.finish();
        admin
    }
}

/// A name with a port, or a URL, would never match.
pub(super) fn good_hosts(hosts: &[Arc<str>]) -> Checked {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    match hosts.iter().find(|host| &***host != "*" && !host.chars().all(plain)) {
        Some(_) => Err(Refused::new(
            "one of them is no plain host name",
            "write names without scheme, port and path, such as [\"limpid.example\"], or [\"*\"] for every name",
        )),
        None => Ok(()),
    }
}
