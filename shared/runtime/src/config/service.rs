//! Settings of the process itself: environment, admin listener, logs, metrics, traces, shutdown.

use super::environment::Environment;
use super::problems::Problems;
use poem::http::Uri;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::Duration;
use tracing_subscriber::filter::Targets;

/// The path that OTLP appends to the address of a collector.
const TRACES_PATH: &str = "v1/traces";
/// Longest shutdown, in seconds.
const SHUTDOWN_MAX: u32 = 300;

/// Settings of the process itself.
#[derive(clap::Args, Clone, Debug)]
pub struct ServiceArgs {
    /// Where the process runs: dev, staging or production; staging has the rules of production
    #[arg(long, env = "TIRIS_ENV", default_value = "dev", value_name = "ENV")]
    environment: String,
    /// Address of the listener for health and metrics; keep it private. Port 0 picks a free one
    /// [default: 127.0.0.1:9464 for tiris-api, 127.0.0.1:9465 for tiris-ingest]
    #[arg(long, env = "TIRIS_ADMIN_LISTEN", value_name = "HOST:PORT")]
    admin_listen: Option<String>,
    /// Log level: error, warn, info, debug, trace, or filters such as info,tiris_ingest=debug
    #[arg(long, env = "TIRIS_LOG")]
    #[arg(
        default_value = "info,async_nats=warn,poem=warn",
        value_name = "FILTER"
    )]
    log: String,
    /// Log format: json, text, or auto (text on a terminal, json elsewhere)
    #[arg(long, env = "TIRIS_LOG_FORMAT")]
    #[arg(default_value = "auto", value_name = "FORMAT")]
    log_format: String,
    /// Whether /metrics is filled: on or off
    #[arg(long, env = "TIRIS_METRICS")]
    #[arg(default_value = "on", value_name = "WHETHER")]
    metrics: String,
    /// Seconds a shutdown may take before running work is cut off (1 to 300)
    #[arg(long, env = "TIRIS_SHUTDOWN_SECONDS")]
    #[arg(default_value = "15", value_name = "SECONDS")]
    shutdown_seconds: String,
    /// Collector of traces that speaks OTLP over HTTP, as http://host:4318; without it no traces are collected. Headers,
    /// sampler and further attributes are set by OpenTelemetry's own OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER,
    /// OTEL_TRACES_SAMPLER_ARG, OTEL_RESOURCE_ATTRIBUTES and OTEL_BSP_*
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    #[arg(hide_env_values = true, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// The same with the path of the traces, where that is not /v1/traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")]
    #[arg(hide_env_values = true, value_name = "URL")]
    otlp_traces_endpoint: Option<String>,
}

/// Checked [`ServiceArgs`].
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Where the process runs.
    pub environment: Environment,
    /// Address of the listener for health and metrics.
    pub admin_listen: SocketAddr,
    /// Settings of the log.
    pub log: LogConfig,
    /// Whether `/metrics` is filled.
    pub metrics: bool,
    /// How long a shutdown may take.
    pub shutdown_timeout: Duration,
    /// Full address of the collector of spans; None when spans are not collected.
    pub traces: Option<Uri>,
}

/// Settings of the log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Levels by target.
    pub filter: Targets,
    /// JSON lines instead of text.
    pub json: bool,
}

impl ServiceArgs {
    /// Returns where the process runs; None when the setting is wrong, which [`Self::check`] records.
    #[must_use]
    pub fn environment(&self) -> Option<Environment> {
        self.environment.trim().parse().ok()
    }

    /// Checks the settings and records every mistake; `admin_listen_default` is the default of the binary.
    pub fn check(
        &self,
        admin_listen_default: &str,
        problems: &mut Problems,
    ) -> Option<ServiceConfig> {
        let environment = problems.parse("TIRIS_ENV", &self.environment);
        let admin_listen = self.admin_listen.as_deref().unwrap_or(admin_listen_default);
        let admin_listen = problems.parse("TIRIS_ADMIN_LISTEN", admin_listen);
        let log = self.check_log(problems);
        let metrics = problems.parse_switch("TIRIS_METRICS", &self.metrics);
        let shutdown = &self.shutdown_seconds;
        let shutdown = problems.parse_seconds("TIRIS_SHUTDOWN_SECONDS", shutdown, SHUTDOWN_MAX);
        let traces = self.check_traces(problems);

        Some(ServiceConfig {
            environment: environment?,
            admin_listen: admin_listen?,
            log: log?,
            metrics: metrics?,
            shutdown_timeout: shutdown?,
            traces,
        })
    }

    fn check_log(&self, problems: &mut Problems) -> Option<LogConfig> {
        let filter = problems.parse("TIRIS_LOG", &self.log);
        let auto = !std::io::stderr().is_terminal();
        let formats = [("json", true), ("text", false), ("auto", auto)];
        let json = problems.parse_choice("TIRIS_LOG_FORMAT", &self.log_format, &formats);

        Some(LogConfig {
            filter: filter?,
            json: json?,
        })
    }

    /// Returns the full address for spans, or records every mistake; None when no collector is given.
    fn check_traces(&self, problems: &mut Problems) -> Option<Uri> {
        let mut address = |variable: &str, text: &str| {
            let uri: Option<Uri> = text.parse().ok();
            let is_http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https"));
            let uri = uri.filter(|uri| is_http(uri) && uri.host().is_some());
            if uri.is_none() {
                // Without the value, which can hold a password.
                let why = "must look like http://host:4318 or https://host:4318";
                problems.add(variable, why);
            }
            uri
        };

        let base = given(&self.otlp_endpoint).and_then(|text| {
            let traces = format!("{}/{TRACES_PATH}", text.trim_end_matches('/'));
            address("OTEL_EXPORTER_OTLP_ENDPOINT", &traces)
        });
        let own = given(&self.otlp_traces_endpoint)
            .and_then(|text| address("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", text));
        own.or(base)
    }
}

/// Returns a text that is not empty: OpenTelemetry treats an empty variable as unset.
fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}
