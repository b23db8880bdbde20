//! Keyed hashes that find equal secrets without decrypting them.

use super::keys::KeyBytes;
use hmac::digest::InvalidLength;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use uuid::Uuid;

/// The purposes of the subkeys; each further use gets its own.
const API_KEYS: &[u8] = b"tiris exchange binding fingerprint v1";
const BODIES: &[u8] = b"tiris request body v1";
const REFRESH_TOKENS: &[u8] = b"tiris refresh token v1";

/// Computes fingerprints.
#[derive(Clone, Debug)]
pub struct Fingerprints {
    api_keys: Hmac<Sha256>,
    bodies: Hmac<Sha256>,
    refresh_tokens: Hmac<Sha256>,
}

impl Fingerprints {
    pub(super) fn new(key: &KeyBytes) -> Result<Self, InvalidLength> {
        let key = Hmac::new_from_slice(key.as_slice())?;
        let subkey = |purpose| Hmac::new_from_slice(&mac(&key, &[purpose]));
        Ok(Self {
            api_keys: subkey(API_KEYS)?,
            bodies: subkey(BODIES)?,
            refresh_tokens: subkey(REFRESH_TOKENS)?,
        })
    }

    /// Returns the fingerprint of a user's API key at an exchange. It differs from user to user, so that a reader of the
    /// table does not learn that two users have the same key.
    #[must_use]
    pub fn of_api_key(&self, user: Uuid, exchange_type: &str, api_key: &SecretString) -> [u8; 32] {
        let exchange_type = exchange_type.as_bytes();
        let api_key = api_key.expose_secret().as_bytes();
        // The zero byte separates the parts: otherwise `a` + `bc` would equal `ab` + `c`.
        let parts = [user.as_bytes().as_slice(), exchange_type, &[0], api_key];
        mac(&self.api_keys, &parts)
    }

    /// Returns the fingerprint of a request body. Bodies contain credentials, which a plain hash would allow to guess.
    #[must_use]
    pub fn of_body(&self, user: Uuid, body: &[u8]) -> [u8; 32] {
        mac(&self.bodies, &[user.as_bytes(), body])
    }

    /// Returns the secret part of the refresh token with this number of a session.
    #[must_use]
    pub fn of_refresh_token(&self, session: Uuid, generation: i32) -> [u8; 32] {
        let parts: [&[u8]; 2] = [session.as_bytes(), &generation.to_be_bytes()];
        mac(&self.refresh_tokens, &parts)
    }

    /// Returns whether this is the secret part of a refresh token, in constant time.
    #[must_use]
    pub fn is_of_refresh_token(&self, session: Uuid, generation: i32, secret: &[u8]) -> bool {
        let mut mac = self.refresh_tokens.clone();
        mac.update(session.as_bytes());
        mac.update(&generation.to_be_bytes());
        mac.verify_slice(secret).is_ok()
    }
}

fn mac(key: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = key.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::super::keys::{generate, parse_key};
    use super::*;

    fn fingerprints() -> Fingerprints {
        Fingerprints::new(&parse_key(&generate()).expect("a key")).expect("fingerprints")
    }

    #[test]
    fn only_equal_keys_of_a_user_at_an_exchange_match() {
        let ours = fingerprints();
        let user = Uuid::from_u128(1);
        let other = Uuid::from_u128(2);
        let first = ours.of_api_key(user, "gate", &"abc".into());
        assert_eq!(first, ours.of_api_key(user, "gate", &"abc".into()));
        for different in [
            ours.of_api_key(other, "gate", &"abc".into()),
            ours.of_api_key(user, "kraken", &"abc".into()),
            ours.of_api_key(user, "gate", &"abd".into()),
            ours.of_api_key(user, "gat", &"eabc".into()),
            fingerprints().of_api_key(user, "gate", &"abc".into()),
        ] {
            assert_ne!(first, different);
        }
    }

    #[test]
    fn fingerprints_of_bodies_depend_on_user_and_key() {
        let ours = fingerprints();
        let user = Uuid::from_u128(1);
        let other = Uuid::from_u128(2);
        let first = ours.of_body(user, b"{}");
        assert_eq!(first, ours.of_body(user, b"{}"));

        for different in [
            ours.of_body(other, b"{}"),
            ours.of_body(user, b"{ }"),
            fingerprints().of_body(user, b"{}"),
            ours.of_api_key(user, "", &"{}".into()),
        ] {
            assert_ne!(first, different);
        }

        assert_ne!(
            ours.of_body(user, b"gate\0abc"),
            ours.of_api_key(user, "gate", &"abc".into())
        );
    }
}
