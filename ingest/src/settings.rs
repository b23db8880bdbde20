//! The settings of the worker.

mod limits;

pub use limits::{LimitArgs, StreamLimits};

use std::time::Duration;
use tiris_domain::event::BareSubjects;
use tiris_runtime::config::{
    ConfigError, DatabaseArgs, DatabaseConfig, Environment, NatsArgs, NatsConfig, Problems,
    ServiceArgs, ServiceConfig,
};
use tiris_store::retention::HISTORY_DAYS_MIN;

/// Default address of the listener for health and metrics.
pub(crate) const ADMIN_LISTEN_DEFAULT: &str = "127.0.0.1:9465";
/// Longest retention of history, in days.
const HISTORY_DAYS_MAX: u32 = 36_500;
/// Younger history is never compressed: live streams select its rows by xmin, which compressed rows do not have.
const COMPRESSION_DAYS_MIN: u32 = 7;

/// Settings of `tiris-ingest run`.
#[derive(clap::Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    service: ServiceArgs,
    /// Lanes per stream (1 to 256); cannot be changed while a stream exists
    #[arg(long, env = "TIRIS_LANES", default_value = "16", value_name = "COUNT")]
    lanes: String,
    /// Events on subjects without a user: accept or refuse [default: accept with TIRIS_ENV=dev, else refuse]
    #[arg(long, env = "TIRIS_BARE_SUBJECTS", value_name = "POLICY")]
    bare_subjects: Option<String>,
    /// Maximum number of events in one transaction (1 to 10000)
    #[arg(long, env = "TIRIS_BATCH_EVENTS")]
    #[arg(default_value = "1000", value_name = "COUNT")]
    batch_events: String,
    /// Messages a user may publish in a minute, a tenth of them at once, before the events of others go first; 0 for no limit
    #[arg(long, env = "TIRIS_USER_EVENTS_PER_MINUTE")]
    #[arg(default_value = "6000", value_name = "COUNT")]
    user_events_per_minute: String,
    /// Bytes a user may publish in a minute, a thirtieth of them at once, before the events of others go first; 0 for no limit
    #[arg(long, env = "TIRIS_USER_BYTES_PER_MINUTE")]
    #[arg(default_value = "16777216", value_name = "BYTES")]
    user_bytes_per_minute: String,
    /// Seconds without a heartbeat after which other workers take over the lanes of a worker (2 to 300)
    #[arg(long, env = "TIRIS_LEASE_SECONDS")]
    #[arg(default_value = "10", value_name = "SECONDS")]
    lease_seconds: String,
    /// When a stream was recreated or lost its newest messages: halt, or resume from the start of the stream (events that
    /// were processed before are skipped by their ids)
    #[arg(long, env = "TIRIS_ON_STREAM_LOST")]
    #[arg(default_value = "halt", value_name = "POLICY")]
    on_stream_lost: String,
    /// When retention deleted messages before they were read: halt, or accept the gap
    #[arg(long, env = "TIRIS_ON_GAP")]
    #[arg(default_value = "halt", value_name = "POLICY")]
    on_gap: String,
    #[command(flatten)]
    limits: LimitArgs,
    /// Days to keep trading logs, 0 forever (otherwise 365 to 36500)
    #[arg(long, env = "TIRIS_LOG_DAYS")]
    #[arg(default_value = "365", value_name = "DAYS")]
    log_days: String,
    /// Days to keep audit logs, 0 forever (otherwise 365 to 36500)
    #[arg(long, env = "TIRIS_AUDIT_DAYS")]
    #[arg(default_value = "1095", value_name = "DAYS")]
    audit_days: String,
    /// Days to keep transactions, 0 forever (otherwise 365 to 36500); transactions are the books
    #[arg(long, env = "TIRIS_TRANSACTION_DAYS")]
    #[arg(default_value = "0", value_name = "DAYS")]
    transaction_days: String,
    /// Days to keep event ids, 0 forever (at most 36500); a duplicate that arrives later is applied a second time
    #[arg(long, env = "TIRIS_EVENT_ID_DAYS")]
    #[arg(default_value = "0", value_name = "DAYS")]
    event_id_days: String,
    /// Days to keep dead letters after they were replayed or discarded, 0 forever (at most 36500); open ones stay
    #[arg(long, env = "TIRIS_DEAD_LETTER_DAYS")]
    #[arg(default_value = "400", value_name = "DAYS")]
    dead_letter_days: String,
    /// Age in days at which TimescaleDB compresses history, 0 for never (otherwise 7 to 36500); no effect without TimescaleDB
    #[arg(long, env = "TIRIS_COMPRESSION_DAYS")]
    #[arg(default_value = "30", value_name = "DAYS")]
    compression_days: String,
    /// Months of history partitions to create in advance (1 to 24); with TimescaleDB always one week
    #[arg(long, env = "TIRIS_PARTITION_MONTHS")]
    #[arg(default_value = "3", value_name = "MONTHS")]
    partition_months: String,
}

/// Checked [`RunArgs`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connection to PostgreSQL.
    pub database: DatabaseConfig,
    /// Connection to NATS.
    pub nats: NatsConfig,
    /// Admin listener, log and shutdown.
    pub service: ServiceConfig,
    /// Configuration of the streams.
    pub streams: StreamSettings,
    /// Whether events on subjects without a user are accepted.
    pub bare_subjects: BareSubjects,
    /// Maximum number of events in a batch.
    pub batch_events: usize,
    /// What a user may publish before others go first.
    pub quota: Quota,
    /// How long a worker owns its lanes after its last heartbeat.
    pub lease: Duration,
    /// Whether a lane continues when its cursor and the stream do not match.
    pub policy: Policy,
    /// Retention and compression of history.
    pub retention: Retention,
}

/// What a user may publish in a minute, a part of it at once, before the events of others go first; `None` for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Number of messages.
    pub events_per_minute: Option<u64>,
    /// Bytes of subjects, headers and payloads.
    pub bytes_per_minute: Option<u64>,
}

/// Whether a lane continues when its cursor and the stream do not match; by default it halts until an operator decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Restart from the beginning of a stream that was recreated or lost its newest messages.
    pub resets: bool,
    /// Skip messages that retention deleted before they were read.
    pub accepts_gaps: bool,
}

/// Ages at which history is deleted or compressed; None means never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Age at which trading logs are deleted.
    pub logs: Option<Duration>,
    /// Age at which audit logs are deleted.
    pub audit: Option<Duration>,
    /// Age at which transactions are deleted.
    pub transactions: Option<Duration>,
    /// Age at which ids of processed events are deleted.
    pub event_ids: Option<Duration>,
    /// Age since their replay or discard after which dead letters are deleted.
    pub dead_letters: Option<Duration>,
    /// Age at which TimescaleDB compresses history.
    pub compression: Option<Duration>,
    /// Months of partitions to create in advance.
    pub partition_months: u32,
}

/// Configuration of the streams.
#[derive(Clone, Debug)]
pub struct StreamSettings {
    /// Lanes per stream, without the lane of subjects without a user.
    pub lanes: u16,
    /// The limits of the streams.
    pub limits: StreamLimits,
}

impl RunArgs {
    /// Checks all settings and reports every mistake at once.
    pub fn check(&self) -> Result<Settings, ConfigError> {
        let mut problems = Problems::default();
        let settings = self.checked(&mut problems);
        problems.finish(settings)
    }

    fn checked(&self, problems: &mut Problems) -> Option<Settings> {
        let environment = self.service.environment();
        let database = self.database.check(environment, problems);
        let nats = self.nats.check(environment, problems);
        let service = self.service.check(ADMIN_LISTEN_DEFAULT, problems);
        let streams = self.checked_streams(problems);
        let batch_events =
            problems.parse_within("TIRIS_BATCH_EVENTS", &self.batch_events, 1, 10_000);
        let quota = self.checked_quota(problems);
        let lease = problems.parse_within("TIRIS_LEASE_SECONDS", &self.lease_seconds, 2, 300);
        let lost = &self.on_stream_lost;
        let resets = continues(problems, "TIRIS_ON_STREAM_LOST", lost, "resume");
        let accepts_gaps = continues(problems, "TIRIS_ON_GAP", &self.on_gap, "accept");
        let retention = self.checked_retention(problems);
        let bare_subjects = match &self.bare_subjects {
            Some(text) => problems.parse("TIRIS_BARE_SUBJECTS", text),
            None => environment.map(|environment| match environment {
                Environment::Dev => BareSubjects::Accept,
                Environment::Staging | Environment::Production => BareSubjects::Refuse,
            }),
        };

        Some(Settings {
            database: database?,
            nats: nats?,
            service: service?,
            streams: streams?,
            bare_subjects: bare_subjects?,
            batch_events: usize::try_from(batch_events?).ok()?,
            quota: quota?,
            lease: Duration::from_secs(lease?.into()),
            policy: Policy {
                resets: resets?,
                accepts_gaps: accepts_gaps?,
            },
            retention: retention?,
        })
    }

    fn checked_quota(&self, problems: &mut Problems) -> Option<Quota> {
        let mut limit = |variable, text: &str| {
            let limit: u64 = problems.parse(variable, text)?;
            Some((limit > 0).then_some(limit))
        };
        let events = limit("TIRIS_USER_EVENTS_PER_MINUTE", &self.user_events_per_minute);
        let bytes = limit("TIRIS_USER_BYTES_PER_MINUTE", &self.user_bytes_per_minute);

        Some(Quota {
            events_per_minute: events?,
            bytes_per_minute: bytes?,
        })
    }

    fn checked_retention(&self, problems: &mut Problems) -> Option<Retention> {
        let mut age = |variable, text: &str| {
            let count = problems.parse_within(variable, text, 0, HISTORY_DAYS_MAX)?;
            Some((count > 0).then(|| days(count)))
        };
        let logs = age("TIRIS_LOG_DAYS", &self.log_days);
        let audit = age("TIRIS_AUDIT_DAYS", &self.audit_days);
        let transactions = age("TIRIS_TRANSACTION_DAYS", &self.transaction_days);
        let event_ids = age("TIRIS_EVENT_ID_DAYS", &self.event_id_days);
        let dead_letters = age("TIRIS_DEAD_LETTER_DAYS", &self.dead_letter_days);
        let compression = age("TIRIS_COMPRESSION_DAYS", &self.compression_days);

        for (variable, given, age, least) in [
            ("TIRIS_LOG_DAYS", &self.log_days, logs, HISTORY_DAYS_MIN),
            (
                "TIRIS_AUDIT_DAYS",
                &self.audit_days,
                audit,
                HISTORY_DAYS_MIN,
            ),
            (
                "TIRIS_TRANSACTION_DAYS",
                &self.transaction_days,
                transactions,
                HISTORY_DAYS_MIN,
            ),
            (
                "TIRIS_COMPRESSION_DAYS",
                &self.compression_days,
                compression,
                COMPRESSION_DAYS_MIN,
            ),
        ] {
            if age.flatten().is_some_and(|age| age < days(least)) {
                let why = format_args!("must be 0 or at least {least} (given: {given})");
                problems.add(variable, why);
            }
        }
        self.check_outlives_streams(problems, "TIRIS_EVENT_ID_DAYS", event_ids.flatten());
        self.check_outlives_streams(problems, "TIRIS_DEAD_LETTER_DAYS", dead_letters.flatten());
        let months = &self.partition_months;
        let partition_months = problems.parse_within("TIRIS_PARTITION_MONTHS", months, 1, 24);

        Some(Retention {
            logs: logs?,
            audit: audit?,
            transactions: transactions?,
            event_ids: event_ids?,
            dead_letters: dead_letters?,
            compression: compression?,
            partition_months: partition_months?,
        })
    }

    /// Checks that a retention is longer than that of the streams, from which an event may be read again.
    fn check_outlives_streams(
        &self,
        problems: &mut Problems,
        variable: &'static str,
        kept: Option<Duration>,
    ) {
        if let (Some(kept), Some(longest)) = (kept, self.limits.longest())
            && kept <= longest
        {
            let why = "must be 0 or more than TIRIS_TRADING_DAYS and TIRIS_TRADING_SYSTEM_DAYS: otherwise events that are \
                       read from the streams again are applied twice";
            problems.add(variable, why);
        }
    }

    fn checked_streams(&self, problems: &mut Problems) -> Option<StreamSettings> {
        let lanes = problems.parse_within("TIRIS_LANES", &self.lanes, 1, 256);
        let limits = self.limits.check(problems);

        Some(StreamSettings {
            lanes: u16::try_from(lanes?).ok()?,
            limits: limits?,
        })
    }
}

fn days(count: u32) -> Duration {
    Duration::from_hours(24 * u64::from(count))
}

/// Parses a policy: true for `word`, which lets a lane continue, and false for `halt`.
fn continues(problems: &mut Problems, variable: &str, text: &str, word: &str) -> Option<bool> {
    let text = text.trim();
    if text != "halt" && text != word {
        let why = format_args!("must be halt or {word} (given: {text:?})");
        problems.add(variable, why);
        return None;
    }
    Some(text == word)
}
#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        run: RunArgs,
    }

    fn problems(flags: &[&str]) -> String {
        let args = Args::parse_from(std::iter::once(&"test").chain(flags));
        args.run
            .check()
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn the_documents_explain_every_setting() {
        let documents = [
            include_str!("../README.md"),
            include_str!("../../shared/docs/OBSERVABILITY.md"),
        ];
        let command = Args::command();
        let variables = command.get_arguments().filter_map(clap::Arg::get_env);

        for variable in variables {
            let name = variable.display();
            let forms = [format!("`{name}`"), format!("`{name}=")];
            let is_explained = documents
                .iter()
                .any(|text| forms.iter().any(|form| text.contains(form)));
            assert!(is_explained, "{name} is missing in ingest/README.md");
        }
    }

    #[test]
    fn production_requires_tls_to_other_machines() {
        let database = "--database-url=postgres://u:hunter2@db.example/d";
        let nats = "--nats-url=nats://nats.example";
        let verified = "--database-url=postgres://u:hunter2@db.example/d?sslmode=verify-full";

        for (flags, expected) in [
            (
                ["--environment=production", database, nats],
                &["DATABASE_URL: ", "NATS_URL: "][..],
            ),
            (
                ["--environment=production", verified, nats],
                &["NATS_URL: "],
            ),
            (
                [
                    "--environment=production",
                    database,
                    "--nats-url=tls://nats.example",
                ],
                &["DATABASE_URL: "],
            ),
            (
                [
                    "--environment=production",
                    verified,
                    "--nats-url=tls://a.example,nats://b.example",
                ],
                &["NATS_URL: "],
            ),
            (
                [
                    "--environment=production",
                    verified,
                    "--nats-url=tls://nats.example",
                ],
                &[],
            ),
            (
                [
                    "--environment=production",
                    "--database-url=postgres://u@127.0.0.1/d",
                    "--nats-url=nats://127.0.0.1",
                ],
                &[],
            ),
            (["--environment=dev", database, nats], &[]),
        ] {
            let found = problems(&flags);
            assert_eq!(found.is_empty(), expected.is_empty(), "{flags:?}: {found}");
            assert!(
                expected.iter().all(|name| found.contains(name)),
                "{flags:?}: {found}"
            );
            assert!(!found.contains("hunter2"), "{found}");
        }
    }

    #[test]
    fn limits_the_ages_of_history_and_the_months_of_partitions() {
        let local = [
            "--database-url=postgres://u@127.0.0.1/d",
            "--nats-url=nats://127.0.0.1",
        ];

        for (flag, expected) in [
            ("--log-days=365", ""),
            (
                "--log-days=364",
                "TIRIS_LOG_DAYS: must be 0 or at least 365 (given: 364)",
            ),
            (
                "--audit-days=1",
                "TIRIS_AUDIT_DAYS: must be 0 or at least 365 (given: 1)",
            ),
            (
                "--transaction-days=90",
                "TIRIS_TRANSACTION_DAYS: must be 0 or at least 365 (given: 90)",
            ),
            ("--compression-days=0", ""),
            ("--compression-days=7", ""),
            (
                "--compression-days=6",
                "TIRIS_COMPRESSION_DAYS: must be 0 or at least 7 (given: 6)",
            ),
            (
                "--compression-days=36501",
                "TIRIS_COMPRESSION_DAYS: must be between 0 and 36500",
            ),
            (
                "--partition-months=0",
                "TIRIS_PARTITION_MONTHS: must be between 1 and 24 (given: 0)",
            ),
            ("--partition-months=24", ""),
        ] {
            let found = problems(&[local[0], local[1], flag]);
            assert!(
                found.contains(expected) && found.is_empty() == expected.is_empty(),
                "{flag}: {found}"
            );
        }
    }
}
