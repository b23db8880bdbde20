//! The time of each statement, as a metric and, where there is a collector, as a span below what sent it.
//!
//! The driver tells each statement as an event when its last row is read; nothing else can see all of them. Owns: what
//! becomes of that event. Must not know: who sends statements.

use super::otlp;
use super::tables::name_of;
use std::sync::OnceLock;
use std::time::Duration;
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Where the driver tells it.
pub(super) const TARGET: &str = "sqlx::query";

#[derive(Default)]
pub(super) struct Statements {
    dispatch: OnceLock<WeakDispatch>,
}

/// What the driver tells of a statement.
#[derive(Default)]
struct Told {
    /// Its first words.
    summary: String,
    /// All of it, unless that is its first words.
    text: String,
    seconds: f64,
}

impl Visit for Told {
    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.text),
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.seconds = value;
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Statements {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // Only the first one is this layer's own.
        self.dispatch.get_or_init(|| dispatch.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != TARGET {
            return;
        }
        let mut told = Told::default();
        event.record(&mut told);
        let text = if told.text.is_empty() { &told.summary } else { &told.text };
        let name = name_of(text);
        metrics::histogram!("database_query_duration_seconds", "statement" => name.clone())
            .record(told.seconds);
        if otlp::is_on()
            && let Some(span) = context.event_span(event)
            && let Some(dispatch) = self.dispatch.get().and_then(WeakDispatch::upgrade)
        {
            let took = Duration::try_from_secs_f64(told.seconds).unwrap_or_default();
            otlp::statement(&span.id(), &dispatch, name, text.trim(), took);
        }
    }
}
