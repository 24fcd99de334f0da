//! An upstream's address, and the path that a request takes there.

use std::fmt;

use http::HeaderValue;
use http::uri::{Authority, PathAndQuery, Uri};

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
}

impl Target {
    /// Reads `http[s]://host[:port][/base/path]`.
    pub fn parse(url: &str) -> Result<Target, TargetError> {
        let uri: Uri = url.parse().map_err(|e: http::uri::InvalidUri| TargetError::Invalid(e.to_string()))?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(TargetError::Scheme),
        };
        let authority = uri.authority().cloned().ok_or(TargetError::Host)?;
        if authority.host().trim_matches(['[', ']']).is_empty() {
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
        Ok(Target { scheme, authority, host_field, base_path: uri.path().trim_end_matches('/').to_owned() })
    }

    /// How to speak to it.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, without brackets around an IPv6 address.
    pub fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
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
    /// Errors only if the joined text is no path, which configured prefixes cannot cause.
    pub fn path(&self, asked: &PathAndQuery, replace: Option<(&str, &str)>) -> Result<PathAndQuery, TargetError> {
        // An empty path, as of `http://host?query`, is `/`.
        let is_origin = !asked.as_str().starts_with('?');
        if self.base_path.is_empty() && replace.is_none() && is_origin {
            return Ok(asked.clone());
        }
        let (from, to) = replace.unwrap_or(("", ""));
        let rest = asked.as_str().strip_prefix(from).unwrap_or(asked.as_str());
        let slash = if rest.starts_with('/') || rest.starts_with('?') || rest.is_empty() { "" } else { "/" };
        let joined = format!("{}{}{slash}{rest}", self.base_path, to.trim_end_matches('/'));
        let joined = if joined.starts_with('/') { joined } else { format!("/{joined}") };
        PathAndQuery::try_from(joined).map_err(|e| TargetError::Invalid(e.to_string()))
    }
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
    }

    #[test]
    fn ports_and_hosts() {
        let t = Target::parse("https://[::1]").unwrap();
        assert_eq!((t.host(), t.port()), ("::1", 443));
        let t = Target::parse("http://Example.com:8000/v1/").unwrap();
        assert_eq!((t.host(), t.port(), t.host_field().to_str().unwrap()), ("Example.com", 8000, "Example.com:8000"));
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
