//! The settings of the worker.

use std::time::Duration;
use tiris_domain::event::BareSubjects;
use tiris_runtime::config::{
    ConfigError, DatabaseArgs, DatabaseConfig, Environment, NatsArgs, NatsConfig, Problems,
    ServiceArgs, ServiceConfig,
};
use tiris_store::retention::History;

/// Where health and metrics are served when nothing else is said.
pub(crate) const ADMIN_LISTEN_DEFAULT: &str = "127.0.0.1:9465";
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;
/// Longest retention of history, in days.
const KEPT_DAYS_MAX: u32 = 36_500;
/// What is younger than this many days is never compressed: live streams read it by what compression takes away.
const COMPRESSION_DAYS_MIN: u32 = 7;
/// How many months ahead partitions are made, at most.
const PARTITION_MONTHS_MAX: u32 = 24;

/// Settings of `tiris-ingest run`.
#[derive(clap::Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    service: ServiceArgs,
    /// Lanes per stream (1 to 256); fixed for the life of a stream
    #[arg(long, env = "TIRIS_LANES", default_value = "16", value_name = "COUNT")]
    lanes: String,
    /// Events without a user in the subject: accept or refuse [default: accept, in production refuse]
    #[arg(long, env = "TIRIS_BARE_SUBJECTS", value_name = "POLICY")]
    bare_subjects: Option<String>,
    /// Events committed together at most (1 to 10000)
    #[arg(long, env = "TIRIS_BATCH_EVENTS", default_value = "1000")]
    #[arg(value_name = "COUNT")]
    batch_events: String,
    /// Seconds after which the lanes of a worker that gives no sign of life go to others (2 to 300)
    #[arg(long, env = "TIRIS_LEASE_SECONDS", default_value = "10")]
    #[arg(value_name = "SECONDS")]
    lease_seconds: String,
    /// When a stream was made anew or lost its tail: halt, or resume from its start (what is done stays done once)
    #[arg(long, env = "TIRIS_ON_STREAM_LOST", default_value = "halt")]
    #[arg(value_name = "POLICY")]
    on_stream_lost: String,
    /// When retention took messages before they were read: halt, or accept the gap
    #[arg(long, env = "TIRIS_ON_GAP", default_value = "halt")]
    #[arg(value_name = "POLICY")]
    on_gap: String,
    /// Copies of each stream a cluster keeps (1 to 5)
    #[arg(long, env = "TIRIS_STREAM_REPLICAS", default_value = "1")]
    #[arg(value_name = "COUNT")]
    stream_replicas: String,
    /// Days the stream of orders and balances is kept (1 to 3650)
    #[arg(long, env = "TIRIS_TRADING_DAYS", default_value = "30")]
    #[arg(value_name = "DAYS")]
    trading_days: String,
    /// Days the stream of errors, signals and heartbeats is kept (1 to 3650)
    #[arg(long, env = "TIRIS_TRADING_SYSTEM_DAYS", default_value = "7")]
    #[arg(value_name = "DAYS")]
    system_days: String,
    /// Days trading logs are kept, 0 for ever (at most 36500)
    #[arg(long, env = "TIRIS_LOG_DAYS", default_value = "365")]
    #[arg(value_name = "DAYS")]
    log_days: String,
    /// Days audit logs are kept, 0 for ever (at most 36500)
    #[arg(long, env = "TIRIS_AUDIT_DAYS", default_value = "1095")]
    #[arg(value_name = "DAYS")]
    audit_days: String,
    /// Days transactions are kept, 0 for ever (at most 36500); they are the books
    #[arg(long, env = "TIRIS_TRANSACTION_DAYS", default_value = "0")]
    #[arg(value_name = "DAYS")]
    transaction_days: String,
    /// Days the ids of events are kept, 0 for ever (at most 36500); a duplicate that comes later is applied again
    #[arg(long, env = "TIRIS_EVENT_ID_DAYS", default_value = "0")]
    #[arg(value_name = "DAYS")]
    event_id_days: String,
    /// Days after which history is compressed where the database has TimescaleDB, 0 never (else 7 to 36500)
    #[arg(long, env = "TIRIS_COMPRESSION_DAYS", default_value = "30")]
    #[arg(value_name = "DAYS")]
    compression_days: String,
    /// Months ahead for which the partitions of history are made (1 to 24); TimescaleDB has weeks, one ahead
    #[arg(long, env = "TIRIS_PARTITION_MONTHS", default_value = "3")]
    #[arg(value_name = "MONTHS")]
    partition_months: String,
    /// Bytes either stream may take, 0 for no limit but the disk
    #[arg(long, env = "TIRIS_STREAM_BYTES", default_value = "0")]
    #[arg(value_name = "BYTES")]
    stream_bytes: String,
}

/// Checked [`RunArgs`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// How to reach PostgreSQL.
    pub database: DatabaseConfig,
    /// How to reach NATS.
    pub nats: NatsConfig,
    /// Listener, log, shutdown.
    pub service: ServiceConfig,
    /// The streams to declare.
    pub streams: StreamSettings,
    /// Whether subjects without a user are taken.
    pub bare_subjects: BareSubjects,
    /// Upper bound of a batch, in events.
    pub batch_events: usize,
    /// How long a lane stays with a worker that gives no sign of life.
    pub lease: Duration,
    /// What a lane does whose cursor and stream do not belong together.
    pub policy: Policy,
    /// How history is kept.
    pub retention: Retention,
}

/// What a lane does whose cursor and stream do not belong together: by default it halts and waits for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Begin anew when the stream was made anew or lost its tail.
    pub resets: bool,
    /// Give up messages that retention took before they were read.
    pub accepts_gaps: bool,
}

/// How history is kept, and for how long; what is none is kept for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Trading logs.
    pub logs: Option<Duration>,
    /// Audit logs.
    pub audit: Option<Duration>,
    /// Transactions.
    pub transactions: Option<Duration>,
    /// Ids of events that are done.
    pub event_ids: Option<Duration>,
    /// What is older is compressed, where that can be; nothing when none.
    pub compression: Option<Duration>,
    /// Months ahead for which partitions are made.
    pub partition_months: u32,
}

impl Default for Retention {
    /// Everything for ever.
    fn default() -> Self {
        Self {
            logs: None,
            audit: None,
            transactions: None,
            event_ids: None,
            compression: None,
            partition_months: 3,
        }
    }
}

impl Retention {
    /// The partitioned tables, each with how long it is kept.
    #[must_use]
    pub const fn histories(&self) -> [(History, Option<Duration>); 3] {
        [
            (History::TradingLogs, self.logs),
            (History::AuditLogs, self.audit),
            (History::Transactions, self.transactions),
        ]
    }
}

/// What the streams are declared with.
#[derive(Clone, Debug)]
pub struct StreamSettings {
    /// Lanes per stream, without the one of the bare subjects.
    pub lanes: u16,
    /// Copies in a cluster.
    pub replicas: usize,
    /// Retention of `TRADING`.
    pub trading_max_age: Duration,
    /// Retention of `TRADING_SYSTEM`.
    pub system_max_age: Duration,
    /// Size limit of either stream in bytes, -1 for none.
    pub max_bytes: i64,
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
        let lease = problems.parse_within("TIRIS_LEASE_SECONDS", &self.lease_seconds, 2, 300);
        let resets = choice(
            problems,
            "TIRIS_ON_STREAM_LOST",
            &self.on_stream_lost,
            "resume",
        );
        let accepts_gaps = choice(problems, "TIRIS_ON_GAP", &self.on_gap, "accept");
        let retention = self.checked_retention(problems);
        let bare_subjects = match &self.bare_subjects {
            Some(text) => problems.parse("TIRIS_BARE_SUBJECTS", text),
            None => service.as_ref().map(|service| match service.environment {
                Environment::Dev => BareSubjects::Accept,
                Environment::Production => BareSubjects::Refuse,
            }),
        };

        Some(Settings {
            database: database?,
            nats: nats?,
            service: service?,
            streams: streams?,
            bare_subjects: bare_subjects?,
            batch_events: usize::try_from(batch_events?).ok()?,
            lease: Duration::from_secs(u64::from(lease?)),
            policy: Policy {
                resets: resets?,
                accepts_gaps: accepts_gaps?,
            },
            retention: retention?,
        })
    }

    fn checked_retention(&self, problems: &mut Problems) -> Option<Retention> {
        let mut days = |variable, text: &str| -> Option<Option<Duration>> {
            let days = problems.parse_within(variable, text, 0, KEPT_DAYS_MAX)?;
            Some((days > 0).then(|| Duration::from_secs(u64::from(days) * SECONDS_PER_DAY)))
        };
        let logs = days("TIRIS_LOG_DAYS", &self.log_days);
        let audit = days("TIRIS_AUDIT_DAYS", &self.audit_days);
        let transactions = days("TIRIS_TRANSACTION_DAYS", &self.transaction_days);
        let event_ids = days("TIRIS_EVENT_ID_DAYS", &self.event_id_days);
        let compression = days("TIRIS_COMPRESSION_DAYS", &self.compression_days);

        if let Some(Some(age)) = compression
            && age < Duration::from_secs(u64::from(COMPRESSION_DAYS_MIN) * SECONDS_PER_DAY)
        {
            let why = format_args!(
                "must be 0 or at least {COMPRESSION_DAYS_MIN} (given: {})",
                self.compression_days
            );
            problems.add("TIRIS_COMPRESSION_DAYS", why);
        }
        let partition_months = problems.parse_within(
            "TIRIS_PARTITION_MONTHS",
            &self.partition_months,
            1,
            PARTITION_MONTHS_MAX,
        );
        let longest = [&self.trading_days, &self.system_days]
            .into_iter()
            .filter_map(|days| days.parse::<u64>().ok())
            .max();
        if let (Some(Some(kept)), Some(longest)) = (event_ids, longest)
            && kept <= Duration::from_secs(longest * SECONDS_PER_DAY)
        {
            let why = "must be 0 or more than the streams keep (TIRIS_TRADING_DAYS, TIRIS_TRADING_SYSTEM_DAYS): what is \
                       read again would be applied again";
            problems.add("TIRIS_EVENT_ID_DAYS", why);
        }

        Some(Retention {
            logs: logs?,
            audit: audit?,
            transactions: transactions?,
            event_ids: event_ids?,
            compression: compression?,
            partition_months: partition_months?,
        })
    }

    fn checked_streams(&self, problems: &mut Problems) -> Option<StreamSettings> {
        let lanes = problems.parse_within("TIRIS_LANES", &self.lanes, 1, 256);
        let replicas = problems.parse_within("TIRIS_STREAM_REPLICAS", &self.stream_replicas, 1, 5);
        let trading_days =
            problems.parse_within("TIRIS_TRADING_DAYS", &self.trading_days, 1, 3_650);
        let system_days =
            problems.parse_within("TIRIS_TRADING_SYSTEM_DAYS", &self.system_days, 1, 3_650);
        let max_bytes = match problems.parse::<u64>("TIRIS_STREAM_BYTES", &self.stream_bytes)? {
            0 => -1,
            // No disk holds more.
            some => i64::try_from(some).unwrap_or(i64::MAX),
        };
        let days = |count: u32| Duration::from_secs(u64::from(count) * SECONDS_PER_DAY);

        Some(StreamSettings {
            lanes: u16::try_from(lanes?).ok()?,
            replicas: usize::try_from(replicas?).ok()?,
            trading_max_age: days(trading_days?),
            system_max_age: days(system_days?),
            max_bytes,
        })
    }
}

/// Whether `text` is `go_on` and not `halt`.
fn choice(problems: &mut Problems, variable: &str, text: &str, go_on: &str) -> Option<bool> {
    match text.trim() {
        "halt" => Some(false),
        other if other == go_on => Some(true),
        other => {
            problems.add(
                variable,
                format_args!("must be halt or {go_on} (given: {other:?})"),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

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
    fn production_reaches_other_machines_by_tls_only_and_reports_all_at_once() {
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
    fn what_live_streams_read_is_never_compressed_and_partitions_are_made_ahead() {
        let local = [
            "--database-url=postgres://u@127.0.0.1/d",
            "--nats-url=nats://127.0.0.1",
        ];

        for (flag, expected) in [
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
