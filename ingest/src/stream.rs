//! The two streams: their subjects, their lanes, and how they are declared.
//!
//! Owns: the shape of `TRADING` and `TRADING_SYSTEM`. Declaring creates what is missing; it never narrows, deletes or
//! changes what exists, and refuses a stream that would put users into other lanes.

use crate::settings::StreamSettings;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType, SubjectTransform};
use async_nats::jetstream::{self, ErrorCode};
use std::fmt;
use std::time::Duration;
use tiris_domain::event::Kind;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Longest message a stream takes, in bytes: twice what an event may have, so that a too long one is kept and told.
pub const MESSAGE_BYTES_MAX: i32 = 128 * 1024;
/// The shortest window the server allows. Broker deduplication is per stream and would let one publisher suppress
/// another's message; exactly-once does not rest on it.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);

/// A stream of events. Two, because a flood of heartbeats must never delay money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventStream {
    /// Orders and balances.
    Trading,
    /// Errors, signals and heartbeats.
    System,
}

impl fmt::Display for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl EventStream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Trading, Self::System];

    /// The stream that takes events of a kind.
    #[must_use]
    pub const fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::OrderCreated
            | Kind::OrderFilled
            | Kind::OrderCancelled
            | Kind::OrderFailed
            | Kind::BalanceUpdated
            | Kind::BalanceLocked
            | Kind::BalanceUnlocked => Self::Trading,
            Kind::Error | Kind::Signal | Kind::Heartbeat => Self::System,
        }
    }

    /// Its name in JetStream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trading => "TRADING",
            Self::System => "TRADING_SYSTEM",
        }
    }

    /// The subjects bots publish to, with and without a user.
    #[must_use]
    pub fn subjects(self) -> Vec<String> {
        let subjects: &[&str] = match self {
            Self::Trading => &[
                "trading.orders.*",
                "trading.orders.*.*",
                "trading.balance.*",
                "trading.balance.*.*",
            ],
            Self::System => &[
                "trading.errors",
                "trading.errors.*",
                "trading.signals",
                "trading.signals.*",
                "trading.heartbeat",
                "trading.heartbeat.*",
            ],
        };
        subjects
            .iter()
            .map(|subject| (*subject).to_owned())
            .collect()
    }

    /// The transform that puts a user into one of `lanes` lanes.
    #[must_use]
    pub fn transform(self, lanes: u32) -> SubjectTransform {
        let (source, destination) = match self {
            Self::Trading => (
                "trading.*.*.*",
                format!(
                    "trading.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}.{{{{partition({lanes},3)}}}}.{{{{wildcard(3)}}}}"
                ),
            ),
            Self::System => (
                "trading.*.*",
                format!(
                    "trading.{{{{wildcard(1)}}}}.{{{{partition({lanes},2)}}}}.{{{{wildcard(2)}}}}"
                ),
            ),
        };
        SubjectTransform {
            source: source.to_owned(),
            destination,
        }
    }

    /// How many lanes a stream with this configuration puts its users into; none when it does not.
    #[must_use]
    pub fn lanes_of(self, config: &Config) -> Option<u32> {
        let transform = config.subject_transform.as_ref()?;
        let (_, rest) = transform.destination.split_once("partition(")?;
        let lanes = rest.split([',', ')']).next()?.trim().parse().ok()?;
        let ours = self.transform(lanes);
        (transform.source == ours.source && transform.destination == ours.destination)
            .then_some(lanes)
    }

    /// The subjects of a lane, as the stream keeps them; lane number `lanes` is that of the bare subjects.
    #[must_use]
    pub fn lane_subjects(self, lane: u32, lanes: u32) -> Vec<String> {
        match (self, lane == lanes) {
            (Self::Trading, false) => vec![format!("trading.*.*.{lane}.*")],
            (Self::System, false) => vec![format!("trading.*.{lane}.*")],
            (Self::Trading, true) => vec![
                "trading.orders.*".to_owned(),
                "trading.balance.*".to_owned(),
            ],
            (Self::System, true) => {
                vec![
                    "trading.errors".to_owned(),
                    "trading.signals".to_owned(),
                    "trading.heartbeat".to_owned(),
                ]
            }
        }
    }

    /// The subjects that can hold a user's events, as the stream keeps them: the user's own in any lane, and the bare ones.
    #[must_use]
    pub fn user_subjects(self, user: Uuid) -> Vec<String> {
        let own = match self {
            Self::Trading => format!("trading.*.*.*.{}", user.hyphenated()),
            Self::System => format!("trading.*.*.{}", user.hyphenated()),
        };
        let bare = self.lane_subjects(0, 0);
        std::iter::once(own).chain(bare).collect()
    }

    /// The lane of a subject as the stream with `lanes` lanes keeps it.
    #[must_use]
    pub fn lane_of_subject(self, subject: &str, lanes: u32) -> Option<u32> {
        let tokens: Vec<&str> = subject.split('.').collect();
        // A bare subject has as many tokens as stand before the lane in others.
        let before = match self {
            Self::Trading => 3,
            Self::System => 2,
        };
        match tokens.get(before) {
            None => (tokens.len() == before).then_some(lanes),
            Some(lane) => lane.parse().ok().filter(|lane| *lane < lanes),
        }
    }

    fn config(self, settings: &StreamSettings) -> Config {
        Config {
            name: self.name().to_owned(),
            description: Some("Events of the trading bots; declared by tiris-ingest".to_owned()),
            subjects: self.subjects(),
            subject_transform: Some(self.transform(settings.lanes)),
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            deny_delete: true,
            deny_purge: true,
            max_message_size: MESSAGE_BYTES_MAX,
            duplicate_window: DUPLICATE_WINDOW,
            num_replicas: settings.replicas,
            max_bytes: settings.max_bytes,
            max_age: match self {
                Self::Trading => settings.trading_max_age,
                Self::System => settings.system_max_age,
            },
            ..Config::default()
        }
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
    let wanted = stream.config(settings);
    let existing = match jetstream.get_stream(stream.name()).await {
        Ok(existing) => existing,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(inner)
                if inner.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                match jetstream.create_stream(wanted.clone()).await {
                    Ok(created) => {
                        tracing::info!(
                            stream = stream.name(),
                            lanes = settings.lanes,
                            "created the stream"
                        );
                        created
                    }
                    // Another worker was faster: look at what it made.
                    Err(error) if matches!(error.kind(), CreateStreamErrorKind::JetStream(ref inner) if inner.error_code() == ErrorCode::STREAM_NAME_EXIST) => {
                        jetstream
                            .get_stream(stream.name())
                            .await
                            .map_err(unavailable)?
                    }
                    Err(error) => return Err(unavailable(error).into()),
                }
            }
            GetStreamErrorKind::EmptyName
            | GetStreamErrorKind::Request
            | GetStreamErrorKind::InvalidStreamName
            | GetStreamErrorKind::JetStream(_) => return Err(unavailable(error).into()),
        },
    };
    agree(stream, &wanted, &existing.cached_info().config)
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

/// Trouble with JetStream as something that passes.
pub fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Unavailable {
        what: "NATS JetStream",
        source: error.into(),
    }
}
