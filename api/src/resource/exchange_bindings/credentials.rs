//! The credentials of a binding: read from a request, sealed for its row, opened again.
//!
//! Owns: their limits, and which column each is sealed for. Must not know: operations, single exchanges.

use super::object::ExchangeType;
use crate::fields::Fields;
use secrecy::{ExposeSecret, SecretString};
use tiris_runtime::crypto::{CryptoError, SecretColumn, Secrets};
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Longest API key and passphrase, in characters.
const KEY_LENGTH_MAX: usize = 256;
/// Longest API secret, in characters: some exchanges give a private key in PEM.
const SECRET_LENGTH_MAX: usize = 4_096;
/// Characters of an API key that are shown at either end.
const SHOWN_CHARS: usize = 4;
/// Shortest API key of which any character is shown.
const SHOWN_FROM_LENGTH: usize = 16;
const MASK: &str = "****";

/// Credentials in clear, in memory.
#[derive(Clone, Debug)]
pub(in crate::resource) struct Credentials {
    pub(in crate::resource) api_key: SecretString,
    pub(in crate::resource) api_secret: SecretString,
    pub(in crate::resource) passphrase: Option<SecretString>,
}

/// Credentials as a request gives them: any of them may be missing.
#[derive(Clone, Debug, Default)]
pub(in crate::resource) struct GivenCredentials {
    pub(in crate::resource) api_key: Option<SecretString>,
    pub(in crate::resource) api_secret: Option<SecretString>,
    pub(in crate::resource) passphrase: Option<SecretString>,
}

impl GivenCredentials {
    /// Takes the three fields.
    pub(in crate::resource) fn take(fields: &mut Fields) -> Result<Self> {
        // A masked key that is sent back would replace the real one.
        let key = (
            |c: char| c.is_ascii_graphic() && c != '*',
            "visible ASCII characters other than '*'",
        );
        let secret = (
            |c: char| c.is_ascii_graphic() || " \r\n".contains(c),
            "visible ASCII characters, blanks and line ends",
        );
        let passphrase = (|c: char| !c.is_control(), "characters that can be printed");
        Ok(Self {
            api_key: fields.secret("api_key", KEY_LENGTH_MAX, (key.0, key.1))?,
            api_secret: fields.secret("api_secret", SECRET_LENGTH_MAX, (secret.0, secret.1))?,
            passphrase: fields.secret(
                "passphrase",
                KEY_LENGTH_MAX,
                (passphrase.0, passphrase.1),
            )?,
        })
    }

    /// The name of a field that was given.
    pub(in crate::resource) fn any(&self) -> Option<&'static str> {
        let given = [
            ("api_key", &self.api_key),
            ("api_secret", &self.api_secret),
            ("passphrase", &self.passphrase),
        ];
        given
            .into_iter()
            .find(|(_, value)| value.is_some())
            .map(|(name, _)| name)
    }

    /// Key and secret of a new binding; a virtual one may have none.
    pub(in crate::resource) fn complete(
        self,
        exchange: ExchangeType,
    ) -> Result<Option<Credentials>> {
        if matches!(exchange, ExchangeType::Virtual) && self.any().is_none() {
            return Ok(None);
        }
        let api_key = self.api_key.ok_or(Error::MissingField("api_key"))?;
        let api_secret = self.api_secret.ok_or(Error::MissingField("api_secret"))?;
        Ok(Some(Credentials {
            api_key,
            api_secret,
            passphrase: self.passphrase,
        }))
    }

    /// What was given, and the rest as it is in the row. What is replaced is not opened: new credentials are taken
    /// also when the old ones are lost.
    pub(super) fn over(
        self,
        secrets: &Secrets,
        row: &Model,
        user: Uuid,
        exchange: ExchangeType,
    ) -> Result<Option<Credentials>> {
        let open = |column: SecretColumn, stored: &Option<Vec<u8>>| {
            let stored = stored.as_ref();
            stored
                .map(|stored| secrets.ring.decrypt(&column.of(row.id, user), stored))
                .transpose()
        };
        let kept =
            |given: Option<SecretString>, field, column, stored: &Option<Vec<u8>>| match given {
                Some(given) => Ok(Some(given)),
                None => open(column, stored).map_err(|error| {
                    log_unreadable(row, &error);
                    Error::invalid(
                        field,
                        "must be given again: the stored one cannot be read any more",
                    )
                }),
            };
        let api_key = kept(
            self.api_key,
            "api_key",
            SecretColumn::API_KEY,
            &row.api_key_encrypted,
        )?;
        let api_secret = kept(
            self.api_secret,
            "api_secret",
            SecretColumn::API_SECRET,
            &row.api_secret_encrypted,
        )?;
        let passphrase = match self.passphrase {
            // One that nobody asks for is no reason to refuse.
            None if !exchange.asks_for_passphrase() => {
                open(SecretColumn::PASSPHRASE, &row.passphrase_encrypted).unwrap_or_default()
            }
            given => kept(
                given,
                "passphrase",
                SecretColumn::PASSPHRASE,
                &row.passphrase_encrypted,
            )?,
        };
        let merged = Self {
            api_key,
            api_secret,
            passphrase,
        };
        merged.complete(exchange)
    }
}

/// What the columns of a row hold.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    pub(super) api_key: Option<Vec<u8>>,
    pub(super) api_secret: Option<Vec<u8>>,
    pub(super) passphrase: Option<Vec<u8>>,
    pub(super) key_id: Option<String>,
    pub(super) fingerprint: Option<Vec<u8>>,
    pub(super) masked_api_key: Option<String>,
}

impl Credentials {
    /// Encrypts them for the row `id` of `user`.
    pub(super) fn seal(
        &self,
        secrets: &Secrets,
        (id, user): (Uuid, Uuid),
        exchange: ExchangeType,
    ) -> Result<Sealed> {
        let seal = |column: SecretColumn, secret: &SecretString| {
            secrets
                .ring
                .encrypt(&column.of(id, user), secret)
                .map_err(|error| Error::Internal(error.into()))
        };
        let fingerprint = secrets
            .fingerprints
            .of_api_key(user, exchange.stored(), &self.api_key);
        let passphrase = self.passphrase.as_ref();
        Ok(Sealed {
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

    /// Decrypts those of a row; none when it has none.
    pub(super) fn open(secrets: &Secrets, row: &Model) -> Result<Option<Self>, CryptoError> {
        let (Some(user), Some(api_key), Some(api_secret)) = (
            row.user_id,
            &row.api_key_encrypted,
            &row.api_secret_encrypted,
        ) else {
            return Ok(None);
        };
        let open = |column: SecretColumn, stored: &Vec<u8>| {
            secrets.ring.decrypt(&column.of(row.id, user), stored)
        };
        let passphrase = row.passphrase_encrypted.as_ref();
        let opened = || {
            Ok(Self {
                api_key: open(SecretColumn::API_KEY, api_key)?,
                api_secret: open(SecretColumn::API_SECRET, api_secret)?,
                passphrase: passphrase
                    .map(|stored| open(SecretColumn::PASSPHRASE, stored))
                    .transpose()?,
            })
        };
        opened()
            .map(Some)
            .inspect_err(|error| log_unreadable(row, error))
    }
}

/// For the operator: a key is missing or was replaced, or somebody changed the row.
fn log_unreadable(row: &Model, error: &CryptoError) {
    tracing::error!(binding_id = %row.id, error = error as &dyn std::error::Error, "stored credentials cannot be read");
}

/// An API key as lists show it. Visible ASCII, so bytes are characters.
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
    fn a_mask_shows_little_of_a_long_key_and_nothing_of_a_short_one() {
        assert_eq!(masked("vmPUZE6mv9SD5VNHk4HlWFsO"), "vmPU****WFsO");
        assert_eq!(masked("0123456789abcdef"), "0123****cdef");
        for short in ["", "k", "0123456789abcde"] {
            assert_eq!(masked(short), "****");
        }
    }
}
