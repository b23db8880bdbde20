//! Cleanup after a killed process.

use crate::LIMIT;
use sqlx::{Connection, PgConnection};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tiris_testing::{NatsServer, TestDatabase, eventually, scratch_dir};

/// Set in a copy of this program that the test kills; contains the file the copy writes to.
const VICTIM: &str = "TIRIS_HARNESS_VICTIM";

/// The copy of this program, killed on drop.
struct Victim(Child);

impl Victim {
    fn start(file: &Path) -> Self {
        let test = "victim::cleans_up_after_a_killed_process";
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", test, "--nocapture"])
            .env(VICTIM, file)
            .stdout(Stdio::null())
            .spawn();
        Self(child.expect("a copy of this program"))
    }

    fn kill(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("ended");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts servers, writes their addresses to `file`, and waits for the kill.
async fn be_the_victim(file: PathBuf) {
    let database = TestDatabase::new().await.expect("a database");
    let nats = NatsServer::private().await.expect("a server");
    let started = format!("{}\n{}\n", database.url(), nats.url());
    let unfinished = file.with_extension("new");
    std::fs::write(&unfinished, started).expect("written");
    std::fs::rename(unfinished, file).expect("renamed");

    std::future::pending::<()>().await;
}

#[tokio::test]
async fn cleans_up_after_a_killed_process() {
    if let Some(file) = std::env::var_os(VICTIM) {
        be_the_victim(file.into()).await;
    }
    let scratch = scratch_dir("victim").unwrap();
    let file = scratch.path().join("started");
    let mut victim = Victim::start(&file);
    let started = eventually("the victim's servers", LIMIT, async || {
        std::fs::read_to_string(&file)
    })
    .await
    .unwrap();
    let (database, nats) = started.trim().split_once('\n').unwrap();
    let connection = PgConnection::connect(database).await.unwrap();
    connection.close().await.unwrap();
    async_nats::connect(nats).await.unwrap();

    victim.kill();

    eventually(
        "the end of the NATS server",
        LIMIT,
        async || match async_nats::connect(nats).await {
            Ok(_) => Err("it still answers"),
            Err(_) => Ok(()),
        },
    )
    .await
    .unwrap();
    tiris_testing::sweep_databases().await.unwrap();
    let error = PgConnection::connect(database).await.unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}
