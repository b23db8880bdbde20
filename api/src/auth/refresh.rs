//! Refresh tokens: opaque, random, kept as hashes only.
//!
//! Owns: hashing them. Must not know: sessions.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// What the database keeps of a token.
pub(crate) fn hash(token: &SecretString) -> [u8; 32] {
    Sha256::digest(token.expose_secret()).into()
}
