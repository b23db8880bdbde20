//! The time of each statement, as a metric and, where there is a collector, as a span below what sent it.
//!
//! The driver tells each statement as an event when its last row is read; nothing else can see all of them. It copies the
//! text for that, so who can tell of many statements by himself does, and the driver keeps quiet meanwhile. Owns: what
//! becomes of either. Must not know: who sends statements.

use super::otlp;
use super::tables::name_of;
use metrics::Histogram;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Where the driver tells it.
const TARGET: &str = "sqlx::query";

#[derive(Default)]
pub(super) struct Statements {
    dispatch: OnceLock<WeakDispatch>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Whether others than the driver may tell of statements: spans for a collector begin and end where it does.
static OTHERS: AtomicBool = AtomicBool::new(false);

pub(super) fn let_others_tell(may: bool) {
    OTHERS.store(may, Ordering::Relaxed);
}

/// Runs `work`, which tells [`took`] of each of its statements; the driver keeps quiet, also of what else `work` sends.
pub async fn quietly<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    let may = OTHERS.load(Ordering::Relaxed);
    poll_fn(|context| {
        let _quiet = may.then(Quiet::begin);
        work.as_mut().poll(context)
    })
    .await
}

/// Keeps how long a statement took that was sent within [`quietly`].
pub fn took(text: &str, time: Duration) {
    if OTHERS.load(Ordering::Relaxed) {
        KNOWN
            .with_borrow_mut(|known| known.figure(text))
            .seconds
            .record(time);
    }
}

/// While it lives, no statement on this thread is timed by what the driver tells.
struct Quiet {
    before: bool,
}

impl Quiet {
    fn begin() -> Self {
        Self {
            before: QUIET.replace(true),
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.set(self.before);
    }
}

/// What is heard of the driver, and which spans.
pub(super) struct Heard {
    targets: Targets,
    /// Nobody else hears how long statements take.
    alone: bool,
}

/// The filter of [`Statements`], whose layer does nothing unless it `is_on`; `log` is the filter of the log lines.
pub(super) fn filter(is_on: bool, log: &Targets) -> Heard {
    // A layer sees the spans that its own filter lets through, and ours are what statements belong to. It is a filter
    // that switches them off, because a layer inside of an `Option` is not told which dispatcher it belongs to.
    let targets = if is_on {
        Targets::new()
            .with_target(TARGET, Level::DEBUG)
            .with_target("tiris", Level::ERROR)
    } else {
        Targets::new()
    };

    Heard {
        targets,
        alone: !log.would_enable(TARGET, &Level::DEBUG),
    }
}

fn is_hushed(metadata: &Metadata<'_>) -> bool {
    QUIET.get() && metadata.target() == TARGET
}

impl<S> Filter<S> for Heard {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        // A filter refuses for its own layer, and the driver goes on telling. Only the layer can refuse for all.
        let refuses = is_hushed(metadata) && !(self.alone && *metadata.level() == Level::DEBUG);
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

/// Statements whose figures a thread remembers. Ours are fewer; some begin a transaction with an id that never comes again.
const KNOWN_MAX: usize = 512;

/// By the length of the text: a hash of all of it costs more than what it is for.
#[derive(Default)]
struct Known {
    of_length: HashMap<usize, Vec<(String, Rc<Figure>)>>,
    count: usize,
}

/// What is kept of statements of one name.
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

        // The driver puts blanks around it.
        if self.count < KNOWN_MAX && !text.trim_start().starts_with("BEGIN") {
            self.of_length
                .entry(text.len())
                .or_default()
                .push((text.to_owned(), Rc::clone(&figure)));
            self.count += 1;
        }

        figure
    }
}

/// What the driver tells of a statement.
#[derive(Default)]
struct Told {
    figure: Option<Rc<Figure>>,
    /// All of it, where there is a collector.
    text: String,
    seconds: f64,
}

impl Told {
    fn text(&mut self, text: &str) {
        self.figure = Some(KNOWN.with_borrow_mut(|known| known.figure(text)));
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

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        !is_hushed(metadata)
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
            otlp::statement(&span.id(), &dispatch, figure.name.clone(), &told.text, took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    /// What the driver asks before it copies the text of a statement.
    fn is_asked_for(level: Level) -> bool {
        match level {
            Level::DEBUG => tracing::enabled!(target: TARGET, Level::DEBUG),
            _ => tracing::enabled!(target: TARGET, Level::WARN),
        }
    }

    #[tokio::test]
    async fn where_others_tell_of_statements_the_driver_copies_no_text_unless_a_log_wants_it() {
        let_others_tell(true);
        for (log, alone) in [(Level::INFO, true), (Level::DEBUG, false)] {
            let targets = Targets::new().with_target(TARGET, Level::DEBUG);
            let layers = tracing_subscriber::registry()
                .with(Statements::default().with_filter(Heard { targets, alone }))
                .with(
                    tracing_subscriber::fmt::layer().with_filter(Targets::new().with_default(log)),
                );
            let _logged = tracing::subscriber::set_default(layers);

            assert!(is_asked_for(Level::DEBUG), "of SQL only the driver tells");
            quietly(async {
                assert_eq!(is_asked_for(Level::DEBUG), !alone);
                assert!(is_asked_for(Level::WARN), "slow statements are logged");
            })
            .await;
            assert!(
                is_asked_for(Level::DEBUG),
                "it keeps quiet no longer than that"
            );
        }
    }

    #[test]
    fn what_begins_transactions_leaves_room_for_the_statements_that_come_again() {
        let mut known = Known::default();
        for n in 0..=KNOWN_MAX {
            known.figure(&format!("\n\nBEGIN /*trace_id='{n}'*/\n"));
        }
        let first = known.figure("\n\nSELECT role FROM users\n");
        assert_eq!(known.count, 1);
        assert!(
            Rc::ptr_eq(&first, &known.figure("\n\nSELECT role FROM users\n")),
            "it was made again"
        );
    }

    #[test]
    fn a_thread_remembers_no_more_statements_than_it_may() {
        let mut known = Known::default();
        for n in 0..=KNOWN_MAX {
            assert_eq!(
                known.figure(&format!("SELECT {n} FROM users")).name,
                "select users"
            );
        }

        let kept: usize = known.of_length.values().map(Vec::len).sum();
        assert_eq!(known.count, KNOWN_MAX);
        assert_eq!(kept, KNOWN_MAX);
    }
}
