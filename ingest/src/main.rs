//! Entry point of `tiris-ingest`: parses the command line and runs the command.

use clap::Parser;
use std::process::ExitCode;
use tiris_ingest::cli::Cli;

/// In the C library's allocator, threads contend when one frees memory that another allocated, as happens with batches.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    tiris_runtime::tls::choose_provider();
    match Cli::parse().run().await {
        Ok(code) => code,
        // The reader of our output, such as `head`, has closed the pipe.
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
