//! The corpus of the fuzz targets `request` and `response`, replayed: what fuzzing found once is checked with every
//! run of the tests, whole and split, by the targets' own functions.

#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read fails the test")]

#[expect(unreachable_pub, reason = "the fuzz crate's module, where it is public")]
#[path = "../../../fuzz/src/request.rs"]
mod request;
#[expect(unreachable_pub, reason = "the fuzz crate's module, where it is public")]
#[path = "../../../fuzz/src/response.rs"]
mod response;

use std::path::Path;

/// Replays a target's inputs; the name of one that fails stands in the message.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        let outcome = std::panic::catch_unwind(|| check(&input));
        assert!(outcome.is_ok(), "{} fails, see above", path.display());
        inputs += 1;
    }
    assert!(inputs > 5, "{} is nearly empty", folder.display());
}

#[test]
fn responses_of_the_corpus_keep_the_invariants() {
    replay("response", response::check);
}

#[test]
fn requests_of_the_corpus_keep_the_invariants() {
    replay("request", request::check);
}
