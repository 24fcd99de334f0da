//! Short requests under ever more routes, keys and label sets: what a request and the process come to cost.
//!
//! Each load has a freshly started limpid with everything on and settings written for it; the requests go round through all
//! routes, keys and models. The first load is the smallest, which the others are compared with.

use std::fmt::Write;

use super::{Outcome, traffic};
use crate::contenders::{Contender, Setup, Site};
use crate::load;
use crate::sizes::Sizes;
use crate::wire;

/// What there is many of.
#[derive(Clone, Copy)]
pub(super) enum Load {
    /// Upstreams that are told apart by the path's beginning.
    Paths(usize),
    /// Upstreams that are told apart by the model, for which the body is read ahead.
    Models(usize),
    /// Keys that the settings name, one project each, all in use.
    Keys(usize),
    /// Models in use, and keys, so that each pair has series of its own.
    Labels(usize, usize),
}

/// 2,000 label sets are the default bound, and 200 models, and 200 keys; what goes beyond is told as `other`.
pub(super) const LOADS: [Load; 10] = [
    Load::Paths(1),
    Load::Paths(100),
    Load::Paths(1000),
    Load::Models(1),
    Load::Models(1000),
    Load::Keys(100),
    Load::Keys(10_000),
    Load::Labels(10, 10),
    Load::Labels(100, 10),
    Load::Labels(1000, 10),
];

impl Load {
    pub(super) fn name(&self) -> String {
        match self {
            Load::Paths(1) => "1 route, 1 key, 1 model".to_owned(),
            Load::Paths(n) => format!("{n} routes by path"),
            Load::Models(1) => "1 route by model".to_owned(),
            Load::Models(n) => format!("{n} routes by model"),
            Load::Keys(n) => format!("{n} keys"),
            Load::Labels(models, keys) => format!("{models} models × {keys} keys"),
        }
    }

    fn settings(self, backend: u16) -> String {
        let url = format!("url = \"http://127.0.0.1:{backend}\"\n");
        let mut text = String::new();
        let upstreams = match self {
            Load::Paths(n) | Load::Models(n) => n,
            Load::Keys(_) | Load::Labels(..) => 1,
        };
        // Writing to a String does not fail.
        for at in 0..upstreams {
            let _ = match self {
                Load::Models(_) => writeln!(text, "[upstreams.u{at}]\n{url}models = [\"bench-{at}\"]"),
                _ => writeln!(text, "[upstreams.u{at}]\n{url}path_prefix = \"/r{at}\"\nrewrite_prefix = \"/\""),
            };
        }
        for at in 0..self.keys() {
            let _ = writeln!(text, "[keys.team-{at}]\nenv = \"K{at}\"\nproject = \"p{}\"", at % 100);
        }
        text
    }

    fn keys(self) -> usize {
        match self {
            Load::Paths(_) | Load::Models(_) => 1,
            Load::Keys(n) | Load::Labels(_, n) => n,
        }
    }

    /// As many different requests as it has of what there is many of.
    fn requests(self) -> Vec<Vec<u8>> {
        let of = |path: &str, key: usize, model: &str| wire::short_request_as(path, &format!("sk-{key}"), model);
        match self {
            Load::Paths(n) => (0..n).map(|at| of(&format!("/r{at}"), 0, "bench")).collect(),
            Load::Models(n) => (0..n).map(|at| of("/r0", 0, &format!("bench-{at}"))).collect(),
            Load::Keys(n) => (0..n).map(|at| of("/r0", at, "bench")).collect(),
            Load::Labels(models, keys) => {
                (0..models * keys).map(|at| of("/r0", at % keys, &format!("bench-{}", at / keys))).collect()
            }
        }
    }
}

pub(super) async fn run(contender: &Contender, load: &Load, sizes: &Sizes, site: &Site) -> Outcome {
    let env = (0..load.keys()).map(|at| (format!("K{at}"), format!("sk-{at}"))).collect();
    let setup = Setup { settings: Some(load.settings(site.backend)), env, ..Setup::default() };
    let running = contender.start_with(site, &setup).await?;
    let requests = load::Requests::in_turn(load.requests());
    // Connections, label sets and code are there, in each of the threads that relay.
    load::once_each(running.target, 8, &requests).await?;
    let process = running.process.as_ref().ok_or("the backend itself is not measured")?;
    let memory = process.memory_kib();
    let (mut sample, failure) = traffic::requests(&running, sizes, &requests).await?;
    sample.insert("process_mib", memory as f64 / 1024.0);
    sample.insert("after_mib", process.memory_kib() as f64 / 1024.0);
    Ok((sample, failure))
}
