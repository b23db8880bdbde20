//! Failures of JetStream as errors.

use tiris_store::error::Error;

/// A failure of JetStream, which is transient.
pub fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Unavailable {
        what: "NATS JetStream",
        source: error.into(),
    }
}
