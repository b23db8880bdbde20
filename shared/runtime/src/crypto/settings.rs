//! Settings of the keys, from the command line or the environment, and loading the keys from them or from a file.

use super::fingerprint::Fingerprints;
use super::keys::{KeyRing, generate, parse_key};
use crate::config::{Environment, Problems};
use crate::dev_stack;
use crate::private_file;
use anyhow::{Context, Error, Result};
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

const KEYS: &str = "TIRIS_ENCRYPTION_KEYS";
const FINGERPRINT: &str = "TIRIS_FINGERPRINT_KEY";
/// The key file of a developer's machine, in the folder of the stack.
const DEV_FILE: &str = "encryption.env";
/// The first characters of the id of a generated development key.
const DEV_ID: &str = "dev-";

/// Settings of the keys.
#[derive(clap::Args, Clone, Debug)]
pub struct EncryptionArgs {
    /// Keys that encrypt exchange credentials, as id:base64 of 32 random bytes, separated by commas: the first one
    /// encrypts, all of them decrypt. To rotate: append the new key, move it to the front, run `tiris-api secrets rotate`,
    /// remove the old key; restart all processes after each change
    #[arg(long, env = "TIRIS_ENCRYPTION_KEYS", hide_env_values = true)]
    #[arg(default_value = "", hide_default_value = true, value_name = "KEYS")]
    encryption_keys: SecretString,
    /// Key that finds equal credentials, base64 of 32 random bytes. Never change it: duplicates of existing credentials
    /// would no longer be found
    #[arg(long, env = "TIRIS_FINGERPRINT_KEY", hide_env_values = true)]
    #[arg(default_value = "", hide_default_value = true, value_name = "KEY")]
    fingerprint_key: SecretString,
    /// File with these two settings as NAME=value lines, for those that are not given otherwise. Created when missing, but
    /// only with TIRIS_ENV=dev [default there: encryption.env in TIRIS_DEV_DIR or .tiris]
    #[arg(long, env = "TIRIS_ENCRYPTION_FILE", value_name = "FILE")]
    encryption_file: Option<PathBuf>,
}

impl EncryptionArgs {
    /// Checks the settings and records every mistake.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<EncryptionConfig> {
        let keys = given(&self.encryption_keys);
        if let Some(why) = keys.as_deref().and_then(|keys| KeyRing::parse(keys).err()) {
            problems.add(KEYS, why);
        }
        let fingerprint = given(&self.fingerprint_key);
        if let Some(why) = fingerprint.as_deref().and_then(|key| parse_key(key).err()) {
            problems.add(FINGERPRINT, why);
        }

        let file = self.encryption_file.clone();
        let file = match environment? {
            Environment::Dev => Some(file.unwrap_or_else(|| dev_stack::folder().join(DEV_FILE))),
            Environment::Staging | Environment::Production => {
                self.check_strict(problems);
                file
            }
        };

        Some(EncryptionConfig {
            keys: self.encryption_keys.clone(),
            fingerprint_key: self.fingerprint_key.clone(),
            file,
        })
    }

    /// Requires keys, and refuses a current key that was generated for development; older ones only decrypt, so that a
    /// rotation can replace them.
    fn check_strict(&self, problems: &mut Problems) {
        const FORM: &str = "base64 of 32 random bytes (openssl rand -base64 32)";
        const WHY: &str = "begins with a key generated for development (openssl rand -base64 32 generates another one)";

        let is_for_development = |keys: &str| keys.trim().starts_with(DEV_ID);
        if is_for_development(self.encryption_keys.expose_secret()) {
            problems.add(KEYS, WHY);
        }

        let Some(file) = &self.encryption_file else {
            if given(&self.encryption_keys).is_none() {
                let why = format_args!("is required outside development, as id:{FORM}");
                problems.add(KEYS, why);
            }
            if given(&self.fingerprint_key).is_none() {
                let why = format_args!("is required outside development: {FORM}");
                problems.add(FINGERPRINT, why);
            }
            return;
        };
        let text = std::fs::read_to_string(file).map(Zeroizing::new).ok();
        let keys = text.and_then(|text| value_in(&text, KEYS));
        if keys.is_some_and(|keys| is_for_development(&keys)) {
            problems.add("TIRIS_ENCRYPTION_FILE", WHY);
        }
    }
}

/// Where the keys come from: the checked [`EncryptionArgs`].
#[derive(Clone, Debug)]
pub struct EncryptionConfig {
    /// `id:base64,...`; empty when the file has them.
    pub keys: SecretString,
    /// Base64; empty when the file has it.
    pub fingerprint_key: SecretString,
    /// File with the settings that are empty.
    pub file: Option<PathBuf>,
}

/// The loaded keys of a process.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Encrypts and decrypts secrets.
    pub ring: Arc<KeyRing>,
    /// Finds equal secrets.
    pub fingerprints: Fingerprints,
}

impl EncryptionConfig {
    /// Loads the keys; in development a missing file is created.
    pub fn load(&self, environment: Environment) -> Result<Secrets> {
        let is_complete = given(&self.keys).is_some() && given(&self.fingerprint_key).is_some();
        let file = match &self.file {
            Some(file) if !is_complete => read(file, environment)?,
            _ => Zeroizing::default(),
        };

        let value = |setting, name| {
            let value = given(setting).or_else(|| value_in(&file, name));
            value.with_context(|| format!("{name}: is required"))
        };
        let keys = value(&self.keys, KEYS)?;
        let fingerprint = value(&self.fingerprint_key, FINGERPRINT)?;

        let wrong = |name| move |why| Error::msg(format!("{name}: {why}"));
        let ring = KeyRing::parse(&keys).map_err(wrong(KEYS))?;
        let fingerprint = parse_key(&fingerprint).map_err(wrong(FINGERPRINT))?;
        Ok(Secrets {
            ring: Arc::new(ring),
            fingerprints: Fingerprints::new(&fingerprint)?,
        })
    }
}

/// Returns the value of a setting; None when it is blank.
fn given(setting: &SecretString) -> Option<Zeroizing<String>> {
    let text = setting.expose_secret().trim();
    (!text.is_empty()).then(|| Zeroizing::new(text.to_owned()))
}

/// Reads the key file; in development creates it when it is missing.
fn read(file: &Path, environment: Environment) -> Result<Zeroizing<String>> {
    if environment == Environment::Dev && !file.exists() {
        create(file)?;
    }
    let text = std::fs::read_to_string(file).with_context(|| cannot("read", file))?;
    Ok(Zeroizing::new(text))
}

/// Returns the value of the line `NAME=value`.
fn value_in(text: &str, name: &str) -> Option<Zeroizing<String>> {
    let value = text.lines().find_map(|line| {
        let value = line.trim().strip_prefix(name)?.trim_start();
        value.strip_prefix('=').map(str::trim)
    });
    let value = value.filter(|value| !value.is_empty())?;
    Some(Zeroizing::new(value.to_owned()))
}

fn cannot(action: &str, file: &Path) -> String {
    let file = file.display();
    format!("cannot {action} the file of encryption keys {file} (TIRIS_ENCRYPTION_FILE)")
}

/// Creates a key file, unless another process has created it meanwhile.
fn create(file: &Path) -> Result<()> {
    // The id is random, so that a new key never has the id of an earlier one.
    let id = format!("{DEV_ID}{:08x}", rand::random::<u32>());
    let text = Zeroizing::new(format!(
        "{KEYS}={id}:{}\n{FINGERPRINT}={}\n",
        *generate(),
        *generate()
    ));
    private_file::create(file, text.as_bytes()).with_context(|| cannot("create", file))?;
    tracing::warn!(file = %file.display(), "created encryption keys; without this file no stored credential can be decrypted");
    Ok(())
}

#[cfg(test)]
mod tests;
