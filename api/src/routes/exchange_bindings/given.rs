//! Credentials in requests, with their limits.

use super::credentials::{Credentials, StoredCredentials};
use crate::http::secret::{Secret, SecretRule};
use crate::routes::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use tiris_domain::states::ExchangeType;
use tiris_runtime::crypto::CryptoError;

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

    /// Without `*`, so that a masked key that is sent back cannot replace the real one.
    fn allows(character: char) -> bool {
        character.is_ascii_graphic() && character != '*'
    }
}

#[derive(Clone, Debug)]
pub(in crate::routes) struct ApiSecretRule;

impl SecretRule for ApiSecretRule {
    // Some exchanges issue a private key in PEM.
    const CHARS_MAX: usize = 4_096;
    const ALLOWED: &'static str = "visible ASCII characters, blanks and line ends";

    fn allows(character: char) -> bool {
        character.is_ascii_graphic() || " \r\n".contains(character)
    }
}

#[derive(Clone, Debug)]
pub(in crate::routes) struct PassphraseRule;

impl SecretRule for PassphraseRule {
    const CHARS_MAX: usize = 256;
    const ALLOWED: &'static str = "characters that can be printed";

    fn allows(character: char) -> bool {
        !character.is_control()
    }
}

/// The credentials of a request, each of which may be missing.
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

    /// Fills what is not given with credentials of the free JSON.
    pub(in crate::routes) fn or(self, in_info: Self) -> Self {
        Self {
            api_key: self.api_key.or(in_info.api_key),
            api_secret: self.api_secret.or(in_info.api_secret),
            passphrase: self.passphrase.or(in_info.passphrase),
        }
    }

    /// Drops those that are stored already: a client that sends the free JSON back changes nothing.
    pub(super) fn other_than(self, stored: StoredCredentials<'_>) -> Self {
        let is_other = |given: &SecretString, stored: Result<Option<SecretString>, CryptoError>| {
            let stored = stored.ok().flatten();
            stored.is_none_or(|stored| stored.expose_secret() != given.expose_secret())
        };
        let api_key = |given: &SecretString| is_other(given, stored.api_key());
        let api_secret = |given: &SecretString| is_other(given, stored.api_secret());
        let passphrase = |given: &SecretString| is_other(given, stored.passphrase());

        Self {
            api_key: self.api_key.filter(api_key),
            api_secret: self.api_secret.filter(api_secret),
            passphrase: self.passphrase.filter(passphrase),
        }
    }

    /// Returns the name of the first field that was given.
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

    /// Checks that key and secret are given; only a virtual binding may have no credentials.
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

    /// Completes the given credentials with the stored ones. Replaced credentials are not decrypted, so that new ones can
    /// be set after the old ones are lost.
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
            // The exchange needs no passphrase, so an unreadable one does not matter.
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

/// Returns the stored credential of a field, or an error that asks for it again if it cannot be decrypted.
fn readable(
    field: &'static str,
    opened: Result<Option<SecretString>, CryptoError>,
) -> Result<Option<SecretString>> {
    opened.map_err(|_| {
        Error::invalid(
            field,
            "must be given again: the stored value cannot be decrypted",
        )
    })
}
