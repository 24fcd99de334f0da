//! Listening, also where the limpid before this one still drains.
//!
//! A limpid that is told to stop closes its data listener at once, and keeps the admin listener, so that its drain can be
//! watched: up to `drain_timeout`. The next one must not wait for that. It asks whoever holds the address at `/readyz`. If
//! that is a limpid that drains, it lets go (what is connected to it stays), and the address is tried again. Anything else
//! that holds an address is a failure to start, at once.
//!
//! With `server.reuse_port` both share their addresses, and the one that stops lets go of both at once.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use limpid_admin::TAKEOVER;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// How long the one that drains may take to let go.
const PATIENCE: Duration = Duration::from_secs(5);
const BACKLOG: u32 = 1024;

/// Listens on `addr`, shared or not.
pub(crate) fn listen(addr: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    // A connection of the one before, in its last state, does not hold the address.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(shared)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// The same, and asks a limpid that drains for the address.
pub(crate) async fn listen_after(addr: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let until = Instant::now() + PATIENCE;
    loop {
        match listen(addr, shared) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < until => {
                // One that let go a moment ago is not there to be asked any more.
                if !matches!(timeout(PATIENCE, drains(addr)).await, Ok(Ok(true) | Err(_))) {
                    return Err(error);
                }
                sleep(Duration::from_millis(20)).await;
            }
            result => return result,
        }
    }
}

/// Whether a limpid that drains holds the address; it has been asked for it then. An error: nobody takes connections.
async fn drains(addr: SocketAddr) -> io::Result<bool> {
    let mut reach = addr;
    if addr.ip().is_unspecified() {
        let loopback: SocketAddr = if addr.is_ipv6() {
            ([0, 0, 0, 0, 0, 0, 0, 1], addr.port()).into()
        } else {
            ([127, 0, 0, 1], addr.port()).into()
        };
        reach.set_ip(loopback.ip());
    }
    let mut holder = TcpStream::connect(reach).await?;
    let ask = format!("GET /readyz HTTP/1.1\r\nHost: {reach}\r\n{TAKEOVER}: 1\r\nConnection: close\r\n\r\n");
    holder.write_all(ask.as_bytes()).await?;
    let mut told = Vec::new();
    let _what_came = holder.take(4096).read_to_end(&mut told).await;
    Ok(told.starts_with(b"HTTP/1.1 503 ") && told.ends_with(b"draining\n"))
}
