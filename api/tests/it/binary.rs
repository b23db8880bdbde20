//! The binary itself: commands, settings, start and stop.

use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use tiris_testing::{Process, TestDatabase, eventually, free_port, scratch_dir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tiris-api");
const START_LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    for name in [
        "DATABASE_URL",
        "TIRIS_ENV",
        "TIRIS_JWT_KEY_FILE",
        "TIRIS_API_LISTEN",
        "TIRIS_ADMIN_LISTEN",
        "TIRIS_ENCRYPTION_FILE",
        "TIRIS_ENCRYPTION_KEYS",
        "TIRIS_FINGERPRINT_KEY",
    ] {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .expect("it runs")
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[tokio::test]
async fn a_token_made_on_the_command_line_works_until_the_server_is_told_to_stop() {
    let database = TestDatabase::new().await.expect("a database");
    let folder = scratch_dir("api").expect("a folder");
    let key = folder.path().join("jwt.pem");
    let (port, admin_port) = (free_port().expect("a port"), free_port().expect("a port"));
    let mut server = Process::command(Path::new(PROGRAM))
        .env("DATABASE_URL", database.url())
        .env("TIRIS_JWT_KEY_FILE", &key)
        .env(
            "TIRIS_ENCRYPTION_FILE",
            folder.path().join("encryption.env"),
        )
        .env("TIRIS_API_LISTEN", format!("127.0.0.1:{port}"))
        .env("TIRIS_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
        .spawn()
        .expect("started");
    let (api, admin) = (
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{admin_port}"),
    );
    server
        .wait_until_healthy(&format!("{admin}/health/ready"), START_LIMIT)
        .await
        .expect("ready");

    let health = || {
        run(
            &["health"],
            &[("TIRIS_ADMIN_LISTEN", &format!("0.0.0.0:{admin_port}"))],
        )
    };
    assert!(health().status.success(), "{:?}", health());

    let environment = [
        ("DATABASE_URL", database.url()),
        ("TIRIS_JWT_KEY_FILE", key.to_str().expect("UTF-8")),
    ];
    let plain = run(&["token", "--email", "ann@example.com"], &environment);
    assert!(plain.status.success(), "{}", utf8(&plain.stderr));
    let token = utf8(&plain.stdout).trim_end().to_owned();
    assert_eq!(token.split('.').count(), 3, "only the token: {token}");
    let json = run(
        &[
            "token",
            "--email",
            "ANN@example.com",
            "--admin",
            "--json",
            "--ttl-hours",
            "1",
        ],
        &environment,
    );
    let json: Value = serde_json::from_str(&utf8(&json.stdout)).expect("JSON");
    assert_eq!(json["expires_in"], 3600);

    let http = crate::world::http_client();
    let me = http
        .get(format!("{api}/v1/users/me"))
        .bearer_auth(&token)
        .send()
        .await
        .expect("an answer");
    assert_eq!(me.status(), StatusCode::OK);
    let me: Value = me.json().await.expect("JSON");
    assert_eq!(
        me["data"]["id"], json["user_id"],
        "the same user both times"
    );
    assert_eq!(me["data"]["username"], "ann");
    assert_eq!(me["data"]["role"], "admin");
    let namesake = run(
        &["token", "--email", "ann@example.org", "--json"],
        &environment,
    );
    let namesake: Value = serde_json::from_str(&utf8(&namesake.stdout)).expect("JSON");
    assert_ne!(
        namesake["user_id"], json["user_id"],
        "another address is another user"
    );

    for _ in 0..2 {
        let unknown = format!("{api}/v1/sub-accounts/{}", uuid::Uuid::nil());
        let unknown = http
            .get(unknown)
            .bearer_auth(&token)
            .send()
            .await
            .expect("an answer");
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    }
    let metrics = http
        .get(format!("{admin}/metrics"))
        .send()
        .await
        .expect("metrics")
        .text()
        .await
        .expect("text");
    let timed = |statement: &str| {
        let name = format!("database_query_duration_seconds_count{{statement=\"{statement}\"}} ");
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(&name))
            .map(str::to_owned)
    };
    assert_eq!(
        timed("select sub_accounts").as_deref(),
        Some("2"),
        "of entities, each once: {metrics}"
    );
    assert_eq!(
        timed("select sessions").as_deref(),
        Some("1"),
        "and of SQL: {metrics}"
    );
    assert!(
        metrics.contains(r#"http_requests_total{method="GET",path="/v1/users/me",status="200"} 1"#),
        "{metrics}"
    );
    assert!(
        metrics.contains("http_request_duration_seconds_bucket"),
        "{metrics}"
    );
    let public = http
        .get(format!("{api}/metrics"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        public.status(),
        StatusCode::NOT_FOUND,
        "metrics are not public"
    );
    let traced = http
        .get(format!("{api}/v1/transactions?order_id=unlogged"))
        .header("x-request-id", "mine-1");
    traced.bearer_auth(&token).send().await.expect("an answer");
    for (id, path) in [
        ("wrong-1", "/v1/transactions?limit=no"),
        ("gone-1", "/v1/invented"),
    ] {
        let refused = http
            .get(format!("{api}{path}"))
            .header("x-request-id", id)
            .bearer_auth(&token);
        refused.send().await.expect("an answer");
    }
    let stopped = server
        .terminate(Duration::from_secs(20))
        .await
        .expect("stopped");
    assert!(stopped.success(), "{stopped}");
    let gone = health();
    assert_eq!(gone.status.code(), Some(1));
    assert!(utf8(&gone.stderr).contains(&format!(
        "no answer from http://127.0.0.1:{admin_port}/health/ready"
    )));

    let log = std::fs::read_to_string(server.log_path()).expect("a log");
    let of = |id: &str| -> Vec<Value> {
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.filter(|line| line["trace_id"] == id).collect()
    };
    for (id, level, code) in [
        ("wrong-1", "WARN", "INVALID_VALUE"),
        ("gone-1", "INFO", "NOT_FOUND"),
    ] {
        let lines = of(id);
        assert_eq!(
            lines.len(),
            1,
            "one line for a request that is refused: {log}"
        );
        assert_eq!(
            (&lines[0]["level"], &lines[0]["metadata"]["code"]),
            (&level.into(), &code.into()),
            "{log}"
        );
    }
    let traced = of("mine-1");
    assert_eq!(
        traced.len(),
        1,
        "one line for a request that succeeds: {log}"
    );
    assert_eq!(traced[0]["user_id"], json["user_id"]);
    assert_eq!(traced[0]["metadata"]["path"], "/v1/transactions");
    for secret in [token.as_str(), "unlogged"] {
        assert!(
            !log.contains(secret),
            "neither tokens nor what is asked for are logged: {log}"
        );
    }
}

#[tokio::test]
async fn a_server_told_to_stop_says_so_while_it_still_serves() {
    let database = TestDatabase::new().await.expect("a database");
    let folder = scratch_dir("api").expect("a folder");
    let (port, admin_port) = (free_port().expect("a port"), free_port().expect("a port"));
    let mut server = Process::command(Path::new(PROGRAM))
        .env("DATABASE_URL", database.url())
        .env("TIRIS_JWT_KEY_FILE", folder.path().join("jwt.pem"))
        .env(
            "TIRIS_ENCRYPTION_FILE",
            folder.path().join("encryption.env"),
        )
        .env("TIRIS_API_LISTEN", format!("127.0.0.1:{port}"))
        .env("TIRIS_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
        // Longer than the test: whatever it sees is from before the end.
        .env("TIRIS_DRAIN_LEAD_SECONDS", "60")
        .spawn()
        .expect("started");
    let probes = [admin_port, port].map(|port| format!("http://127.0.0.1:{port}/health/ready"));
    server
        .wait_until_healthy(&probes[0], START_LIMIT)
        .await
        .expect("ready");
    server.signal(Signal::SIGTERM).expect("told");
    let http = crate::world::http_client();
    for probe in probes {
        eventually("no more ready", START_LIMIT, async || {
            let answer = http.get(&probe).send().await?;
            let (status, text) = (answer.status(), answer.text().await?);
            anyhow::ensure!(
                status == StatusCode::SERVICE_UNAVAILABLE && text.contains("shutdown"),
                "{text}"
            );
            Ok(())
        })
        .await
        .expect("it says so");
    }
    let answer = http
        .get(format!("http://127.0.0.1:{port}/"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        answer.status(),
        StatusCode::OK,
        "whoever comes yet is answered"
    );
    server.kill().await.expect("killed");
}

#[tokio::test]
async fn the_first_admin_is_made_on_the_command_line_and_may_be_a_user_again() {
    let database = TestDatabase::new().await.expect("a database");
    let role = async || {
        sqlx::query_scalar::<_, String>("SELECT role FROM users")
            .fetch_one(database.pool())
            .await
            .expect("a role")
    };
    let environment = [("DATABASE_URL", database.url())];
    let admin = |action: &str| run(&["admin", action, "ANN@example.com"], &environment);
    let unknown = admin("grant");
    assert!(
        !unknown.status.success() && utf8(&unknown.stderr).contains("signing in"),
        "{unknown:?}"
    );
    sqlx::query(
        "INSERT INTO users (id, username, email) VALUES (gen_random_uuid(), 'ann', 'ann@example.com')",
    )
    .execute(database.pool())
    .await
    .expect("a user");
    for (action, expected) in [("grant", "admin"), ("grant", "admin"), ("revoke", "user")] {
        let output = admin(action);
        assert!(
            output.status.success() && utf8(&output.stdout).contains(expected),
            "{output:?}"
        );
        assert_eq!(role().await, expected);
    }
    let actions: Vec<String> =
        sqlx::query_scalar("SELECT action FROM audit_logs ORDER BY timestamp")
            .fetch_all(database.pool())
            .await
            .expect("the audit trail");
    assert_eq!(actions, ["user.grant_admin", "user.revoke_admin"]);
}

#[test]
fn keys_are_made_once_and_shown_without_their_secret_part() {
    let folder = scratch_dir("api").expect("a folder");
    let files = ["new.pem", "old.pem"]
        .map(|name| folder.path().join(name).to_str().expect("UTF-8").to_owned());
    let made: Vec<String> = files
        .iter()
        .map(|file| utf8(&run(&["keys", "new", file], &[]).stdout))
        .collect();
    let again = run(&["keys", "new", &files[0]], &[]);
    assert!(
        !again.status.success() && utf8(&again.stderr).contains("never replaced"),
        "{again:?}"
    );
    let both = files.join(",");
    let shown = run(&["keys", "show"], &[("TIRIS_JWT_KEY_FILE", &both)]);
    let (first, keys) = utf8(&shown.stdout)
        .split_once('\n')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("lines");
    let keys: Value = serde_json::from_str(&keys).expect("JSON");
    for (index, told) in made.iter().enumerate() {
        let key = &keys["keys"][index];
        assert!(told.contains(key["kid"].as_str().expect("an id")), "{told}");
        assert!(key.get("d").is_none());
    }
    assert!(
        first.contains(keys["keys"][0]["kid"].as_str().expect("an id")),
        "the first one signs: {first}"
    );
}

#[test]
fn all_mistakes_in_the_settings_are_told_at_once() {
    let wrong = [
        ("TIRIS_API_LISTEN", "nowhere"),
        ("TIRIS_ADMIN_LISTEN", "nowhere"),
        ("TIRIS_REQUEST_SECONDS", "0"),
        ("TIRIS_DRAIN_LEAD_SECONDS", "61"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere"),
        ("TIRIS_CORS_ORIGINS", "tiris.ai"),
        ("TIRIS_BINANCE_URL", "http://insecure.example.com"),
        ("TIRIS_EXCHANGE_SECONDS", "0"),
        ("TIRIS_VERIFY_BINDINGS", "perhaps"),
        ("TIRIS_ENCRYPTION_KEYS", "no-key"),
        ("TIRIS_FINGERPRINT_KEY", "no-key"),
        ("TIRIS_REDIRECT_URIS", "http://tiris.ai/callback"),
        ("TIRIS_PROVIDERS", "google,facebook"),
        ("TIRIS_GOOGLE_CLIENT_SECRET", "hunter2"),
        ("TIRIS_GOOGLE_JWKS_URL", "http://keys.example"),
        ("TIRIS_WECHAT_TOKEN_URL", "nowhere"),
        ("TIRIS_ENV", "production"),
    ];
    let output = run(&["serve"], &wrong);
    assert!(!output.status.success());
    let told = utf8(&output.stderr);
    for name in wrong
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| *name != "TIRIS_ENV")
        .chain(["DATABASE_URL"])
    {
        assert!(told.contains(name), "{name}: {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn production_makes_no_keys_and_no_tokens() {
    let output = run(
        &["serve"],
        &[
            ("TIRIS_ENV", "production"),
            ("DATABASE_URL", "postgres://u@127.0.0.1/d"),
        ],
    );
    for name in [
        "TIRIS_JWT_KEY_FILE",
        "TIRIS_ENCRYPTION_KEYS",
        "TIRIS_FINGERPRINT_KEY",
    ] {
        assert!(
            utf8(&output.stderr).contains(name),
            "{}",
            utf8(&output.stderr)
        );
    }
    let environment = [
        ("TIRIS_ENV", "production"),
        ("DATABASE_URL", "postgres://u@127.0.0.1/d"),
        ("TIRIS_JWT_KEY_FILE", "/nonexistent.pem"),
    ];
    let output = run(&["token", "--email", "ann@example.com"], &environment);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(
        utf8(&output.stderr).contains("TIRIS_ENV=dev"),
        "{}",
        utf8(&output.stderr)
    );
}

#[test]
fn the_help_names_every_setting() {
    let help = utf8(&run(&["--help"], &[]).stdout);
    for name in [
        "TIRIS_API_LISTEN",
        "TIRIS_ADMIN_LISTEN",
        "TIRIS_JWT_KEY_FILE",
        "TIRIS_CORS_ORIGINS",
        "TIRIS_ENCRYPTION_KEYS",
        "TIRIS_FINGERPRINT_KEY",
        "TIRIS_KRAKEN_URL",
        "TIRIS_REDIRECT_URIS",
        "TIRIS_GOOGLE_CLIENT_ID",
        "TIRIS_WECHAT_APP_SECRET",
        "TIRIS_REQUEST_SECONDS",
        "TIRIS_RATE_AUTH",
        "TIRIS_TRUSTED_PROXIES",
        "TIRIS_CONNECTIONS",
        "TIRIS_ENV",
        "TIRIS_LOG",
        "TIRIS_SHUTDOWN_SECONDS",
        "DATABASE_URL",
        "token",
        "admin",
        "keys",
        "openapi",
        "secrets",
    ] {
        assert!(help.contains(name), "{name}: {help}");
    }
    let printed = run(&["openapi"], &[]);
    assert!(serde_json::from_slice::<Value>(&printed.stdout).is_ok());
}
