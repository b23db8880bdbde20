//! What an event says: its hash, and the texts that no column holds.

use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use std::fmt::{Display, Write};

/// The content of an event as far as it was read. Equal content in the same order gives the same hash.
pub(super) struct Content {
    digest: Sha256,
    /// Fields whose text is kept because no column holds it as it came.
    pub(super) raw: Map<String, Json>,
    /// Room for the text of one value.
    text: String,
}

/// Room for most values without growing.
const TEXT_BYTES: usize = 128;

impl Content {
    pub(super) fn new() -> Self {
        Self {
            digest: Sha256::new(),
            raw: Map::new(),
            text: String::with_capacity(TEXT_BYTES),
        }
    }

    /// Adds a field; the lengths keep neighbouring fields apart.
    pub(super) fn add(&mut self, prefix: &str, name: &str, value: &dyn Display) {
        self.text.clear();
        // Writing to a string cannot fail.
        let _written = write!(self.text, "{value}");

        for part in [prefix, name, &self.text] {
            self.digest.update(part.len().to_be_bytes());
            self.digest.update(part);
        }
    }

    /// The kept texts, and the first 16 bytes of SHA-256 over everything that was added.
    pub(super) fn finish(self) -> (Map<String, Json>, [u8; 16]) {
        let digest = self.digest.finalize();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);

        (self.raw, hash)
    }
}
