//! Processes, ports, and waiting.

use crate::LIMIT;
use std::net::TcpListener;
use std::time::Duration;
use tiris_testing::{Process, binary, eventually, free_port, free_port_or};

fn shell(script: &str) -> Process {
    let command = Process::command("/bin/sh").args(["-c", script]);
    command.name("script").spawn().expect("a shell")
}

#[tokio::test]
async fn waiting_fails_at_once_when_the_process_ends() {
    let mut process = shell("echo out of paper; exit 3");

    let error = process
        .wait_for_log("ready", Duration::from_secs(60))
        .await
        .unwrap_err();

    let error = format!("{error:#}");
    assert!(error.contains("out of paper"), "{error}");
    assert!(error.contains("exit status: 3"), "{error}");
}

#[tokio::test]
async fn terminates_a_process() {
    let mut process =
        shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    process.wait_for_log("ready", LIMIT).await.unwrap();

    let exit = process.terminate(LIMIT).await.unwrap();

    assert!(exit.success(), "{exit}");
    let log = process.log_tail();
    assert!(log.ends_with("bye\n"), "{log}");
}

#[tokio::test]
async fn kills_a_process_that_ignores_termination() {
    let mut process = shell("trap '' TERM; echo ready; exec cat /dev/zero >/dev/null");
    process.wait_for_log("ready", LIMIT).await.unwrap();

    let exit = process.terminate(Duration::from_millis(200)).await;
    assert!(exit.is_err(), "{exit:?}");

    process.kill().await.unwrap();
    assert!(!process.is_running());
}

#[tokio::test]
async fn a_failed_wait_reports_the_last_status() {
    let waited: anyhow::Result<()> =
        eventually("the fifth", Duration::from_millis(200), async || {
            Err("only the fourth")
        })
        .await;

    let error = waited.unwrap_err().to_string();
    assert!(error.contains("the fifth"), "{error}");
    assert!(error.contains("only the fourth"), "{error}");
}

#[test]
fn replaces_a_taken_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();

    assert_ne!(free_port_or(port).unwrap(), port);
    assert_ne!(free_port().unwrap(), 0);
}

#[test]
fn a_missing_program_names_the_build_command() {
    let error = binary("tiris-nowhere").unwrap_err().to_string();

    assert!(error.contains("tiris-nowhere"), "{error}");
    assert!(error.contains("cargo build"), "{error}");
}
