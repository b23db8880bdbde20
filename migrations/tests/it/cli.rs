//! The command itself: what it says and how it ends.

use crate::book::{empty, filled, run};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use tiris_testing::{TestDatabase, free_port};
use tokio::process::Command;

async fn migrate(url: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tiris-migrate"))
        .args(arguments)
        .env("DATABASE_URL", url)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("it runs")
}

fn both(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn up_status_verify_and_down_work_from_the_command_line() {
    let database = empty().await;
    let url = database.url();
    let pending = migrate(url, &["status"]).await;
    assert!(
        pending.status.success()
            && both(&pending).contains("m0001_people_and_accounts       pending")
    );
    let up = migrate(url, &["up"]).await;
    assert!(
        up.status.success() && both(&up).contains("applied m0002_history"),
        "{}",
        both(&up)
    );
    assert!(both(&migrate(url, &["up"]).await).contains("nothing to do"));
    let verify = migrate(url, &["verify"]).await;
    assert!(verify.status.success(), "{}", both(&verify));
    let restored = migrate(url, &["after-restore"]).await;
    assert!(
        restored.status.success() && both(&restored).contains("tiris-migrate verify"),
        "{}",
        both(&restored)
    );
    let down = migrate(url, &["down", "--all", "--yes"]).await;
    assert!(
        down.status.success() && both(&down).contains("reverted m0001_people_and_accounts"),
        "{}",
        both(&down)
    );
}

#[tokio::test]
async fn down_without_yes_changes_nothing_and_says_what_it_would_drop() {
    let database = TestDatabase::new().await.expect("a database");
    let refused = migrate(database.url(), &["down"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(both(&refused).contains("--yes"), "{}", both(&refused));
    assert!(!both(&migrate(database.url(), &["status"]).await).contains("pending"));
}

#[tokio::test]
async fn verify_ends_with_one_and_names_the_row_when_something_is_wrong() {
    let database = filled().await;
    run(
        database.url(),
        "UPDATE sub_accounts SET balance = 60 WHERE id = id(112)",
        true,
    )
    .await
    .expect("spoiled");
    let output = migrate(database.url(), &["verify"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        both(&output).contains("00000000-0000-7000-8000-000000000112"),
        "{}",
        both(&output)
    );
}

#[tokio::test]
async fn a_schema_that_is_not_there_is_an_error_with_advice() {
    let database = empty().await;
    for command in ["verify", "after-restore"] {
        let output = migrate(database.url(), &[command]).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(
            both(&output).contains("hint: the schema is not there"),
            "{}",
            both(&output)
        );
    }
}

#[tokio::test]
async fn waiting_for_a_database_is_bounded_and_never_shows_the_password() {
    let port = free_port().expect("a port");
    let url = format!("postgres://tiris:hunter2@127.0.0.1:{port}/tiris");
    let begin = Instant::now();
    let output = migrate(&url, &["up", "--wait-seconds", "1"]).await;
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(output.status.code(), Some(1));
    let text = both(&output);
    assert!(
        text.contains("waiting up to 1 s")
            && text.contains(&format!("tiris@127.0.0.1:{port}/tiris")),
        "{text}"
    );
    for (url, arguments) in [
        (url.as_str(), &["--help"][..]),
        ("tiris:hunter2@127.0.0.1", &["up"]),
        ("postgres://a:hunter2@:x/y", &["up"]),
    ] {
        let text = both(&migrate(url, arguments).await);
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn no_address_at_all_is_explained() {
    let output = migrate("", &["status"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        both(&output).contains("set DATABASE_URL"),
        "{}",
        both(&output)
    );
}

#[tokio::test]
async fn production_reaches_a_database_elsewhere_only_when_it_proves_who_it_is() {
    // Where nobody answers: what is not refused fails for that reason.
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
        let in_production = [
            "--environment",
            "production",
            "--wait-seconds",
            "0",
            "status",
        ];
        let output = migrate(url, &in_production).await;
        assert!(!output.status.success(), "{url}");
        assert_eq!(
            both(&output).contains("sslmode=verify-full in production"),
            is_refused,
            "{}",
            both(&output)
        );
        assert!(!both(&output).contains("hunter2"), "{}", both(&output));
        let in_dev = migrate(
            url,
            &["--environment", "dev", "--wait-seconds", "0", "status"],
        )
        .await;
        assert!(
            !both(&in_dev).contains("in production"),
            "{}",
            both(&in_dev)
        );
    }
}

#[tokio::test]
async fn the_form_of_the_history_is_told_and_changed_from_the_command_line() {
    let database = filled().await;
    let (url, form) = (
        database.url(),
        database.history_kind().await.expect("a form"),
    );
    let told = migrate(url, &["history"]).await;
    assert!(
        told.status.success() && both(&told).contains(&format!("history      {form}")),
        "{}",
        both(&told)
    );
    let moved = migrate(url, &["history", "--to", "native"]).await;
    assert!(
        moved.status.success() && both(&moved).contains("history      native"),
        "{}",
        both(&moved)
    );
    let again = migrate(url, &["history", "--to", "native"]).await;
    assert!(
        again.status.success() && both(&again).contains("nothing to do"),
        "{}",
        both(&again)
    );
    let back = migrate(url, &["history", "--to", &form]).await;
    assert!(
        back.status.success() && both(&back).contains(&format!("history      {form}")),
        "{}",
        both(&back)
    );
    if form == "native" {
        let refused = migrate(url, &["history", "--to", "timescale"]).await;
        assert_eq!(refused.status.code(), Some(1));
        assert!(
            both(&refused).contains("TimescaleDB cannot be used"),
            "{}",
            both(&refused)
        );
    }
    assert_eq!(
        migrate(url, &["history", "--to", "elsewhere"])
            .await
            .status
            .code(),
        Some(2)
    );
}
