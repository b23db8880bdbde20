//! How a process presents itself to operators.

use super::environment::Environment;
use super::problems::Problems;
use super::traces::{TracesArgs, TracesConfig};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::Duration;
use tracing_subscriber::filter::Targets;

/// How the process presents itself to operators.
#[derive(clap::Args, Clone, Debug)]
pub struct ServiceArgs {
    /// Where the process runs: dev or production
    #[arg(long, env = "TIRIS_ENV", default_value = "dev", value_name = "ENV")]
    environment: String,
    /// Address of the listener for health and metrics; keep it private. Port 0 picks a free one
    /// [default: 127.0.0.1:9464 for tiris-api, 127.0.0.1:9465 for tiris-ingest]
    #[arg(long, env = "TIRIS_ADMIN_LISTEN", value_name = "HOST:PORT")]
    admin_listen: Option<String>,
    /// What is logged, as error, warn, info, debug, trace or filters such as info,tiris_ingest=debug
    #[arg(long, env = "TIRIS_LOG")]
    #[arg(default_value = "info,async_nats=warn,poem=warn")]
    #[arg(value_name = "FILTER")]
    log: String,
    /// Form of the log: json, text, or auto (text on a terminal, json elsewhere)
    #[arg(long, env = "TIRIS_LOG_FORMAT")]
    #[arg(default_value = "auto", value_name = "FORMAT")]
    log_format: String,
    /// Whether figures are kept for /metrics: on or off
    #[arg(long, env = "TIRIS_METRICS")]
    #[arg(default_value = "on", value_name = "WHETHER")]
    metrics: String,
    /// Seconds a stop may take before what still runs is cut off (1 to 300)
    #[arg(long, env = "TIRIS_SHUTDOWN_SECONDS")]
    #[arg(default_value = "15", value_name = "SECONDS")]
    shutdown_seconds: String,
    #[command(flatten)]
    traces: TracesArgs,
}

/// Checked [`ServiceArgs`].
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Where the process runs.
    pub environment: Environment,
    /// Where health and metrics are served.
    pub admin_listen: SocketAddr,
    /// What is logged and how.
    pub log: LogConfig,
    /// Whether figures are kept for `/metrics`.
    pub metrics: bool,
    /// How long a stop may take.
    pub shutdown_timeout: Duration,
    /// Where spans go; nowhere when it is none.
    pub traces: Option<TracesConfig>,
}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Filter directives.
    pub filter: String,
    /// JSON lines instead of text for people.
    pub json: bool,
}

impl ServiceArgs {
    /// Where the process runs; none when the setting is wrong, which [`Self::check`] notes.
    #[must_use]
    pub fn environment(&self) -> Option<Environment> {
        self.environment.trim().parse().ok()
    }

    /// Checks the settings, noting every mistake; `admin_listen_default` is the binary's own.
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
        let shutdown_timeout =
            problems.parse_seconds("TIRIS_SHUTDOWN_SECONDS", &self.shutdown_seconds, 300);
        let traces = self.traces.check(problems);

        Some(ServiceConfig {
            environment: environment?,
            admin_listen: admin_listen?,
            log: log?,
            metrics: metrics?,
            shutdown_timeout: shutdown_timeout?,
            traces,
        })
    }

    fn check_log(&self, problems: &mut Problems) -> Option<LogConfig> {
        if let Err(error) = self.log.parse::<Targets>() {
            problems.add("TIRIS_LOG", format_args!("{error} (given: {:?})", self.log));
        }

        let json = match self.log_format.as_str() {
            "json" => true,
            "text" => false,
            "auto" => !std::io::stderr().is_terminal(),
            other => {
                let why = format_args!("must be json, text or auto (given: {other:?})");
                problems.add("TIRIS_LOG_FORMAT", why);
                return None;
            }
        };

        Some(LogConfig {
            filter: self.log.clone(),
            json,
        })
    }
}
