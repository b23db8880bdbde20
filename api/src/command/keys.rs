//! Generates and prints the keys of access tokens.

use crate::auth::keys::{self, Keys};
use crate::settings::KeyArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use tiris_runtime::config::{Environment, Problems, ServiceArgs};

/// The commands of `tiris-api keys`.
#[derive(Subcommand, Debug)]
pub enum KeysAction {
    /// Generate an Ed25519 key in a new file that only its owner can read
    New {
        /// The file, which must not exist
        file: PathBuf,
    },
    /// Print the ids and public parts of the keys in TIRIS_JWT_KEY_FILE
    Show(ShowKeysArgs),
}

/// Settings of `tiris-api keys show`.
#[derive(Args, Debug)]
pub struct ShowKeysArgs {
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Generates a key file, or prints the public parts of the configured keys.
pub fn run(action: &KeysAction) -> anyhow::Result<()> {
    match action {
        KeysAction::New { file } => {
            let id = keys::generate(file)?;
            println!("generated {} with key id {id}", file.display());
            Ok(())
        }
        KeysAction::Show(args) => show(args),
    }
}

fn show(args: &ShowKeysArgs) -> anyhow::Result<()> {
    let mut problems = Problems::default();
    let service = args.service.check("127.0.0.1:0", &mut problems);
    let environment = service.map(|service| service.environment);
    let files = args.keys.check(environment, &mut problems);
    let files = problems.finish(files)?;

    // As in production, so that no key is generated.
    let keys = Keys::load(&files, Environment::Production)?;
    let (_, signing) = keys.signing();

    println!("signing key: {signing}; verifying keys, as published at /.well-known/jwks.json:");
    println!("{:#}", keys.jwks());
    Ok(())
}
