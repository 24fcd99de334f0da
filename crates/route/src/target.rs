//! An upstream's address, and the path that a request takes there.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use http::HeaderValue;
use http::uri::{Authority, PathAndQuery, Uri};

use crate::base_path;

/// How an upstream is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS.
    Https,
}

/// What is wrong with an upstream's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetError {
    /// It is not a URL.
    Invalid(String),
    /// It has no scheme, or another than `http` and `https`.
    Scheme,
    /// It has no host.
    Host,
    /// Its port is not a number from 1 to 65535.
    Port,
    /// It carries a user name or password; keys belong in a setting that is kept secret.
    UserInfo,
    /// It carries a query, which would be lost.
    Query,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetError::Invalid(why) => write!(f, "not a URL ({why})"),
            TargetError::Scheme => f.write_str("must begin with http:// or https://"),
            TargetError::Host => f.write_str("has no host"),
            TargetError::Port => f.write_str("has a port that is not from 1 to 65535"),
            TargetError::UserInfo => f.write_str("must not carry a user name or password"),
            TargetError::Query => f.write_str("must not carry a query"),
        }
    }
}

impl std::error::Error for TargetError {}

/// An upstream's base URL, taken apart once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    authority: Authority,
    host_field: HeaderValue,
    base_path: String,
    /// Which of this machine's links a link-local address is on.
    zone: Option<String>,
}

impl Target {
    /// Reads `http[s]://host[:port][/base/path]`. A link-local address has its zone, as in `http://[fe80::1%25eth0]:8000`
    /// (RFC 6874).
    pub fn parse(url: &str) -> Result<Target, TargetError> {
        let (url, zone) = without_zone(url);
        let uri: Uri = url.parse().map_err(|e: http::uri::InvalidUri| TargetError::Invalid(e.to_string()))?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(TargetError::Scheme),
        };
        let authority = uri.authority().cloned().ok_or(TargetError::Host)?;
        // A zone that is sound is taken off by now.
        if authority.host().trim_matches(['[', ']']).is_empty() || authority.host().contains('%') {
            return Err(TargetError::Host);
        }
        if authority.as_str().contains('@') {
            return Err(TargetError::UserInfo);
        }
        // http's parser lets a port through that is none, and then says that there is no port.
        let after_host = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        if !after_host.is_empty() && !matches!(authority.port_u16(), Some(1..)) {
            return Err(TargetError::Port);
        }
        if uri.query().is_some() {
            return Err(TargetError::Query);
        }
        let host_field = HeaderValue::from_str(authority.as_str()).map_err(|_| TargetError::Host)?;
        Ok(Target { scheme, authority, host_field, base_path: uri.path().trim_end_matches('/').to_owned(), zone })
    }

    /// How to speak to it.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, without brackets around an IPv6 address.
    pub fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    /// What is looked up to reach it: the host, with the zone of a link-local address as `getaddrinfo` wants it.
    pub fn name(&self) -> Cow<'_, str> {
        match &self.zone {
            Some(zone) => Cow::Owned(format!("{}%{zone}", self.host())),
            None => Cow::Borrowed(self.host()),
        }
    }

    /// The port, explicit or the scheme's.
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }

    /// The value of the `Host` field.
    pub fn host_field(&self) -> &HeaderValue {
        &self.host_field
    }

    /// `scheme://authority`, for the connector.
    pub fn origin(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{}", self.authority)
    }

    /// Whether its URL has a path, below which all requests go.
    pub fn has_base_path(&self) -> bool {
        !self.base_path.is_empty()
    }

    /// The path and query that a request takes, in origin form (RFC 9112 §3.2.1): the client's own, byte for byte, unless the base URL has a path or
    /// `replace` swaps a prefix (`from` must be a prefix of the path; see [`crate::Match::path_prefix`]).
    ///
    /// What client and base URL both write stands once: `http://h/v1` and `/v1/models` make `/v1/models`
    /// (`base_path.rs` has the rule).
    ///
    /// Errors only if the joined text is no path, which configured prefixes cannot cause.
    pub fn path(&self, asked: &PathAndQuery, replace: Option<(&str, &str)>) -> Result<PathAndQuery, TargetError> {
        // An empty path, as of `http://host?query`, is `/`. `OPTIONS *` asks about the server, not about a path of it (RFC 9110 §9.3.7).
        let is_origin = !asked.as_str().starts_with('?');
        if (self.base_path.is_empty() && replace.is_none() && is_origin) || asked.as_str() == "*" {
            return Ok(asked.clone());
        }
        let (from, to) = replace.unwrap_or(("", ""));
        let rest = asked.as_str().strip_prefix(from).unwrap_or(asked.as_str());
        let slash = if rest.starts_with('/') || rest.starts_with('?') || rest.is_empty() { "" } else { "/" };
        let behind = format!("{}{slash}{rest}", to.trim_end_matches('/'));
        let joined = base_path::join(&self.base_path, &behind);
        let joined = if joined.starts_with('/') { joined } else { format!("/{joined}") };
        PathAndQuery::try_from(joined).map_err(|e| TargetError::Invalid(e.to_string()))
    }

    /// The base URL's path, without a slash at its end; empty where it has none.
    pub fn base_path(&self) -> &str {
        &self.base_path
    }
}

/// The URL without the zone of its address, which means nothing to anybody else, and the zone.
fn without_zone(url: &str) -> (Cow<'_, str>, Option<String>) {
    let apart = || {
        let (scheme, rest) = url.split_once("://[")?;
        let (literal, behind) = rest.split_once(']')?;
        let (address, zone) = literal.split_once("%25")?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        let sound = address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.bytes().all(plain);
        sound.then(|| (Cow::Owned(format!("{scheme}://[{address}]{behind}")), Some(zone.to_owned())))
    };
    apart().unwrap_or((Cow::Borrowed(url), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(url: &str, asked: &str, replace: Option<(&str, &str)>) -> String {
        Target::parse(url).unwrap().path(&asked.parse().unwrap(), replace).unwrap().to_string()
    }

    #[test]
    fn a_plain_target_keeps_the_path_as_it_came() {
        for odd in ["/v1/x?a=%20b&&c", "/a//b/../c", "/%7Euser/;x=1?", "/v1/models/a%2Fb"] {
            assert_eq!(path("http://h:1", odd, None), odd);
            assert_eq!(path("http://h:1/", odd, None), odd);
        }
    }

    #[test]
    fn an_empty_path_goes_up_as_a_slash() {
        let asked = "http://evil?q=/1".parse::<Uri>().unwrap().path_and_query().unwrap().clone();
        let up = |url: &str| Target::parse(url).unwrap().path(&asked, None).unwrap().as_str().to_owned();
        assert_eq!((up("http://h").as_str(), up("http://h/v1").as_str()), ("/?q=/1", "/v1?q=/1"));
    }

    #[test]
    fn base_paths_and_prefixes_join_with_one_slash() {
        assert_eq!(path("https://openrouter.ai/api", "/v1/models", None), "/api/v1/models");
        assert_eq!(path("http://h", "/openai/v1/x?q", Some(("/openai", ""))), "/v1/x?q");
        assert_eq!(path("http://h/base", "/openai/v1/x", Some(("/openai", "/y/"))), "/base/y/v1/x");
        assert_eq!(path("http://h", "/openai", Some(("/openai", ""))), "/");
        assert_eq!(path("http://h", "/openai?q=1", Some(("/openai", ""))), "/?q=1");
        assert_eq!(path("http://h/v1", "/openai/v1/x?q", Some(("/openai", "/"))), "/v1/x?q");
        assert_eq!(path("http://h/v1", "/team/x", Some(("/team", "/v1"))), "/v1/x");
        assert_eq!(path("http://h/base", "*", None), "*");
    }

    #[test]
    fn ports_and_hosts() {
        let t = Target::parse("https://[::1]").unwrap();
        assert_eq!((t.host(), t.port()), ("::1", 443));
        let t = Target::parse("http://Example.com:8000/v1/").unwrap();
        assert_eq!((t.host(), t.port(), t.host_field().to_str().unwrap()), ("Example.com", 8000, "Example.com:8000"));
    }

    #[test]
    fn a_zone_is_this_machines_own_business() {
        let t = Target::parse("http://[fe80::1%25eth0.7]:8000/v1").unwrap();
        assert_eq!((t.host(), &*t.name(), t.port()), ("fe80::1", "fe80::1%eth0.7", 8000));
        assert_eq!(
            (t.host_field().to_str().unwrap(), t.origin()),
            ("[fe80::1]:8000", "http://[fe80::1]:8000".to_owned())
        );
        assert_eq!(&*Target::parse("http://[fe80::1]").unwrap().name(), "fe80::1");
        for url in ["http://[fe80::1%25]", "http://[fe80::1%eth0]", "http://[h%25eth0]", "http://[fe80::1%25a%20b]"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn bad_urls_say_why() {
        for (url, want) in [
            ("localhost:8000", TargetError::Scheme),
            ("ftp://h", TargetError::Scheme),
            ("http://u:p@h", TargetError::UserInfo),
            ("http://h/x?y", TargetError::Query),
            ("http://h:99999/", TargetError::Port),
            ("http://h:8~b/", TargetError::Port),
            ("http://h:0", TargetError::Port),
            ("http://h:/", TargetError::Port),
            ("https://[]:8~base/", TargetError::Host),
        ] {
            assert_eq!(Target::parse(url), Err(want), "{url}");
        }
        assert!(matches!(Target::parse("http://a b"), Err(TargetError::Invalid(_))));
    }
}
