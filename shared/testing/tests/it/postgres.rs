//! Private PostgreSQL servers.

use sqlx::{Connection, PgConnection};
use tiris_testing::{PgServer, PgSettings, PgStop, has_timescale, scratch_dir};

async fn connect(server: &PgServer) -> PgConnection {
    let url = server.url("postgres");
    PgConnection::connect(&url).await.expect("a connection")
}

async fn run(server: &PgServer, sql: &'static str) {
    let mut connection = connect(server).await;
    sqlx::query(sql).execute(&mut connection).await.expect(sql);
}

/// Returns a setting of the server; None when it does not exist.
async fn setting(server: &PgServer, name: &str) -> Option<String> {
    sqlx::query_scalar("SELECT current_setting($1, true)")
        .bind(name)
        .fetch_one(&mut connect(server).await)
        .await
        .expect(name)
}

#[tokio::test]
async fn data_and_port_survive_stop_and_kill() {
    let mut server = PgServer::private().await.unwrap();
    let port = server.port();
    run(&server, "CREATE TABLE kept (x int)").await;

    for way in [Some(PgStop::Fast), Some(PgStop::Immediate), None] {
        run(&server, "INSERT INTO kept VALUES (1)").await;
        match way {
            Some(how) => server.stop(how).await.unwrap(),
            None => server.kill().await.unwrap(),
        }
        server.restart().await.unwrap();
        assert_eq!(server.port(), port);
    }

    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM kept")
        .fetch_one(&mut connect(&server).await)
        .await
        .unwrap();
    assert_eq!(count, 3);
}

#[tokio::test]
async fn a_durable_server_has_safe_settings() {
    let scratch = scratch_dir("durable").unwrap();
    let server = PgServer::start(scratch.path(), PgSettings::default())
        .await
        .unwrap();

    for (name, expected) in [
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", "127.0.0.1"),
    ] {
        let value = setting(&server, name).await;
        assert_eq!(value.as_deref(), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn timescaledb_jobs_run_only_when_enabled() {
    let has_timescale = has_timescale().unwrap();
    for jobs in [false, true] {
        let scratch = scratch_dir("jobs").unwrap();
        let settings = PgSettings {
            durable: false,
            jobs,
            ..PgSettings::default()
        };
        let server = PgServer::start(scratch.path(), settings).await.unwrap();

        let preloaded = setting(&server, "shared_preload_libraries").await;
        let expected = if has_timescale { "timescaledb" } else { "" };
        assert_eq!(preloaded.as_deref(), Some(expected));
        if has_timescale {
            let workers = setting(&server, "timescaledb.max_background_workers").await;
            assert_eq!(workers.is_some_and(|workers| workers != "0"), jobs);
            let telemetry = setting(&server, "timescaledb.telemetry_level").await;
            assert_eq!(telemetry.as_deref(), Some("off"));
        }
    }
}
