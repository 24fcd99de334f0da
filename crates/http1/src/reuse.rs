//! Whether an upstream's connection may carry another request: the one place that decides it.
//!
//! A byte that an upstream sends behind a reply becomes the begin of the next client's reply. So a connection is reused only
//! when it is known for certain where both messages ended, for this side and for the other. A server that takes a request's
//! body for a second request (cpp-httplib before 0.22 does so with a body on GET), or that sends a body where none may be,
//! sends it some milliseconds later, or some seconds: then no rest is long enough, and the connection is closed, which loses
//! nothing but a connect.
//!
//! | the request | reuse | why |
//! |---|---|---|
//! | GET, HEAD, OPTIONS, DELETE, TRACE with a body, also an empty one in chunks | never | the body has no defined meaning (RFC 9110 §9.3.1 and on), and may be left unread |
//! | CONNECT, methods that RFC 9110 and RFC 5789 do not know | never | what the other side takes its reply's body for is not known |
//! | with `Upgrade`, which was not granted | never | the other side may have switched in part |
//! | not written whole when the head of its reply came, or not at all | never | the other side may read the rest as a request |
//! | any other | as the reply says | |
//!
//! | the reply | reuse | why |
//! |---|---|---|
//! | its connection ends with it, by `Connection: close`, by its framing, or HTTP/1.0 without `keep-alive` | never | RFC 9112 §9.3 |
//! | bytes stand behind it | never | nobody asked for them |
//! | to HEAD, a 204, a 304, a 101 | never | a body that should not be there comes late |
//! | other than 2xx, to a request with a body | never | it may have been given before the body was read: llama.cpp's 401 is |
//! | in chunks | rested | its server may be about to close |
//! | of length 0 | rested | a body that should not be there comes late |
//! | of HTTP/1.0 with `keep-alive` | rested | an extension, of which no two servers think alike |
//! | any other, of announced length; interim ones (1xx) before it change nothing | at once | |
//!
//! The stricter of the two counts. Before a rested connection is reused the caller looks whether anything has come by it.

use http::header::UPGRADE;
use http::{HeaderMap, Method, StatusCode, Version};

/// When a connection may carry another request. The later ones are stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reuse {
    /// Now.
    AtOnce,
    /// After a rest, if nothing has come by it until then.
    Rested,
    /// It is to be closed.
    Never,
}

/// What of a request matters here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    reuse: Reuse,
    body: bool,
    head: bool,
}

impl Sent {
    /// The first table, as far as the head tells. `body`: one is written, be it empty chunks.
    pub(crate) fn new(method: &Method, fields: &HeaderMap, body: bool) -> Sent {
        let known = match *method {
            Method::POST | Method::PUT | Method::PATCH => true,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE | Method::TRACE => !body,
            _ => false,
        };
        let reuse = if known && !fields.contains_key(UPGRADE) { Reuse::AtOnce } else { Reuse::Never };
        Sent { reuse, body, head: *method == Method::HEAD }
    }

    /// Both tables, as far as heads tell. `good`: the request was written when the reply's head came, and that lets the
    /// connection be; `length`: the reply's, where it is announced.
    pub(crate) fn answered(self, good: bool, status: StatusCode, version: Version, length: Option<u64>) -> Reuse {
        let bodiless = self.head || matches!(status.as_u16(), 101 | 204 | 304);
        let refused = self.body && !status.is_success();
        if !good || bodiless || refused {
            return Reuse::Never;
        }
        let announced = length.is_some_and(|length| length > 0) && version == Version::HTTP_11;
        self.reuse.max(if announced { Reuse::AtOnce } else { Reuse::Rested })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| (name.parse().unwrap(), value.parse().unwrap());
        list.iter().map(field).collect()
    }

    #[test]
    fn what_was_asked() {
        for (method, list, body, want) in [
            ("GET", &[][..], false, Reuse::AtOnce),
            ("GET", &[], true, Reuse::Never),
            ("HEAD", &[], true, Reuse::Never),
            ("OPTIONS", &[], true, Reuse::Never),
            ("OPTIONS", &[], false, Reuse::AtOnce),
            ("DELETE", &[], true, Reuse::Never),
            ("DELETE", &[], false, Reuse::AtOnce),
            ("TRACE", &[], true, Reuse::Never),
            ("POST", &[], true, Reuse::AtOnce),
            ("PUT", &[], true, Reuse::AtOnce),
            ("PATCH", &[], false, Reuse::AtOnce),
            ("CONNECT", &[], false, Reuse::Never),
            ("PROPFIND", &[], false, Reuse::Never),
            ("get", &[], false, Reuse::Never),
            ("GET", &[("upgrade", "websocket")], false, Reuse::Never),
        ] {
            let sent = Sent::new(&method.parse().unwrap(), &fields(list), body);
            let got = sent.answered(true, StatusCode::OK, Version::HTTP_11, Some(2));
            assert_eq!(got, want, "{method} {list:?} {body}");
        }
    }

    #[test]
    fn what_was_answered() {
        let get = Sent::new(&Method::GET, &HeaderMap::new(), false);
        let post = Sent::new(&Method::POST, &HeaderMap::new(), true);
        let head = Sent::new(&Method::HEAD, &HeaderMap::new(), false);
        for (sent, good, status, version, length, want) in [
            (get, true, 200, Version::HTTP_11, Some(2), Reuse::AtOnce),
            (get, true, 404, Version::HTTP_11, Some(2), Reuse::AtOnce),
            (get, true, 200, Version::HTTP_11, Some(0), Reuse::Rested),
            (get, true, 200, Version::HTTP_11, None, Reuse::Rested),
            (get, true, 200, Version::HTTP_10, Some(2), Reuse::Rested),
            (get, true, 204, Version::HTTP_11, Some(0), Reuse::Never),
            (get, true, 304, Version::HTTP_11, Some(0), Reuse::Never),
            (get, true, 101, Version::HTTP_11, Some(0), Reuse::Never),
            (get, false, 200, Version::HTTP_11, Some(2), Reuse::Never),
            (head, true, 200, Version::HTTP_11, Some(0), Reuse::Never),
            (post, true, 200, Version::HTTP_11, Some(2), Reuse::AtOnce),
            (post, true, 201, Version::HTTP_11, None, Reuse::Rested),
            (post, true, 204, Version::HTTP_11, Some(0), Reuse::Never),
            (post, true, 307, Version::HTTP_11, Some(2), Reuse::Never),
            (post, true, 401, Version::HTTP_11, Some(2), Reuse::Never),
            (post, true, 503, Version::HTTP_11, None, Reuse::Never),
            (post, false, 200, Version::HTTP_11, Some(2), Reuse::Never),
        ] {
            let got = sent.answered(good, StatusCode::from_u16(status).unwrap(), version, length);
            assert_eq!(got, want, "{sent:?} {good} {status} {version:?} {length:?}");
        }
    }
}
