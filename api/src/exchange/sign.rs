//! The keyed hashes exchanges ask for.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use std::time::{SystemTime, UNIX_EPOCH};

/// HMAC-SHA-256.
pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    keyed::<Hmac<Sha256>>(key, message)
}

/// HMAC-SHA-512.
pub(super) fn hmac_sha512(key: &[u8], message: &[u8]) -> Vec<u8> {
    keyed::<Hmac<Sha512>>(key, message)
}

fn keyed<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    // A key of any length will do.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// Milliseconds since 1970 by our clock.
pub(super) fn now_millis() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
