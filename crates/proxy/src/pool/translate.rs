//! A request in HTTP/2's form, and back.
//!
//! Above the pool a request has HTTP/1.1's form: a path, and `Host` among its fields. Only here is known which protocol the
//! connection speaks. HTTP/2 names the authority beside the fields and frames bodies itself (RFC 9113 §8.2.2, §8.3.1), so
//! `Host` and `Transfer-Encoding` go. Names are in lower case there; hyper writes them so. A request that comes back unsent
//! gets its first form again, for the next connection may speak HTTP/1.1.

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING};
use http::uri::Parts;
use http::{Request, Uri, Version};

use crate::headers;

/// An extension of requests whose client takes trailers. The field that says so, `TE: trailers`, is hop-by-hop; HTTP/2
/// allows it, and gRPC asks for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TakesTrailers;

impl TakesTrailers {
    /// Whether the client's own fields say so.
    pub(crate) fn read(fields: &HeaderMap) -> Option<TakesTrailers> {
        headers::listed(fields, &TE).any(|coding| coding.eq_ignore_ascii_case(b"trailers")).then_some(TakesTrailers)
    }
}

/// As HTTP/2 has it, for this scheme and authority.
pub(super) fn to_http2<B>(request: Request<B>, origin: &Uri) -> Request<B> {
    let (mut head, body) = request.into_parts();
    head.headers = without(head.headers, &[HOST, TRANSFER_ENCODING]);
    if head.extensions.get::<TakesTrailers>().is_some() {
        head.headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    let mut target = Parts::from(origin.clone());
    target.path_and_query = head.uri.path_and_query().cloned();
    // Scheme, authority and path are all there, so they make a URI.
    if let Ok(uri) = Uri::from_parts(target) {
        head.uri = uri;
    }
    head.version = Version::HTTP_2;
    Request::from_parts(head, body)
}

/// As it was before [`to_http2`]; only the place of `Host` may differ.
pub(super) fn to_http1<B>(request: Request<B>) -> Request<B> {
    let (mut head, body) = request.into_parts();
    head.headers = without(head.headers, &[TE]);
    if let Some(Ok(host)) = head.uri.authority().map(|a| HeaderValue::from_str(a.as_str())) {
        head.headers.insert(HOST, host);
    }
    if let Some(path) = head.uri.path_and_query().cloned() {
        head.uri = Uri::from(path);
    }
    head.version = Version::HTTP_11;
    Request::from_parts(head, body)
}

/// The fields but those. Removing them from the map itself would shuffle the rest.
fn without(fields: HeaderMap, names: &[HeaderName]) -> HeaderMap {
    if !names.iter().any(|n| fields.contains_key(n)) {
        return fields;
    }
    let mut out = HeaderMap::with_capacity(fields.keys_len() + 1);
    for (name, value) in &fields {
        if !names.contains(name) {
            out.append(name.clone(), value.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(request: &Request<()>) -> Vec<String> {
        request.headers().iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect()
    }

    #[test]
    fn there_and_back() {
        let mut request = Request::post("/v1/chat?a=%20b").header("x-a", "1").header("host", "up:1");
        request = request.header("transfer-encoding", "chunked").header("x-b", "2").header("x-a", "3");
        let mut request = request.body(()).unwrap();
        request.extensions_mut().insert(TakesTrailers);
        let there = to_http2(request, &Uri::from_static("https://up:1"));
        assert_eq!(
            (there.uri().to_string().as_str(), there.version()),
            ("https://up:1/v1/chat?a=%20b", Version::HTTP_2)
        );
        assert_eq!(lines(&there), ["x-a: 1", "x-a: 3", "x-b: 2", "te: trailers"]);
        let back = to_http1(there);
        assert_eq!((back.uri().to_string().as_str(), back.version()), ("/v1/chat?a=%20b", Version::HTTP_11));
        assert_eq!(lines(&back), ["x-a: 1", "x-a: 3", "x-b: 2", "host: up:1"]);
    }

    #[test]
    fn te_is_read_as_a_list() {
        let mut fields = HeaderMap::new();
        assert!(TakesTrailers::read(&fields).is_none());
        fields.append(TE, HeaderValue::from_static("gzip;q=0.5"));
        assert!(TakesTrailers::read(&fields).is_none());
        fields.append(TE, HeaderValue::from_static("deflate, Trailers"));
        assert!(TakesTrailers::read(&fields).is_some());
    }
}
