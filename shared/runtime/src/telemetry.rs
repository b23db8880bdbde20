//! What both binaries tell of what they do: log lines for machines or people, the time of statements, and spans for a
//! collector.
//!
//! Owns: which of it is told where. Must not know: what is logged. Levels: ERROR is trouble of ours and of what we need,
//! WARN is input that is refused and calls beyond a limit, INFO is one line for each request and each batch, DEBUG is the
//! rest. A failure is logged once, where it is answered.

mod count;
mod fields;
mod json;
mod otlp;
mod statements;
mod tables;
mod writer;

pub use otlp::{link, name, open};
pub use statements::{quietly, took};
pub use tables::TABLES;

use crate::config::{LogConfig, ServiceConfig};
use anyhow::Result;
use count::Count;
use json::JsonLine;
use opentelemetry_sdk::trace::SdkTracerProvider;
use statements::Statements;
use std::io::stderr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::{Level, Subscriber};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Whether anybody looks at spans: lines of JSON take the ids they need from the trace of the task.
static SPANS: AtomicBool = AtomicBool::new(true);

/// How long the last spans may take to reach their collector.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// What was started for the process; dropping it writes the last lines.
#[derive(Debug)]
#[must_use]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    _writer: WorkerGuard,
}

/// Starts logging to standard error for the rest of the process.
///
/// Standard output stays free for what a command prints as its result.
pub fn init(service: &'static str, log: &LogConfig) {
    start(service, log, stderr, false, None);
}

/// The same for a service, which also sends spans when a collector is configured.
pub fn init_service(service: &'static str, config: &ServiceConfig) -> Result<Telemetry> {
    let log = &config.log;
    let traces = config.traces.as_ref();
    let provider = traces
        .map(|traces| otlp::provider(service, traces))
        .transpose()?;

    let (writer, guard) = writer::start();
    start(service, log, writer, config.metrics, provider.as_ref());

    Ok(Telemetry {
        provider,
        _writer: guard,
    })
}

/// Whether a request needs a span of its own. One costs every poll of it something.
#[must_use]
pub fn keeps_spans() -> bool {
    SPANS.load(Ordering::Relaxed)
}

/// Lines of JSON for `writer`, or of text for people on standard error.
fn lines<S>(
    service: &'static str,
    log: &LogConfig,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer();

    if log.json {
        layer
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine { service })
            .with_writer(writer)
            .boxed()
    } else {
        let text = layer.compact().with_target(false);
        text.with_writer(stderr).boxed()
    }
}

/// With `figures` statements are timed and lines counted.
fn start(
    service: &'static str,
    log: &LogConfig,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    figures: bool,
    provider: Option<&SdkTracerProvider>,
) {
    let filter: Targets = log
        .filter
        .parse()
        .unwrap_or_else(|_| Targets::new().with_default(Level::INFO));
    let max_level = Filter::<Registry>::max_level_hint(&filter)
        .and_then(|level| level.to_string().parse().ok());
    SPANS.store(!log.json || provider.is_some(), Ordering::Relaxed);

    let spans = provider.map(|provider| {
        let ours =
            filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("tiris"));
        otlp::layer(provider).with_filter(ours)
    });
    let heard = statements::filter(figures || provider.is_some(), &filter);
    // Every filter costs each event and span a look, so those that pass the same ones have one.
    let told = lines(service, log, writer)
        .and_then(figures.then_some(Count))
        .with_filter(filter);

    let started = tracing_subscriber::registry()
        .with(Statements::default().with_filter(heard))
        .with(told)
        .with(spans)
        .try_init();
    if started.is_ok() {
        statements::let_others_tell(figures && provider.is_none());
    } else {
        tracing::debug!("logging was started before");
    }

    // What tells of statements does so by tracing. Without this every filter is asked about records nobody takes.
    log::set_max_level(max_level.unwrap_or(log::LevelFilter::Trace));
}

impl Telemetry {
    /// Sends what is left; to be called last.
    pub async fn flush(mut self) {
        let Some(provider) = self.provider.take() else {
            return;
        };

        // It waits for its thread, which waits for the runtime.
        let flushing =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_LIMIT));
        if !matches!(flushing.await, Ok(Ok(()))) {
            tracing::warn!("the last traces are lost");
        }
    }
}
