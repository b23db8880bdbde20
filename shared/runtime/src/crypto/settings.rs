//! Which keys there are, from command line, environment or a file.

use super::cipher::KeyRing;
use super::fingerprint::Fingerprints;
use super::keys::{NamedKey, generate, parse_key, parse_keys};
use super::{Secrets, keys::KeyBytes};
use crate::config::{Environment, Problems, SecretText};
use crate::private_file;
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

const KEYS: &str = "TIRIS_ENCRYPTION_KEYS";
const FINGERPRINT: &str = "TIRIS_FINGERPRINT_KEY";
/// Where the keys of a developer's machine lie unless told otherwise.
const DEV_FILE: &str = ".tiris/encryption.env";
/// What the id of a key begins with that is made for a developer.
const DEV_ID: &str = "dev-";

/// What secrets are encrypted with.
#[derive(clap::Args, Clone, Debug)]
pub struct EncryptionArgs {
    /// Keys that encrypt the credentials of exchanges, as id:base64 of 32 random bytes, separated by commas: the first
    /// one encrypts, all of them decrypt. To rotate: add the new key behind, put it first, run `tiris-api secrets
    /// rotate`, drop the old one; restart all processes after each change
    #[arg(
        long,
        env = "TIRIS_ENCRYPTION_KEYS",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true,
        value_name = "KEYS"
    )]
    encryption_keys: SecretText,
    /// Key that finds equal credentials, base64 of 32 random bytes. It is never rotated: with another one, credentials
    /// that are there already are no longer found
    #[arg(
        long,
        env = "TIRIS_FINGERPRINT_KEY",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true,
        value_name = "KEY"
    )]
    fingerprint_key: SecretText,
    /// File with these two settings as NAME=value lines, for those that are not given otherwise. Made when missing, but
    /// only with TIRIS_ENV=dev [default there: .tiris/encryption.env]
    #[arg(long, env = "TIRIS_ENCRYPTION_FILE", value_name = "FILE")]
    encryption_file: Option<PathBuf>,
}

/// Checked [`EncryptionArgs`].
#[derive(Clone, Debug)]
pub struct EncryptionConfig {
    /// `id:base64,...`, empty when the file has them.
    pub keys: SecretString,
    /// Base64, empty when the file has it.
    pub fingerprint_key: SecretString,
    /// File for what is not given.
    pub file: Option<PathBuf>,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file cannot be read or made.
    #[error("cannot {action} the file of encryption keys {file} (TIRIS_ENCRYPTION_FILE)")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A setting is wrong.
    #[error("{0}: {1}")]
    Wrong(&'static str, String),
}

impl EncryptionArgs {
    /// Checks the settings, noting every mistake.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<EncryptionConfig> {
        let (keys, fingerprint_key) =
            (self.encryption_keys.secret(), self.fingerprint_key.secret());
        let (has_keys, has_fingerprint) = (
            !keys.expose_secret().trim().is_empty(),
            !fingerprint_key.expose_secret().trim().is_empty(),
        );
        if has_keys && let Err(why) = parse_keys(keys.expose_secret()) {
            problems.add(KEYS, why);
        }
        if has_fingerprint && let Err(why) = parse_key(fingerprint_key.expose_secret()) {
            problems.add(FINGERPRINT, why);
        }
        if environment == Some(Environment::Production) {
            self.refuse_development(problems);
        }
        let mut file = self.encryption_file.clone();
        if file.is_none() {
            match environment? {
                Environment::Dev => file = Some(DEV_FILE.into()),
                Environment::Production => {
                    if !has_keys {
                        problems.add(KEYS, "is required in production, as id:base64 of 32 random bytes (openssl rand -base64 32)");
                    }
                    if !has_fingerprint {
                        problems.add(
                            FINGERPRINT,
                            "is required in production: base64 of 32 random bytes (openssl rand -base64 32)",
                        );
                    }
                }
            }
        }
        Some(EncryptionConfig {
            keys,
            fingerprint_key,
            file,
        })
    }
}

impl EncryptionArgs {
    /// Notes keys that were made for a developer. Behind another one such a key only decrypts, so that rotating leads
    /// away from it.
    fn refuse_development(&self, problems: &mut Problems) {
        const WHY: &str = "begins with a key that was made for development (openssl rand -base64 32 makes another one)";
        let is_for_development = |keys: &str| keys.trim().starts_with(DEV_ID);
        if is_for_development(self.encryption_keys.secret().expose_secret()) {
            problems.add(KEYS, WHY);
        }
        let text = self
            .encryption_file
            .as_deref()
            .and_then(|file| std::fs::read_to_string(file).ok());
        let keys = text
            .map(Zeroizing::new)
            .and_then(|text| value_in(&text, KEYS))
            .map(Zeroizing::new);
        if keys.is_some_and(|keys| is_for_development(&keys)) {
            problems.add("TIRIS_ENCRYPTION_FILE", WHY);
        }
    }
}

impl EncryptionConfig {
    /// Reads the keys. A missing file is made when this is a developer's machine.
    pub fn load(&self, environment: Environment) -> Result<Secrets, SecretsError> {
        let given = |text: &SecretString| {
            Some(text.expose_secret().trim().to_owned()).filter(|text| !text.is_empty())
        };
        let (mut keys, mut fingerprint) = (given(&self.keys), given(&self.fingerprint_key));
        if let Some(file) = self
            .file
            .as_deref()
            .filter(|_| keys.is_none() || fingerprint.is_none())
        {
            if environment == Environment::Dev && !file.exists() {
                create(file)?;
            }
            let text = std::fs::read_to_string(file)
                .map(Zeroizing::new)
                .map_err(failed("read", file))?;
            keys = keys.or_else(|| value_in(&text, KEYS));
            fingerprint = fingerprint.or_else(|| value_in(&text, FINGERPRINT));
        }
        let missing = |name| SecretsError::Wrong(name, "is required".to_owned());
        let keys = Zeroizing::new(keys.ok_or_else(|| missing(KEYS))?);
        let fingerprint = Zeroizing::new(fingerprint.ok_or_else(|| missing(FINGERPRINT))?);
        let keys: Vec<NamedKey> =
            parse_keys(&keys).map_err(|why| SecretsError::Wrong(KEYS, why))?;
        let fingerprint: KeyBytes =
            parse_key(&fingerprint).map_err(|why| SecretsError::Wrong(FINGERPRINT, why))?;
        let ring = KeyRing::new(&keys).ok_or_else(|| missing(KEYS))?;
        let fingerprints = Fingerprints::new(&fingerprint).ok_or_else(|| missing(FINGERPRINT))?;
        Ok(Secrets {
            ring: Arc::new(ring),
            fingerprints,
        })
    }
}

/// The value of `NAME=value`.
fn value_in(text: &str, name: &str) -> Option<String> {
    let value = |line: &str| {
        line.trim()
            .strip_prefix(name)?
            .trim_start()
            .strip_prefix('=')
            .map(|value| value.trim().to_owned())
    };
    text.lines()
        .find_map(value)
        .filter(|value| !value.is_empty())
}

fn failed(action: &'static str, file: &Path) -> impl FnOnce(std::io::Error) -> SecretsError {
    move |source| SecretsError::File {
        action,
        file: file.display().to_string(),
        source,
    }
}

/// Makes a file of keys, unless another process has made it meanwhile.
fn create(file: &Path) -> Result<(), SecretsError> {
    // An id of its own: under the same id a key that was made anew would look like the one before.
    let id = format!("{DEV_ID}{:08x}", rand::random::<u32>());
    let text = Zeroizing::new(format!(
        "{KEYS}={id}:{}\n{FINGERPRINT}={}\n",
        *generate(),
        *generate()
    ));
    private_file::create(file, text.as_bytes()).map_err(failed("make", file))?;
    tracing::warn!(file = %file.display(), "made keys for credentials: without this file none can be read again");
    Ok(())
}

#[cfg(test)]
mod tests;
