//! What a proxy must take off a message, and nothing more (RFC 9110 §7.6.1).
//!
//! Where nothing is to be taken off, which is most often so, the map goes on as it is; else the fields are carried over in
//! their order into a new one, because removing from a `HeaderMap` shuffles the rest. The case
//! of names is kept on both legs of HTTP/1.1 (`limpid_http1::spelling`). `HeaderMap` groups repeated fields of one name behind
//! its first; their order among themselves is kept, which is all that HTTP gives meaning to (RFC 9110 §5.3).
//!
//! `Transfer-Encoding: chunked` is hop-by-hop too, but the next hop is framed the same way where it can be, so the
//! field stays in its place on an HTTP/1.1 hop; it would be added anyway, at the end and in lower case. A length beside
//! it is taken off (RFC 9112 §6.3): two readers that disagree on where a message ends are how messages are smuggled.

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{StatusCode, Version};
use limpid_http1::trailers;
use limpid_route::is_limpid_field;

/// The request's fields, which came by `version`, as they go upstream over HTTP/1.1: `Host` is the upstream's, limpid's own
/// fields are read and gone. `switch`: it asks for WebSocket, and goes on as such.
pub(crate) fn request(fields: HeaderMap, version: Version, host: &HeaderValue, switch: bool) -> HeaderMap {
    let mut out = carry_over(fields, Keep { chunked: true, switch }, is_limpid_field);
    match out.get_mut(HOST) {
        Some(value) => *value = host.clone(),
        None => {
            out.insert(HOST, host.clone());
        }
    }
    if version == Version::HTTP_2 {
        join_cookies(&mut out);
    }
    out
}

/// HTTP/2 may split cookies into several fields, of which HTTP/1.1 must make one again (RFC 9113 §8.2.3).
fn join_cookies(fields: &mut HeaderMap) {
    let parts: Vec<_> = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if parts.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&parts.join(&b"; "[..]))
    {
        fields.insert(COOKIE, joined);
    }
}

/// The response's fields as they go to a client that speaks `version`.
pub(crate) fn response(fields: HeaderMap, status: StatusCode, version: Version) -> HeaderMap {
    // A reply to HEAD, a 204 or 304 may announce the length of what it does not carry; that stays as it is.
    let switch = status == StatusCode::SWITCHING_PROTOCOLS;
    let chunked = version == Version::HTTP_11 && status != StatusCode::NO_CONTENT && !switch;
    carry_over(fields, Keep { chunked, switch }, |_| false)
}

/// What this hop's fields may become on the next.
#[derive(Clone, Copy)]
struct Keep {
    /// The next hop knows chunks.
    chunked: bool,
    /// The protocol is switched on both hops: `Connection` goes on, with nothing in it but that, and so does `Upgrade`.
    switch: bool,
}

fn carry_over(fields: HeaderMap, keep: Keep, own: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    if goes_on_whole(&fields, keep, &own) {
        return fields;
    }
    let named = named_by_connection(&fields);
    let chunked = keep.chunked && is_plain_chunked(&fields);
    let mut out = HeaderMap::with_capacity(fields.keys_len() + 1);
    for (name, value) in &fields {
        if keep.switch && *name == CONNECTION {
            out.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            continue;
        }
        let hop_by_hop = match *name {
            TRANSFER_ENCODING => !chunked,
            // A length that is told twice goes on once.
            CONTENT_LENGTH => fields.contains_key(TRANSFER_ENCODING) || out.contains_key(CONTENT_LENGTH),
            HOST => false,
            UPGRADE => !keep.switch,
            _ => is_hop_by_hop(name) || named.binary_search_by(|n| lower(n).cmp(name.as_str().bytes())).is_ok(),
        };
        if !hop_by_hop && !own(name) {
            out.append(name.clone(), value.clone());
        }
    }
    out
}

/// Whether none of the fields would be left out. `Connection` is the one that could name others.
fn goes_on_whole(fields: &HeaderMap, keep: Keep, own: impl Fn(&HeaderName) -> bool) -> bool {
    let mut framed = false;
    fields.iter().all(|(name, value)| match *name {
        CONTENT_LENGTH => !std::mem::replace(&mut framed, true),
        TRANSFER_ENCODING => keep.chunked && !std::mem::replace(&mut framed, true) && is_chunked(value),
        _ => !is_hop_by_hop(name) && !own(name),
    })
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(*name, CONNECTION | TE | UPGRADE) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// `Transfer-Encoding` is there once and says `chunked` alone.
pub(crate) fn is_plain_chunked(fields: &HeaderMap) -> bool {
    let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
    matches!((codings.next(), codings.next()), (Some(only), None) if is_chunked(only))
}

/// It says `chunked` alone.
pub(crate) fn is_chunked(coding: &HeaderValue) -> bool {
    coding.as_bytes().eq_ignore_ascii_case(b"chunked")
}

/// The names that `Connection` lists and that there are, in order. Framing and `Host` are not for a sender to remove,
/// whatever it lists. A head has room for 17,000 names: each is looked up once, and no field among all of them.
fn named_by_connection(fields: &HeaderMap) -> Vec<&[u8]> {
    let there = |name: &&[u8]| std::str::from_utf8(name).is_ok_and(|name| fields.contains_key(name));
    let mut named: Vec<_> = listed(fields, &CONNECTION).filter(there).collect();
    if named.len() > 1 {
        named.sort_unstable_by(|a, b| lower(a).cmp(lower(b)));
        named.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    }
    named
}

fn lower(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

/// The members of a field that is a list. By bytes: one that is no text must not hide the others.
pub(crate) fn listed<'a>(fields: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let members = fields.get_all(name).iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
    members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// A request's trailers without such as may not go up: those of `limpid_http1::trailers`, and limpid's own fields.
pub(crate) fn request_trailers(fields: HeaderMap) -> HeaderMap {
    let pass = |name: &HeaderName| trailers::may_pass(name) && !is_limpid_field(name);
    if fields.keys().all(pass) {
        return fields;
    }
    fields.iter().filter(|(name, _)| pass(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the fuzz crate's module, where it is public")]
#[path = "../../../fuzz/src/cost.rs"]
mod cost;

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn lines(map: &HeaderMap) -> Vec<String> {
        map.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect()
    }

    #[test]
    fn a_request_loses_hop_by_hop_and_limpids_own_fields_and_keeps_the_order() {
        let sent = fields(&[
            ("accept", "a"),
            ("host", "limpid:4800"),
            ("connection", "keep-alive, X-Secret-Hop"),
            ("x-secret-hop", "1"),
            ("te", "trailers"),
            ("x-limpid-user", "u"),
            ("x-limpid-unknown", "stays"),
            ("transfer-encoding", "chunked"),
            ("authorization", "Bearer k"),
        ]);
        let out = request(sent.clone(), Version::HTTP_11, &HeaderValue::from_static("up:1"), false);
        assert_eq!(
            lines(&out),
            [
                "accept: a",
                "host: up:1",
                "x-limpid-unknown: stays",
                "transfer-encoding: chunked",
                "authorization: Bearer k"
            ]
        );
    }

    #[test]
    fn a_member_of_connection_that_is_no_text_hides_no_other() {
        let mut sent = fields(&[("host", "h"), ("x-a", "1"), ("x-b", "2"), ("x-c", "3")]);
        sent.append(CONNECTION, HeaderValue::from_bytes(b"x-a, \xff").unwrap());
        sent.append(CONNECTION, HeaderValue::from_bytes(b"\xe9,X-B").unwrap());
        let out = request(sent, Version::HTTP_11, &HeaderValue::from_static("up"), false);
        assert_eq!(lines(&out), ["host: up", "x-c: 3"]);
    }

    /// Names times fields would be 20 ms.
    #[test]
    fn a_long_list_costs_what_it_is_long_however_many_fields_there_are() {
        let cost = |names: &dyn Fn(usize) -> String, count: usize| {
            let list = (0..10_000).map(names).collect::<Vec<_>>().join(",");
            let mut sent = fields(&[("host", "h")]);
            sent.append(CONNECTION, HeaderValue::from_str(&list).unwrap());
            for n in 0..count {
                sent.append(HeaderName::try_from(format!("x{n:04}")).unwrap(), HeaderValue::from_static("v"));
            }
            let out = || request(sent.clone(), Version::HTTP_11, &HeaderValue::from_static("up"), false);
            let least = (0..10).map(|_| cost::spent(|| drop(out()))).min().unwrap();
            (least, out().len())
        };
        for (what, names, left) in [
            ("names that are not there", &(|n| format!("y{n:04}")) as &dyn Fn(usize) -> String, 500),
            ("all that are there", &|n| format!("X{n:04}"), 0),
            ("one again and again", &|_| "x0000".to_owned(), 499),
        ] {
            let ((few, _), (many, kept)) = (cost(names, 1), cost(names, 500));
            assert_eq!(kept, left + 1, "{what}");
            assert!(many < few * 4 + std::time::Duration::from_millis(2), "{what}: {few:?}, with 500 fields {many:?}");
        }
    }

    #[test]
    fn connection_cannot_take_away_the_framing() {
        let sent = fields(&[("connection", "content-length, host"), ("content-length", "3"), ("host", "h")]);
        let out = request(sent.clone(), Version::HTTP_11, &HeaderValue::from_static("up"), false);
        assert_eq!(lines(&out), ["content-length: 3", "host: up"]);
    }

    #[test]
    fn a_length_beside_chunked_goes() {
        let sent = fields(&[("content-length", "3"), ("transfer-encoding", "chunked")]);
        assert_eq!(lines(&response(sent.clone(), StatusCode::OK, Version::HTTP_11)), ["transfer-encoding: chunked"]);
        assert!(response(sent.clone(), StatusCode::OK, Version::HTTP_2).is_empty());
    }

    #[test]
    fn a_switch_keeps_its_two_fields_in_their_places() {
        let sent = fields(&[
            ("upgrade", "websocket"),
            ("host", "h"),
            ("connection", "keep-alive, X-Hop, Upgrade"),
            ("x-hop", "1"),
            ("sec-websocket-key", "k"),
        ]);
        let out = request(sent.clone(), Version::HTTP_11, &HeaderValue::from_static("up"), true);
        assert_eq!(lines(&out), ["upgrade: websocket", "host: up", "connection: Upgrade", "sec-websocket-key: k"]);
        let out = response(sent.clone(), StatusCode::SWITCHING_PROTOCOLS, Version::HTTP_11);
        assert!(lines(&out).contains(&"connection: Upgrade".to_owned()));
        assert!(!response(sent.clone(), StatusCode::OK, Version::HTTP_11).contains_key("upgrade"));
    }

    #[test]
    fn cookies_are_joined_only_if_http_2_may_have_split_them() {
        let sent = fields(&[("cookie", "a=1"), ("cookie", "b=2"), ("host", "h")]);
        let host = HeaderValue::from_static("up");
        assert_eq!(lines(&request(sent.clone(), Version::HTTP_2, &host, false)), ["cookie: a=1; b=2", "host: up"]);
        assert_eq!(
            lines(&request(sent.clone(), Version::HTTP_11, &host, false)),
            ["cookie: a=1", "cookie: b=2", "host: up"]
        );
    }

    #[test]
    fn a_response_keeps_repeated_fields_and_chunked_only_for_http_1_1() {
        let sent = fields(&[
            ("server", "x"),
            ("set-cookie", "a"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "timeout=5"),
            ("set-cookie", "b"),
        ]);
        let out = response(sent.clone(), StatusCode::OK, Version::HTTP_11);
        assert_eq!(lines(&out), ["server: x", "set-cookie: a", "set-cookie: b", "transfer-encoding: chunked"]);
        let out = response(sent.clone(), StatusCode::OK, Version::HTTP_2);
        assert_eq!(lines(&out), ["server: x", "set-cookie: a", "set-cookie: b"]);
    }
}
