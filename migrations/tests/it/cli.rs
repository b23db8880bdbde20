//! Tests of the output and exit codes of the command.

use crate::book::{empty, filled, spoil};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tiris_testing::{TestDatabase, free_port};
use tokio::process::Command;

/// The exit code and output of a command.
pub(crate) struct Output {
    code: Option<i32>,
    text: String,
}

impl Output {
    /// Asserts the exit code and a text in the output.
    #[track_caller]
    pub(crate) fn ended(&self, code: i32, text: &str) {
        assert_eq!(self.code, Some(code), "{}", self.text);
        assert!(self.text.contains(text), "{}", self.text);
    }
}

pub(crate) async fn migrate(url: &str, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_tiris-migrate"))
        .args(arguments)
        .env("DATABASE_URL", url)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("it runs");
    let bytes = [output.stdout, output.stderr].concat();
    Output {
        code: output.status.code(),
        text: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

#[tokio::test]
async fn up_status_verify_and_down_work_from_the_command_line() {
    let database = empty().await;
    for (arguments, text) in [
        (&["status"][..], "m0001_people_and_accounts       pending"),
        (&["up"], "applied m0002_history"),
        (&["up"], "nothing to do"),
        (&["verify"], ""),
        (&["after-restore"], "tiris-migrate verify"),
        (
            &["down", "--all", "--yes"],
            "reverted m0001_people_and_accounts",
        ),
    ] {
        migrate(database.url(), arguments).await.ended(0, text);
    }
}

#[tokio::test]
async fn down_without_yes_changes_nothing() {
    let database = TestDatabase::new().await.expect("a database");

    migrate(database.url(), &["down"]).await.ended(1, "--yes");

    let status = migrate(database.url(), &["status"]).await.text;
    assert!(!status.contains("pending"), "{status}");
}

#[tokio::test]
async fn verify_exits_with_one_and_names_a_wrong_row() {
    let database = filled().await;
    let wrong = "UPDATE sub_accounts SET balance = 60 WHERE id = id(112)";
    spoil(&database, wrong).await;

    let output = migrate(database.url(), &["verify"]).await;

    output.ended(1, "00000000-0000-7000-8000-000000000112");
}

#[tokio::test]
async fn a_missing_schema_is_an_error_with_a_hint() {
    let database = empty().await;
    for command in ["verify", "after-restore"] {
        let output = migrate(database.url(), &[command]).await;

        output.ended(1, "hint: the schema is missing");
    }
}

#[tokio::test]
async fn waiting_for_a_database_has_a_limit() {
    let port = free_port().expect("a port");
    let url = format!("postgres://tiris:hunter2@127.0.0.1:{port}/tiris");

    let begin = Instant::now();
    let output = migrate(&url, &["up", "--wait-seconds", "1"]).await;

    assert!(begin.elapsed() >= Duration::from_secs(1));
    output.ended(1, "waiting up to 1 s");
    output.ended(1, &format!("tiris@127.0.0.1:{port}/tiris"));
    assert!(!output.text.contains("hunter2"), "{}", output.text);
}

#[tokio::test]
async fn the_password_is_never_shown() {
    for (url, argument) in [
        ("postgres://tiris:hunter2@127.0.0.1/tiris", "--help"),
        ("tiris:hunter2@127.0.0.1", "up"),
        ("postgres://a:hunter2@:x/y", "up"),
    ] {
        let text = migrate(url, &[argument]).await.text;

        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_missing_address_is_explained() {
    let output = migrate("", &["status"]).await;

    output.ended(1, "set DATABASE_URL");
}

/// Returns the output of `status` in an environment, without waiting for the database.
async fn status_in(environment: &str, url: &str) -> String {
    let arguments = [
        "--environment",
        environment,
        "--wait-seconds",
        "0",
        "status",
    ];
    let output = migrate(url, &arguments).await;
    // No server answers, so the command fails even if the address is accepted.
    assert_ne!(output.code, Some(0), "{}", output.text);
    assert!(!output.text.contains("hunter2"), "{}", output.text);
    output.text
}

#[tokio::test]
async fn production_verifies_a_remote_database() {
    for (url, is_refused) in [
        ("postgres://u:hunter2@db.invalid/d", true),
        ("postgres://u:hunter2@db.invalid/d?sslmode=require", true),
        (
            "postgres://u:hunter2@db.invalid/d?sslmode=verify-full",
            false,
        ),
        ("postgres://u:hunter2@127.0.0.1:9/d", false),
        ("postgres://u:hunter2@[::1]:9/d", false),
    ] {
        let in_production = status_in("production", url).await;
        let refused = in_production.contains("sslmode=verify-full outside development");
        assert_eq!(refused, is_refused, "{in_production}");

        let in_dev = status_in("dev", url).await;
        assert!(!in_dev.contains("outside development"), "{in_dev}");
    }
}

#[tokio::test]
async fn history_shows_and_converts_the_storage() {
    let database = filled().await;
    let url = database.url();
    let form = database.history_kind().await.expect("a form");
    let shown = format!("history      {form}");
    let to = async |form: &str| migrate(url, &["history", "--to", form]).await;

    migrate(url, &["history"]).await.ended(0, &shown);
    to("native").await.ended(0, "history      native");
    to("native").await.ended(0, "nothing to do");
    to(&form).await.ended(0, &shown);

    if form == "native" {
        to("timescale").await.ended(1, "TimescaleDB cannot be used");
    }
    to("elsewhere").await.ended(2, "");
}
