//! Secrets at rest: encryption, fingerprints that find equal secrets without decrypting them, and the settings of the keys.
//!
//! A ciphertext is `length of the key id (1 byte) || key id || nonce (24 bytes) || XChaCha20-Poly1305 output`. Its
//! associated data is the place it belongs to, so that a database administrator cannot move a secret to a row, column or
//! user of their own and read it there.
//!
//! A new column with ciphertexts is added to [`SecretColumn`] and to `store::secrets`, which rotates it:
//! `secrets.ring.encrypt(&SecretColumn::ACCESS_TOKEN.of(row, user), &token)`.
//!
//! Fingerprints have their own key, `TIRIS_FINGERPRINT_KEY`, which is never rotated: with an encryption key, a rotation
//! would have to replace every fingerprint while other requests compare them. A leaked fingerprint key decrypts nothing;
//! it only allows testing guesses.

mod cipher;
mod fingerprint;
mod keys;
mod place;
mod settings;

pub use cipher::CryptoError;
pub use fingerprint::Fingerprints;
pub use keys::KeyRing;
pub use place::{Place, SecretColumn};
pub use settings::{EncryptionArgs, EncryptionConfig, Secrets};
