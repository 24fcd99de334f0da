//! What the kernel does for a connection by which nothing comes.
//!
//! A host that vanishes (a laptop's lid, a NAT's table, a cable) sends no FIN. While nothing is on its way to it, nobody would
//! notice: keep-alive probes do (RFC 9293 §3.8.4). They also keep a NAT's entry.
//!
//! **While data is on its way** the kernel gives up by itself, after about 15 minutes of retransmission on Linux
//! (`tcp_retries2`). `TCP_USER_TIMEOUT` would shorten that. It is not set: Linux holds it against a peer that is alive and
//! has merely stopped reading too, and a slow reader is not to be cut off.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Result;
use rustix::net::sockopt;

/// Between probes.
const INTERVAL: Duration = Duration::from_secs(15);
/// Unanswered probes until the connection counts as lost.
const PROBES: u32 = 4;

/// TCP keep-alive, in mid-stream and between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpKeepalive {
    /// How long nothing may come by a connection before it is probed; whole seconds. Probes then come every 15 s, and after
    /// four without an answer the connection is lost.
    pub idle: Duration,
}

impl TcpKeepalive {
    /// Sets it. Connections inherit it from the listener that accepts them. A kernel that does not know how to is logged,
    /// and done without.
    pub fn set(self, socket: impl AsFd) {
        if let Err(error) = self.try_set(socket) {
            tracing::debug!(%error, "TCP keep-alive not set");
        }
    }

    fn try_set(self, socket: impl AsFd) -> Result<()> {
        sockopt::set_tcp_keepidle(&socket, self.idle.max(Duration::from_secs(1)))?;
        sockopt::set_tcp_keepintvl(&socket, INTERVAL)?;
        sockopt::set_tcp_keepcnt(&socket, PROBES)?;
        sockopt::set_socket_keepalive(&socket, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    /// What is set on a listener holds for whom it accepts.
    #[test]
    fn the_accepted_are_probed_too() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        TcpKeepalive { idle: Duration::from_secs(77) }.set(&listener);
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(sockopt::socket_keepalive(&accepted).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&accepted).unwrap(), Duration::from_secs(77));
        assert_eq!(sockopt::tcp_keepintvl(&accepted).unwrap(), INTERVAL);
        assert_eq!(sockopt::tcp_keepcnt(&accepted).unwrap(), PROBES);
        assert!(!sockopt::socket_keepalive(&client).unwrap());
    }
}
