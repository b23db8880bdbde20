//! Credentials as requests give them, with their limits.

use super::credentials::{Credentials, StoredCredentials};
use crate::http::field::Field;
use crate::http::secret::{Secret, SecretRule};
use secrecy::SecretString;
use tiris_domain::states::ExchangeType;
use tiris_runtime::crypto::CryptoError;
use tiris_store::error::{Error, Result};

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

    /// What was given, and the rest as it is stored. What is replaced is not opened: new credentials are taken also when
    /// the old ones are lost.
    pub(super) fn over(
        self,
        stored: StoredCredentials<'_>,
        exchange: ExchangeType,
    ) -> Result<Option<Credentials>> {
        let api_key = match self.api_key {
            None => readable("api_key", stored.api_key())?,
            given => given,
        };
        let api_secret = match self.api_secret {
            None => readable("api_secret", stored.api_secret())?,
            given => given,
        };
        let passphrase = match self.passphrase {
            // One that nobody asks for is no reason to refuse.
            None if !exchange.has_passphrase() => stored.passphrase().unwrap_or_default(),
            None => readable("passphrase", stored.passphrase())?,
            given => given,
        };

        let merged = Self {
            api_key,
            api_secret,
            passphrase,
        };
        merged.complete(exchange)
    }
}

/// What is stored for a field; it must be given again when it cannot be read.
fn readable(
    field: &'static str,
    opened: Result<Option<SecretString>, CryptoError>,
) -> Result<Option<SecretString>> {
    opened.map_err(|_| {
        Error::invalid(
            field,
            "must be given again: the stored one cannot be read any more",
        )
    })
}
