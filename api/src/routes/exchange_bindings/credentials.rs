//! The credentials of a binding: read from a request, sealed for its row, opened again.
//!
//! Owns: their limits, and which column each is sealed for. Must not know: operations, single exchanges.

use crate::http::field::Field;
use crate::http::secret::{Secret, SecretRule};
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

/// An API key in a request.
pub(in crate::routes) type ApiKey = Secret<ApiKeyRule>;
/// An API secret in a request.
pub(in crate::routes) type ApiSecret = Secret<ApiSecretRule>;
/// A passphrase in a request.
pub(in crate::routes) type Passphrase = Secret<PassphraseRule>;

#[derive(Clone, Debug)]
pub(in crate::routes) struct ApiKeyRule;

impl SecretRule for ApiKeyRule {
    const CHARS_MAX: usize = 256;
    const ALLOWED: &'static str = "visible ASCII characters other than '*'";

    /// A masked key that is sent back would replace the real one.
    fn allows(letter: char) -> bool {
        letter.is_ascii_graphic() && letter != '*'
    }
}

#[derive(Clone, Debug)]
pub(in crate::routes) struct ApiSecretRule;

impl SecretRule for ApiSecretRule {
    // Some exchanges give a private key in PEM.
    const CHARS_MAX: usize = 4_096;
    const ALLOWED: &'static str = "visible ASCII characters, blanks and line ends";

    fn allows(letter: char) -> bool {
        letter.is_ascii_graphic() || " \r\n".contains(letter)
    }
}

#[derive(Clone, Debug)]
pub(in crate::routes) struct PassphraseRule;

impl SecretRule for PassphraseRule {
    const CHARS_MAX: usize = 256;
    const ALLOWED: &'static str = "characters that can be printed";

    fn allows(letter: char) -> bool {
        !letter.is_control()
    }
}

/// Credentials in clear, in memory.
#[derive(Clone, Debug)]
pub(in crate::routes) struct Credentials {
    pub(in crate::routes) api_key: SecretString,
    pub(in crate::routes) api_secret: SecretString,
    pub(in crate::routes) passphrase: Option<SecretString>,
}

/// Credentials as a request gives them: any of them may be missing.
#[derive(Clone, Debug, Default)]
pub(in crate::routes) struct GivenCredentials {
    api_key: Option<SecretString>,
    api_secret: Option<SecretString>,
    passphrase: Option<SecretString>,
}

impl GivenCredentials {
    pub(in crate::routes) fn new(
        api_key: Option<Field<ApiKey>>,
        api_secret: Option<Field<ApiSecret>>,
        passphrase: Option<Field<Passphrase>>,
    ) -> Self {
        Self {
            api_key: api_key.map(|given| given.0.into_inner()),
            api_secret: api_secret.map(|given| given.0.into_inner()),
            passphrase: passphrase.map(|given| given.0.into_inner()),
        }
    }

    /// The name of a field that was given.
    pub(in crate::routes) fn any(&self) -> Option<&'static str> {
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
    pub(in crate::routes) fn complete(self, exchange: ExchangeType) -> Result<Option<Credentials>> {
        if exchange == ExchangeType::Virtual && self.any().is_none() {
            return Ok(None);
        }
        let api_key = self.api_key.ok_or(Error::MissingField("api_key".into()))?;
        let api_secret = self
            .api_secret
            .ok_or(Error::MissingField("api_secret".into()))?;
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
        user: UserId,
        exchange: ExchangeType,
    ) -> Result<Option<Credentials>> {
        let open = |column: SecretColumn, stored: &Option<Vec<u8>>| {
            let stored = stored.as_ref();
            stored
                .map(|stored| secrets.ring.decrypt(&column.of(row.id, user.0), stored))
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
        let fingerprint = secrets
            .fingerprints
            .of_api_key(user.0, exchange.as_str(), &self.api_key);
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
