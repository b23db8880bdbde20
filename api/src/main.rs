//! Entry point of `tiris-api`: reads the command line and runs what it asks for.

use clap::Parser;
use std::process::ExitCode;
use tiris_api::cli::Cli;

/// The C library's lets threads wait for each other where one frees what another took, as answers and batches do.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    tiris_runtime::tls::choose_provider();
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tiris-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}
