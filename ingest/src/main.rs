//! Entry point of `tiris-ingest`: reads the command line and runs what it asks for.

use clap::Parser;
use std::process::ExitCode;
use tiris_ingest::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        // Somebody installed one before us, which serves as well.
        tracing::debug!("a TLS provider was installed before");
    }
    match Cli::parse().run().await {
        Ok(code) => code,
        // Whoever read our output has seen enough.
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
