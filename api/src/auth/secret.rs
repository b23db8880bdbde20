//! Secrets made here: refresh tokens, states and nonces of logins.
//!
//! Owns: making and hashing them. Must not know: what they open.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Random bytes of a secret: more than anybody can guess, so a plain hash is enough.
const SECRET_BYTES: usize = 32;

/// A secret nobody has seen yet.
pub(crate) fn make() -> SecretString {
    URL_SAFE_NO_PAD
        .encode(rand::random::<[u8; SECRET_BYTES]>())
        .into()
}

/// What the database keeps of it.
pub(crate) fn hash(secret: &SecretString) -> [u8; 32] {
    Sha256::digest(secret.expose_secret()).into()
}

/// Whether `challenge` is the base64url SHA-256 of `verifier`.
pub(crate) fn answers(verifier: &str, challenge: &str) -> bool {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == challenge
}
