//! Secrets at rest: what they are encrypted with, and how two equal ones are found without reading them.
//!
//! Owns: keys, the form of a ciphertext, fingerprints, and the settings that name the keys. Must not know: SQL, HTTP.
//!
//! A ciphertext is `length of the key id (1 byte) || key id || nonce (24 bytes) || XChaCha20-Poly1305 output`. Its
//! associated data is the place it belongs to, so that the database's administrator cannot move a secret to a row,
//! column or user of his own and have it shown to him there.
//!
//! A new column with ciphertexts is named in [`SecretColumn`] and in `store::secrets`, which rotates it:
//! `secrets.ring.encrypt(&SecretColumn::ACCESS_TOKEN.of(row, user), &token)`.
//!
//! Fingerprints have a key of their own, `TIRIS_FINGERPRINT_KEY`, which is never rotated: were they made with an
//! encryption key, every rotation would have to find each secret's fingerprint anew at the moment others compare it.
//! From a lost fingerprint key no secret can be read; one can only try whether a guess is right.

mod cipher;
mod error;
mod fingerprint;
mod keys;
mod place;
mod secrets;
mod settings;

pub use cipher::KeyRing;
pub use error::CryptoError;
pub use fingerprint::{FINGERPRINT_BYTES, Fingerprints};
pub use place::{Place, SecretColumn};
pub use secrets::{EncryptionConfig, Secrets, SecretsError};
pub use settings::EncryptionArgs;
