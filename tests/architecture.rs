//! Holds the code to the architecture: the rooms' one-way doors, and the size of files.
//!
//! The table is that of ARCHITECTURE.md. Whoever needs another door changes both, and says why.

#![expect(clippy::expect_used, reason = "a helper of a test fails as the test does")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Room, the rooms that its product code may use, and those that only its tests may use besides.
const DOORS: &[(&str, &[&str], &[&str])] = &[
    ("core", &[], &[]),
    ("observe", &["core"], &[]),
    ("settle", &["core"], &[]),
    ("route", &["core"], &[]),
    ("http1", &[], &[]),
    ("proxy", &["core", "observe", "settle", "route", "http1"], &["testkit", "sim"]),
    ("telemetry", &["core"], &[]),
    ("insight", &["core"], &[]),
    ("admin", &["core", "telemetry", "insight"], &[]),
    ("sim", &["core"], &[]),
    ("app", &["core", "observe", "settle", "route", "proxy", "telemetry", "insight", "admin", "sim"], &["testkit"]),
    ("testkit", &["core", "sim"], &[]),
];

/// Lines of a production file before its tests.
const MAX_LINES: usize = 400;

fn packages() -> Vec<Package> {
    MetadataCommand::new().no_deps().exec().expect("cargo metadata").packages
}

fn room(name: &str) -> Option<&str> {
    name.strip_prefix("limpid-")
}

#[test]
fn rooms_use_only_the_doors_that_the_architecture_names() {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for package in packages() {
        let Some(name) = room(&package.name) else { continue };
        seen.insert(name.to_owned());
        let Some((_, doors, in_tests)) = DOORS.iter().find(|(n, ..)| *n == name) else {
            faults.push(format!("room {name} is not in the table"));
            continue;
        };
        for dependency in &package.dependencies {
            let Some(to) = room(&dependency.name) else { continue };
            let allowed = match dependency.kind {
                DependencyKind::Normal => doors.contains(&to),
                _ => doors.contains(&to) || in_tests.contains(&to),
            };
            if !allowed {
                faults.push(format!("{name} must not use {to}"));
            }
        }
    }
    for (name, ..) in DOORS {
        if !seen.contains(*name) {
            faults.push(format!("room {name} is in the table but not in the workspace"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_binary_is_only_a_door_to_the_app() {
    let root = packages().into_iter().find(|p| p.name.as_str() == "limpid").expect("the root package");
    let rooms: Vec<_> =
        root.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal).filter_map(|d| room(&d.name)).collect();
    assert_eq!(rooms, ["app"]);
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|n| n != "tests") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") && path.file_name().is_some_and(|n| n != "tests.rs") {
            found.push(path);
        }
    }
}

#[test]
fn production_files_fit_in_one_reading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for package in std::fs::read_dir(root.join("crates")).expect("crates/") {
        sources(&package.expect("an entry").path().join("src"), &mut files);
    }
    let long: Vec<_> = files
        .iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(path).expect("a source file");
            let lines = text.lines().take_while(|l| !l.starts_with("#[cfg(test)]")).count();
            (lines > MAX_LINES).then(|| format!("{}: {lines}", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "over {MAX_LINES} lines: {long:#?}");
}

#[test]
fn every_module_says_what_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for package in std::fs::read_dir(root.join("crates")).expect("crates/") {
        sources(&package.expect("an entry").path().join("src"), &mut files);
    }
    let silent: Vec<_> = files
        .into_iter()
        .filter(|path| !std::fs::read_to_string(path).expect("a source file").starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "no `//!` at the top: {silent:#?}");
}
