//! Why a secret cannot be encrypted or read.

/// Why a ciphertext cannot be read, or a secret not be encrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// It is shorter than any ciphertext, or its key id is none.
    #[error("a ciphertext is damaged: it is too short or its key id is malformed")]
    Malformed,
    /// Its key is not among those we have.
    #[error("a ciphertext is under the key {0:?}, which TIRIS_ENCRYPTION_KEYS does not name")]
    UnknownKey(String),
    /// It was changed, or belongs to another row, column or user, or its key was replaced under the same id.
    #[error(
        "a ciphertext under the key {0:?} is not authentic: it was changed, or moved here, or that id names another key \
         than before"
    )]
    NotAuthentic(String),
    /// The cipher refuses; it has no other reason than a text beyond its limit.
    #[error("a secret cannot be encrypted")]
    NotEncrypted,
}
