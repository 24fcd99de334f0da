//! Messages whose framing or target two readers could take differently: refused, not repaired.
//!
//! Request smuggling needs a front and a back that disagree on where a message ends or whom it is for (RFC 9112 §11.2). Most
//! of it is no HTTP, and refused before it is a request: repeated lengths that differ, numbers with a sign, control bytes
//! in fields, blanks before a colon, line folding, HTTP/0.9, oversized heads. What may be put right by RFC 9112 §6.3, a
//! length beside `Transfer-Encoding` or the same length twice, is refused here, with a record.

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode, Version};
use limpid_core::RelayFailure;

use crate::headers::{is_chunked, is_plain_chunked};

/// Refuses a request whose target, length, transfer coding or `Host` is not one plain value, and CONNECT, whatever its form:
/// a 2xx to it has no body for one reader, and one for another (RFC 9110 §9.3.6).
///
/// # Errors
///
/// [`RelayFailure::BadRequest`] or [`RelayFailure::ConnectMethod`]; nothing may go upstream, and what follows on the
/// connection cannot be trusted.
pub(crate) fn request<B>(request: &Request<B>) -> Result<(), RelayFailure> {
    // A server may take no heed of the case.
    if request.method().as_str().eq_ignore_ascii_case("CONNECT") {
        return Err(RelayFailure::ConnectMethod);
    }
    let fields = request.headers();
    let (mut framed, mut hosts) = (0, 0);
    // One walk: looking for each in the map takes longer.
    let fields_are_sound = fields.iter().all(|(name, value)| match *name {
        CONTENT_LENGTH => {
            framed += 1;
            is_plain_number(value)
        }
        TRANSFER_ENCODING => {
            framed += 1;
            is_chunked(value)
        }
        HOST => {
            hosts += 1;
            host_is_sound(value, request.uri().authority(), request.version())
        }
        _ => !resembles_framing(name.as_str()),
    });
    // One `Host` in HTTP/1.1 (RFC 9112 §3.2); in HTTP/2 it or `:authority` (RFC 9113 §8.3.1).
    let named = match request.version() {
        Version::HTTP_11 => hosts == 1,
        Version::HTTP_2 => hosts == 1 || (hosts == 0 && request.uri().authority().is_some()),
        _ => hosts <= 1,
    };
    if fields_are_sound && framed <= 1 && named && target_is_sound(request) {
        Ok(())
    } else {
        Err(RelayFailure::BadRequest)
    }
}

/// Whether the target has a form that goes up as a path (RFC 9112 §3.2, RFC 9113 §8.3.1): one that begins with a slash, alone
/// or behind an authority without user and password; an empty path only behind such a one in HTTP/1.1, where it is `/`; `*`
/// for OPTIONS alone. A fragment is cut off before.
fn target_is_sound<B>(request: &Request<B>) -> bool {
    let uri = request.uri();
    let Some(target) = uri.path_and_query().map(http::uri::PathAndQuery::as_str) else { return false };
    let user = uri.authority().is_some_and(|a| a.as_str().contains('@'));
    let form = match target.as_bytes().first() {
        Some(b'/') => true,
        Some(b'?') => request.version() != Version::HTTP_2 && uri.authority().is_some(),
        _ => target == "*" && *request.method() == Method::OPTIONS,
    };
    form && !user
}

/// Whether a name is that of a length or a coding but for what stands between its letters, such as `content_length`.
/// Servers that hand fields on as variables (CGI, WSGI and their kin) may take it for the real one.
fn resembles_framing(name: &str) -> bool {
    // Names in a map of fields are in lower case.
    fn letters(text: &str) -> impl Iterator<Item = u8> {
        text.bytes().filter(u8::is_ascii_alphabetic)
    }
    let like = |real: &str| name.len() + 1 >= real.len() && name != real && letters(name).eq(letters(real));
    like("content-length") || like("transfer-encoding")
}

/// Refuses a response whose body cannot be told apart with certainty, or that switches protocols unasked. `may_switch`:
/// WebSocket was asked for.
///
/// # Errors
///
/// [`RelayFailure::BadResponse`].
pub(crate) fn response<B>(response: &Response<B>, may_switch: bool) -> Result<(), RelayFailure> {
    let fields = response.headers();
    // A coding other than chunked ends with this connection; its field would go, and the coded bytes would stay.
    let sound = lengths_agree(fields) && chunked_or_none(fields);
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let to_websocket = fields.get(UPGRADE).is_some_and(|p| p.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if sound && (!switches || (may_switch && to_websocket)) { Ok(()) } else { Err(RelayFailure::BadResponse) }
}

/// All lengths are the same plain number. A response may repeat it (RFC 9110 §8.6); it goes on once.
fn lengths_agree(fields: &HeaderMap) -> bool {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return true };
    is_plain_number(first) && lengths.all(|other| other == first)
}

fn is_plain_number(value: &HeaderValue) -> bool {
    !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit)
}

fn chunked_or_none(fields: &HeaderMap) -> bool {
    !fields.contains_key(TRANSFER_ENCODING) || is_plain_chunked(fields)
}

/// In HTTP/2 it is the same as `:authority`, if there are both (RFC 9113 §8.3.1). An authority in an HTTP/1.1 target wins over
/// `Host` (RFC 9112 §3.2.2), so there they may differ.
fn host_is_sound(host: &HeaderValue, authority: Option<&Authority>, version: Version) -> bool {
    let same = authority.is_none_or(|a| host.as_bytes().eq_ignore_ascii_case(a.as_str().as_bytes()));
    is_host(host) && (same || version != Version::HTTP_2)
}

/// A name or address with or without a port. It may be empty (RFC 9110 §7.2).
fn is_host(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    bytes.is_empty() || (Authority::try_from(bytes).is_ok() && !bytes.contains(&b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields<'a> = &'a [(&'a str, &'a str)];

    fn asked(version: Version, uri: &str, fields: Fields<'_>) -> bool {
        let mut building = Request::builder().version(version).uri(uri);
        for (name, value) in fields {
            building = building.header(*name, *value);
        }
        request(&building.body(()).unwrap()).is_ok()
    }

    #[test]
    fn hosts() {
        let cases: [(Fields<'_>, bool, bool, bool); 10] = [
            // HTTP/1.0, HTTP/1.1, HTTP/2 with :authority a:1
            (&[], true, false, true),
            (&[("host", "a:1")], true, true, true),
            (&[("host", "A:1")], true, true, true),
            (&[("host", "b")], true, true, false),
            (&[("host", "")], true, true, false),
            (&[("host", "[::1]:80")], true, true, false),
            (&[("host", "a:1"), ("host", "a:1")], false, false, false),
            (&[("host", "a, b")], false, false, false),
            (&[("host", "u@a:1")], false, false, false),
            (&[("host", "a/b")], false, false, false),
        ];
        for (fields, old, new, two) in cases {
            assert_eq!(asked(Version::HTTP_10, "/", fields), old, "{fields:?}");
            assert_eq!(asked(Version::HTTP_11, "/", fields), new, "{fields:?}");
            assert_eq!(asked(Version::HTTP_2, "http://a:1/", fields), two, "{fields:?}");
        }
        assert!(!asked(Version::HTTP_2, "/", &[]), "neither authority nor host");
        assert!(asked(Version::HTTP_2, "/", &[("host", "a")]));
        assert!(asked(Version::HTTP_11, "http://b/", &[("host", "a")]), "the target wins");
    }

    #[test]
    fn targets() {
        let sound = |version: Version, method: &str, uri: &str| {
            request(&Request::builder().version(version).method(method).uri(uri).header("host", "h").body(()).unwrap())
        };
        let (ok, bad) = (Ok(()), Err(RelayFailure::BadRequest));
        for (method, uri, want) in [
            ("GET", "/a?b", ok),
            ("GET", "http://h/a", ok),
            ("GET", "http://h?q=1", ok),
            ("GET", "http://h", ok),
            ("OPTIONS", "*", ok),
            ("GET", "*", bad),
            ("GET", "h:80", bad),
            ("GET", "http://u:p@h/", bad),
            ("GET", "http://u@h?q", bad),
            ("CONNECT", "h:80", Err(RelayFailure::ConnectMethod)),
            ("CONNECT", "/v1/x", Err(RelayFailure::ConnectMethod)),
            ("connect", "http://h/x", Err(RelayFailure::ConnectMethod)),
        ] {
            assert_eq!(sound(Version::HTTP_11, method, uri), want, "{method} {uri}");
        }
        assert_eq!(sound(Version::HTTP_2, "GET", "http://h?q=1"), bad, "`:path: ?q=1`");
        assert_eq!(sound(Version::HTTP_2, "GET", "http://h/?q=1"), ok);
    }

    #[test]
    fn lengths_and_codings() {
        let cases: [(Fields<'_>, bool, bool); 12] = [
            // request, response
            (&[("content-length", "5")], true, true),
            (&[("content-length", "5"), ("content-length", "5")], false, true),
            (&[("content-length", "5"), ("content-length", "6")], false, false),
            (&[("content-length", "5, 5")], false, false),
            (&[("content-length", "+5")], false, false),
            (&[("content-length", "")], false, false),
            (&[("transfer-encoding", "Chunked")], true, true),
            (&[("transfer-encoding", "gzip, chunked")], false, false),
            (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], false, false),
            (&[("transfer-encoding", "chunked, chunked")], false, false),
            (&[("transfer-encoding", "identity")], false, false),
            (&[("transfer-encoding", "")], false, false),
        ];
        for (fields, sent, came) in cases {
            let with_host = [fields, &[("host", "h")]].concat();
            assert_eq!(asked(Version::HTTP_11, "/", &with_host), sent, "{fields:?}");
            let mut building = Response::builder();
            for (name, value) in fields {
                building = building.header(*name, *value);
            }
            assert_eq!(response(&building.body(()).unwrap(), false).is_ok(), came, "{fields:?}");
        }
    }

    #[test]
    fn only_who_was_asked_may_switch() {
        let to = |protocol: &str| Response::builder().status(101).header("upgrade", protocol).body(()).unwrap();
        assert_eq!(response(&to("websocket"), false), Err(RelayFailure::BadResponse));
        assert_eq!(response(&to("WebSocket"), true), Ok(()));
        assert_eq!(response(&to("h2c"), true), Err(RelayFailure::BadResponse), "to what was asked for only");
    }
}
