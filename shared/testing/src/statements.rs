//! The statements that came to PostgreSQL over a connection, each with the plan it was carried out by.
//!
//! Owns: how PostgreSQL is made to tell them, and how they are heard. Must not know: who sends them, and what they mean.

use serde_json::Value;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Where the driver says what the server tells its client.
const NOTICES: &str = "sqlx::postgres::notice";
/// The server tells its client, and not its log, every statement and what really happened.
const TOLD: [(&str, &str); 9] = [
    ("session_preload_libraries", "auto_explain"),
    ("auto_explain.log_min_duration", "0"),
    ("auto_explain.log_format", "json"),
    ("auto_explain.log_analyze", "on"),
    // Those of functions, too.
    ("auto_explain.log_nested_statements", "on"),
    ("auto_explain.log_buffers", "on"),
    ("auto_explain.log_timing", "off"),
    ("client_min_messages", "log"),
    ("log_min_messages", "panic"),
];

/// One statement that was carried out.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Its SQL.
    pub text: String,
    plan: Value,
}

/// A step of a plan that read a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// How, such as `Seq Scan`.
    pub kind: String,
    /// What: the partition, where the table has some.
    pub table: String,
    /// Whether it looked at any row, wanted or not.
    pub met_rows: bool,
}

impl Statement {
    /// What it read; steps that were planned and never begun are left out.
    #[must_use]
    pub fn scans(&self) -> Vec<Scan> {
        let mut scans = Vec::new();
        walk(&self.plan, &mut |step| {
            let begun = is_some(&step["Actual Loops"]);
            let kind = step["Node Type"]
                .as_str()
                .filter(|kind| kind.contains("Scan"));
            if let (true, Some(kind), Some(table)) = (begun, kind, step["Relation Name"].as_str()) {
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

    /// Blocks of tables and indexes it touched.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        let blocks = |name: &str| self.plan[name].as_u64().unwrap_or_default();
        blocks("Shared Hit Blocks") + blocks("Shared Read Blocks")
    }
}

/// Whether a number is there and not zero, be it written as 0 or as 0.00.
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

/// Hears the statements of connections that are used by this thread, while it lives.
#[derive(Debug)]
pub struct Statements {
    heard: Arc<Mutex<Vec<Statement>>>,
    _guard: DefaultGuard,
}

impl Statements {
    /// Begins to listen.
    #[must_use]
    pub fn listen() -> Self {
        let heard = Arc::default();
        let filter = Targets::new().with_target(NOTICES, LevelFilter::TRACE);
        let ear = Ear(Arc::clone(&heard)).with_filter(filter);
        Self {
            heard,
            _guard: tracing::subscriber::set_default(tracing_subscriber::registry().with(ear)),
        }
    }

    /// This address of a database, by which connections tell their statements. Its user is a superuser.
    #[must_use]
    pub fn told_at(url: &str) -> String {
        let told: Vec<String> = TOLD
            .iter()
            .map(|(name, value)| format!("options[{name}]={value}"))
            .collect();
        format!("{url}?{}", told.join("&"))
    }

    /// What was heard since the last time. The end of a statement is told when its connection is next used.
    #[must_use]
    pub fn take(&self) -> Vec<Statement> {
        std::mem::take(&mut *self.heard.lock().expect("nobody panics while holding it"))
    }
}

struct Ear(Arc<Mutex<Vec<Statement>>>);

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let Some((_, plan)) = message.0.split_once("plan:\n") else {
            return;
        };
        let mut told: Value = serde_json::from_str(plan).expect("the plan is JSON");
        let text = told["Query Text"]
            .as_str()
            .expect("its statement")
            .to_owned();
        let statement = Statement {
            text,
            plan: told["Plan"].take(),
        };

        self.0
            .lock()
            .expect("nobody panics while holding it")
            .push(statement);
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
