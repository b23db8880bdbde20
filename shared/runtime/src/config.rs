//! Settings both binaries share, from command line or environment; `--help` is their manual.
//!
//! Owns: how settings are read, checked all at once and kept secret. Must not know: what a binary does with them.
//! Values reach us as text and are checked here rather than by the argument parser, which stops at the first mistake.

mod database;
mod traces;
mod wire;

pub use database::{DatabaseArgs, DatabaseConfig, check_database_url};
pub use traces::{TracesArgs, TracesConfig};
pub use wire::is_loopback;

use secrecy::{ExposeSecret, SecretString};
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Mistakes found so far, each naming its variable.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Notes a mistake in `variable`.
    pub fn add(&mut self, variable: &str, why: impl Display) {
        self.0.push(format!("{variable}: {why}"));
    }

    /// Parses `text`; on failure notes the mistake and what was given, and goes on with nothing.
    pub fn parse<T: FromStr>(&mut self, variable: &str, text: &str) -> Option<T>
    where
        T::Err: Display,
    {
        text.trim()
            .parse()
            .map_err(|error| self.add(variable, format_args!("{error} (given: {text:?})")))
            .ok()
    }

    /// Parses a count and holds it to its limits.
    pub fn parse_within(&mut self, variable: &str, text: &str, min: u32, max: u32) -> Option<u32> {
        let value: u32 = self.parse(variable, text)?;
        if (min..=max).contains(&value) {
            return Some(value);
        }
        self.add(
            variable,
            format_args!("must be between {min} and {max} (given: {value})"),
        );
        None
    }

    /// `value` when nothing was wrong, else every mistake.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(ConfigError(self.0)),
        }
    }
}

/// Every mistake in the configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} mistake(s):\n  {}\nsee --help for every setting", .0.len(), .0.join("\n  "))]
pub struct ConfigError(Vec<String>);

/// Where the process runs; decides how strict start-up is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine or a test.
    Dev,
    /// Users' books.
    Production,
}

impl FromStr for Environment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "dev" => Ok(Self::Dev),
            "production" => Ok(Self::Production),
            _ => Err("must be dev or production"),
        }
    }
}

/// Text whose `Debug` form hides it, so that a printed argument struct tells nothing.
#[derive(Clone)]
pub struct SecretText(SecretString);

impl SecretText {
    /// The text.
    #[must_use]
    pub fn secret(&self) -> SecretString {
        self.0.clone()
    }

    /// Whether there is nothing but white space.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.0.expose_secret().trim().is_empty()
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

/// How to reach NATS.
#[derive(clap::Args, Clone, Debug)]
pub struct NatsArgs {
    /// NATS server, as nats://host:port or nats://user:password@host:port; several are separated by commas
    #[arg(
        long,
        env = "NATS_URL",
        default_value = "nats://127.0.0.1:4222",
        hide_env_values = true,
        value_name = "URL"
    )]
    nats_url: SecretText,
    /// File with the NATS credentials (a .creds file), when the server asks for them
    #[arg(long, env = "NATS_CREDENTIALS_FILE", value_name = "FILE")]
    nats_credentials_file: Option<PathBuf>,
}

/// Checked [`NatsArgs`].
#[derive(Clone)]
pub struct NatsConfig {
    /// Servers of one cluster; the first that names a user and a password does so for all.
    pub servers: Vec<async_nats::ServerAddr>,
    /// Credentials file, read at every connect.
    pub credentials_file: Option<PathBuf>,
}

impl std::fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.servers.iter().map(async_nats::ServerAddr::host))
            .finish_non_exhaustive()
    }
}

impl NatsArgs {
    /// Checks the settings, noting every mistake.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<NatsConfig> {
        let credentials = self.nats_credentials_file.as_deref();
        let urls = self.nats_url.secret();
        Some(NatsConfig::checked(
            urls.expose_secret(),
            credentials,
            environment,
            problems,
        ))
    }
}

impl NatsConfig {
    fn checked(
        urls: &str,
        credentials_file: Option<&Path>,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Self {
        let mut servers = Vec::new();
        for server in urls.split(',') {
            match server.trim().parse() {
                Ok(address) => {
                    wire::check_nats(&address, environment, problems);
                    check_login(&address, problems);
                    servers.push(address);
                }
                Err(_) => problems.add("NATS_URL", "must look like nats://host:port"),
            }
        }
        if let Some(file) = credentials_file.filter(|file| !file.is_file()) {
            problems.add(
                "NATS_CREDENTIALS_FILE",
                format_args!("{} is no file", file.display()),
            );
        }
        Self {
            servers,
            credentials_file: credentials_file.map(Path::to_owned),
        }
    }
}

/// The client sends user and password as they stand in the URL, so they must need no encoding there.
fn check_login(address: &async_nats::ServerAddr, problems: &mut Problems) {
    let parts = [address.username(), address.password()];
    if parts.into_iter().flatten().any(|part| part.contains('%')) {
        problems.add(
            "NATS_URL",
            "user and password may hold only letters, digits and any of -._~",
        );
    }
}

/// How to reach NATS, for a service that also runs without it.
#[derive(clap::Args, Clone, Debug)]
pub struct OptionalNatsArgs {
    /// NATS server that wakes live streams, as nats://user:password@host:port; several are separated by commas. Without it streams look
    /// into the database every two seconds
    #[arg(long, env = "NATS_URL", hide_env_values = true, value_name = "URL")]
    nats_url: Option<SecretText>,
    /// File with the NATS credentials (a .creds file), when the server asks for them
    #[arg(long, env = "NATS_CREDENTIALS_FILE", value_name = "FILE")]
    nats_credentials_file: Option<PathBuf>,
}

impl OptionalNatsArgs {
    /// Checks the settings, noting every mistake; none when no server is named.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<NatsConfig> {
        let urls = self
            .nats_url
            .as_ref()
            .filter(|urls| !urls.is_blank())?
            .secret();
        Some(NatsConfig::checked(
            urls.expose_secret(),
            self.nats_credentials_file.as_deref(),
            environment,
            problems,
        ))
    }
}

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
    #[arg(
        long,
        env = "TIRIS_LOG",
        default_value = "info,async_nats=warn,poem=warn",
        value_name = "FILTER"
    )]
    log: String,
    /// Form of the log: json, text, or auto (text on a terminal, json elsewhere)
    #[arg(
        long,
        env = "TIRIS_LOG_FORMAT",
        default_value = "auto",
        value_name = "FORMAT"
    )]
    log_format: String,
    /// Whether figures are kept for /metrics: on or off
    #[arg(
        long,
        env = "TIRIS_METRICS",
        default_value = "on",
        value_name = "WHETHER"
    )]
    metrics: String,
    /// Seconds a stop may take before what still runs is cut off (1 to 300)
    #[arg(
        long,
        env = "TIRIS_SHUTDOWN_SECONDS",
        default_value = "15",
        value_name = "SECONDS"
    )]
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
        if let Err(error) = self.log.parse::<tracing_subscriber::filter::Targets>() {
            problems.add("TIRIS_LOG", format_args!("{error} (given: {:?})", self.log));
        }
        let json = match self.log_format.as_str() {
            "json" => true,
            "text" => false,
            "auto" => !std::io::IsTerminal::is_terminal(&std::io::stderr()),
            other => {
                problems.add(
                    "TIRIS_LOG_FORMAT",
                    format_args!("must be json, text or auto (given: {other:?})"),
                );
                true
            }
        };
        let metrics = match self.metrics.as_str() {
            "on" => Some(true),
            "off" => Some(false),
            other => {
                problems.add(
                    "TIRIS_METRICS",
                    format_args!("must be on or off (given: {other:?})"),
                );
                None
            }
        };
        let shutdown =
            problems.parse_within("TIRIS_SHUTDOWN_SECONDS", &self.shutdown_seconds, 1, 300);
        let traces = self.traces.check(problems);
        Some(ServiceConfig {
            traces,
            environment: environment?,
            admin_listen: admin_listen?,
            log: LogConfig {
                filter: self.log.clone(),
                json,
            },
            metrics: metrics?,
            shutdown_timeout: Duration::from_secs(u64::from(shutdown?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Args {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        service: ServiceArgs,
    }

    fn check(arguments: &[&str]) -> Result<(DatabaseConfig, ServiceConfig), ConfigError> {
        let args = Args::parse_from(std::iter::once(&"test").chain(arguments));
        let mut problems = Problems::default();
        let checked = args
            .database
            .check(args.service.environment(), &mut problems)
            .zip(args.service.check("127.0.0.1:0", &mut problems));
        problems.finish(checked)
    }

    #[test]
    fn every_mistake_is_reported_at_once_by_the_name_of_its_variable() {
        let error = check(&[
            "--database-url=mysql://u:hunter2@h/d",
            "--database-connections=many",
            "--database-connections-min=201",
            "--database-acquire-seconds=0",
            "--database-idle-seconds=86401",
            "--database-lifetime-seconds=x",
            "--database-statement-seconds=6",
            "--environment=staging",
            "--admin-listen=nowhere",
            "--shutdown-seconds=0",
            "--log-format=xml",
            "--metrics=some",
        ])
        .expect_err("twelve mistakes")
        .to_string();
        for variable in [
            "DATABASE_URL",
            "TIRIS_DATABASE_CONNECTIONS:",
            "TIRIS_DATABASE_CONNECTIONS_MIN",
            "TIRIS_DATABASE_ACQUIRE_SECONDS",
            "TIRIS_DATABASE_IDLE_SECONDS",
            "TIRIS_DATABASE_LIFETIME_SECONDS",
            "TIRIS_DATABASE_STATEMENT_SECONDS",
            "TIRIS_ENV",
            "TIRIS_ADMIN_LISTEN",
            "TIRIS_SHUTDOWN_SECONDS",
            "TIRIS_LOG_FORMAT",
            "TIRIS_METRICS",
        ] {
            assert!(
                error.contains(variable),
                "{variable} is missing in: {error}"
            );
        }
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[derive(Parser)]
    struct WithoutNats {
        #[command(flatten)]
        nats: OptionalNatsArgs,
    }

    #[test]
    fn where_nats_is_optional_it_may_be_left_out_but_not_be_wrong() {
        let check = |url: &str| {
            let args = WithoutNats::parse_from(["test", "--nats-url", url]);
            let mut problems = Problems::default();
            let nats = args.nats.check(Some(Environment::Dev), &mut problems);
            problems
                .finish(Some(nats.map(|nats| nats.servers.len())))
                .map_err(|error| error.to_string())
        };
        assert_eq!(check(" "), Ok(None));
        assert_eq!(check("nats://a:4222, nats://b:4222"), Ok(Some(2)));
        assert!(check("nats://a:many").is_err_and(|error| error.contains("NATS_URL")));
        let encoded = check("nats://u:hunter2%21@a").expect_err("a mistake");
        assert!(
            encoded.contains("NATS_URL: user and password") && !encoded.contains("hunter2"),
            "{encoded}"
        );
    }

    #[test]
    fn a_password_of_nats_is_never_printed() {
        let args = WithoutNats::parse_from(["test", "--nats-url", "tls://u:hunter2@a"]);
        let config = args
            .nats
            .check(None, &mut Problems::default())
            .expect("a server");
        assert_eq!(format!("{config:?}"), r#"["a", ..]"#);
        assert!(!format!("{:?}", args.nats).contains("hunter2"));
    }

    #[test]
    fn no_more_connections_are_kept_than_there_may_be() {
        let check = |min: &str| {
            check(&[
                "--database-url=postgres://u@h/d",
                "--database-connections=5",
                min,
            ])
        };
        assert_eq!(
            check("--database-connections-min=5")
                .expect("valid")
                .0
                .min_connections,
            5
        );
        let error = check("--database-connections-min=6")
            .expect_err("a mistake")
            .to_string();
        assert!(
            error.contains("TIRIS_DATABASE_CONNECTIONS_MIN: must be between 0 and 5"),
            "{error}"
        );
    }

    #[test]
    fn a_secret_is_never_printed() {
        let args = Args::parse_from(["test", "--database-url=postgres://u:hunter2@h/d"]);
        assert!(!format!("{args:?}").contains("hunter2"));
        let (database, _) = check(&["--database-url=postgres://u:hunter2@h/d"]).expect("valid");
        assert!(!format!("{database:?}").contains("hunter2"));
    }
}
