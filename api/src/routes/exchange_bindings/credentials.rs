//! Encryption and decryption of a binding's credentials, each for its own row and column.

use super::in_info;
use secrecy::{ExposeSecret, SecretString};
use tiris_domain::ids::{BindingId, UserId};
use tiris_domain::states::ExchangeType;
use tiris_runtime::crypto::{CryptoError, SecretColumn, Secrets};
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::error::{Error, Result};
use tiris_store::exchange_bindings::SealedCredentials;

/// Characters of an API key that are shown at either end.
const SHOWN_CHARS: usize = 4;
/// Shortest API key of which any character is shown.
const SHOWN_FROM_LENGTH: usize = 16;
const MASK: &str = "****";

/// Credentials in clear text, in memory only.
#[derive(Clone, Debug)]
pub(in crate::routes) struct Credentials {
    pub(in crate::routes) api_key: SecretString,
    pub(in crate::routes) api_secret: SecretString,
    pub(in crate::routes) passphrase: Option<SecretString>,
}

impl Credentials {
    /// Encrypts them for the row `id` of `user`.
    pub(super) fn seal(
        &self,
        secrets: &Secrets,
        id: BindingId,
        user: UserId,
        exchange: ExchangeType,
    ) -> Result<SealedCredentials> {
        let seal = |column: SecretColumn, secret: &SecretString| {
            secrets
                .ring
                .encrypt(&column.of(id.0, user.0), secret)
                .map_err(|error| Error::Internal(error.into()))
        };
        let fingerprints = &secrets.fingerprints;
        let fingerprint = fingerprints.of_api_key(user.0, exchange.as_str(), &self.api_key);
        let passphrase = self.passphrase.as_ref();

        Ok(SealedCredentials {
            api_key: Some(seal(SecretColumn::API_KEY, &self.api_key)?),
            api_secret: Some(seal(SecretColumn::API_SECRET, &self.api_secret)?),
            passphrase: passphrase
                .map(|secret| seal(SecretColumn::PASSPHRASE, secret))
                .transpose()?,
            key_id: Some(secrets.ring.current_id().to_owned()),
            fingerprint: Some(fingerprint.to_vec()),
            masked_api_key: Some(masked(self.api_key.expose_secret())),
        })
    }

    /// Decrypts the credentials of a row, if it has any.
    pub(super) fn open(secrets: &Secrets, row: &Model) -> Result<Option<Self>, CryptoError> {
        let Some(user) = row.user_id.map(UserId) else {
            return Ok(None);
        };
        let stored = StoredCredentials { secrets, row, user };

        let (Some(api_key), Some(api_secret)) = (stored.api_key()?, stored.api_secret()?) else {
            return Ok(None);
        };
        Ok(Some(Self {
            api_key,
            api_secret,
            passphrase: stored.passphrase()?,
        }))
    }
}

/// The encrypted credentials of a row of `user`.
#[derive(Clone, Copy)]
pub(super) struct StoredCredentials<'a> {
    pub(super) secrets: &'a Secrets,
    pub(super) row: &'a Model,
    pub(super) user: UserId,
}

impl StoredCredentials<'_> {
    pub(super) fn api_key(self) -> Result<Option<SecretString>, CryptoError> {
        self.open(SecretColumn::API_KEY, self.row.api_key_encrypted.as_ref())
    }

    pub(super) fn api_secret(self) -> Result<Option<SecretString>, CryptoError> {
        let sealed = self.row.api_secret_encrypted.as_ref();
        self.open(SecretColumn::API_SECRET, sealed)
    }

    pub(super) fn passphrase(self) -> Result<Option<SecretString>, CryptoError> {
        let sealed = self.row.passphrase_encrypted.as_ref();
        let opened = self.open(SecretColumn::PASSPHRASE, sealed)?;
        // A row of an earlier version.
        Ok(opened.or_else(|| in_info::passphrase(&self.row.info)))
    }

    fn open(
        self,
        column: SecretColumn,
        sealed: Option<&Vec<u8>>,
    ) -> Result<Option<SecretString>, CryptoError> {
        let place = column.of(self.row.id, self.user.0);
        let opened = sealed.map(|sealed| self.secrets.ring.decrypt(&place, sealed));

        // For the operator: a key is missing or was replaced, or the row was tampered with.
        opened.transpose().inspect_err(|error| {
            tracing::error!(
                binding_id = %self.row.id,
                error = error as &dyn std::error::Error,
                "stored credentials cannot be decrypted"
            );
        })
    }
}

/// Masks an API key for lists. Keys are visible ASCII, so bytes are characters.
fn masked(api_key: &str) -> String {
    let shown = || {
        let start = api_key.get(..SHOWN_CHARS)?;
        let end = api_key.get(api_key.len().checked_sub(SHOWN_CHARS)?..)?;
        Some(format!("{start}{MASK}{end}"))
    };
    shown()
        .filter(|_| api_key.len() >= SHOWN_FROM_LENGTH)
        .unwrap_or_else(|| MASK.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_long_keys_partly_and_short_keys_completely() {
        assert_eq!(masked("vmPUZE6mv9SD5VNHk4HlWFsO"), "vmPU****WFsO");
        assert_eq!(masked("0123456789abcdef"), "0123****cdef");
        for short in ["", "k", "0123456789abcde"] {
            assert_eq!(masked(short), "****");
        }
    }
}
