//! Makes and shows the keys of access tokens.

use crate::auth::keys::{self, Keys};
use crate::cli::{KeysAction, ShowKeysArgs};
use std::path::Path;
use tiris_runtime::config::{Environment, Problems};

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
    let files = args
        .keys
        .check(service.map(|service| service.environment), &mut problems);
    let files = problems.finish(files)?;
    // As in production, so that showing keys never makes one.
    let keys = Keys::load(&files, Environment::Production)?;
    let (_, signing) = keys.signing();
    println!("signing with {signing}; verified by, as published at /.well-known/jwks.json:");
    println!("{:#}", keys.jwks());
    Ok(())
}
