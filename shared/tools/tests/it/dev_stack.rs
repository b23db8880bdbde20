//! The development stack behind `make run`, `up` and `down`, tested with the real programs.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic like the tests"
)]

use crate::dashboards;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tiris_testing::{
    NatsServer, NatsSettings, Process, ProcessCommand, binary, eventually, find_nats_server,
    free_port, scratch_dir,
};

/// The start of four servers on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// The variables of the file `env`.
const VARIABLES: [&str; 9] = [
    "ADMIN_TOKEN",
    "API_ADMIN_URL",
    "API_URL",
    "BOT_NATS_URL",
    "DATABASE_URL",
    "INGEST_ADMIN_URL",
    "NATS_URL",
    "TOKEN",
    "USER_ID",
];

#[tokio::test]
async fn run_shows_balances_stops_cleanly_and_keeps_its_data() {
    let folder = stack_folder("run").unwrap();
    let mut run = dev(folder.path()).arg("run").spawn().unwrap();
    let first = variables(folder.path(), &mut run).await.unwrap();
    let balances = balances(&first).await.unwrap();
    dashboards::find_all_metrics(&first).await.unwrap();

    assert!(run.terminate(STOP_LIMIT).await.unwrap().success());
    check_everything_down(&first).unwrap();
    assert!(!folder.path().join("env").exists());

    let mut run = dev(folder.path()).arg("run").spawn().unwrap();
    let second = variables(folder.path(), &mut run).await.unwrap();
    assert_eq!(first["USER_ID"], second["USER_ID"]);
    assert_eq!(first["API_URL"], second["API_URL"]);
    let again = self::balances(&second).await.unwrap();
    assert_eq!(balances.len(), again.len());

    // A kill leaves no server behind either.
    run.kill().await.unwrap();
    eventually("the end of the servers", STOP_LIMIT, async || {
        check_everything_down(&second)
    })
    .await
    .unwrap();
}

/// A folder of a version whose broker had no accounts.
#[tokio::test]
async fn run_keeps_streams_and_lets_the_bot_reach_only_its_subjects() {
    let folder = stack_folder("accounts").unwrap();
    let mut nats = NatsServer::start(&folder.path().join("nats"), NatsSettings::default())
        .await
        .unwrap();
    let before = jetstream(&nats.url()).await.unwrap();
    let created = before
        .create_stream("KEPT")
        .await
        .unwrap()
        .cached_info()
        .created;
    before
        .publish("KEPT", "a message".into())
        .await
        .unwrap()
        .await
        .unwrap();
    nats.stop().await.unwrap();

    let mut run = dev(folder.path()).arg("run").spawn().unwrap();
    let variables = variables(folder.path(), &mut run).await.unwrap();

    // The bot of this stack publishes by a login like this one.
    balances(&variables).await.unwrap();
    let operator = jetstream(&variables["NATS_URL"]).await.unwrap();
    let kept = operator.get_stream("KEPT").await.unwrap();
    assert_eq!(kept.cached_info().created, created);
    assert_eq!(kept.cached_info().state.messages, 1);
    let mut bot = jetstream(&variables["BOT_NATS_URL"]).await.unwrap();
    bot.set_timeout(Duration::from_millis(500));
    assert!(bot.query_account().await.is_err());
    run.terminate(STOP_LIMIT).await.unwrap();
}

async fn jetstream(url: &str) -> Result<async_nats::jetstream::Context> {
    let url: reqwest::Url = url.parse()?;
    let login = async_nats::ConnectOptions::with_user_and_password(
        url.username().to_owned(),
        url.password().unwrap_or_default().to_owned(),
    );
    let options = if url.username().is_empty() {
        async_nats::ConnectOptions::new()
    } else {
        login
    };
    let address = format!(
        "nats://{}:{}",
        url.host_str().context("a host")?,
        url.port().context("a port")?
    );
    Ok(async_nats::jetstream::new(options.connect(address).await?))
}

#[tokio::test]
async fn run_fails_with_the_log_of_a_part_that_ended() {
    let folder = stack_folder("dies").unwrap();
    let mut run = dev(folder.path()).arg("run").spawn().unwrap();
    let variables = variables(folder.path(), &mut run).await.unwrap();

    kill(&pid_of_postgres(folder.path()).unwrap());

    assert!(!run.wait(STOP_LIMIT).await.unwrap().success());
    let log = std::fs::read_to_string(run.log_path()).unwrap();
    assert!(log.contains("postgres ended: signal: 9"), "{log}");
    check_everything_down(&variables).unwrap();
}

/// Runs a command of the stack and asserts that it succeeds.
async fn assert_succeeds(folder: &Path, command: &str, limit: Duration) {
    let mut process = dev(folder).arg(command).spawn().unwrap();
    let status = process.wait(limit).await.unwrap();
    let log = process.log_tail();
    assert!(status.success(), "{command}: {status}\n{log}");
}

#[tokio::test]
async fn up_waits_until_ready_and_restarts_parts_that_end() {
    let folder = stack_folder("up").unwrap();
    let folder = folder.path();
    let _down = DownAtTheEnd(folder);
    assert_succeeds(folder, "up", START_LIMIT).await;
    let variables = read_variables(folder).unwrap();
    assert!(variables.keys().eq(VARIABLES), "{:?}", variables.keys());
    let accounts = accounts(&variables).await.unwrap();
    assert!(accounts.is_empty(), "no bot runs yet: {accounts:?}");
    assert_commands_find_the_stack(folder);

    kill(&pid_of_nats(folder).unwrap());
    eventually("a new NATS server", START_LIMIT, async || {
        let log = std::fs::read_to_string(folder.join("log/stack.log"))?;
        ensure!(log.contains("started Nats again"), "{log}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    async_nats::connect(&variables["NATS_URL"]).await.unwrap();

    assert_succeeds(folder, "down", STOP_LIMIT).await;
    check_everything_down(&variables).unwrap();
    assert_succeeds(folder, "clean-data", STOP_LIMIT).await;
    assert!(!folder.join("postgres").exists());
}

/// Asserts that commands need no address beside the folder of the stack.
fn assert_commands_find_the_stack(folder: &Path) {
    for (program, arguments) in [
        ("tiris-api", &["health"][..]),
        ("tiris-api", &["token", "--email", "demo@tiris.local"]),
        ("tiris-ingest", &["health"]),
    ] {
        let output = Command::new(binary(program).unwrap())
            .args(arguments)
            .env_clear()
            .env("TIRIS_DEV_DIR", folder)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {output:?}"
        );
    }
}

/// Returns a folder with ports of its own, because another stack may use the usual ones.
fn stack_folder(name: &str) -> Result<TempDir> {
    let folder = scratch_dir(name)?;
    let mut ports = serde_json::Map::new();
    for part in ["postgres", "nats", "api", "api_admin", "ingest_admin"] {
        ports.insert(part.to_owned(), free_port()?.into());
    }
    let file = folder.path().join("ports.json");
    std::fs::write(file, serde_json::to_vec(&ports)?)?;
    Ok(folder)
}

fn dev(folder: &Path) -> ProcessCommand {
    Process::command(binary("tiris-dev").unwrap())
        .env("TIRIS_DEV_DIR", folder)
        .env("TIRIS_NATS_SERVER", find_nats_server().unwrap())
}

/// Ends a stack in the background, which has no parent, also when its test fails.
struct DownAtTheEnd<'a>(&'a Path);

impl Drop for DownAtTheEnd<'_> {
    fn drop(&mut self) {
        let down = Command::new(binary("tiris-dev").unwrap())
            .arg("down")
            .env("TIRIS_DEV_DIR", self.0)
            .output()
            .unwrap();
        assert!(down.status.success(), "{down:?}");
    }
}

async fn variables(folder: &Path, run: &mut Process) -> Result<BTreeMap<String, String>> {
    eventually("the file `env`", START_LIMIT, async || {
        // A stack that gave up has the reason in its log.
        if run.is_running() {
            read_variables(folder).map(Ok)
        } else {
            Ok(Err(anyhow::anyhow!(run.log_tail())))
        }
    })
    .await?
}

/// Reads the file like its users, by a shell.
fn read_variables(folder: &Path) -> Result<BTreeMap<String, String>> {
    let file = folder.join("env");
    ensure!(file.exists(), "{} is missing", file.display());
    let output = Command::new("/bin/sh")
        .args(["-c", "set -a; . \"$1\"; env", "sh"])
        .arg(&file)
        .env_clear()
        .stderr(Stdio::null())
        .output()?;

    let text = String::from_utf8(output.stdout)?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let ours = pairs.filter(|(name, _)| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));

    Ok(ours
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// Returns the names of the demo user's accounts.
async fn accounts(variables: &BTreeMap<String, String>) -> Result<Vec<String>> {
    tiris_runtime::tls::choose_provider();
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .no_proxy()
        .build()?;
    let url = format!("{}/v1/sub-accounts", variables["API_URL"]);
    let request = client.get(url).bearer_auth(&variables["TOKEN"]);
    let response = request.send().await?.error_for_status()?;

    let body: serde_json::Value = response.json().await?;
    let accounts = body["data"]["sub_accounts"].as_array();
    let accounts = accounts.context("no list of accounts")?;

    Ok(accounts
        .iter()
        .map(|account| account["name"].to_string())
        .collect())
}

/// Waits until the demo user has accounts.
async fn balances(variables: &BTreeMap<String, String>) -> Result<Vec<String>> {
    eventually("a balance", START_LIMIT, async || {
        let accounts = accounts(variables).await?;
        ensure!(!accounts.is_empty(), "no account yet");
        Ok(accounts)
    })
    .await
}

fn check_everything_down(variables: &BTreeMap<String, String>) -> Result<()> {
    for (name, url) in variables.iter().filter(|(name, _)| name.ends_with("_URL")) {
        let address = url
            .rsplit(['/', '@'])
            .find(|part| part.starts_with("127.0.0.1:"))
            .context("no address")?;
        let answers = TcpStream::connect(address).is_ok();
        ensure!(!answers, "{name} still answers at {address}");
    }
    Ok(())
}

fn kill(pid: &str) {
    let killed = Command::new("/bin/sh")
        .args(["-c", "kill -9 \"$1\"", "sh", pid])
        .status()
        .unwrap();
    assert!(killed.success(), "{killed}");
}

fn pid_of_postgres(folder: &Path) -> Result<String> {
    let file = std::fs::read_to_string(folder.join("postgres/data/postmaster.pid"))?;
    let pid = file.lines().next().context("an empty file")?;
    Ok(pid.to_owned())
}

/// Returns the process number of NATS. Each line of the log begins with the process number in brackets.
fn pid_of_nats(folder: &Path) -> Result<String> {
    let log = std::fs::read_to_string(folder.join("nats/nats.log"))?;
    let pid = log
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .context("the log does not begin with a process number")?;
    Ok(pid.0.to_owned())
}
