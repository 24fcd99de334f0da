//! Settings and commands: from flags and `proxy.toml` to the running process.

pub mod check;
pub mod cli;
mod demo;
pub mod inspect_cmd;
mod logging;
pub mod price_cmd;
mod process;
mod serve;
pub mod settings;
mod signals;
pub mod sim_cmd;
mod takeover;
mod threads;
mod wiring;

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::settings::Env;

/// The process.
pub fn main() -> ExitCode {
    let env: Env = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    match Cli::parse().chosen() {
        Command::Check(args) => {
            let colour = check::wants_colour(&env);
            check::run(&args, env, colour).print()
        }
        Command::Inspect(args) => inspect_cmd::run(&args, &mut std::io::stdin(), env, SystemTime::now()).print(),
        Command::Price(args) => price_cmd::run(&args, env, SystemTime::now()).print(),
        Command::Sim(args) => sim_cmd::command(&args),
        Command::Serve(args) => serve::command(&args, env),
        Command::Demo(args) => demo::command(&args, env),
    }
}
