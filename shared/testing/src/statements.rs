//! Records the statements that PostgreSQL executes for this thread, each with its plan.

use serde_json::Value;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// The target of the driver's events about notices of the server.
const NOTICES: &str = "sqlx::postgres::notice";
/// Settings that make the server send every statement and its executed plan to the client instead of the log.
const EXPLAINED: [(&str, &str); 9] = [
    ("session_preload_libraries", "auto_explain"),
    ("auto_explain.log_min_duration", "0"),
    ("auto_explain.log_format", "json"),
    ("auto_explain.log_analyze", "on"),
    // Statements inside functions, too.
    ("auto_explain.log_nested_statements", "on"),
    ("auto_explain.log_buffers", "on"),
    ("auto_explain.log_timing", "off"),
    ("client_min_messages", "log"),
    ("log_min_messages", "panic"),
];

/// An executed statement.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The SQL.
    pub text: String,
    plan: Value,
}

/// A step of a plan that read a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The kind of scan, such as `Seq Scan`.
    pub kind: String,
    /// The table, or its partition.
    pub table: String,
    /// Whether it read any row, matching or not.
    pub met_rows: bool,
}

impl Statement {
    /// Returns the executed scans.
    #[must_use]
    pub fn scans(&self) -> Vec<Scan> {
        let mut scans = Vec::new();
        walk(&self.plan, &mut |step| {
            let is_executed = is_some(&step["Actual Loops"]);
            let kind = step["Node Type"]
                .as_str()
                .filter(|kind| kind.contains("Scan"));
            if let (true, Some(kind), Some(table)) =
                (is_executed, kind, step["Relation Name"].as_str())
            {
                let met_rows =
                    is_some(&step["Actual Rows"]) || is_some(&step["Rows Removed by Filter"]);
                scans.push(Scan {
                    kind: kind.to_owned(),
                    table: table.to_owned(),
                    met_rows,
                });
            }
        });

        scans
    }

    /// Returns the number of blocks of tables and indexes it read.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        let blocks = |name: &str| self.plan[name].as_u64().unwrap_or_default();
        blocks("Shared Hit Blocks") + blocks("Shared Read Blocks")
    }
}

/// Reports whether a number is present and not zero, written as 0 or as 0.00.
fn is_some(number: &Value) -> bool {
    number
        .to_string()
        .bytes()
        .any(|digit| (b'1'..=b'9').contains(&digit))
}

fn walk(step: &Value, seen: &mut impl FnMut(&Value)) {
    seen(step);
    for below in step["Plans"].as_array().into_iter().flatten() {
        walk(below, seen);
    }
}

/// Records the statements of this thread's connections while it lives.
#[derive(Debug)]
pub struct Statements {
    recorded: Arc<Mutex<Vec<Statement>>>,
    _guard: DefaultGuard,
}

impl Statements {
    /// Starts recording.
    #[must_use]
    pub fn record() -> Self {
        let recorded = Arc::default();
        let filter = Targets::new().with_target(NOTICES, LevelFilter::TRACE);
        let recorder = Recorder(Arc::clone(&recorded)).with_filter(filter);
        Self {
            recorded,
            _guard: tracing::subscriber::set_default(tracing_subscriber::registry().with(recorder)),
        }
    }

    /// Returns the address of a database with the settings that make statements recordable; its user must be a superuser.
    #[must_use]
    pub fn recordable(url: &str) -> String {
        let options: Vec<String> = EXPLAINED
            .iter()
            .map(|(name, value)| format!("options[{name}]={value}"))
            .collect();
        format!("{url}?{}", options.join("&"))
    }

    /// Takes the statements recorded so far. A statement arrives when its connection is next used.
    #[must_use]
    pub fn take(&self) -> Vec<Statement> {
        std::mem::take(&mut *self.recorded.lock().expect("not poisoned"))
    }
}

struct Recorder(Arc<Mutex<Vec<Statement>>>);

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let Some((_, plan)) = message.0.split_once("plan:\n") else {
            return;
        };
        let mut explained: Value = serde_json::from_str(plan).expect("the plan is JSON");
        let text = explained["Query Text"]
            .as_str()
            .expect("its statement")
            .to_owned();
        let statement = Statement {
            text,
            plan: explained["Plan"].take(),
        };

        self.0.lock().expect("not poisoned").push(statement);
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }
}
