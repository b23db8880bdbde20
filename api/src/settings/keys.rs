//! Settings of the keys of access tokens.

use crate::auth::keys;
use std::path::PathBuf;
use tiris_runtime::config::{Environment, Problems, entries};

const VARIABLE: &str = "TIRIS_JWT_KEY_FILE";
/// Where the signing key of a developer's machine lies unless told otherwise.
const DEV_KEY_FILE: &str = ".tiris/jwt.pem";

/// Where the keys are that sign access tokens.
#[derive(clap::Args, Clone, Debug)]
pub struct KeyArgs {
    /// Ed25519 key that signs access tokens, a PKCS#8 PEM file; several are separated by commas, the first one signs,
    /// all of them verify. Made when missing, but only with TIRIS_ENV=dev [default there: .tiris/jwt.pem]
    #[arg(long, env = "TIRIS_JWT_KEY_FILE", value_name = "FILE")]
    jwt_key_file: Option<String>,
}

impl KeyArgs {
    /// The files, noting the mistake when there is none.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<Vec<PathBuf>> {
        let named = self.jwt_key_file.as_deref().unwrap_or_default();
        let files: Vec<PathBuf> = entries(named).map(PathBuf::from).collect();
        if environment == Some(Environment::Production) {
            for file in files.iter().filter(|file| keys::is_for_development(file)) {
                let why = "was made for development: make another one with `tiris-api keys new`";
                problems.add(VARIABLE, format_args!("{} {why}", file.display()));
            }
        }

        if !files.is_empty() {
            return Some(files);
        }
        if environment? == Environment::Dev {
            return Some(vec![DEV_KEY_FILE.into()]);
        }
        let why = "is required in production: the file of an Ed25519 key (PKCS#8 PEM)";
        problems.add(VARIABLE, why);
        None
    }
}
