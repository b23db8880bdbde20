//! The settings of the streams' limits, which the worker applies and `tiris-ingest status` compares.

use super::days;
use std::time::Duration;
use tiris_domain::event::EVENT_BYTES_MAX;
use tiris_runtime::config::Problems;

/// Longest retention of a stream, in days.
const STREAM_DAYS_MAX: u32 = 3_650;
/// Smallest budget for the copies of dead letters, in bytes: some letters of the longest payload.
const DEAD_LETTER_BYTES_MIN: i64 = 1024 * 1024;
/// Bytes of the headers of a message: several times those of a trace, a request id and a message id.
const HEADER_BYTES_MAX: usize = 4 * 1024;
/// The largest message that can be a valid event, with its headers, in bytes.
const MESSAGE_BYTES_MAX: u32 = 68 * 1024;
const _: () = assert!(MESSAGE_BYTES_MAX as usize == EVENT_BYTES_MAX + HEADER_BYTES_MAX);
/// The smallest limit of a message in bytes: an event without free fields fits.
const MESSAGE_BYTES_MIN: u32 = 4 * 1024;

/// Settings of the streams' limits.
#[derive(clap::Args, Clone, Debug)]
pub struct LimitArgs {
    /// Replicas of each stream in a NATS cluster (1 to 5)
    #[arg(long, env = "TIRIS_STREAM_REPLICAS")]
    #[arg(default_value = "1", value_name = "COUNT")]
    stream_replicas: String,
    /// Days that stream TRADING (orders and balances) keeps messages (1 to 3650)
    #[arg(long, env = "TIRIS_TRADING_DAYS")]
    #[arg(default_value = "30", value_name = "DAYS")]
    trading_days: String,
    /// Days that stream TRADING_SYSTEM (errors, signals, heartbeats) keeps messages (1 to 3650)
    #[arg(long, env = "TIRIS_TRADING_SYSTEM_DAYS")]
    #[arg(default_value = "7", value_name = "DAYS")]
    system_days: String,
    /// Maximum size of TRADING and of TRADING_SYSTEM in bytes, 0 for unlimited; a full stream refuses new events
    #[arg(long, env = "TIRIS_STREAM_BYTES")]
    #[arg(default_value = "0", value_name = "BYTES")]
    stream_bytes: String,
    /// Maximum number of messages of one user and event type in a stream, 0 for unlimited; more are refused until the
    /// oldest expire, and the events of other users go on
    #[arg(long, env = "TIRIS_STREAM_MESSAGES_PER_SUBJECT")]
    #[arg(default_value = "2000000", value_name = "COUNT")]
    stream_messages_per_subject: String,
    /// Maximum size of a message with its headers in bytes (4096 to 69632, the longest valid event); larger ones are refused.
    /// One user can store at most this times the messages above in each subject
    #[arg(long, env = "TIRIS_STREAM_MESSAGE_BYTES")]
    #[arg(default_value = "69632", value_name = "BYTES")]
    stream_message_bytes: String,
    /// Maximum size of TRADING_DLQ, the copies of dead letters, in bytes (at least 1048576); the oldest copies make room
    #[arg(long, env = "TIRIS_DEAD_LETTER_STREAM_BYTES")]
    #[arg(default_value = "1073741824", value_name = "BYTES")]
    dead_letter_stream_bytes: String,
}

/// Checked [`LimitArgs`].
#[derive(Clone, Debug)]
pub struct StreamLimits {
    /// Replicas in a cluster.
    pub replicas: usize,
    /// Retention of `TRADING`.
    pub trading_max_age: Duration,
    /// Retention of `TRADING_SYSTEM`.
    pub system_max_age: Duration,
    /// Maximum size of each event stream in bytes, -1 for unlimited.
    pub max_bytes: i64,
    /// Maximum number of messages of a subject in an event stream, -1 for unlimited.
    pub messages_per_subject: i64,
    /// Maximum size of a message in an event stream, with its headers, in bytes.
    pub message_bytes: i32,
    /// Maximum size of `TRADING_DLQ` in bytes.
    pub dead_letter_bytes: i64,
}

impl LimitArgs {
    /// Checks all settings and records every mistake.
    pub(crate) fn check(&self, problems: &mut Problems) -> Option<StreamLimits> {
        let replicas = problems.parse_within("TIRIS_STREAM_REPLICAS", &self.stream_replicas, 1, 5);
        let mut age = |variable, text: &str| {
            let count = problems.parse_within(variable, text, 1, STREAM_DAYS_MAX);
            count.map(days)
        };
        let trading_max_age = age("TIRIS_TRADING_DAYS", &self.trading_days);
        let system_max_age = age("TIRIS_TRADING_SYSTEM_DAYS", &self.system_days);
        let max_bytes = limit(problems, "TIRIS_STREAM_BYTES", &self.stream_bytes);
        let per_subject = &self.stream_messages_per_subject;
        let messages_per_subject =
            limit(problems, "TIRIS_STREAM_MESSAGES_PER_SUBJECT", per_subject);
        let message_bytes = problems.parse_within(
            "TIRIS_STREAM_MESSAGE_BYTES",
            &self.stream_message_bytes,
            MESSAGE_BYTES_MIN,
            MESSAGE_BYTES_MAX,
        );
        let dead_letter_bytes = self.checked_dead_letter_bytes(problems);

        Some(StreamLimits {
            replicas: usize::try_from(replicas?).ok()?,
            trading_max_age: trading_max_age?,
            system_max_age: system_max_age?,
            max_bytes: max_bytes?,
            messages_per_subject: messages_per_subject?,
            message_bytes: i32::try_from(message_bytes?).ok()?,
            dead_letter_bytes: dead_letter_bytes?,
        })
    }

    fn checked_dead_letter_bytes(&self, problems: &mut Problems) -> Option<i64> {
        let variable = "TIRIS_DEAD_LETTER_STREAM_BYTES";
        let bytes: i64 = problems.parse(variable, &self.dead_letter_stream_bytes)?;
        if bytes < DEAD_LETTER_BYTES_MIN {
            let why =
                format_args!("must be at least {DEAD_LETTER_BYTES_MIN} bytes (given: {bytes})");
            problems.add(variable, why);
            return None;
        }
        Some(bytes)
    }

    /// Returns the longest retention of a stream, as far as it can be read.
    pub(super) fn longest(&self) -> Option<Duration> {
        let counts = [&self.trading_days, &self.system_days].into_iter();
        let longest: Option<u32> = counts.filter_map(|days| days.parse().ok()).max();
        longest.map(days)
    }
}

/// Parses a limit as JetStream has it: -1 for unlimited, which is 0 in the settings.
fn limit(problems: &mut Problems, variable: &str, text: &str) -> Option<i64> {
    let limit: u64 = problems.parse(variable, text)?;
    Some(match limit {
        0 => -1,
        // No stream is larger.
        limit => i64::try_from(limit).unwrap_or(i64::MAX),
    })
}
