//! Declares the two streams: creates what is missing, and refuses a stream that would put users into other lanes. It never
//! narrows, deletes or changes what exists.

use super::subjects;
use super::unavailable::unavailable;
use crate::settings::StreamSettings;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use std::time::Duration;
use tiris_domain::lane::EventStream;
use tiris_store::error::Error;

/// Longest message a stream takes, in bytes: twice what an event may have, so that a too long one is kept and told.
pub const MESSAGE_BYTES_MAX: i32 = 128 * 1024;
/// The shortest window the server allows. Broker deduplication is per stream and would let one publisher suppress
/// another's message; exactly-once does not rest on it.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);

fn config(stream: EventStream, settings: &StreamSettings) -> Config {
    Config {
        name: stream.name().to_owned(),
        description: Some("Events of the trading bots; declared by tiris-ingest".to_owned()),
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
    /// It exists with other lanes or subjects; using it would break the order of users' events.
    #[error(
        "stream {stream} exists with another {what}: it has {found}, this worker is set to {wanted}. \
         Set TIRIS_LANES to what the stream has, or move to new streams; nothing was changed"
    )]
    Disagrees {
        /// Name of the stream.
        stream: &'static str,
        /// What differs.
        what: &'static str,
        /// As it is.
        found: String,
        /// As it should be.
        wanted: String,
    },
    /// NATS cannot be asked now.
    #[error(transparent)]
    Unavailable(#[from] Error),
}

/// Creates both streams where they are missing and checks them where they exist.
pub async fn declare(
    jetstream: &jetstream::Context,
    settings: &StreamSettings,
) -> Result<(), DeclareError> {
    for stream in EventStream::ALL {
        declare_one(jetstream, stream, settings).await?;
    }
    Ok(())
}

async fn declare_one(
    jetstream: &jetstream::Context,
    stream: EventStream,
    settings: &StreamSettings,
) -> Result<(), DeclareError> {
    let wanted = config(stream, settings);
    let existing = match jetstream.get_stream(stream.name()).await {
        Ok(existing) => existing,
        Err(error) if is_missing(&error) => create(jetstream, &wanted, settings.lanes).await?,
        Err(error) => return Err(unavailable(error).into()),
    };

    agree(stream, &wanted, &existing.cached_info().config)
}

fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Creates the stream, or returns the one that another worker created meanwhile.
async fn create(
    jetstream: &jetstream::Context,
    wanted: &Config,
    lanes: u16,
) -> Result<jetstream::stream::Stream, Error> {
    let error = match jetstream.create_stream(wanted.clone()).await {
        Ok(created) => {
            tracing::info!(stream = %wanted.name, lanes, "created the stream");
            return Ok(created);
        }
        Err(error) => error,
    };

    let exists = matches!(error.kind(), CreateStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NAME_EXIST);
    if exists {
        jetstream
            .get_stream(&wanted.name)
            .await
            .map_err(unavailable)
    } else {
        Err(unavailable(error))
    }
}

fn agree(stream: EventStream, wanted: &Config, found: &Config) -> Result<(), DeclareError> {
    let transform = |config: &Config| {
        let text = config
            .subject_transform
            .as_ref()
            .map(|t| format!("{} -> {}", t.source, t.destination));
        text.unwrap_or_else(|| "no lanes".to_owned())
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
