//! Keyed hashes by which equal secrets are found without reading any.

use super::keys::KeyBytes;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use uuid::Uuid;

/// Bytes of a fingerprint.
pub const FINGERPRINT_BYTES: usize = 32;

/// What the subkey is for; another use of the setting gets another one.
const PURPOSE: &[u8] = b"tiris exchange binding fingerprint v1";

/// Makes fingerprints.
#[derive(Clone)]
pub struct Fingerprints(Hmac<Sha256>);

impl std::fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

impl Fingerprints {
    pub(super) fn new(key: &KeyBytes) -> Option<Self> {
        let mut derive = Hmac::<Sha256>::new_from_slice(key.as_slice()).ok()?;
        derive.update(PURPOSE);
        Hmac::new_from_slice(&derive.finalize().into_bytes()).ok().map(Self)
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
        let mut mac = self.0.clone();
        mac.update(user.as_bytes());
        mac.update(exchange_type.as_bytes());
        // Ends the name: without it `a` + `bc` were the same as `ab` + `c`.
        mac.update(&[0]);
        mac.update(api_key.expose_secret().as_bytes());
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
        let (made, user, other) = (fingerprints(), Uuid::from_u128(1), Uuid::from_u128(2));
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
}
