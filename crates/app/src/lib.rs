//! Settings and commands: from flags and proxy.toml to the running process.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
