//! Every metric of both services: name, kind, labels, and what it tells.
//!
//! Owns: the list that `/metrics` takes its help texts and buckets from and that the README shows. Must not know: who
//! records what; tests hold the list to the code. No label may hold what a caller or a bot can invent.

use std::fmt::Write as _;

/// A metric as Prometheus knows it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name; the last part is the unit, as Prometheus has it.
    pub name: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// Who has it.
    pub program: Program,
    /// What it tells, in one line.
    pub help: &'static str,
}

/// How values behave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counted in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As Prometheus calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// Who has a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `tiris-api`
    Api,
    /// `tiris-ingest`
    Ingest,
    /// Both.
    Both,
}

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Ingest => "ingest",
            Self::Both => "both",
        }
    }

    /// Whether the process of this name has it.
    #[must_use]
    pub fn is_of(self, service: &str) -> bool {
        self == Self::Both || service.strip_prefix("tiris-") == Some(self.name())
    }
}

/// Seconds of work that answers somebody.
const ANSWER_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Seconds of single statements; most take less than a millisecond, none more than the server's limit.
const STATEMENT_SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 5.0,
];
/// Seconds from a publish to its commit: milliseconds when all is well, hours after an outage.
const DELAY_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0,
];
/// Sizes of batches, in events.
const SIZES: &[f64] = &[1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0];

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    program: Program,
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        program,
        help,
    }
}

use Kind::{Counter, Gauge, Histogram};
use Program::{Api, Both, Ingest};

/// All metrics, in the order of the README.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    metric("http_requests_total", Counter, &["method", "path", "status"], Api, "Requests answered, by operation: method and path as the document has it; `unmatched` is every other path"),
    metric("http_request_duration_seconds", Histogram(ANSWER_SECONDS), &["method", "path", "status"], Api, "From the head of a request to the head of its answer"),
    metric("http_requests_in_flight", Gauge, &[], Api, "Requests that are being answered; live streams count until their head is sent"),
    metric("http_errors_total", Counter, &["code"], Api, "Refusals and failures by the code their answers carry"),
    metric("http_connections", Gauge, &[], Api, "Connections that are open"),
    metric("http_connections_full_total", Counter, &[], Api, "How often all connections of the process were taken, so that the next one had to wait"),
    metric("http_connections_refused_total", Counter, &[], Api, "Connections closed because their address held too many"),
    metric("api_live_streams", Gauge, &[], Api, "Live streams that are followed"),
    metric("api_live_events_total", Counter, &[], Api, "Rows sent on live streams"),
    metric("api_exports", Gauge, &[], Api, "CSV exports under way"),
    metric("api_measures", Gauge, &[], Api, "Computations of performance under way"),
    metric("api_sign_ins_total", Counter, &["provider", "outcome"], Api, "Callbacks of logins: `signed_in`, or the code of the refusal"),
    metric("exchange_verifications_total", Counter, &["exchange", "outcome"], Api, "Credentials an exchange was asked about: `valid`, `refused`, `unreachable`, `timed_out`"),
    metric("database_replica_failures_total", Counter, &["reason"], Api, "How often the replica was left alone and the database asked instead, and why"),
    metric("ingest_events_total", Counter, &["stream", "type", "outcome"], Ingest, "Events committed, by type (`unknown` when that cannot be read) and outcome: `applied`, `duplicate`, `dead`"),
    metric("ingest_publish_to_commit_seconds", Histogram(DELAY_SECONDS), &["stream"], Ingest, "From the moment the broker took an event to the commit of what became of it"),
    metric("ingest_lag_messages", Gauge, &["stream", "lane"], Ingest, "Messages a lane of this process has not committed"),
    metric("ingest_lag_seconds", Gauge, &["stream", "lane"], Ingest, "Age of the oldest message a lane of this process has not committed"),
    metric("ingest_batch_size", Histogram(SIZES), &["stream"], Ingest, "Events committed at once"),
    metric("ingest_commit_seconds", Histogram(ANSWER_SECONDS), &["stream"], Ingest, "Transaction of a batch, from taking a connection to the end of its commit"),
    metric("ingest_batch_failures_total", Counter, &["stream"], Ingest, "Batches that were rolled back and are tried again"),
    metric("ingest_redeliveries_total", Counter, &["stream"], Ingest, "Messages read once more, because they were read and not committed before"),
    metric("ingest_dead_letters_total", Counter, &["stream", "class", "code"], Ingest, "Events put aside as dead letters, by class and reason"),
    metric("ingest_dead_letters_open", Gauge, &["stream", "class"], Ingest, "Open dead letters of the lanes of this process"),
    metric("ingest_retries_total", Counter, &["stream", "outcome"], Ingest, "Dead letters tried again by themselves: `applied`, `given_up`, `waiting`"),
    metric("ingest_replayed_events_total", Counter, &["outcome"], Ingest, "Events of replayed ranges of time"),
    metric("ingest_lanes", Gauge, &["stream", "status"], Ingest, "Lanes of this process: `starting`, `running`, `waiting`, `halted`"),
    metric("ingest_lanes_configured", Gauge, &["stream"], Ingest, "Lanes a stream has, that of subjects without a user included, as this process is configured"),
    metric("ingest_lanes_halted", Gauge, &["kind"], Ingest, "Lanes of this process that wait for a person, by what is wrong with cursor and stream"),
    metric("ingest_lanes_taken_total", Counter, &["stream"], Ingest, "Lanes taken"),
    metric("ingest_lanes_lost_total", Counter, &["stream"], Ingest, "Lanes found in the hands of another worker; a steady rise means that leases are too short or the database too slow"),
    metric("ingest_cursor_mismatches_total", Counter, &["stream", "kind"], Ingest, "How often cursor and stream did not belong together"),
    metric("ingest_gap_messages_total", Counter, &["stream", "lane"], Ingest, "Sequences missing behind a lane's cursor; the lanes of a stream share them"),
    metric("ingest_reader_doubts_total", Counter, &["kind"], Ingest, "Consumers given up because a delivery may be missing: `connection`, `swallowed` (the idle check), `hole`, `ended`, `unreadable`; the lane reads on from its cursor"),
    metric("ingest_idle_moves_total", Counter, &["stream"], Ingest, "Cursors of idle lanes moved behind the messages of other lanes"),
    metric("ingest_drift_total", Counter, &["stream"], Ingest, "Applied events whose bot believed another balance than the books hold (`info.drift`)"),
    metric("ingest_mixed_subjects_total", Counter, &["stream"], Ingest, "Users who publish by subjects with and without a user; nothing keeps order between the two"),
    metric("ingest_heartbeats_ignored_total", Counter, &[], Ingest, "Heartbeats of more than 1,000 components of one user"),
    metric("tiris_users", Gauge, &["status"], Ingest, "Users of the system; every worker counts them all, so take the maximum"),
    metric("tiris_tradings", Gauge, &["type", "status"], Ingest, "Tradings of the system, by type (real, paper, backtest); take the maximum of the workers"),
    metric("tiris_bots", Gauge, &["status"], Ingest, "Components of bots by what their last heartbeat said, `silent` after five minutes without one; take the maximum of the workers"),
    metric("ledger_transactions_total", Counter, &["direction"], Both, "Transactions this process wrote into the books; one that is rolled back with its batch counts as well"),
    metric("database_connections", Gauge, &["pool", "state"], Both, "Connections to PostgreSQL, `used` or `idle`, by pool (`primary`, `replica`)"),
    metric("database_connections_max", Gauge, &["pool"], Both, "Connections the pool may have"),
    metric("database_acquire_timeouts_total", Counter, &[], Both, "How often no connection was free for as long as it is waited for"),
    metric("database_query_duration_seconds", Histogram(STATEMENT_SECONDS), &["statement"], Both, "Statements, from sending one to its last row, by verb and first table; `other` is what is neither"),
    metric("nats_connected", Gauge, &[], Both, "1 while the connection to NATS is there; absent where none is configured"),
    metric("nats_disconnects_total", Counter, &[], Both, "How often the connection to NATS was lost"),
    metric("dependency_up", Gauge, &["dependency", "needed"], Both, "1 when the last health check of this part succeeded; `needed`: without it the process is not ready"),
    metric("dependency_check_seconds", Gauge, &["dependency"], Both, "How long the last health check of this part took"),
    metric("log_lines_total", Counter, &["level"], Both, "Log lines of the levels `error` and `warn`"),
    metric("build_info", Gauge, &["service", "version"], Both, "Always 1; tells the version"),
    metric("runtime_workers", Gauge, &[], Both, "Threads that run tasks"),
    metric("runtime_tasks", Gauge, &[], Both, "Tasks that are alive"),
    metric("runtime_queue_depth", Gauge, &[], Both, "Tasks that wait for a thread in the common queue"),
    metric("runtime_busy_seconds_total", Counter, &[], Both, "Time threads have spent running tasks, in whole seconds"),
    metric("process_cpu_seconds_total", Counter, &[], Both, "User and system CPU time"),
    metric("process_resident_memory_bytes", Gauge, &[], Both, "Resident memory"),
    metric("process_virtual_memory_bytes", Gauge, &[], Both, "Virtual memory"),
    metric("process_virtual_memory_max_bytes", Gauge, &[], Both, "Most virtual memory there may be"),
    metric("process_open_fds", Gauge, &[], Both, "Open file descriptors"),
    metric("process_max_fds", Gauge, &[], Both, "Most file descriptors that may be open"),
    metric("process_threads", Gauge, &[], Both, "Threads of the operating system"),
    metric("process_start_time_seconds", Gauge, &[], Both, "When the process began, in seconds since 1970"),
];

/// The table of the README.
#[must_use]
pub fn table() -> String {
    let mut table =
        String::from("| metric | type | unit | of | what it tells |\n|---|---|---|---|---|\n");

    for metric in METRICS {
        let name = metric.name;
        let labels = match metric.labels {
            [] => String::new(),
            labels => format!("{{{}}}", labels.join(",")),
        };
        let kind = metric.kind.name();
        let unit = unit(name);
        let program = metric.program.name();
        let help = metric.help;

        // Writing to a text cannot fail.
        writeln!(
            table,
            "| `{name}{labels}` | {kind} | {unit} | {program} | {help} |"
        )
        .ok();
    }

    table
}

fn unit(name: &str) -> &'static str {
    let base = name.strip_suffix("_total").unwrap_or(name);
    match base.rsplit('_').next() {
        Some("seconds") => "seconds",
        Some("bytes") => "bytes",
        _ => "count",
    }
}
