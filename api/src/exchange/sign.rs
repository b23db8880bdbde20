//! The keyed hashes that sign calls.

use hmac::{KeyInit, Mac};

pub(super) type HmacSha256 = hmac::Hmac<sha2::Sha256>;
pub(super) type HmacSha512 = hmac::Hmac<sha2::Sha512>;

pub(super) fn sign<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC accepts a key of any length.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}
