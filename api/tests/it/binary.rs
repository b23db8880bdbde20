//! The program `tiris-api`: commands and settings.

use crate::service::run;
use serde_json::Value;
use tiris_testing::{Role, TestDatabase, scratch_dir};

#[tokio::test]
async fn the_command_line_grants_and_revokes_the_admin_role() {
    let database = TestDatabase::new().await.expect("a database");
    let url = database.url_as(Role::Api).expect("an address");
    let environment = [("DATABASE_URL", url.as_str())];
    let admin = |action: &str| run(&["admin", action, "ANN@example.com"], &environment);
    let unknown = admin("grant");
    assert!(unknown.error().contains("signing in"), "{}", unknown.stderr);
    sqlx::query(
        "INSERT INTO users (id, username, email) VALUES (gen_random_uuid(), 'ann', 'ann@example.com')",
    )
    .execute(database.pool())
    .await
    .expect("a user");

    for (action, expected) in [("grant", "admin"), ("grant", "admin"), ("revoke", "user")] {
        let done = admin(action);

        assert!(done.output().contains(expected), "{}", done.stdout);
        let role: String = sqlx::query_scalar("SELECT role FROM users")
            .fetch_one(database.pool())
            .await
            .expect("a role");
        assert_eq!(role, expected);
    }

    let actions: Vec<String> =
        sqlx::query_scalar("SELECT action FROM audit_logs ORDER BY timestamp")
            .fetch_all(database.pool())
            .await
            .expect("the audit trail");
    assert_eq!(actions, ["user.grant_admin", "user.revoke_admin"]);
}

#[test]
fn a_new_key_never_overwrites_a_file() {
    let folder = scratch_dir("api").expect("a folder");
    let file = folder.path().join("new.pem");
    let create = || run(&["keys", "new", file.to_str().expect("UTF-8")], &[]);
    create().output();

    let again = create();

    assert!(again.error().contains("never replaced"), "{}", again.stderr);
}

#[test]
fn keys_are_shown_without_their_secret_part() {
    let folder = scratch_dir("api").expect("a folder");
    let files = ["new.pem", "old.pem"]
        .map(|name| folder.path().join(name).to_str().expect("UTF-8").to_owned());
    let created = files
        .each_ref()
        .map(|file| run(&["keys", "new", file], &[]));

    let shown = run(
        &["keys", "show"],
        &[("TIRIS_JWT_KEY_FILE", &files.join(","))],
    );

    let (first, keys) = shown.output().split_once('\n').expect("lines");
    let keys: Value = serde_json::from_str(keys).expect("JSON");
    for (index, created) in created.iter().enumerate() {
        let key = &keys["keys"][index];
        let id = key["kid"].as_str().expect("an id");
        assert!(created.stdout.contains(id), "{}", created.stdout);
        assert!(key.get("d").is_none());
    }
    let signing = keys["keys"][0]["kid"].as_str().expect("an id");
    assert!(first.contains(signing), "the first one signs: {first}");
}

#[test]
fn reports_all_invalid_settings_at_once() {
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
    ];
    let environment = [&wrong[..], &[("TIRIS_ENV", "production")]].concat();

    let refused = run(&["serve"], &environment);

    let error = refused.error();
    let names = wrong.iter().map(|(name, _)| *name);

    for name in names.chain(["DATABASE_URL"]) {
        assert!(error.contains(name), "{name}: {error}");
    }

    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_service_in_production_needs_its_keys() {
    let environment = [
        ("TIRIS_ENV", "production"),
        ("DATABASE_URL", "postgres://u@127.0.0.1/d"),
    ];

    let refused = run(&["serve"], &environment);

    for name in [
        "TIRIS_JWT_KEY_FILE",
        "TIRIS_ENCRYPTION_KEYS",
        "TIRIS_FINGERPRINT_KEY",
    ] {
        assert!(refused.error().contains(name), "{}", refused.stderr);
    }
}

#[test]
fn issues_no_tokens_in_production() {
    let environment = [
        ("TIRIS_ENV", "production"),
        ("DATABASE_URL", "postgres://u@127.0.0.1/d"),
        ("TIRIS_JWT_KEY_FILE", "/nonexistent.pem"),
    ];

    let refused = run(&["token", "--email", "ann@example.com"], &environment);

    assert!(
        refused.error().contains("TIRIS_ENV=dev"),
        "{}",
        refused.stderr
    );
    assert!(refused.stdout.is_empty());
}

#[test]
fn the_help_names_every_setting() {
    let help = run(&["--help"], &[]).stdout;

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
    assert!(serde_json::from_str::<Value>(&printed.stdout).is_ok());
}
