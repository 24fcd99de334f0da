//! Every `proxy.toml` of this repository is read by the real binary, so that none goes stale.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The settings of the root and of each folder in `examples/`.
fn settings() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = std::fs::read_dir(root.join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = examples.map(|folder| folder.join("proxy.toml")).collect();
    files.push(root.join("proxy.toml"));
    files.sort();
    files
}

#[test]
fn every_settings_file_is_valid_and_every_example_explains_itself() {
    let files = settings();
    let named = |name: &str| files.iter().any(|file| file.ends_with(name));
    for name in ["minimal/proxy.toml", "collector/proxy.toml", "many-upstreams/proxy.toml"] {
        assert!(named(name), "{name} is missing from {files:?}");
    }
    for file in &files {
        let mut check = Command::new(env!("CARGO_BIN_EXE_limpid"));
        let out = check.env_clear().arg("check").arg("--config").arg(file).output().unwrap();
        let told = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(0), "{}: {told}", file.display());
        // An example cannot bring its keys along; it warns of nothing else.
        let keys = |line: &str| line.contains(": keys.") && line.contains("that variable is not set");
        assert!(told.lines().all(keys), "{}: {told}", file.display());
        assert!(file.with_file_name("README.md").is_file(), "{} has no README.md beside it", file.display());
    }
}
