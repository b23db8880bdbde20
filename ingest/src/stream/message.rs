//! A message as the stream keeps it.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Bytes of a fingerprint.
const FINGERPRINT_BYTES: usize = 16;

/// Names with their values.
pub type Headers = BTreeMap<String, Vec<String>>;

/// A message as the stream keeps it.
#[derive(Clone, Debug)]
pub struct Message {
    /// Subject with the lane in it.
    pub subject: String,
    /// Bytes as published.
    pub payload: Bytes,
    /// Headers as published.
    pub headers: Headers,
    /// Its number in the stream.
    pub stream_seq: u64,
    /// When the broker took it, nanoseconds since 1970.
    pub broker_time: i64,
}

impl Message {
    /// Distinguishes this message from any other that may come to stand at its sequence.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(self.subject.len().to_be_bytes());
        hash.update(&self.subject);
        hash.update(self.broker_time.to_be_bytes());
        hash.update(&self.payload);
        hash.finalize()[..FINGERPRINT_BYTES].to_vec()
    }

    /// What it takes of a batch's limit in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let header = |(name, values): (&String, &Vec<String>)| {
            values
                .iter()
                .map(|value| name.len() + value.len())
                .sum::<usize>()
        };
        self.subject.len() + self.payload.len() + self.headers.iter().map(header).sum::<usize>()
    }
}

/// Nanoseconds since 1970; a time outside of their range, 1677 to 2262, is no time of a broker.
pub(super) fn nanoseconds(time: time::OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}
