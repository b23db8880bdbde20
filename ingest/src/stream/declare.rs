//! Declares the event streams: creates missing ones, applies the limits of the settings to existing ones, and refuses a stream
//! that would assign users to other lanes.
//!
//! Only a starting worker applies limits, so that workers with different settings never change a stream in turns: the last start
//! wins, and the log has each change. A change that would delete unread messages is not applied.

use super::limits::{self, Difference, Stored};
use super::usage::{is_missing, usage};
use super::{first_from, message, subjects, unavailable};
use crate::connection::Connection;
use crate::settings::StreamSettings;
use async_nats::jetstream;
use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use sqlx::PgPool;
use std::time::Duration;
use time::OffsetDateTime;
use tiris_domain::lane::EventStream;
use tiris_store::error::{Error, Result as StoreResult};
use tiris_store::lanes;

/// The shortest window that the server allows. Exactly-once does not depend on the broker's deduplication, by which one
/// publisher could suppress the message of another.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);

/// Returns the configuration of a stream by the settings.
#[must_use]
pub fn config_of(stream: EventStream, settings: &StreamSettings) -> Config {
    let limits = &settings.limits;

    Config {
        name: stream.name().to_owned(),
        description: Some("Events of the trading bots, declared by tiris-ingest".to_owned()),
        subjects: subjects::published(stream),
        subject_transform: Some(subjects::transform(stream, settings.lanes)),
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        deny_delete: true,
        deny_purge: true,
        max_message_size: limits.message_bytes,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: limits.replicas,
        max_bytes: limits.max_bytes,
        max_messages_per_subject: limits.messages_per_subject,
        // The server refuses the flag without a limit.
        discard_new_per_subject: limits.messages_per_subject > 0,
        max_age: match stream {
            EventStream::Trading => limits.trading_max_age,
            EventStream::System => limits.system_max_age,
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
    /// NATS or the database is unavailable.
    #[error(transparent)]
    Unavailable(#[from] Error),
}

/// Creates the streams that are missing, checks those that exist, and applies the limits of the settings to them.
pub async fn declare(
    pool: &PgPool,
    connection: &Connection,
    settings: &StreamSettings,
) -> Result<(), DeclareError> {
    let jetstream = &connection.jetstream;

    for stream in EventStream::ALL {
        let wanted = config_of(stream, settings);
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

        let found = &existing.cached_info().config;
        agree(stream, &wanted, found)?;
        let differences = limits::differences(found, &wanted);
        if differences.iter().any(Difference::is_narrower) {
            let stored = stored(pool, connection, stream).await?;
            apply(jetstream, found, &wanted, Some(&stored)).await?;
        } else {
            apply(jetstream, found, &wanted, None).await?;
        }
    }
    Ok(())
}

/// Applies the limits of `wanted` to an existing stream one by one, so that one which the broker refuses stops no other.
/// `stored` says what narrower limits must leave alone; None when they may delete messages.
///
/// # Errors
/// NATS is unavailable. A limit that is not applied is logged, and the stream keeps its own.
pub(crate) async fn apply(
    jetstream: &jetstream::Context,
    found: &Config,
    wanted: &Config,
    stored: Option<&Stored>,
) -> StoreResult<()> {
    let mut current = found.clone();

    for difference in limits::differences(found, wanted) {
        let stream = &current.name;
        let objection = stored.and_then(|stored| limits::objection(&difference, stored));
        if let Some(why) = objection {
            tracing::warn!(%stream, %difference, why, "kept the limit of the stream");
            continue;
        }

        let mut next = current.clone();
        difference.limit.copy(wanted, &mut next);
        match jetstream.update_stream(&next).await {
            Ok(info) => {
                tracing::info!(%stream, %difference, "changed the limit of the stream to that of the settings");
                current = info.config;
            }
            Err(error) => match error.kind() {
                CreateStreamErrorKind::JetStream(why) => {
                    tracing::warn!(%stream, %difference, %why, "the broker refused a limit of the stream");
                }
                _ => return Err(unavailable(error)),
            },
        }
    }

    Ok(())
}

/// Reads what a stream stores, as far as narrower limits could hurt it.
async fn stored(
    pool: &PgPool,
    connection: &Connection,
    stream: EventStream,
) -> Result<Stored, Error> {
    let Some(usage) = usage(&connection.jetstream, stream.name()).await? else {
        return Ok(Stored::default());
    };
    let created_at = message::nanoseconds(usage.info.created);
    let cursor = lanes::lowest_cursor(pool, stream, created_at).await?;
    let everything = [">".to_owned()];
    let unread = first_from(connection, stream, cursor + 1, &everything).await?;
    let now = message::nanoseconds(OffsetDateTime::now_utc());

    Ok(Stored {
        bytes: usage.info.state.bytes,
        fullest: usage.fullest,
        oldest_unread: unread.map(|unread| {
            let age = now.saturating_sub(unread.broker_time);
            Duration::from_nanos(u64::try_from(age).unwrap_or(0))
        }),
    })
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
