//! Random secrets: refresh tokens, states and nonces of logins.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Random bytes of a secret: too many to guess, so a plain hash protects it.
const SECRET_BYTES: usize = 32;

/// Generates a secret.
pub(crate) fn make() -> SecretString {
    let secret: [u8; SECRET_BYTES] = rand::random();
    URL_SAFE_NO_PAD.encode(secret).into()
}

/// Returns the hash that the database stores.
pub(crate) fn hash(secret: &SecretString) -> [u8; 32] {
    Sha256::digest(secret.expose_secret()).into()
}

/// Returns whether `challenge` is the base64url SHA-256 of `verifier`.
pub(crate) fn answers(verifier: &str, challenge: &str) -> bool {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == challenge
}
