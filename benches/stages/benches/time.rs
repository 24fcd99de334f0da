//! How long each stage takes: `cargo bench` in this folder. What a stage is stands in `src/lib.rs`.

use limpid_stages::{NAMES, stage as set_up};

fn main() {
    divan::main();
}

#[divan::bench(args = NAMES, sample_size = 200)]
fn stage(bencher: divan::Bencher, name: &str) {
    let Some(mut stage) = set_up(name) else { return };
    bencher.bench_local(|| stage());
}
