//! Credentials in the free JSON of a binding, where some clients send and look for them.
//!
//! They are taken out before anything is stored. Rows of earlier versions still hold some in clear text; reading hides them,
//! and a change or `tiris-api secrets rotate` encrypts them.

use super::given::{ApiKey, ApiSecret, GivenCredentials, Passphrase};
use crate::http::secret::{Secret, SecretRule};
use crate::routes::prelude::*;
use secrecy::SecretString;
use serde_json::Value as Json;
use tiris_domain::value::Value as _;

/// The key under which clients look for the passphrase.
pub(crate) const PASSPHRASE: &str = "passphrase";
/// The keys of each credential with the name of the field in errors: ours, in camel case, and those of ccxt.
static API_KEY_KEYS: [(&str, &str); 2] = [("api_key", "info.api_key"), ("apiKey", "info.apiKey")];
static API_SECRET_KEYS: [(&str, &str); 3] = [
    ("api_secret", "info.api_secret"),
    ("apiSecret", "info.apiSecret"),
    ("secret", "info.secret"),
];
static PASSPHRASE_KEYS: [(&str, &str); 2] = [
    (PASSPHRASE, "info.passphrase"),
    ("password", "info.password"),
];

/// Returns all keys of credentials.
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    let all = API_KEY_KEYS
        .iter()
        .chain(&API_SECRET_KEYS)
        .chain(&PASSPHRASE_KEYS);
    all.map(|(key, _)| *key)
}

/// Returns whether free JSON holds credentials.
pub(super) fn is_in(info: &Json) -> bool {
    keys().any(|key| info.get(key).is_some())
}

/// Removes all credentials.
pub(super) fn remove(info: &mut Info) {
    for key in keys() {
        info.0.shift_remove(key);
    }
}

/// Returns the passphrase in free JSON of an earlier version.
pub(crate) fn passphrase(info: &Json) -> Option<SecretString> {
    PASSPHRASE_KEYS.iter().find_map(|(key, _)| {
        let given = Passphrase::from_json(info.get(*key)?.clone());
        given.ok().map(Secret::into_inner)
    })
}

/// Takes the credentials out of the free JSON of a request. Empty ones say that there is none.
pub(super) fn take(info: &mut Info) -> Result<GivenCredentials> {
    let api_key: Option<ApiKey> = take_one(info, &API_KEY_KEYS)?;
    let api_secret: Option<ApiSecret> = take_one(info, &API_SECRET_KEYS)?;
    let passphrase: Option<Passphrase> = take_one(info, &PASSPHRASE_KEYS)?;

    Ok(GivenCredentials::new(
        api_key.map(Field),
        api_secret.map(Field),
        passphrase.map(Field),
    ))
}

/// Removes all keys, and returns the first credential that is given.
fn take_one<R: SecretRule>(
    info: &mut Info,
    keys: &[(&'static str, &'static str)],
) -> Result<Option<Secret<R>>> {
    let mut taken = None;
    for (key, field) in keys {
        let given = match info.0.shift_remove(*key) {
            None | Some(Json::Null) => continue,
            Some(Json::String(text)) if text.is_empty() => continue,
            Some(given) => given,
        };
        let given =
            Secret::from_json(given).map_err(|why| Error::invalid(field, why.to_string()))?;
        taken.get_or_insert(given);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_every_spelling_out() {
        let mut info: Info = serde_json::from_value(json!({
            "description": "mine", "api_key": "k", "apiKey": "k", "api_secret": "s", "apiSecret": "s", "secret": "s",
            "passphrase": "p", "password": "p",
        }))
        .expect("free JSON");

        let given = take(&mut info).expect("credentials");

        assert_eq!(info.to_json(), json!({"description": "mine"}));
        assert_eq!(given.any(), Some("api_key"));
    }

    #[test]
    fn an_empty_credential_is_none() {
        let given = json!({"passphrase": "", "password": null});
        let mut info: Info = serde_json::from_value(given).expect("free JSON");

        let given = take(&mut info).expect("nothing");

        assert_eq!(given.any(), None);
        assert!(info.0.is_empty());
    }

    #[test]
    fn an_error_names_the_key_and_not_the_value() {
        let mut info: Info =
            serde_json::from_value(json!({"passphrase": 4711})).expect("free JSON");

        let why = take(&mut info).expect_err("no string").to_string();

        assert!(
            why.contains("info.passphrase") && !why.contains("4711"),
            "{why}"
        );
    }
}
