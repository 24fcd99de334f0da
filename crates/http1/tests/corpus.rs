//! The corpus of the fuzz target `http1`, replayed by the target's own function; and bytes that are nearly HTTP.

#![expect(clippy::panic, reason = "a test fails by panics")]

#[expect(unreachable_pub, reason = "the fuzz crate's module, where it is public")]
#[path = "../../../fuzz/src/http1.rs"]
mod http1;

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{Index, select};

#[test]
fn connections_of_the_corpus_mean_the_same_however_they_are_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/http1");
    let mut inputs = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        let outcome = std::panic::catch_unwind(|| http1::check(&input));
        assert!(outcome.is_ok(), "{} fails, see above", path.display());
        inputs += 1;
    }
    assert!(inputs > 5, "{} is nearly empty", folder.display());
}

/// Pieces of messages, of which some may fit together.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = select(vec![
        &b"GET / HTTP/1.1\r\n"[..],
        b"POST /a?b#c HTTP/1.1\r\nHost: x\r\n",
        b"HEAD http://h?q HTTP/1.0\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 103 Early Hints\r\n",
        b"HTTP/1.1 404 caf\xe9\r\n",
        b"HTTP/1.0 200\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"transfer-encoding:\tgzip, CHUNKED \n",
        b"Content-Length: 3\r\n",
        b"CONTENT-length:12\r\n",
        b"Connection: keep-alive\r\n",
        b"connection:close\n",
        b"X-A:\r\n",
        b"Trailer: X-A, X-B\r\n",
        b"Expect: 100-continue\r\n",
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"3\r\nabc\r\n",
        b"00A;x=\"y\"\r\n0123456789\r\n",
        b"1 \t;a\r\n\r\r\n",
        b"0\r\n\r\n",
        b"0\r\nX-A: 1\r\nX-B:\r\n\r\n",
        b"0\r\nX A: 1\r\n\r\n",
        b"abc",
        b"0123456789",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_nearly_http_means_the_same_however_it_is_cut(
        split in 0..40_u8,
        asked in 0..3_u8,
        mut raw in pieces(),
        changes in prop::collection::vec((any::<Index>(), select(&b"\r\n :0;,cC\t\0\xff"[..])), 0..3),
    ) {
        for (at, byte) in changes.into_iter().filter(|_| !raw.is_empty()).collect::<Vec<_>>() {
            let at = at.index(raw.len());
            raw[at] = byte;
        }
        http1::check(&[&[split, asked], &raw[..]].concat());
    }
}
