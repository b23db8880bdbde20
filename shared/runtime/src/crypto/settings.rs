//! Which keys there are, from command line or environment.

use super::keys::{parse_key, parse_keys};
use super::secrets::{DEV_ID, EncryptionConfig, FINGERPRINT, KEYS, value_in};
use crate::config::{Environment, Problems, SecretText};
use secrecy::ExposeSecret;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Where the keys of a developer's machine lie unless told otherwise.
const DEV_FILE: &str = ".tiris/encryption.env";

/// What secrets are encrypted with.
#[derive(clap::Args, Clone, Debug)]
pub struct EncryptionArgs {
    /// Keys that encrypt the credentials of exchanges, as id:base64 of 32 random bytes, separated by commas: the first
    /// one encrypts, all of them decrypt. To rotate: add the new key behind, put it first, run `tiris-api secrets
    /// rotate`, drop the old one; restart all processes after each change
    #[arg(long, env = "TIRIS_ENCRYPTION_KEYS", hide_env_values = true)]
    #[arg(default_value = "", hide_default_value = true, value_name = "KEYS")]
    encryption_keys: SecretText,
    /// Key that finds equal credentials, base64 of 32 random bytes. It is never rotated: with another one, credentials
    /// that are there already are no longer found
    #[arg(long, env = "TIRIS_FINGERPRINT_KEY", hide_env_values = true)]
    #[arg(default_value = "", hide_default_value = true, value_name = "KEY")]
    fingerprint_key: SecretText,
    /// File with these two settings as NAME=value lines, for those that are not given otherwise. Made when missing, but
    /// only with TIRIS_ENV=dev [default there: .tiris/encryption.env]
    #[arg(long, env = "TIRIS_ENCRYPTION_FILE", value_name = "FILE")]
    encryption_file: Option<PathBuf>,
}

impl EncryptionArgs {
    /// Checks the settings, noting every mistake.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<EncryptionConfig> {
        let keys = self.encryption_keys.secret();
        let fingerprint_key = self.fingerprint_key.secret();

        if !self.encryption_keys.is_blank()
            && let Err(why) = parse_keys(keys.expose_secret())
        {
            problems.add(KEYS, why);
        }
        if !self.fingerprint_key.is_blank()
            && let Err(why) = parse_key(fingerprint_key.expose_secret())
        {
            problems.add(FINGERPRINT, why);
        }
        if environment == Some(Environment::Production) {
            self.refuse_development(problems);
        }

        let file = match (&self.encryption_file, environment?) {
            (Some(file), _) => Some(file.clone()),
            (None, Environment::Dev) => Some(DEV_FILE.into()),
            (None, Environment::Production) => {
                self.require_all(problems);
                None
            }
        };

        Some(EncryptionConfig {
            keys,
            fingerprint_key,
            file,
        })
    }

    fn require_all(&self, problems: &mut Problems) {
        const FORM: &str = "base64 of 32 random bytes (openssl rand -base64 32)";
        if self.encryption_keys.is_blank() {
            problems.add(
                KEYS,
                format_args!("is required in production, as id:{FORM}"),
            );
        }
        if self.fingerprint_key.is_blank() {
            problems.add(
                FINGERPRINT,
                format_args!("is required in production: {FORM}"),
            );
        }
    }

    /// Notes keys that were made for a developer. Behind another one such a key only decrypts, so that rotating leads
    /// away from it.
    fn refuse_development(&self, problems: &mut Problems) {
        const WHY: &str = "begins with a key that was made for development (openssl rand -base64 32 makes another one)";
        let is_for_development = |keys: &str| keys.trim().starts_with(DEV_ID);
        if is_for_development(self.encryption_keys.secret().expose_secret()) {
            problems.add(KEYS, WHY);
        }

        let file = self.encryption_file.as_deref();
        let text = file.and_then(|file| std::fs::read_to_string(file).ok());
        let keys = text.and_then(|text| value_in(&Zeroizing::new(text), KEYS));
        if keys.is_some_and(|keys| is_for_development(&keys)) {
            problems.add("TIRIS_ENCRYPTION_FILE", WHY);
        }
    }
}

#[cfg(test)]
mod tests;
