//! What limpid itself has run out of: told apart from what an upstream does, and logged as limpid's own.
//!
//! Each is a limit of the process or the machine. A request that meets one gets 503 and a reason that blames nobody else;
//! the log names the limit and how it is raised, once in ten seconds, for a limit that is met is met by all.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use limpid_core::{Clock, RelayFailure, Shortage, Tick};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::quiet::Quiet;
use crate::resolve::NoThread;

/// What a failure to reach `to` says that limpid ran out of, if anything.
pub(crate) fn of(error: &io::Error, to: Option<SocketAddr>) -> Option<Shortage> {
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<NoThread>) {
        return Some(Shortage::Threads);
    }
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(Shortage::Descriptors),
        Errno::NOMEM | Errno::NOBUFS => Some(Shortage::Memory),
        // Without a port left, or without any address that this family could be sent from (IPv6 switched off).
        Errno::ADDRNOTAVAIL => to.filter(|to| has_way(*to)).map(|_| Shortage::Ports),
        _ => None,
    }
}

/// What a look-up's failure says of that. One that lacks descriptors says that there is no such name.
pub(crate) fn of_look_up(error: &io::Error) -> Option<Shortage> {
    of(error, None).or_else(|| UdpSocket::bind("127.0.0.1:0").err().and_then(|error| of(&error, None)))
}

/// Whether this machine has an address to speak to that one from. Connecting UDP sends nothing.
fn has_way(to: SocketAddr) -> bool {
    let any = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    UdpSocket::bind(any).and_then(|socket| socket.connect(to)).is_ok()
}

/// Tells of shortages.
pub(crate) struct Log {
    clock: Clock,
    quiet: Quiet,
}

impl Log {
    pub(crate) fn new(clock: Clock) -> Log {
        Log { clock, quiet: Quiet::default() }
    }

    /// Tells of it, unless it has just told of another.
    pub(crate) fn tell(&self, what: Shortage, error: &dyn std::error::Error) -> RelayFailure {
        self.tell_at(self.clock.now(), what, error);
        RelayFailure::Shortage(what)
    }

    fn tell_at(&self, now: Tick, what: Shortage, error: &dyn std::error::Error) {
        if let Some(untold) = self.quiet.turn(now) {
            let (limit, mend) = limit(what);
            tracing::error!(%error, limit, mend, untold, "limpid has run out of {}; no upstream is to blame", what.name());
        }
    }
}

/// The limit that is met, where the process can ask for it, and what raises it.
pub(crate) fn limit(what: Shortage) -> (Option<u64>, &'static str) {
    match what {
        Shortage::Descriptors => (
            getrlimit(Resource::Nofile).current,
            "raise `ulimit -n` (systemd: LimitNOFILE=), or the machine's fs.file-max",
        ),
        Shortage::Ports => (None, "widen net.ipv4.ip_local_port_range, or give the upstream more addresses"),
        Shortage::Memory => (None, "give the machine or its container more memory, or raise net.ipv4.tcp_mem"),
        Shortage::Threads => {
            (getrlimit(Resource::Nproc).current, "raise `ulimit -u` (systemd: TasksMax=, containers: pids limit)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_limpids_own_limits_are_its_shortages() {
        let here = Some("127.0.0.1:9".parse().unwrap());
        let of_errno = |errno: Errno| of(&io::Error::from(errno), here);
        for (errno, what) in [
            (Errno::MFILE, Shortage::Descriptors),
            (Errno::NFILE, Shortage::Descriptors),
            (Errno::NOMEM, Shortage::Memory),
            (Errno::NOBUFS, Shortage::Memory),
            (Errno::ADDRNOTAVAIL, Shortage::Ports),
        ] {
            assert_eq!(of_errno(errno), Some(what), "{errno}");
        }
        for errno in [Errno::CONNREFUSED, Errno::CONNRESET, Errno::NETUNREACH, Errno::HOSTUNREACH, Errno::TIMEDOUT] {
            assert_eq!(of_errno(errno), None, "{errno}");
        }
    }

    /// Where this machine could not speak to the address at all, its ports are not to blame.
    #[test]
    fn an_address_without_a_way_is_no_lack_of_ports() {
        let nowhere = "255.255.255.255:9".parse().unwrap();
        assert_eq!(of(&io::Error::from(Errno::ADDRNOTAVAIL), Some(nowhere)), None);
    }
}
