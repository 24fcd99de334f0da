//! `limpid sim`: the simulated backend alone, until Ctrl-C or SIGTERM.

use std::process::ExitCode;

use limpid_core::Clock;
use limpid_sim::{Behaviour, InvalidOverride, Overrides, SimConfig, SimServer};

use crate::cli::{Output, SimArgs};
use crate::logging::say;
use crate::serve::long_running;
use crate::signals::Held;

/// `limpid sim`, from its arguments to its end.
pub(crate) fn command(args: &SimArgs) -> ExitCode {
    long_running(|_, held| Err(run(args, held)))
}

/// Serves until it is told to stop.
fn run(args: &SimArgs, held: Held) -> Output {
    crate::serve::allow_open_files();
    let config = match config(args) {
        Ok(config) => config,
        Err(e) => return Output::fault(format_args!("{} must be {}", e.member, e.expected)),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return Output::fault(format_args!("the runtime does not start: {e}")),
    };
    runtime.spawn(held.attend(None, |line| say(&format!("limpid: {line}\n"))));
    runtime.block_on(async {
        match serve(config).await {
            Ok(()) => Output::default(),
            Err(e) => Output::fault(format_args!("cannot listen on {}: {e}", args.listen)),
        }
    })
}

async fn serve(config: SimConfig) -> std::io::Result<()> {
    let server = SimServer::start(config).await?;
    let line = format!("limpid: the simulated backend listens on {}\n", server.url());
    say(&line);
    crate::serve::shutdown_signal().await?;
    server.stop().await;
    Ok(())
}

/// What the command line asks for: `--set` first, the flags over it.
pub fn config(args: &SimArgs) -> Result<SimConfig, InvalidOverride> {
    let millis = |d: humantime::Duration| d.as_secs_f64() * 1e3;
    let flags = Overrides {
        ttft_ms: args.ttft.map(millis),
        gap_ms: args.gap.map(millis),
        jitter_ms: args.jitter.map(millis),
        jitter_seed: args.jitter.map(|_| args.seed),
        tokens: args.tokens,
        tokens_per_chunk: args.tokens_per_chunk,
        reasoning_tokens: args.reasoning_tokens,
        usage: args.usage,
        output: args.output,
        fault: args.fault,
        close_after_reply: args.close_after_reply.then_some(true),
        ..Overrides::default()
    };
    let mut behaviour = Behaviour::default();
    if let Some(set) = &args.set {
        set.apply(&mut behaviour)?;
    }
    flags.apply(&mut behaviour)?;
    Ok(SimConfig { listen: args.listen, behaviour, clock: Clock::system(), seed: args.seed, ..SimConfig::default() })
}
