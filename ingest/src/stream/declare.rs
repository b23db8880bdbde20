//! Declares the event streams: creates missing ones, and refuses a stream that would assign users to other lanes. It never
//! changes or deletes an existing stream.

use super::subjects;
use super::unavailable;
use crate::settings::StreamSettings;
use async_nats::jetstream::context::{GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use std::time::Duration;
use tiris_domain::lane::EventStream;
use tiris_store::error::Error;

/// Largest message of a stream in bytes: twice the limit of an event, so that a too long event becomes a dead letter.
pub const MESSAGE_BYTES_MAX: i32 = 128 * 1024;
/// The shortest window that the server allows. Exactly-once does not depend on the broker's deduplication, by which one
/// publisher could suppress the message of another.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);

fn config(stream: EventStream, settings: &StreamSettings) -> Config {
    Config {
        name: stream.name().to_owned(),
        description: Some("Events of the trading bots, declared by tiris-ingest".to_owned()),
        subjects: subjects::published(stream),
        subject_transform: Some(subjects::transform(stream, settings.lanes)),
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        deny_delete: true,
        deny_purge: true,
        max_message_size: MESSAGE_BYTES_MAX,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: settings.replicas,
        max_bytes: settings.max_bytes,
        max_age: match stream {
            EventStream::Trading => settings.trading_max_age,
            EventStream::System => settings.system_max_age,
        },
        ..Config::default()
    }
}

/// Why a stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    /// The stream exists with other lanes or subjects; using it would break the order of a user's events.
    #[error(
        "stream {stream} has a different {what}: found {found}, expected {wanted}. Nothing was changed; set TIRIS_LANES to the \
         number of lanes of the stream, or move to new streams"
    )]
    Disagrees {
        /// Name of the stream.
        stream: &'static str,
        /// The property that differs.
        what: &'static str,
        /// Its value in the stream.
        found: String,
        /// Its value by the settings.
        wanted: String,
    },
    /// NATS is unavailable.
    #[error(transparent)]
    Unavailable(#[from] Error),
}

/// Creates the streams that are missing and checks those that exist.
pub async fn declare(
    jetstream: &jetstream::Context,
    settings: &StreamSettings,
) -> Result<(), DeclareError> {
    for stream in EventStream::ALL {
        let wanted = config(stream, settings);
        let existing = match jetstream.get_stream(stream.name()).await {
            Ok(existing) => existing,
            Err(error) if is_missing(&error) => {
                let created = jetstream.create_stream(wanted.clone()).await;
                // It fails when another worker has just created the stream with other settings.
                let created = created.map_err(unavailable)?;
                tracing::info!(stream = %wanted.name, lanes = settings.lanes, "created the stream");
                created
            }
            Err(error) => return Err(unavailable(error).into()),
        };

        agree(stream, &wanted, &existing.cached_info().config)?;
    }
    Ok(())
}

fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

fn agree(stream: EventStream, wanted: &Config, found: &Config) -> Result<(), DeclareError> {
    let transform = |config: &Config| match &config.subject_transform {
        Some(transform) => format!("{} -> {}", transform.source, transform.destination),
        None => "no lanes".to_owned(),
    };
    let subjects = |config: &Config| {
        let mut subjects = config.subjects.clone();
        subjects.sort_unstable();
        subjects.join(", ")
    };

    for (what, found, wanted) in [
        ("lane transform", transform(found), transform(wanted)),
        ("set of subjects", subjects(found), subjects(wanted)),
    ] {
        if found != wanted {
            return Err(DeclareError::Disagrees {
                stream: stream.name(),
                what,
                found,
                wanted,
            });
        }
    }

    Ok(())
}
