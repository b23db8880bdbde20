//! The harness itself: isolation, restarts, and that nothing outlives its owner.

use sqlx::{Connection, PgConnection};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tiris_testing::{
    NatsServer, PgServer, PgSettings, PgStop, Process, TestDatabase, binary, eventually, free_port,
    free_port_or, has_timescale, scratch_dir,
};

const LIMIT: Duration = Duration::from_secs(30);
/// Set in a copy of this program that a test starts in order to kill it; holds the file it writes to.
const VICTIM: &str = "TIRIS_HARNESS_VICTIM";

#[tokio::test]
async fn each_test_database_has_the_schema_and_sees_nothing_of_the_others() {
    let first = TestDatabase::new().await.unwrap();
    let second = TestDatabase::new().await.unwrap();
    sqlx::query("CREATE TABLE mine (x int)")
        .execute(first.pool())
        .await
        .unwrap();

    for (database, expected) in [(&first, true), (&second, false)] {
        let (mine, migrated): (bool, bool) = sqlx::query_as(
            "SELECT to_regclass('mine') IS NOT NULL, to_regclass('sub_accounts') IS NOT NULL",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        assert!(migrated);
        assert_eq!(mine, expected);
    }
}

#[tokio::test]
async fn an_empty_test_database_has_no_table() {
    let database = TestDatabase::empty().await.unwrap();
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn a_dropped_test_database_is_gone_even_while_somebody_uses_it() {
    let database = TestDatabase::new().await.unwrap();
    let url = database.url().to_owned();
    let _user = PgConnection::connect(&url).await.unwrap();
    drop(database);
    let error = PgConnection::connect(&url).await.unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test]
async fn databases_and_servers_of_a_killed_process_are_cleared_away() {
    if let Some(file) = std::env::var_os(VICTIM).map(PathBuf::from) {
        let database = TestDatabase::new().await.unwrap();
        let nats = NatsServer::private().await.unwrap();
        let started = format!("{}\n{}\n", database.url(), nats.url());
        let unfinished = file.with_extension("new");
        std::fs::write(&unfinished, started).unwrap();
        std::fs::rename(unfinished, file).unwrap();
        std::future::pending::<()>().await;
    }
    let scratch = scratch_dir("victim").unwrap();
    let file = scratch.path().join("started");
    let mut victim = Victim(
        Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "harness::databases_and_servers_of_a_killed_process_are_cleared_away",
                "--nocapture",
            ])
            .env(VICTIM, &file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let started = eventually("the victim's servers", LIMIT, async || {
        std::fs::read_to_string(&file)
    })
    .await
    .unwrap();
    let (database, nats) = started.trim().split_once('\n').unwrap();
    PgConnection::connect(database)
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    async_nats::connect(nats).await.unwrap();

    victim.0.kill().unwrap();
    victim.0.wait().unwrap();

    eventually(
        "the end of the victim's NATS server",
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

/// Ends with the test, also with a failed one.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn a_postgres_server_keeps_its_data_through_stop_and_kill_on_the_same_port() {
    let mut server = PgServer::private().await.unwrap();
    let port = server.port();
    let mut connection = PgConnection::connect(&server.url("postgres"))
        .await
        .unwrap();
    sqlx::query("CREATE TABLE kept (x int)")
        .execute(&mut connection)
        .await
        .unwrap();

    for way in [Some(PgStop::Fast), Some(PgStop::Immediate), None] {
        sqlx::query("INSERT INTO kept VALUES (1)")
            .execute(&mut connection)
            .await
            .unwrap();
        match way {
            Some(how) => server.stop(how).await.unwrap(),
            None => server.kill().await.unwrap(),
        }
        server.restart().await.unwrap();
        assert_eq!(server.port(), port);
        connection = PgConnection::connect(&server.url("postgres"))
            .await
            .unwrap();
    }

    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM kept")
        .fetch_one(&mut connection)
        .await
        .unwrap();

    assert_eq!(count, 3);
}

#[tokio::test]
async fn a_postgres_server_speaks_utf8_and_utc_and_keeps_every_commit_when_asked_to() {
    let scratch = scratch_dir("durable").unwrap();
    let server = PgServer::start(scratch.path(), Default::default())
        .await
        .unwrap();
    let mut connection = PgConnection::connect(&server.url("postgres"))
        .await
        .unwrap();

    for (setting, expected) in [
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", "127.0.0.1"),
    ] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(value, expected, "{setting}");
    }
}

#[tokio::test]
async fn a_postgres_server_has_timescaledb_where_it_can_and_its_jobs_only_when_told_to() {
    let expected = if has_timescale().unwrap() {
        "timescaledb"
    } else {
        ""
    };
    for jobs in [false, true] {
        let scratch = scratch_dir("jobs").unwrap();
        let settings = PgSettings {
            durable: false,
            jobs,
            ..PgSettings::default()
        };
        let server = PgServer::start(scratch.path(), settings).await.unwrap();
        let mut connection = PgConnection::connect(&server.url("postgres"))
            .await
            .unwrap();
        let (preloaded, workers, telemetry): (String, Option<String>, Option<String>) =
            sqlx::query_as(
                "SELECT current_setting('shared_preload_libraries'), \
                 current_setting('timescaledb.max_background_workers', true), \
                 current_setting('timescaledb.telemetry_level', true)",
            )
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(preloaded, expected);
        if !expected.is_empty() {
            assert_eq!(workers.is_some_and(|workers| workers != "0"), jobs);
            assert_eq!(telemetry.as_deref(), Some("off"));
        }
    }
}

#[tokio::test]
async fn a_nats_server_keeps_acknowledged_messages_through_kill_and_stop_on_the_same_port() {
    let mut server = NatsServer::private().await.unwrap();
    let url = server.url();
    let client = async_nats::connect(&url).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept.>".into()],
        ..Default::default()
    };
    jetstream.create_stream(config).await.unwrap();

    for (count, orderly) in [(1, false), (2, true)] {
        jetstream
            .publish("kept.one", "x".into())
            .await
            .unwrap()
            .await
            .unwrap();
        if orderly {
            server.stop().await.unwrap();
        } else {
            server.kill().await.unwrap();
        }
        server.restart().await.unwrap();
        assert_eq!(server.url(), url);
        let client = async_nats::connect(&url).await.unwrap();
        let jetstream = async_nats::jetstream::new(client);
        let stream = jetstream.get_stream("KEPT").await.unwrap();
        assert_eq!(stream.cached_info().state.messages, count);
    }
}

#[tokio::test]
async fn the_wait_for_a_process_that_ends_fails_at_once_and_shows_its_log() {
    let mut process = Process::command("/bin/sh")
        .args(["-c", "echo out of paper; exit 3"])
        .spawn()
        .unwrap();
    let error = process
        .wait_for_log("ready", Duration::from_secs(60))
        .await
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("out of paper") && text.contains("exit status: 3"),
        "{text}"
    );
}

#[tokio::test]
async fn a_process_is_waited_for_terminated_and_killed() {
    let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let mut process = Process::command("/bin/sh")
        .args(["-c", script])
        .spawn()
        .unwrap();
    process.wait_for_log("ready", LIMIT).await.unwrap();
    assert!(process.terminate(LIMIT).await.unwrap().success());
    assert!(process.log_tail().ends_with("bye\n"));

    let mut process = Process::command("/bin/sh").args([
        "-c",
        "trap '' TERM; echo ready; exec cat /dev/zero >/dev/null",
    ]);
    process = process.name("deaf");
    let mut process = process.spawn().unwrap();
    process.wait_for_log("ready", LIMIT).await.unwrap();
    assert!(process.terminate(Duration::from_millis(200)).await.is_err());
    process.kill().await.unwrap();
    assert!(!process.is_running());
}

#[tokio::test]
async fn a_wait_that_fails_tells_the_last_status() {
    let mut count = 0;
    let outcome = eventually("the fifth", Duration::from_millis(200), async || {
        count += 1;
        if count < 0 {
            Ok(())
        } else {
            Err("only the fourth")
        }
    });
    let error = outcome.await.unwrap_err().to_string();

    assert!(
        error.contains("the fifth") && error.contains("only the fourth"),
        "{error}"
    );
}

#[test]
fn a_taken_port_is_replaced_by_a_free_one() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    assert_ne!(free_port_or(port).unwrap(), port);
    assert_ne!(free_port().unwrap(), 0);
}

#[test]
fn a_missing_program_of_the_workspace_is_named_with_the_command_that_builds_it() {
    let error = binary("tiris-nowhere").unwrap_err().to_string();
    assert!(
        error.contains("tiris-nowhere") && error.contains("cargo build"),
        "{error}"
    );
}
