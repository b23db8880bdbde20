//! The content of an event: its hash, and the texts that no column stores.

use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use std::fmt::{Display, Write};

/// The content of an event read so far. Equal content in the same order gives the same hash.
pub(super) struct Content {
    digest: Sha256,
    /// Texts of fields that no column stores as given.
    pub(super) raw: Map<String, Json>,
    /// A buffer for the text of one value.
    text: String,
}

/// Fits most values without growing.
const TEXT_BYTES: usize = 128;

impl Content {
    pub(super) fn new() -> Self {
        Self {
            digest: Sha256::new(),
            raw: Map::new(),
            text: String::with_capacity(TEXT_BYTES),
        }
    }

    /// Adds a field with the lengths of its parts, which separate neighbouring fields.
    pub(super) fn add(&mut self, prefix: &str, name: &str, value: &dyn Display) {
        self.text.clear();
        // Writing to a string cannot fail.
        let _written = write!(self.text, "{value}");

        for part in [prefix, name, &self.text] {
            self.digest.update(part.len().to_be_bytes());
            self.digest.update(part);
        }
    }

    /// Returns the raw texts, and the first 16 bytes of SHA-256 over all fields.
    pub(super) fn finish(self) -> (Map<String, Json>, [u8; 16]) {
        let digest = self.digest.finalize();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);

        (self.raw, hash)
    }
}
