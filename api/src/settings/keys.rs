//! Settings of the keys of access tokens.

use crate::auth::keys;
use std::path::PathBuf;
use tiris_runtime::config::{Environment, Problems, entries};
use tiris_runtime::dev_stack;

const VARIABLE: &str = "TIRIS_JWT_KEY_FILE";
/// The default key file in development, in the folder of the stack.
const DEV_KEY_FILE: &str = "jwt.pem";

/// The keys of access tokens.
#[derive(clap::Args, Clone, Debug)]
pub struct KeyArgs {
    /// Ed25519 keys of access tokens: PKCS#8 PEM files, separated by commas. The first one signs, all of them verify. With
    /// TIRIS_ENV=dev missing files are generated [default there: jwt.pem in TIRIS_DEV_DIR or .tiris]
    #[arg(long, env = "TIRIS_JWT_KEY_FILE", value_name = "FILE")]
    jwt_key_file: Option<String>,
}

impl KeyArgs {
    /// Returns the key files, and adds every mistake to `problems`.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<Vec<PathBuf>> {
        let named = self.jwt_key_file.as_deref().unwrap_or_default();
        let files: Vec<PathBuf> = entries(named).map(PathBuf::from).collect();
        if environment.is_some_and(Environment::is_strict) {
            for file in files.iter().filter(|file| keys::is_for_development(file)) {
                let why = "was generated for development: generate a key with `tiris-api keys new`";
                problems.add(VARIABLE, format_args!("{} {why}", file.display()));
            }
        }

        if !files.is_empty() {
            return Some(files);
        }
        if environment? == Environment::Dev {
            return Some(vec![dev_stack::folder().join(DEV_KEY_FILE)]);
        }
        let why = "is required outside development: a file with an Ed25519 key (PKCS#8 PEM)";
        problems.add(VARIABLE, why);
        None
    }
}
