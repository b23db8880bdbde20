//! Entry point of `tiris-api`.

use clap::Parser;
use std::process::ExitCode;
use tiris_api::cli::Cli;

/// Unlike the C library's allocator, jemalloc does not contend when a thread frees the memory of another.
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
