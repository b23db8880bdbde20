//! Entry point of `tiris-ingest`: reads the command line and runs its command.

use clap::Parser;
use std::process::ExitCode;
use tiris_ingest::cli::Cli;

/// The C library's lets threads wait for each other where one frees what another took, as answers and batches do.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    tiris_runtime::tls::choose_provider();
    match Cli::parse().run().await {
        Ok(code) => code,
        // The reader of our output has gone away.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tiris-ingest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
