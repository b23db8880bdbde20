//! The program `tiris-api`, run as a command or as a service.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;
use tiris_testing::{Process, Role, TestDatabase, free_port, scratch_dir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tiris-api");
const START_LIMIT: Duration = Duration::from_secs(20);

/// Variables that commands must not inherit from the tests.
const VARIABLES: [&str; 8] = [
    "DATABASE_URL",
    "TIRIS_ENV",
    "TIRIS_JWT_KEY_FILE",
    "TIRIS_API_LISTEN",
    "TIRIS_ADMIN_LISTEN",
    "TIRIS_ENCRYPTION_FILE",
    "TIRIS_ENCRYPTION_KEYS",
    "TIRIS_FINGERPRINT_KEY",
];

/// The output of a command.
pub(crate) struct Ran {
    pub(crate) succeeded: bool,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Returns the standard output of a command that succeeded.
    #[track_caller]
    pub(crate) fn output(&self) -> &str {
        assert!(self.succeeded, "{}", self.stderr);
        self.stdout.trim_end()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.output()).expect("JSON")
    }

    /// Returns the standard error of a command that failed.
    #[track_caller]
    pub(crate) fn error(&self) -> &str {
        assert!(!self.succeeded, "{}", self.stdout);
        &self.stderr
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            succeeded: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// Runs a command with these variables only.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(PROGRAM);
    for name in VARIABLES {
        command.env_remove(name);
    }
    let output = command
        .args(arguments)
        .envs(environment.iter().copied())
        .output();
    output.expect("a run").into()
}

/// A running service with a database of its own.
pub(crate) struct Service {
    pub(crate) process: Process,
    pub(crate) database: TestDatabase,
    pub(crate) api: String,
    pub(crate) admin: String,
    pub(crate) admin_port: u16,
    pub(crate) http: reqwest::Client,
    key_file: PathBuf,
    _folder: TempDir,
}

impl Service {
    pub(crate) async fn start(environment: &[(&str, &str)]) -> Self {
        Self::start_with(environment, true).await
    }

    /// Starts a service whose log is not shown when a test fails.
    pub(crate) async fn start_silent(environment: &[(&str, &str)]) -> Self {
        Self::start_with(environment, false).await
    }

    async fn start_with(environment: &[(&str, &str)], show_log: bool) -> Self {
        let database = TestDatabase::new().await.expect("a database");
        let folder = scratch_dir("api").expect("a folder");
        let key_file = folder.path().join("jwt.pem");
        let [port, admin_port] = [(); 2].map(|()| free_port().expect("a port"));
        let [api, admin] = [port, admin_port].map(|port| format!("127.0.0.1:{port}"));

        let url = database.url_as(Role::Api).expect("an address");
        let mut command = Process::command(Path::new(PROGRAM))
            .env("DATABASE_URL", url)
            .env("TIRIS_JWT_KEY_FILE", &key_file)
            .env(
                "TIRIS_ENCRYPTION_FILE",
                folder.path().join("encryption.env"),
            )
            .env("TIRIS_API_LISTEN", &api)
            .env("TIRIS_ADMIN_LISTEN", &admin)
            .show_log(show_log);
        for (name, value) in environment {
            command = command.env(name, value);
        }
        let mut process = command.spawn().expect("started");
        process
            .wait_until_healthy(&format!("http://{admin}/health/ready"), START_LIMIT)
            .await
            .expect("ready");

        Self {
            process,
            database,
            api: format!("http://{api}"),
            admin: format!("http://{admin}"),
            admin_port,
            http: crate::world::http_client(),
            key_file,
            _folder: folder,
        }
    }

    /// Creates a token on the command line.
    pub(crate) fn token(&self, arguments: &[&str]) -> Ran {
        let url = self.database.url_as(Role::Api).expect("an address");
        let environment = [
            ("DATABASE_URL", url.as_str()),
            ("TIRIS_JWT_KEY_FILE", self.key_file.to_str().expect("UTF-8")),
        ];
        run(&[&["token"], arguments].concat(), &environment)
    }

    pub(crate) async fn metrics(&self) -> String {
        let metrics = self.http.get(format!("{}/metrics", self.admin)).send();
        let metrics = metrics.await.expect("metrics");
        metrics.text().await.expect("text")
    }

    /// Stops the service, which must exit successfully, and returns its log.
    pub(crate) async fn stop(&mut self) -> String {
        let stopped = self.process.terminate(START_LIMIT).await.expect("stopped");
        assert!(stopped.success(), "{stopped}");

        std::fs::read_to_string(self.process.log_path()).expect("a log")
    }
}
