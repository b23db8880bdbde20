//! The list of every metric of both services: name, kind, labels and help text.
//!
//! `/metrics` takes help texts and buckets from it, OBSERVABILITY.md lists it, and tests compare it with the code. No label may
//! hold a value that callers or bots can invent.

/// A metric as Prometheus knows it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The name; its last part is the unit, by Prometheus's convention.
    pub name: &'static str,
    /// How the values behave.
    pub kind: Kind,
    /// The names of the labels.
    pub labels: &'static [&'static str],
    /// The programs that report it.
    pub program: Program,
    /// The meaning, in one line.
    pub help: &'static str,
}

/// How the values of a metric behave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counted in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// Returns the name Prometheus uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// The programs that report a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `tiris-api`
    Api,
    /// `tiris-ingest`
    Ingest,
    /// Both programs.
    Both,
}

/// Buckets of requests and transactions, in seconds.
const ANSWER_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Buckets of single statements, in seconds: most take less than a millisecond, none more than the statement timeout.
const STATEMENT_SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 5.0,
];
/// Buckets from publish to commit, in seconds: usually milliseconds, hours after an outage.
const DELAY_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0,
];
/// Buckets of batch sizes, in events.
const SIZES: &[f64] = &[1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0];

use Kind::{Counter, Gauge, Histogram};
use Program::{Api, Both, Ingest};

macro_rules! metrics {
    ($($name:literal $kind:expr, [$($label:literal),*], $program:expr, $help:literal;)*) => {
        &[$(Metric {
            name: $name,
            kind: $kind,
            labels: &[$($label),*],
            program: $program,
            help: $help,
        }),*]
    };
}

/// All metrics, in the order of OBSERVABILITY.md.
pub const METRICS: &[Metric] = metrics! {
    "http_requests_total" Counter, ["method", "path", "status"], Api, "Answered requests by operation: method and path template of the OpenAPI document, `unmatched` for other paths";
    "http_request_duration_seconds" Histogram(ANSWER_SECONDS), ["method", "path", "status"], Api, "Time from receiving a request's head to sending the response's head";
    "http_requests_in_flight" Gauge, [], Api, "Requests being answered; a live stream counts until its head is sent";
    "http_errors_total" Counter, ["code"], Api, "Error responses by error code";
    "http_connections" Gauge, [], Api, "Open connections";
    "http_connections_full_total" Counter, [], Api, "How often the process reached its connection limit, so that new connections had to wait";
    "http_connections_refused_total" Counter, [], Api, "Connections closed because their address had too many";
    "api_live_streams" Gauge, [], Api, "Open live streams";
    "api_live_events_total" Counter, [], Api, "Rows sent on live streams";
    "api_exports" Gauge, [], Api, "CSV exports in progress";
    "api_measures" Gauge, [], Api, "Performance calculations in progress";
    "api_replays" Gauge, [], Api, "Replays of many dead letters in progress";
    "api_sign_ins_total" Counter, ["provider", "outcome"], Api, "Sign-in callbacks by outcome: `signed_in` or the error code";
    "exchange_verifications_total" Counter, ["exchange", "outcome"], Api, "Credential checks at exchanges by outcome: `valid`, `refused`, `unreachable`, `timed_out`";
    "database_replica_failures_total" Counter, ["reason"], Api, "How often a read fell back from the replica to the primary, by reason";
    "ingest_events_total" Counter, ["stream", "type", "outcome"], Ingest, "Committed events by type (`unknown` when unreadable) and outcome: `applied`, `duplicate`, `dead`";
    "ingest_publish_to_commit_seconds" Histogram(DELAY_SECONDS), ["stream"], Ingest, "Time from the broker's receipt of an event to the commit of its outcome";
    "ingest_lag_messages" Gauge, ["stream", "lane"], Ingest, "Uncommitted messages of a lane of this process";
    "ingest_lag_seconds" Gauge, ["stream", "lane"], Ingest, "Age of the oldest uncommitted message of a lane of this process";
    "ingest_batch_size" Histogram(SIZES), ["stream"], Ingest, "Events per committed batch";
    "ingest_commit_seconds" Histogram(ANSWER_SECONDS), ["stream"], Ingest, "Duration of a batch's transaction, from acquiring a connection to the end of the commit";
    "ingest_batch_failures_total" Counter, ["stream"], Ingest, "Batches rolled back and retried";
    "ingest_redeliveries_total" Counter, ["stream"], Ingest, "Messages read again because an earlier read was not committed";
    "ingest_dead_letters_total" Counter, ["stream", "class", "code"], Ingest, "Events stored as dead letters, by class and reason";
    "ingest_dead_letters_open" Gauge, ["stream", "class"], Ingest, "Open dead letters of the lanes of this process";
    "ingest_dead_letters_recent" Gauge, ["stream", "class"], Ingest, "Open dead letters of the lanes of this process that were created within the last hour; without those of class `unresolved` of disabled users";
    "ingest_dead_letters_waiting_seconds" Gauge, ["stream"], Ingest, "Age of the oldest open dead letter of class `unresolved` of a user who is not disabled, of the lanes of this process; 0 without one";
    "ingest_retries_total" Counter, ["stream", "outcome"], Ingest, "Automatic retries of dead letters by outcome: `applied`, `given_up`, `waiting`";
    "ingest_replayed_events_total" Counter, ["outcome"], Ingest, "Events of replayed time ranges, by outcome";
    "ingest_lanes" Gauge, ["stream", "status"], Ingest, "Lanes of this process by status: `starting`, `running`, `waiting`, `halted`";
    "ingest_lanes_configured" Gauge, ["stream"], Ingest, "Configured lanes of a stream, including the one for subjects without a user";
    "ingest_lanes_halted" Gauge, ["kind"], Ingest, "Halted lanes of this process, which wait for an operator, by the mismatch of cursor and stream";
    "ingest_lanes_taken_total" Counter, ["stream"], Ingest, "Lanes acquired";
    "ingest_lanes_lost_total" Counter, ["stream"], Ingest, "Lanes lost to another worker; a steady rise means that leases are too short or the database is too slow";
    "ingest_cursor_mismatches_total" Counter, ["stream", "kind"], Ingest, "How often a cursor did not match its stream";
    "ingest_gap_messages_total" Counter, ["stream", "lane"], Ingest, "Sequences missing after a lane's cursor; the lanes of a stream share them";
    "ingest_reader_doubts_total" Counter, ["kind"], Ingest, "Consumers replaced because a delivery may be missing: `connection`, `swallowed` (idle check), `hole`, `ended`, `unreadable`; the lane continues from its cursor";
    "ingest_unreadable_messages_total" Counter, ["stream"], Ingest, "Messages whose headers or subject cannot be parsed, read one by one; the log names their publishers";
    "ingest_left_out_total" Counter, ["stream"], Ingest, "Events stored without their `metadata` or unknown fields, because these exceed a limit";
    "ingest_detours_total" Counter, ["stream"], Ingest, "How often a user exceeded the quota of messages or bytes, so that their events are processed beside those of others; the log names the user";
    "ingest_detour_messages_total" Counter, ["stream"], Ingest, "Messages passed over because their user exceeds the quota, and processed later";
    "ingest_idle_moves_total" Counter, ["stream"], Ingest, "How often the cursor of an idle lane moved past messages of other lanes";
    "ingest_mixed_subjects_total" Counter, ["stream"], Ingest, "Users who publish on subjects both with and without a user id; order between the two is not guaranteed";
    "ingest_heartbeats_ignored_total" Counter, [], Ingest, "Ignored heartbeats of users with more than 1,000 components";
    "ingest_stream_bytes" Gauge, ["stream"], Ingest, "Bytes that a stream stores; every worker reports all streams, so take the maximum";
    "ingest_stream_bytes_max" Gauge, ["stream"], Ingest, "Maximum size of a stream in bytes, 0 for unlimited";
    "ingest_stream_subject_messages" Gauge, ["stream"], Ingest, "Messages of the subject that has most in a stream; a subject belongs to one user and one event type";
    "ingest_stream_user_bytes_max" Gauge, ["stream"], Ingest, "Bytes that one user can store in a stream at most: event types, times messages, times bytes of a message; 0 for unlimited";
    "ingest_stream_subject_messages_max" Gauge, ["stream"], Ingest, "Maximum number of messages of a subject of a stream, 0 for unlimited";
    "tiris_users" Gauge, ["status"], Ingest, "Users in the database; every worker reports all, so take the maximum";
    "tiris_tradings" Gauge, ["type", "status"], Ingest, "Tradings in the database by type (real, paper, backtest); every worker reports all, so take the maximum";
    "tiris_bots" Gauge, ["status"], Ingest, "Bot components by their latest heartbeat, `silent` after five minutes without one; every worker reports all, so take the maximum";
    "ledger_transactions_total" Counter, ["direction"], Both, "Transactions this process wrote, including those later rolled back with their batch";
    "ledger_drift_total" Counter, ["kind"], Both, "Trading logs this process committed that differ from the books (`info.drift`), by kind of drift: of new events, retries, replays and requests";
    "database_connections" Gauge, ["pool", "state"], Both, "Connections to PostgreSQL by state (`used`, `idle`) and pool (`primary`, `lists`, `replica`)";
    "database_connections_max" Gauge, ["pool"], Both, "Maximum size of the pool";
    "database_acquire_timeouts_total" Counter, [], Both, "How often no connection became free within the acquire timeout";
    "database_query_duration_seconds" Histogram(STATEMENT_SECONDS), ["statement"], Both, "Time from sending a statement to its last row, by verb and first table; `other` for other verbs";
    "nats_connected" Gauge, [], Both, "1 while connected to NATS; absent where NATS is not configured";
    "nats_disconnects_total" Counter, [], Both, "How often the connection to NATS was lost";
    "dependency_up" Gauge, ["dependency", "needed"], Both, "1 when the last health check of this dependency succeeded; `needed`: the process is not ready without it";
    "dependency_check_seconds" Gauge, ["dependency"], Both, "Duration of the last health check of this dependency";
    "log_lines_total" Counter, ["level"], Both, "Log lines of the levels `error` and `warn`";
    "build_info" Gauge, ["service", "version"], Both, "Always 1; the labels name service and version";
    "runtime_workers" Gauge, [], Both, "Worker threads of the async runtime";
    "runtime_tasks" Gauge, [], Both, "Tasks that are alive";
    "runtime_queue_depth" Gauge, [], Both, "Tasks in the global queue, waiting for a thread";
    "runtime_busy_seconds_total" Counter, [], Both, "Time worker threads spent running tasks, in whole seconds";
    "process_cpu_seconds_total" Counter, [], Both, "User and system CPU time";
    "process_resident_memory_bytes" Gauge, [], Both, "Resident memory";
    "process_virtual_memory_bytes" Gauge, [], Both, "Virtual memory";
    "process_virtual_memory_max_bytes" Gauge, [], Both, "Limit of virtual memory";
    "process_open_fds" Gauge, [], Both, "Open file descriptors";
    "process_max_fds" Gauge, [], Both, "Limit of open file descriptors";
    "process_threads" Gauge, [], Both, "Operating system threads";
    "process_start_time_seconds" Gauge, [], Both, "Start time of the process, in seconds since 1970";
};
