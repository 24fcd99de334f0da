//! The corpus of the fuzz target `http1`, replayed by the target's own function; and bytes that are nearly HTTP.

#![expect(clippy::panic, reason = "a test fails by panics")]

#[expect(unreachable_pub, reason = "the fuzz crate's module, where it is public")]
#[path = "../../../fuzz/src/http1.rs"]
mod http1;
mod messages;

use std::path::Path;

use proptest::prelude::*;

const REPLIES: &[&str] = &[
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 caf\u{e9}",
    "HTTP/1.1 404",
    "HTTP/1.1 500 ",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 103 Early Hints",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 Not Modified",
];

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

    #[test]
    fn what_is_nearly_http_means_the_same_however_it_is_cut(
        split in 0..40_u8,
        asked in prop_oneof![4 => Just(0_u8), 1 => 1..3_u8],
        raw in prop_oneof![messages::connection(messages::REQUESTS), messages::connection(REPLIES)],
    ) {
        http1::check(&[&[split, asked], &raw[..]].concat());
    }
}
