//! The `limpid` binary: everything it does is in `limpid-app`.

fn main() -> std::process::ExitCode {
    limpid_app::main()
}
