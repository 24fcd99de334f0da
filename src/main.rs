//! The `limpid` binary: everything it does is in `limpid-app`. It also chooses the allocator; `Cargo.toml` says why.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    limpid_app::main()
}
