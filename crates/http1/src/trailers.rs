//! Fields behind a chunked body (RFC 9110 §6.5), and behind one of HTTP/2.
//!
//! They pass where the head's `Trailer` names them (over HTTP/2 all may), and never those that would change how a message is
//! framed, routed, authenticated or read (RFC 9110 §6.5.1): whoever merges trailers into the head must not be told anything
//! new there. [`may_pass`] is the one rule, for both directions and both protocols:
//!
//! | never | fields |
//! |---|---|
//! | framing | `content-length`, `transfer-encoding`, `trailer`, `te` |
//! | the connection | `connection`, `keep-alive`, `proxy-connection`, `upgrade`, `http2-settings`, `close` |
//! | routing | `host`, `forwarded`, `via`, `max-forwards`, `x-forwarded-*`, `x-real-ip`, `x-original-*`, `x-rewrite-*`, `x-envoy-*` |
//! | request modifiers | `cache-control`, `expect`, `pragma`, `range`, `if-*`, `x-http-method*`, `x-method-override` |
//! | who asks | `authorization`, `cookie`, `set-cookie` and all whose words name a credential, such as `x-api-key` |
//! | how the body is read | `content-encoding`, `content-type`, `content-range`, `content-location`, `content-disposition` |
//! | control of the response | `age`, `date`, `expires`, `location`, `retry-after`, `vary`, `warning`, `www-authenticate` and their like, `access-control-*` |
//!
//! All others may: digests, signatures of content, `server-timing`, `grpc-status`, a provider's own.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, TRAILER};

use crate::MAX_FIELDS;
use crate::chunks::Malformed;

/// Those that never pass, but for the prefixes and words below.
const NEVER: &[&str] = &[
    "age",
    "cache-control",
    "close",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "proxy-connection",
    "range",
    "retry-after",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "warning",
    "x-method-override",
    "x-real-ip",
];

const NEVER_BEGINS: &[&str] =
    &["access-control-", "if-", "x-envoy-", "x-forwarded-", "x-http-method", "x-original-", "x-rewrite-"];

/// Words of a name that tell of a credential, or of asking for one; those of more letters count at a word's end too.
const CREDENTIALS: &[&str] = &[
    "apikey",
    "auth",
    "authenticate",
    "authentication",
    "authorization",
    "bearer",
    "cookie",
    "cookie2",
    "credential",
    "credentials",
    "jwt",
    "key",
    "passwd",
    "password",
    "secret",
    "token",
];

/// Whether a trailer of this name may go on; see the module's table. A name is in lower case.
#[must_use]
pub fn may_pass(name: &HeaderName) -> bool {
    let name = name.as_str();
    let word = |word: &str| {
        CREDENTIALS.iter().any(|c| word == *c || (c.len() > 4 && word.ends_with(c))) || word.ends_with("key")
    };
    let credential = || name.split(|c: char| !c.is_ascii_alphanumeric()).any(word);
    let never = || NEVER.contains(&name) || NEVER_BEGINS.iter().any(|begin| name.starts_with(begin));
    !never() && !credential()
}

/// Takes off those that may not pass. Whether any are left.
pub fn retain(fields: &mut HeaderMap) -> bool {
    if !fields.keys().all(may_pass) {
        *fields = fields.iter().filter(|(n, _)| may_pass(n)).map(|(n, v)| (n.clone(), v.clone())).collect();
    }
    !fields.is_empty()
}

/// Reads lines that each have their end; `None` where there are none.
pub(crate) fn read(lines: &[u8]) -> Result<Option<HeaderMap>, Malformed> {
    if lines.is_empty() {
        return Ok(None);
    }
    let raw = Bytes::from([lines, b"\r\n"].concat());
    let mut fields = vec![httparse::EMPTY_HEADER; MAX_FIELDS];
    let parsed = httparse::parse_headers(&raw, &mut fields).map_err(|_| Malformed)?;
    let httparse::Status::Complete((_, fields)) = parsed else { return Err(Malformed) };
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| Malformed)?;
        map.append(name, value);
    }
    Ok(Some(map))
}

/// The names that a head announces and that may pass.
pub(crate) fn announced(head: &HeaderMap) -> Box<[HeaderName]> {
    let names = head.get_all(TRAILER).iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
    names.filter_map(|n| HeaderName::from_bytes(n.trim_ascii()).ok()).filter(may_pass).collect()
}

/// Writes those that were announced, without the empty line behind them.
pub(crate) fn write(fields: &HeaderMap, announced: &[HeaderName], out: &mut Vec<u8>) {
    for (name, value) in fields.iter().filter(|(name, _)| announced.contains(name)) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_frames_routes_or_authenticates_never_passes() {
        let table = include_str!("trailers.rs").lines().filter_map(|l| l.strip_prefix("//! | "));
        let names = table.flat_map(|row| row.split('`').skip(1).step_by(2));
        let others = "proxy-authorization proxy-authenticate www-authenticate authentication-info api-key \
            x-goog-api-key x-litellm-api-key ocp-apim-subscription-key x-auth-token \
            x-amz-security-token helicone-auth if-none-match access-control-allow-origin \
            x-forwarded-host x-original-url x-http-method-override set-cookie2 apikey x-csrftoken"
            .split(' ');
        let mut seen = 0;
        for name in names.chain(others) {
            // A row may end its names with a star.
            let name = name.replace('*', "x");
            assert!(!may_pass(&name.parse().unwrap()), "{name}");
            seen += 1;
        }
        assert!(seen > 50, "{seen}: the table is read");
    }

    #[test]
    fn others_pass() {
        for name in "x-sum content-md5 digest content-digest repr-digest server-timing grpc-status etag \
            grpc-message x-request-id x-author x-monkeys signature x-usage tokens-used"
            .split(' ')
        {
            assert!(may_pass(&name.parse().unwrap()), "{name}");
        }
        let list = [("x-a", "1"), ("cookie", "c"), ("x-a", "2"), ("x-b", "3")];
        let mut fields: HeaderMap = list.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        assert!(retain(&mut fields));
        assert_eq!(fields.iter().map(|(_, v)| v.to_str().unwrap()).collect::<Vec<_>>(), ["1", "2", "3"]);
        let mut fields: HeaderMap = [("host".parse().unwrap(), "h".parse().unwrap())].into_iter().collect();
        assert!(!retain(&mut fields));
    }

    #[test]
    fn what_is_announced_is_read_by_bytes() {
        let value = HeaderValue::from_bytes(b"X-A, \xff , x-api-key,x-b").unwrap();
        let head: HeaderMap = [(TRAILER, value)].into_iter().collect();
        assert_eq!(&*announced(&head), ["x-a", "x-b"]);
    }
}
