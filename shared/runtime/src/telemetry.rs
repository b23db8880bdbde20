//! What both binaries tell of what they do: log lines for machines or people, the time of statements, and spans for a
//! collector.
//!
//! Owns: which of it is told where. Must not know: what is logged. Levels: ERROR is trouble of ours and of what we need,
//! WARN is input that is refused and calls beyond a limit, INFO is one line for each request and each batch, DEBUG is the
//! rest. A failure is logged once, where it is answered.

mod count;
mod fields;
mod lines;
mod otlp;
mod output;
mod statements;
mod tables;

pub use otlp::{link, name, open};
pub use statements::{quietly, took};
pub use tables::TABLES;

use crate::config::{LogConfig, ServiceConfig};
use anyhow::Result;
use count::Count;
use lines::JsonLines;
use opentelemetry_sdk::trace::SdkTracerProvider;
use output::Output;
use statements::{Heard, Statements};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::Level;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Whether anybody looks at spans: lines of JSON take the ids they need from the trace of the task.
static SPANS: AtomicBool = AtomicBool::new(true);

/// How long the last spans may take to reach their collector.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// What was started for the process.
#[derive(Debug)]
#[must_use]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    output: Arc<Output>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.output.flush();
    }
}

/// Starts logging to standard error for the rest of the process.
///
/// Standard output stays free for what a command prints as its result.
pub fn init(service: &'static str, log: &LogConfig) {
    // Nobody can be told that the log is lost.
    let write = |_: &Level, line: &[u8]| drop(std::io::stderr().write_all(line));
    start(service, log, false, None, write);
}

/// The same for a service, which also sends spans when a collector is configured.
pub fn init_service(service: &'static str, config: &ServiceConfig) -> Result<Telemetry> {
    let provider = config
        .traces
        .as_ref()
        .map(|traces| otlp::provider(service, traces))
        .transpose()?;
    let output = Output::start(std::io::stderr())?;
    let telemetry = Telemetry {
        provider,
        output: Arc::clone(&output),
    };
    let write = move |level: &Level, line: &[u8]| {
        output.push(line);
        // It may be the last one.
        if *level == Level::ERROR {
            output.flush();
        }
    };
    start(
        service,
        &config.log,
        config.metrics,
        telemetry.provider.as_ref(),
        write,
    );
    Ok(telemetry)
}

/// Whether a request needs a span of its own. One costs every poll of it something.
#[must_use]
pub fn keeps_spans() -> bool {
    SPANS.load(Ordering::Relaxed)
}

/// With `figures` statements are timed and lines counted; `write` takes lines of JSON.
fn start(
    service: &'static str,
    log: &LogConfig,
    figures: bool,
    provider: Option<&SdkTracerProvider>,
    write: impl Fn(&Level, &[u8]) + Send + Sync + 'static,
) {
    let filter: Targets = log
        .filter
        .parse()
        .unwrap_or_else(|_| Targets::new().with_default(Level::INFO));
    let spans = provider.map(|provider| {
        let ours =
            filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("tiris"));
        otlp::layer(provider).with_filter(ours)
    });
    // A layer sees the spans that its own filter lets through, and ours are what statements belong to. It is a filter
    // that switches them off, because a layer inside of an `Option` is not told which dispatcher it belongs to.
    let statements = if figures || provider.is_some() {
        Targets::new()
            .with_target(statements::TARGET, Level::DEBUG)
            .with_target("tiris", Level::ERROR)
    } else {
        Targets::new()
    };
    SPANS.store(!log.json || provider.is_some(), Ordering::Relaxed);
    let lines = if log.json {
        JsonLines { service, write }.boxed()
    } else {
        let text = tracing_subscriber::fmt::layer()
            .compact()
            .with_target(false);
        text.with_writer(std::io::stderr).boxed()
    };
    let alone = !filter.would_enable(statements::TARGET, &Level::DEBUG);
    let heard = Filter::<Registry>::max_level_hint(&filter)
        .and_then(|level| level.to_string().parse().ok());
    // Every filter costs each event and span a look, so those that pass the same ones have one.
    let told = lines.and_then(figures.then_some(Count)).with_filter(filter);
    let started = tracing_subscriber::registry()
        .with(Statements::default().with_filter(Heard {
            targets: statements,
            alone,
        }))
        .with(told)
        .with(spans)
        .try_init();
    if started.is_ok() {
        statements::let_others_tell(figures && provider.is_none());
    } else {
        tracing::debug!("logging was started before");
    }
    // What tells of statements does so by tracing. Without this every filter is asked about records nobody takes.
    log::set_max_level(heard.unwrap_or(log::LevelFilter::Trace));
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
