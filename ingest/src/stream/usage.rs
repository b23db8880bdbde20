//! Reads how much a stream stores, and which of its subjects stores most.

use super::limits::Limit;
use super::unavailable;
use async_nats::jetstream::context::{GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::Info;
use async_nats::jetstream::{self, ErrorCode};
use futures_util::TryStreamExt;
use tiris_domain::event::Kind;
use tiris_domain::lane::EventStream;
use tiris_store::error::Result;

/// The subject of a stream with the most messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fullest {
    /// The subject, with the lane.
    pub subject: String,
    /// Its messages.
    pub messages: u64,
}

/// How much a stream stores, and its configuration.
#[derive(Clone, Debug)]
pub struct Usage {
    /// State and configuration.
    pub info: Info,
    /// The subject with the most messages; None without messages.
    pub fullest: Option<Fullest>,
}

impl Usage {
    /// Returns how much of a limit is used, in thousandths; None for unlimited.
    #[must_use]
    pub fn permille(&self, limit: Limit) -> Option<u64> {
        let used = match limit {
            Limit::Bytes => self.info.state.bytes,
            Limit::MessagesPerSubject => self.fullest.as_ref().map_or(0, |found| found.messages),
            Limit::Age | Limit::MessageBytes | Limit::Replicas => return None,
        };
        let limit = limit.of(&self.info.config)?;
        u64::try_from(u128::from(used) * 1_000 / u128::from(limit)).ok()
    }

    /// Returns how many bytes one user can store in the stream at most; None for unlimited, and for a stream without events.
    #[must_use]
    pub fn user_bytes_max(&self) -> Option<u64> {
        let config = &self.info.config;
        let stream = EventStream::ALL
            .into_iter()
            .find(|stream| stream.name() == config.name)?;
        let kinds = Kind::ALL.into_iter();
        let kinds = kinds.filter(|kind| EventStream::of_kind(*kind) == stream);
        let subjects: u64 = kinds.map(|_| 1).sum();
        let messages = Limit::MessagesPerSubject.of(config)?;
        let bytes = Limit::MessageBytes.of(config)?;

        Some(subjects.saturating_mul(messages).saturating_mul(bytes))
    }
}

/// Reads the usage of a stream; None when it does not exist.
pub async fn usage(jetstream: &jetstream::Context, name: &str) -> Result<Option<Usage>> {
    let stream = match jetstream.get_stream(name).await {
        Ok(stream) => stream,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(unavailable(error)),
    };

    let subjects = stream.info_with_subjects(">").await;
    let mut subjects = subjects.map_err(unavailable)?;
    let mut fullest: Option<Fullest> = None;
    while let Some((subject, messages)) = subjects.try_next().await.map_err(unavailable)? {
        let messages = u64::try_from(messages).unwrap_or(u64::MAX);
        if fullest
            .as_ref()
            .is_none_or(|found| found.messages < messages)
        {
            fullest = Some(Fullest { subject, messages });
        }
    }

    Ok(Some(Usage {
        info: subjects.info,
        fullest,
    }))
}

/// Converts bytes or messages to the float of a gauge, exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}

/// Returns whether a stream does not exist.
pub(super) fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}
