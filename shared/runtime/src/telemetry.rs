//! Logs, statement timing and spans of a process.
//!
//! Levels: ERROR is a failure of ours or of a dependency, WARN is refused input and exceeded limits, INFO is one line per
//! request and batch, DEBUG is everything else. A failure is logged once, where it is handled.

mod fields;
mod json;
mod otlp;
mod statements;
mod tables;
mod writer;

pub use otlp::{link, name, open};
pub use statements::{record_statement, timed_by_caller};
pub use tables::TABLES;

use crate::config::{LogConfig, ServiceConfig};
use anyhow::Result;
use json::JsonLine;
use opentelemetry_sdk::trace::SdkTracerProvider;
use statements::Statements;
use std::io::stderr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

/// Whether spans are used: JSON lines take their ids from the trace of the task instead.
static SPANS: AtomicBool = AtomicBool::new(true);

/// How long the last spans may take to reach their collector.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// The telemetry of the process; dropping it writes the last log lines.
#[derive(Debug)]
#[must_use]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    _writer: WorkerGuard,
}

/// Starts logging to standard error, for a command whose result is printed to standard output.
pub fn init(service: &'static str, log: &LogConfig) {
    start(service, log, stderr, false, None);
}

/// Starts logging to standard error for a service, and sending spans when a collector is configured.
pub fn init_service(service: &'static str, config: &ServiceConfig) -> Result<Telemetry> {
    let collector = config.traces.as_ref();
    let provider = collector
        .map(|endpoint| otlp::provider(service, endpoint))
        .transpose()?;

    let log = &config.log;
    let (lines, writer) = writer::start();
    start(service, log, lines, config.metrics, provider.as_ref());

    Ok(Telemetry {
        provider,
        _writer: writer,
    })
}

/// Reports whether requests need spans, which slow down every poll.
#[must_use]
pub fn uses_spans() -> bool {
    SPANS.load(Ordering::Relaxed)
}

/// Starts logging JSON lines to `writer`, or text to standard error; with `is_measured` also counts lines and times
/// statements.
fn start(
    service: &'static str,
    log: &LogConfig,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    is_measured: bool,
    provider: Option<&SdkTracerProvider>,
) {
    let filter = log.filter.clone();
    let max_level = Filter::<Registry>::max_level_hint(&filter)
        .and_then(|level| level.to_string().parse().ok());
    SPANS.store(!log.json || provider.is_some(), Ordering::Relaxed);

    let spans = provider.map(|provider| {
        let ours =
            filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("tiris"));
        otlp::layer(provider).with_filter(ours)
    });
    let timed = statements::filter(is_measured || provider.is_some(), &filter);
    let json = log.json.then(|| {
        let layer = fmt::layer().fmt_fields(JsonFields::new());
        layer.event_format(JsonLine { service }).with_writer(writer)
    });
    let text = (!log.json).then(|| {
        let layer = fmt::layer().compact().with_target(false);
        layer.with_writer(stderr)
    });
    // Each filter runs for every event and span, so these layers share one.
    let logged = Layer::and_then(json, text)
        .and_then(is_measured.then_some(Count))
        .with_filter(filter);

    let started = tracing_subscriber::registry()
        .with(Statements::default().with_filter(timed))
        .with(logged)
        .with(spans)
        .try_init();
    if started.is_ok() {
        statements::CALLERS_TIME.store(is_measured && provider.is_none(), Ordering::Relaxed);
    } else {
        tracing::debug!("logging was started before");
    }

    // Without this limit every record of the `log` crate passes all filters before it is dropped.
    log::set_max_level(max_level.unwrap_or(log::LevelFilter::Trace));
}

/// Counts log lines of the levels `error` and `warn`.
struct Count;

impl<S: Subscriber> Layer<S> for Count {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            _ => return,
        };
        metrics::counter!("log_lines_total", "level" => level).increment(1);
    }
}

impl Telemetry {
    /// Sends the remaining spans; to be called last.
    pub async fn flush(mut self) {
        let Some(provider) = self.provider.take() else {
            return;
        };

        // It blocks until its thread has sent the spans, which needs the runtime.
        let flushing =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_LIMIT));
        if !matches!(flushing.await, Ok(Ok(()))) {
            tracing::warn!("the last traces are lost");
        }
    }
}
