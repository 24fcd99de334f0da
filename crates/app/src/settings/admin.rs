//! `[admin]`: the second listener.

use std::net::{Ipv4Addr, SocketAddr};

use super::reader::Reader;

/// The listener for health, metrics, the API and the dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Whether there is one. Default true. Without it there is no health check, no `/metrics` and no dashboard.
    pub enabled: bool,
    /// Where it listens. Default `127.0.0.1:4801`: this machine only. It asks for no password, and shows what models,
    /// projects and users do; open it to a network only where all may see that.
    pub listen: SocketAddr,
}

impl Admin {
    pub(super) fn read(mut r: Reader<'_>) -> Admin {
        let admin = Admin {
            enabled: r.value("enabled", true),
            listen: r.value("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 4801))),
        };
        r.finish();
        admin
    }
}
