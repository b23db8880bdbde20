//! The time of each statement, as a metric and, where there is a collector, as a span below what sent it.
//!
//! The driver tells each statement as an event when its last row is read; nothing else can see all of them. Owns: what
//! becomes of that event. Must not know: who sends statements.

use super::otlp;
use super::tables::name_of;
use metrics::Histogram;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
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

thread_local! {
    static KNOWN: RefCell<HashMap<String, Figure>> = RefCell::default();
}

/// Statements whose figures a thread remembers. Ours are fewer; some begin a transaction with an id that never comes again.
const KNOWN_MAX: usize = 512;

/// What is kept of statements of one name.
#[derive(Clone)]
struct Figure {
    name: Arc<str>,
    seconds: Histogram,
}

impl Figure {
    fn of(text: &str) -> Self {
        KNOWN.with_borrow_mut(|known| {
            if let Some(figure) = known.get(text) {
                return figure.clone();
            }
            let name = name_of(text);
            let seconds = metrics::histogram!("database_query_duration_seconds", "statement" => name.clone());
            let figure = Self { name: name.into(), seconds };
            // The driver puts blanks around it.
            if known.len() < KNOWN_MAX && !text.trim_start().starts_with("BEGIN") {
                known.insert(text.to_owned(), figure.clone());
            }
            figure
        })
    }
}

/// What the driver tells of a statement.
#[derive(Default)]
struct Told {
    figure: Option<Figure>,
    /// All of it, where there is a collector.
    text: String,
    seconds: f64,
}

impl Told {
    fn text(&mut self, text: &str) {
        self.figure = Some(Figure::of(text));
        if otlp::is_on() {
            text.trim().clone_into(&mut self.text);
        }
    }
}

impl Visit for Told {
    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        // The summary is its first words, and all of it only where the statement is empty.
        match field.name() {
            "summary" if !value.ends_with('…') => self.text(value),
            "db.statement" if !value.is_empty() => self.text(value),
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
        let Some(figure) = told.figure else { return };
        figure.seconds.record(told.seconds);
        if otlp::is_on()
            && let Some(span) = context.event_span(event)
            && let Some(dispatch) = self.dispatch.get().and_then(WeakDispatch::upgrade)
        {
            let took = Duration::try_from_secs_f64(told.seconds).unwrap_or_default();
            otlp::statement(&span.id(), &dispatch, figure.name.to_string(), &told.text, took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_transactions_leaves_room_for_the_statements_that_come_again() {
        for n in 0..=KNOWN_MAX {
            Figure::of(&format!("\n\nBEGIN /*trace_id='{n}'*/\n"));
        }
        Figure::of("\n\nSELECT role FROM users\n");
        KNOWN.with_borrow(|known| assert_eq!(known.len(), 1));
    }

    #[test]
    fn a_thread_remembers_no_more_statements_than_it_may() {
        for n in 0..=KNOWN_MAX {
            assert_eq!(&*Figure::of(&format!("SELECT {n} FROM users")).name, "select users");
        }
        KNOWN.with_borrow(|known| assert_eq!(known.len(), KNOWN_MAX));
    }
}
