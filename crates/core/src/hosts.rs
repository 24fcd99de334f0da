//! Which names a listener answers to.
//!
//! A web page can have its own name resolve to the loopback, or to an address inside the visitor's network (DNS rebinding).
//! The browser then takes the listener's answers for that page's own. What it cannot do is send another `Host` than that
//! name. So a listener answers only to what no stranger can own: IP addresses, `localhost`, and the names that the settings
//! give. A browser also tells the `Origin` of a page that asks across origins, and there the same names are good; of
//! addresses only those of this machine and of private networks, for anybody can serve a page from a public one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Origins of programs on this machine rather than pages of the web: those that Ollama takes by default.
const PROGRAMS: [&str; 5] = ["app", "file", "tauri", "vscode-webview", "vscode-file"];

/// The names beside IP addresses and `localhost`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

    /// Every name.
    pub fn any() -> Hosts {
        Hosts { any: true, names: Vec::new() }
    }

    /// Whether every name is one of these.
    pub fn are_any(&self) -> bool {
        self.any
    }

    /// Whether a `Host` field, with or without a port, is one of these. An empty one is none.
    pub fn allow(&self, field: &str) -> bool {
        self.any || host(field).is_some_and(|host| self.has(host))
    }

    /// Whether an `Origin` field is that of a program or of a page of one of these. `null`, which any page can make its
    /// own, is not.
    pub fn allow_origin(&self, field: &str) -> bool {
        if self.any {
            return true;
        }
        let Some((scheme, authority)) = field.split_once("://") else { return false };
        match scheme {
            "http" | "https" => match host(authority) {
                Some(Host::Address(address)) => is_near(address),
                Some(name) => self.has(name),
                None => false,
            },
            scheme => PROGRAMS.contains(&scheme),
        }
    }

    fn has(&self, host: Host<'_>) -> bool {
        let name = match host {
            Host::Address(_) => return true,
            Host::Name(name) => name,
        };
        let ends = |end: &str| {
            name.len() > end.len() && name.as_bytes()[name.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
        };
        name.eq_ignore_ascii_case("localhost")
            || ends(".localhost")
            || self.names.iter().any(|known| name.eq_ignore_ascii_case(known))
    }
}

#[derive(Clone, Copy)]
enum Host<'a> {
    Address(IpAddr),
    /// Without the dot that may end it.
    Name(&'a str),
}

/// The host of `host[:port]`; `None` for what is neither name nor address.
fn host(field: &str) -> Option<Host<'_>> {
    let is_port =
        |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
    if let Some(rest) = field.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let address = address.parse::<Ipv6Addr>().ok().filter(|_| is_port(port));
        return address.map(|address| Host::Address(IpAddr::V6(address)));
    }
    let (name, port) = field.split_at(field.find(':').unwrap_or(field.len()));
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if name.is_empty() || !name.bytes().all(plain) || !is_port(port) {
        return None;
    }
    if let Ok(address) = name.parse::<Ipv4Addr>() {
        return Some(Host::Address(IpAddr::V4(address)));
    }
    Some(Host::Name(name.strip_suffix('.').unwrap_or(name)))
}

/// Whether an address is of this machine or of a private network (RFC 1918, RFC 3927, RFC 4193, RFC 4291).
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_near(IpAddr::V4(v4)),
            None => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        },
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
            ":80",
            "evil.example",
            "evil.example:4801",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "limpid.internal.evil.example",
            "localhost@evil.example",
            "127.0.0.1@evil.example:4801",
            "evil.example@127.0.0.1",
            "127.0.0.1:80@evil.example",
            "[evil]",
            "[::1]evil.example",
            "[::1",
            "2130706433",
            "a b",
        ] {
            assert!(!hosts.allow(bad), "{bad}");
        }
        assert!(Hosts::new(["*"]).allow("evil.example") && Hosts::any().allow(""));
        assert!(!Hosts::default().allow("limpid"));
    }

    #[test]
    fn pages_of_these_names_and_programs_may_ask() {
        let hosts = Hosts::new(["chat.example"]);
        for good in [
            "http://localhost:3000",
            "https://localhost",
            "http://127.0.0.1:8080",
            "http://[::1]:3000",
            "http://192.168.1.7:3000",
            "http://10.0.0.7",
            "http://[fd00::7]:3000",
            "https://chat.example",
            "tauri://localhost",
            "app://obsidian.md",
            "vscode-webview://0a1b2c",
            "file://",
        ] {
            assert!(hosts.allow_origin(good), "{good}");
        }
        for bad in [
            "",
            "null",
            "http://evil.example",
            "https://chat.example.evil.example",
            "http://localhost.evil.example:3000",
            "https://evil.example@localhost",
            "chrome-extension://abcdef",
            "localhost",
            "ftp://localhost",
            "http://6.6.6.6",
            "https://203.0.113.9:8443",
            "http://[2001:db8::1]",
            "http://[::ffff:6.6.6.6]",
        ] {
            assert!(!hosts.allow_origin(bad), "{bad}");
        }
        assert!(Hosts::any().allow_origin("null"));
    }
}
