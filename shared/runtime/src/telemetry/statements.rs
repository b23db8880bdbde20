//! The duration of each statement, as a metric and, with a collector, as a span below the span that sent it.
//!
//! Only the driver sees all statements: it emits an event when the last row is read, and copies the text for that. Callers
//! that send many statements avoid the copy by timing them themselves while the driver stays silent.

use super::otlp;
use super::tables::name_of;
use metrics::Histogram;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

/// The target of the driver's events.
const TARGET: &str = "sqlx::query";

#[derive(Default)]
pub(super) struct Statements {
    dispatch: OnceLock<WeakDispatch>,
}

/// Whether callers may time statements; not with a collector, whose spans begin and end in the driver.
pub(super) static CALLERS_TIME: AtomicBool = AtomicBool::new(false);

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

tokio::task_local! {
    /// Whether the driver stays silent, because the caller times the statements of the task.
    static IS_SILENT: bool;
}

/// Runs `work`, which passes each of its statements to [`record_statement`], while the driver reports none of them.
pub async fn timed_by_caller<F: Future>(work: F) -> F::Output {
    let is_silent = CALLERS_TIME.load(Ordering::Relaxed);
    IS_SILENT.scope(is_silent, work).await
}

/// Records the duration of a statement that was sent within [`timed_by_caller`].
pub fn record_statement(text: &str, duration: Duration) {
    if CALLERS_TIME.load(Ordering::Relaxed) {
        KNOWN
            .with_borrow_mut(|known| known.figure(text))
            .seconds
            .record(duration);
    }
}

/// Selects the events of the driver, and the spans they belong to.
pub(super) struct StatementFilter {
    targets: Targets,
    /// Whether the log ignores the driver's events.
    is_only_reader: bool,
}

/// Returns the filter of [`Statements`], whose layer does nothing unless it `is_on`; `log` is the filter of the log.
pub(super) fn filter(is_on: bool, log: &Targets) -> StatementFilter {
    // The layer is switched off by its filter, because a layer inside an `Option` does not learn its dispatcher.
    let targets = if is_on {
        Targets::new()
            .with_target(TARGET, Level::DEBUG)
            .with_target("tiris", Level::ERROR)
    } else {
        Targets::new()
    };

    StatementFilter {
        targets,
        is_only_reader: !log.would_enable(TARGET, &Level::DEBUG),
    }
}

fn is_silenced(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET && IS_SILENT.try_with(|is_silent| *is_silent).unwrap_or(false)
}

impl<S> Filter<S> for StatementFilter {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        // A filter refuses an event for its own layer only; the layer refuses it for all, so the driver does not emit it.
        let layer_refuses = self.is_only_reader && *metadata.level() == Level::DEBUG;
        let refuses = is_silenced(metadata) && !layer_refuses;
        !refuses && Filter::<S>::enabled(&self.targets, metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let interest = Filter::<S>::callsite_enabled(&self.targets, metadata);
        if interest.is_always() && metadata.target() == TARGET {
            Interest::sometimes()
        } else {
            interest
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.targets)
    }
}

/// Maximum number of statements a thread caches. Ours are fewer; BEGIN carries a new id each time and is not cached.
const KNOWN_MAX: usize = 512;

/// The statements of a thread by the length of their text, which is cheaper than hashing it.
#[derive(Default)]
struct Known {
    of_length: HashMap<usize, Vec<(String, Rc<Figure>)>>,
    count: usize,
}

/// The name of a statement and its durations.
struct Figure {
    name: String,
    seconds: Histogram,
}

impl Known {
    fn figure(&mut self, text: &str) -> Rc<Figure> {
        let mut of_length = self.of_length.get(&text.len()).into_iter().flatten();
        if let Some((_, figure)) = of_length.find(|(known, _)| known == text) {
            return Rc::clone(figure);
        }

        let name = name_of(text);
        let seconds =
            metrics::histogram!("database_query_duration_seconds", "statement" => name.clone());
        let figure = Rc::new(Figure { name, seconds });

        // The driver surrounds the text with white space.
        if self.count < KNOWN_MAX && !text.trim_start().starts_with("BEGIN") {
            let of_length = self.of_length.entry(text.len()).or_default();
            of_length.push((text.to_owned(), Rc::clone(&figure)));
            self.count += 1;
        }

        figure
    }
}

/// The fields of the driver's event.
#[derive(Default)]
struct Finished {
    figure: Option<Rc<Figure>>,
    /// The text; empty without a collector.
    text: String,
    seconds: f64,
}

impl Finished {
    fn set_text(&mut self, text: &str) {
        self.figure = Some(KNOWN.with_borrow_mut(|known| known.figure(text)));
        if otlp::is_on() {
            text.trim().clone_into(&mut self.text);
        }
    }
}

impl Visit for Finished {
    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        // The summary is either the whole text, or shortened beside a full `db.statement`.
        match field.name() {
            "summary" if !value.ends_with('…') => self.set_text(value),
            "db.statement" if !value.is_empty() => self.set_text(value),
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
        // The first dispatcher is the layer's own.
        self.dispatch.get_or_init(|| dispatch.downgrade());
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        !is_silenced(metadata)
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != TARGET {
            return;
        }

        let mut query = Finished::default();
        event.record(&mut query);
        let Some(figure) = query.figure else { return };

        figure.seconds.record(query.seconds);
        if otlp::is_on()
            && let Some(span) = context.event_span(event)
            && let Some(dispatch) = self.dispatch.get().and_then(WeakDispatch::upgrade)
            && let Some(parent) = get_otel_context(&span.id(), &dispatch)
        {
            let took = Duration::try_from_secs_f64(query.seconds).unwrap_or_default();
            otlp::statement(&parent, figure.name.clone(), &query.text, took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    /// Returns the result of the check that the driver makes before it copies the text of a statement.
    fn is_enabled(level: Level) -> bool {
        match level {
            Level::DEBUG => tracing::enabled!(target: TARGET, Level::DEBUG),
            _ => tracing::enabled!(target: TARGET, Level::WARN),
        }
    }

    #[tokio::test]
    async fn a_silent_driver_copies_text_only_for_the_log() {
        CALLERS_TIME.store(true, Ordering::Relaxed);
        for (log, is_only_reader) in [(Level::INFO, true), (Level::DEBUG, false)] {
            let filter = StatementFilter {
                targets: Targets::new().with_target(TARGET, Level::DEBUG),
                is_only_reader,
            };
            let log = Targets::new().with_default(log);
            let layers = tracing_subscriber::registry()
                .with(Statements::default().with_filter(filter))
                .with(tracing_subscriber::fmt::layer().with_filter(log));
            let _logged = tracing::subscriber::set_default(layers);

            assert!(is_enabled(Level::DEBUG), "the driver is silent too early");
            timed_by_caller(async {
                assert_eq!(is_enabled(Level::DEBUG), !is_only_reader);
                assert!(is_enabled(Level::WARN), "slow statements are logged");
            })
            .await;
            assert!(is_enabled(Level::DEBUG), "the driver stays silent");
        }
    }

    #[test]
    fn begin_statements_are_not_cached() {
        let mut known = Known::default();
        for n in 0..=KNOWN_MAX {
            known.figure(&format!("\n\nBEGIN /*trace_id='{n}'*/\n"));
        }

        let first = known.figure("\n\nSELECT role FROM users\n");
        let second = known.figure("\n\nSELECT role FROM users\n");

        assert_eq!(known.count, 1);
        assert!(Rc::ptr_eq(&first, &second), "the statement is not cached");
    }

    #[test]
    fn a_thread_caches_a_limited_number_of_statements() {
        let mut known = Known::default();
        for n in 0..=KNOWN_MAX {
            let figure = known.figure(&format!("SELECT {n} FROM users"));
            assert_eq!(figure.name, "select users");
        }

        let cached: usize = known.of_length.values().map(Vec::len).sum();
        assert_eq!(known.count, KNOWN_MAX);
        assert_eq!(cached, KNOWN_MAX);
    }
}
