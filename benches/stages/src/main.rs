//! `limpid-stages NAME CALLS` goes through one stage so often; without arguments it prints the stages' names.
//!
//! `benches/instructions` runs it under callgrind, which counts inside [`limpid_stages::counted_calls`] alone.

#![expect(clippy::print_stdout, reason = "what it is for")]

use std::process::ExitCode;

use limpid_stages::{NAMES, counted_calls, stage};

/// Buffers have grown, caches are filled, the first token was seen.
const WARM_UP: u32 = 100;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(name) = args.next() else {
        NAMES.iter().for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let calls = args.next().and_then(|n| n.parse().ok());
    let (Some(mut stage), Some(calls)) = (stage(&name), calls) else {
        eprintln!("usage: limpid-stages [NAME CALLS]");
        return ExitCode::FAILURE;
    };
    (0..WARM_UP).for_each(|_| stage());
    counted_calls(&mut *stage, calls);
    ExitCode::SUCCESS
}
