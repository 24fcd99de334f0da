//! The corpus of the fuzz targets `route`, `settle` and `usage`, replayed by the targets' own functions. It stands here because
//! the proxy is the room that may use both; those of the observers are in `crates/observe/tests/corpus.rs`.

#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read fails the test")]

#[expect(unreachable_pub, dead_code, reason = "the fuzz crate's module, of which the other uses a part")]
#[path = "../../../fuzz/src/response.rs"]
mod response;
#[expect(unreachable_pub, clippy::expect_used, clippy::panic, reason = "a target fails by panics; public in its crate")]
#[path = "../../../fuzz/src/route.rs"]
mod route;
#[expect(unreachable_pub, reason = "the fuzz crate's module, where it is public")]
#[path = "../../../fuzz/src/settle.rs"]
mod settle;
#[expect(unreachable_pub, reason = "the fuzz crate's module, where it is public")]
#[path = "../../../fuzz/src/usage.rs"]
mod usage;

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
fn heads_of_the_corpus_keep_the_invariants() {
    replay("route", route::check);
}

#[test]
fn streams_of_the_corpus_are_asked_and_edited_alike_however_they_come() {
    replay("usage", usage::check);
}

#[test]
fn verdicts_of_the_corpus_keep_the_invariants() {
    replay("settle", settle::check);
}
