//! The keys of a process, as given or from a file.

use super::cipher::KeyRing;
use super::fingerprint::Fingerprints;
use super::keys::{generate, parse_key, parse_keys};
use crate::config::Environment;
use crate::private_file;
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

pub(super) const KEYS: &str = "TIRIS_ENCRYPTION_KEYS";
pub(super) const FINGERPRINT: &str = "TIRIS_FINGERPRINT_KEY";
/// What the id of a key begins with that is made for a developer.
pub(super) const DEV_ID: &str = "dev-";

/// What encrypts and finds the secrets of a process.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Encrypts and decrypts.
    pub ring: Arc<KeyRing>,
    /// Finds equal ones.
    pub fingerprints: Fingerprints,
}

/// Which keys there are: the checked `EncryptionArgs`.
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

impl EncryptionConfig {
    /// Reads the keys. A missing file is made when this is a developer's machine.
    pub fn load(&self, environment: Environment) -> Result<Secrets, SecretsError> {
        let keys = given(&self.keys);
        let fingerprint = given(&self.fingerprint_key);
        let file = match &self.file {
            Some(file) if keys.is_none() || fingerprint.is_none() => read(file, environment)?,
            _ => Zeroizing::default(),
        };
        let missing = |name| SecretsError::Wrong(name, "is required".to_owned());
        let value = |given: Option<Zeroizing<String>>, name| {
            let value = given.or_else(|| value_in(&file, name));
            value.ok_or_else(|| missing(name))
        };
        let keys = value(keys, KEYS)?;
        let fingerprint = value(fingerprint, FINGERPRINT)?;

        let wrong = |name| move |why| SecretsError::Wrong(name, why);
        let keys = parse_keys(&keys).map_err(wrong(KEYS))?;
        let fingerprint = parse_key(&fingerprint).map_err(wrong(FINGERPRINT))?;

        let ring = KeyRing::new(&keys).ok_or_else(|| missing(KEYS))?;
        let fingerprints = Fingerprints::new(&fingerprint).ok_or_else(|| missing(FINGERPRINT))?;

        Ok(Secrets {
            ring: Arc::new(ring),
            fingerprints,
        })
    }
}

fn given(text: &SecretString) -> Option<Zeroizing<String>> {
    let text = text.expose_secret().trim();
    (!text.is_empty()).then(|| Zeroizing::new(text.to_owned()))
}

/// The text of a file of keys, which is made when it is missing on a developer's machine.
fn read(file: &Path, environment: Environment) -> Result<Zeroizing<String>, SecretsError> {
    if environment == Environment::Dev && !file.exists() {
        create(file)?;
    }
    let text = std::fs::read_to_string(file).map_err(failed("read", file))?;
    Ok(Zeroizing::new(text))
}

/// The value of `NAME=value`.
pub(super) fn value_in(text: &str, name: &str) -> Option<Zeroizing<String>> {
    let value = text.lines().find_map(|line| {
        let value = line.trim().strip_prefix(name)?.trim_start();
        value.strip_prefix('=').map(str::trim)
    });
    let value = value.filter(|value| !value.is_empty())?;
    Some(Zeroizing::new(value.to_owned()))
}

fn failed(action: &'static str, file: &Path) -> impl FnOnce(std::io::Error) -> SecretsError {
    move |source| SecretsError::File {
        action,
        file: file.display().to_string(),
        source,
    }
}

/// Makes a file of keys, unless another process has made it meanwhile.
pub(super) fn create(file: &Path) -> Result<(), SecretsError> {
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
