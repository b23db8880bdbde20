//! Entry point of `tiris-api`: reads the command line and runs what it asks for.

use clap::Parser;
use std::process::ExitCode;
use tiris_api::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    // Two crates of the build bring a TLS provider; without a choice the first TLS connection would panic.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("tiris-api: a TLS provider was installed before");
    }
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tiris-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}
