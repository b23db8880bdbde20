//! Credentials in the free JSON of a binding, where some clients send and look for them.
//!
//! They are taken out before anything is stored. Rows of earlier versions still hold some in clear text; reading hides them,
//! and a change or `tiris-api secrets rotate` encrypts them.

use super::given::{ApiKey, ApiSecret, GivenCredentials, Passphrase};
use crate::http::secret::{Secret, SecretRule};
use crate::routes::prelude::*;
use secrecy::SecretString;
use serde_json::{Map, Value as Json};
use tiris_domain::value::Value as _;

/// The key under which clients look for the passphrase.
pub(crate) const PASSPHRASE: &str = "passphrase";
/// The keys of each credential, compared by their letters alone: ours, those of ccxt, and those of the exchanges.
static API_KEY_KEYS: [&str; 2] = ["apikey", "accesskey"];
static API_SECRET_KEYS: [&str; 6] = [
    "apisecret",
    "secret",
    "secretkey",
    "apisecretkey",
    "privatekey",
    "apiprivatekey",
];
static PASSPHRASE_KEYS: [&str; 4] = ["passphrase", "password", "apipassphrase", "apipassword"];
/// Longest key that is compared, in bytes. A client would not find a credential under a longer one.
pub(crate) const KEY_BYTES_MAX: i32 = 64;

/// Returns the letters of all keys of credentials, in lower case.
pub(crate) fn letters_of_keys() -> impl Iterator<Item = &'static str> {
    let all = API_KEY_KEYS
        .iter()
        .chain(&API_SECRET_KEYS)
        .chain(&PASSPHRASE_KEYS);
    all.copied()
}

/// Returns whether a key has these letters, whatever its case and its separators: `apiKey` is `API_KEY`.
fn is_one_of(key: &str, known: &[&str]) -> bool {
    let letters = || key.chars().filter(char::is_ascii_alphanumeric);
    let is_known = |known: &&str| {
        let letters = letters().map(|letter| letter.to_ascii_lowercase());
        letters.eq(known.chars())
    };
    let is_short = i32::try_from(key.len()).is_ok_and(|length| length <= KEY_BYTES_MAX);
    is_short && known.iter().any(is_known)
}

fn is_credential(key: &str) -> bool {
    let all = [&API_KEY_KEYS[..], &API_SECRET_KEYS, &PASSPHRASE_KEYS];
    all.iter().any(|known| is_one_of(key, known))
}

/// Returns the keys of credentials in free JSON.
pub(crate) fn keys_in(info: &Json) -> Vec<&str> {
    let keys = info.as_object().into_iter().flat_map(Map::keys);
    keys.map(String::as_str)
        .filter(|key| is_credential(key))
        .collect()
}

/// Returns whether free JSON holds credentials.
pub(super) fn is_in(info: &Json) -> bool {
    !keys_in(info).is_empty()
}

/// Removes all credentials.
pub(super) fn remove(info: &mut Info) {
    info.0.retain(|key, _| !is_credential(key));
}

/// Returns the passphrase in free JSON of an earlier version.
pub(crate) fn passphrase(info: &Json) -> Option<SecretString> {
    info.as_object()?.iter().find_map(|(key, value)| {
        let named = is_one_of(key, &PASSPHRASE_KEYS).then(|| value.clone())?;
        let given = Passphrase::from_json(named);
        given.ok().map(Secret::into_inner)
    })
}

/// Takes the credentials out of the free JSON of a request. Empty ones say that there is none.
pub(in crate::routes) fn take(info: &mut Info) -> Result<GivenCredentials> {
    let api_key: Option<ApiKey> = take_one(info, &API_KEY_KEYS)?;
    let api_secret: Option<ApiSecret> = take_one(info, &API_SECRET_KEYS)?;
    let passphrase: Option<Passphrase> = take_one(info, &PASSPHRASE_KEYS)?;
    for value in info.0.values() {
        refuse_within(value)?;
    }

    Ok(GivenCredentials::new(
        api_key.map(Field),
        api_secret.map(Field),
        passphrase.map(Field),
    ))
}

/// Removes all keys of a credential, and returns the first one that is given.
fn take_one<R: SecretRule>(info: &mut Info, known: &[&str]) -> Result<Option<Secret<R>>> {
    let mut given = Vec::new();
    info.0.retain(|key, value| {
        let is_known = is_one_of(key, known);
        if is_known {
            given.push((key.clone(), value.take()));
        }
        !is_known
    });

    let mut taken = None;
    for (key, value) in given {
        if is_empty(&value) {
            continue;
        }
        let secret = Secret::from_json(value).map_err(|why| Error::InvalidValue {
            field: format!("info.{key}").into(),
            why: why.to_string(),
        })?;
        taken.get_or_insert(secret);
    }
    Ok(taken)
}

fn is_empty(value: &Json) -> bool {
    value.is_null() || value == ""
}

/// Fails when a part of free JSON holds a credential. Clients look for credentials in the object itself.
fn refuse_within(value: &Json) -> Result<()> {
    if let Json::Array(items) = value {
        return items.iter().try_for_each(refuse_within);
    }

    for (key, value) in value.as_object().into_iter().flatten() {
        if is_credential(key) && !is_empty(value) {
            let why = format!(
                "must not hold credentials in its parts (given: {key}): send them as api_key, api_secret and passphrase"
            );
            return Err(Error::invalid("info", why));
        }
        refuse_within(value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_every_spelling_out() {
        let mut info: Info = serde_json::from_value(json!({
            "description": "mine", "api_key": "k", "apiKey": "k", "api_secret": "s", "apiSecret": "s", "secret": "s",
            "passphrase": "p", "password": "p", "passPhrase": "p", "API_KEY": "k", "secretKey": "s", "private-key": "s",
        }))
        .expect("free JSON");

        let given = take(&mut info).expect("credentials");

        assert_eq!(info.to_json(), json!({"description": "mine"}));
        assert_eq!(given.any(), Some("api_key"));
    }

    #[test]
    fn refuses_a_credential_in_a_part() {
        for part in [
            json!({"okx": {"passphrase": "p"}}),
            json!({"all": [1, {"deep": {"API_Secret": "s"}}]}),
        ] {
            let mut info: Info = serde_json::from_value(part).expect("free JSON");

            let why = take(&mut info).expect_err("refused").to_string();

            assert!(why.contains("api_secret and passphrase"), "{why}");
        }
    }

    #[test]
    fn keeps_what_only_resembles_a_credential() {
        let given = json!({"secretary": "Ann", "password_hint": "none", "parts": {"key": "a", "secret": ""}});
        let mut info: Info = serde_json::from_value(given.clone()).expect("free JSON");

        let taken = take(&mut info).expect("nothing");

        assert_eq!(taken.any(), None);
        assert_eq!(info.to_json(), given);
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
