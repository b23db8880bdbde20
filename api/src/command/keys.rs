//! Makes and shows the keys of access tokens.

use crate::auth::keys::{self, Keys};
use crate::settings::KeyArgs;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use tiris_runtime::config::{Environment, Problems, ServiceArgs};

/// What `tiris-api keys` does.
#[derive(Subcommand, Debug)]
pub enum KeysAction {
    /// Make an Ed25519 key in a new file that only its owner can read
    New {
        /// The file, which must not be there yet
        file: PathBuf,
    },
    /// Print the ids and public parts of the keys in TIRIS_JWT_KEY_FILE
    Show(ShowKeysArgs),
}

/// Which keys are shown.
#[derive(Args, Debug)]
pub struct ShowKeysArgs {
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Makes a key file, or prints the public part of those that are configured.
pub fn run(action: &KeysAction) -> anyhow::Result<()> {
    match action {
        KeysAction::New { file } => make(file),
        KeysAction::Show(args) => show(args),
    }
}

fn make(file: &Path) -> anyhow::Result<()> {
    let id = keys::make(file)?;
    println!("made {} with key id {id}", file.display());
    Ok(())
}

fn show(args: &ShowKeysArgs) -> anyhow::Result<()> {
    let mut problems = Problems::default();
    let service = args.service.check("127.0.0.1:0", &mut problems);
    let environment = service.map(|service| service.environment);
    let files = args.keys.check(environment, &mut problems);
    let files = problems.finish(files)?;

    // As in production, so that showing keys never makes one.
    let keys = Keys::load(&files, Environment::Production)?;
    let (_, signing) = keys.signing();

    println!("signing with {signing}; verified by, as published at /.well-known/jwks.json:");
    println!("{:#}", keys.jwks());
    Ok(())
}
