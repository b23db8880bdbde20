//! A message of a stream.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Length of a fingerprint in bytes.
const FINGERPRINT_BYTES: usize = 16;

/// Header values by name.
pub type Headers = BTreeMap<String, Vec<String>>;

/// A message as stored in its stream.
#[derive(Clone, Debug)]
pub struct Message {
    /// Stored subject, which contains the lane.
    pub subject: String,
    /// Payload as published.
    pub payload: Bytes,
    /// Headers as published.
    pub headers: Headers,
    /// Sequence in the stream.
    pub stream_seq: u64,
    /// When the broker stored it, in nanoseconds since 1970.
    pub broker_time: i64,
}

impl Message {
    /// Returns a hash that differs from that of any other message which may get the same sequence.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(self.subject.len().to_be_bytes());
        hash.update(&self.subject);
        hash.update(self.broker_time.to_be_bytes());
        hash.update(&self.payload);
        hash.finalize()[..FINGERPRINT_BYTES].to_vec()
    }

    /// Returns its size for the limits of a batch, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let headers = self
            .headers
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| name.len() + value.len()));
        self.subject.len() + self.payload.len() + headers.sum::<usize>()
    }
}

/// Returns nanoseconds since 1970. They cover 1677 to 2262; no broker reports a time outside that range.
pub(super) fn nanoseconds(time: time::OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}
