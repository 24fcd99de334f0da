//! Settings and commands: from flags and `proxy.toml` to the running process.

pub mod settings;

/// The process.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
