//! Keyed hashes by which equal secrets are found without reading any.

use super::keys::KeyBytes;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use uuid::Uuid;

/// Bytes of a fingerprint.
pub const FINGERPRINT_BYTES: usize = 32;

/// What each subkey is for; another use of the setting gets another one.
const API_KEYS: &[u8] = b"tiris exchange binding fingerprint v1";
const BODIES: &[u8] = b"tiris request body v1";

/// Makes fingerprints.
#[derive(Clone, Debug)]
pub struct Fingerprints {
    api_keys: Hmac<Sha256>,
    bodies: Hmac<Sha256>,
}

impl Fingerprints {
    pub(super) fn new(key: &KeyBytes) -> Option<Self> {
        let subkey = |purpose: &[u8]| {
            let mut derive = Hmac::<Sha256>::new_from_slice(key.as_slice()).ok()?;
            derive.update(purpose);
            Hmac::new_from_slice(&derive.finalize().into_bytes()).ok()
        };
        Some(Self {
            api_keys: subkey(API_KEYS)?,
            bodies: subkey(BODIES)?,
        })
    }

    /// The fingerprint of a user's API key at an exchange. It differs from user to user, so that nobody who reads the
    /// table learns that two of them have the same one.
    #[must_use]
    pub fn of_api_key(
        &self,
        user: Uuid,
        exchange_type: &str,
        api_key: &SecretString,
    ) -> [u8; FINGERPRINT_BYTES] {
        let mut mac = self.api_keys.clone();
        mac.update(user.as_bytes());
        mac.update(exchange_type.as_bytes());
        // Ends the name: without it `a` + `bc` were the same as `ab` + `c`.
        mac.update(&[0]);
        mac.update(api_key.expose_secret().as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// The fingerprint of what a user sent. Bodies hold credentials, which whoever reads a plain hash could guess.
    #[must_use]
    pub fn of_body(&self, user: Uuid, body: &[u8]) -> [u8; FINGERPRINT_BYTES] {
        let mut mac = self.bodies.clone();
        mac.update(user.as_bytes());
        mac.update(body);
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{generate, parse_key};
    use super::*;

    fn fingerprints() -> Fingerprints {
        Fingerprints::new(&parse_key(&generate()).expect("a key")).expect("fingerprints")
    }

    #[test]
    fn equal_keys_of_a_user_at_an_exchange_meet_and_no_others() {
        let made = fingerprints();
        let user = Uuid::from_u128(1);
        let other = Uuid::from_u128(2);
        let first = made.of_api_key(user, "gate", &"abc".into());
        assert_eq!(first, made.of_api_key(user, "gate", &"abc".into()));
        for different in [
            made.of_api_key(other, "gate", &"abc".into()),
            made.of_api_key(user, "kraken", &"abc".into()),
            made.of_api_key(user, "gate", &"abd".into()),
            made.of_api_key(user, "gat", &"eabc".into()),
            fingerprints().of_api_key(user, "gate", &"abc".into()),
        ] {
            assert_ne!(first, different);
        }
    }

    #[test]
    fn bodies_are_told_apart_by_user_and_by_key_and_never_as_api_keys() {
        let made = fingerprints();
        let user = Uuid::from_u128(1);
        let other = Uuid::from_u128(2);
        let first = made.of_body(user, b"{}");
        assert_eq!(first, made.of_body(user, b"{}"));

        for different in [
            made.of_body(other, b"{}"),
            made.of_body(user, b"{ }"),
            fingerprints().of_body(user, b"{}"),
            made.of_api_key(user, "", &"{}".into()),
        ] {
            assert_ne!(first, different);
        }

        assert_ne!(
            made.of_body(user, b"gate\0abc"),
            made.of_api_key(user, "gate", &"abc".into())
        );
    }
}
