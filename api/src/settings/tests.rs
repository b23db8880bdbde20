use super::*;
use crate::auth::keys::{Keys, make};
use clap::Parser;
use std::num::NonZeroU32;
use std::path::Path;
use tempfile::TempDir;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    serve: ServeArgs,
}

/// Settings that production starts with.
struct Production {
    folder: TempDir,
}

impl Production {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        make(&folder.path().join("jwt.pem")).expect("a key");
        Self { folder }
    }

    /// A file in the folder of the keys.
    fn path(&self, name: &str) -> String {
        self.folder
            .path()
            .join(name)
            .to_str()
            .expect("UTF-8")
            .to_owned()
    }

    /// What is told when these flags differ; nothing when it starts.
    fn told(&self, changed: &[(&str, &str)]) -> String {
        let key = self.path("jwt.pem");
        let right = [
            ("--environment", "production"),
            (
                "--database-url",
                "postgres://u:hunter2@db.example/d?sslmode=verify-full",
            ),
            ("--jwt-key-file", &key),
            // Base64 of 32 bytes; nothing is encrypted here.
            (
                "--encryption-keys",
                "one:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            ),
            (
                "--fingerprint-key",
                "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
            ),
            ("--redirect-uris", "https://tiris.ai/callback"),
            ("--google-client-id", "google"),
            ("--google-client-secret", "hunter2"),
            ("--wechat-app-id", "wechat"),
            ("--wechat-app-secret", "hunter2"),
        ];

        let is_changed = |name: &str| changed.iter().any(|(known, _)| *known == name);
        let kept = right.iter().filter(|(name, _)| !is_changed(name));
        let flags = kept
            .chain(changed)
            .map(|(name, value)| format!("{name}={value}"));

        let args = Args::parse_from(std::iter::once("test".to_owned()).chain(flags));
        args.serve
            .check()
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }
}

/// A setting that production refuses, and the name it is told by.
const REFUSED: [(&str, &str, &str); 33] = [
    (
        "--database-replica-url",
        "postgres://u:hunter2@db.example/d",
        "DATABASE_REPLICA_URL",
    ),
    (
        "--database-replica-url",
        "mysql://u:hunter2@db.example/d",
        "DATABASE_REPLICA_URL",
    ),
    (
        "--database-url",
        "postgres://u:hunter2@db.example/d",
        "DATABASE_URL",
    ),
    (
        "--database-url",
        "postgres://u:hunter2@db.example/d?sslmode=require",
        "DATABASE_URL",
    ),
    ("--jwt-key-file", "", "TIRIS_JWT_KEY_FILE"),
    ("--encryption-keys", "", "TIRIS_ENCRYPTION_KEYS"),
    (
        "--encryption-keys",
        "dev-1a2b3c4d:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "TIRIS_ENCRYPTION_KEYS",
    ),
    ("--fingerprint-key", "", "TIRIS_FINGERPRINT_KEY"),
    ("--cors-origins", "*", "TIRIS_CORS_ORIGINS"),
    ("--cors-origins", "https://*.tiris.ai", "TIRIS_CORS_ORIGINS"),
    (
        "--cors-origins",
        "https://tiris.ai,http://tiris.ai",
        "TIRIS_CORS_ORIGINS",
    ),
    (
        "--cors-origins",
        "http://localhost:3000",
        "TIRIS_CORS_ORIGINS",
    ),
    (
        "--cors-origins",
        "https://localhost:3000",
        "TIRIS_CORS_ORIGINS",
    ),
    ("--cors-origins", "https://127.0.0.1", "TIRIS_CORS_ORIGINS"),
    ("--cors-origins", "https://[::1]:8443", "TIRIS_CORS_ORIGINS"),
    ("--redirect-uris", "", "TIRIS_REDIRECT_URIS"),
    (
        "--redirect-uris",
        "http://tiris.ai/callback",
        "TIRIS_REDIRECT_URIS",
    ),
    (
        "--redirect-uris",
        "https://localhost/callback",
        "TIRIS_REDIRECT_URIS",
    ),
    ("--google-client-id", "", "TIRIS_GOOGLE_CLIENT_ID"),
    ("--google-client-secret", "", "TIRIS_GOOGLE_CLIENT_SECRET"),
    ("--wechat-app-id", "", "TIRIS_WECHAT_APP_ID"),
    ("--wechat-app-secret", "", "TIRIS_WECHAT_APP_SECRET"),
    (
        "--google-token-url",
        "http://oauth2.googleapis.com/token",
        "TIRIS_GOOGLE_TOKEN_URL",
    ),
    (
        "--google-jwks-url",
        "https://127.0.0.1/keys",
        "TIRIS_GOOGLE_JWKS_URL",
    ),
    (
        "--wechat-user-url",
        "http://localhost/user",
        "TIRIS_WECHAT_USER_URL",
    ),
    ("--providers", "", "TIRIS_PROVIDERS"),
    ("--kraken-url", "http://api.kraken.com", "TIRIS_KRAKEN_URL"),
    ("--rate-general", "off", "TIRIS_RATE_GENERAL"),
    ("--rate-auth", "off", "TIRIS_RATE_AUTH"),
    ("--rate-money", "off", "TIRIS_RATE_MONEY"),
    ("--rate-credentials", "off", "TIRIS_RATE_CREDENTIALS"),
    ("--trusted-proxies", "0.0.0.0/0", "TIRIS_TRUSTED_PROXIES"),
    (
        "--trusted-proxies",
        "10.0.0.1,::/0",
        "TIRIS_TRUSTED_PROXIES",
    ),
];

#[test]
fn production_starts_with_settings_for_production_only() {
    let production = Production::new();
    assert_eq!(production.told(&[]), "");
    for (flag, value, name) in REFUSED {
        let told = production.told(&[(flag, value)]);
        assert!(
            told.contains(&format!("{name}: ")),
            "{flag}={value}: {told:?}"
        );
        assert!(
            !told.contains("hunter2") && !told.contains("AAECAwQF"),
            "{told}"
        );
    }
}

#[test]
fn production_tells_all_its_mistakes_at_once() {
    let mut last: Vec<(&str, &str, &str)> = Vec::new();
    // Without an id or a provider there is nothing more to ask of it.
    let alone = REFUSED
        .iter()
        .filter(|(flag, _, _)| !flag.contains("client") && !flag.contains("wechat-app"));
    for refused in alone {
        last.retain(|(flag, _, _)| *flag != refused.0);
        last.push(*refused);
    }
    let changed: Vec<(&str, &str)> = last
        .iter()
        .map(|(flag, value, _)| (*flag, *value))
        .collect();

    // A mistake beside TIRIS_ENV does not hide that this is production.
    let told =
        Production::new().told(&[changed.as_slice(), &[("--admin-listen", "nowhere")]].concat());
    for (flag, _, name) in last {
        assert!(told.contains(&format!("{name}: ")), "{flag}: {told}");
    }
}

#[test]
fn a_developers_machine_starts_with_nothing_but_a_database() {
    let args = Args::parse_from([
        "test",
        "--environment=dev",
        "--database-url=postgres://u@db.example/d",
    ]);
    let settings = args.serve.check().expect("valid");

    let per_minute = NonZeroU32::new;
    let expected = RateSettings {
        general: per_minute(6_000),
        auth: per_minute(60),
        money: per_minute(600),
        credentials: per_minute(60),
    };
    assert_eq!(settings.protection.rates, expected);
}

#[test]
fn keys_that_were_made_for_a_developer_are_refused_wherever_they_lie() {
    let production = Production::new();
    let key = production.path("dev.pem");
    let keys = production.path("encryption.env");

    Keys::load(&[Path::new(&key).to_owned()], Environment::Dev)
        .expect("made, and readable with its label");
    let told = production.told(&[(
        "--jwt-key-file",
        &format!("{},{key}", production.path("jwt.pem")),
    )]);
    assert!(
        told.contains("TIRIS_JWT_KEY_FILE: ") && told.contains("dev.pem"),
        "{told}"
    );
    let config = EncryptionConfig {
        keys: "".into(),
        fingerprint_key: "".into(),
        file: Some(keys.clone().into()),
    };
    config.load(Environment::Dev).expect("made");
    let told = production.told(&[("--encryption-file", &keys)]);
    assert!(told.contains("TIRIS_ENCRYPTION_FILE: "), "{told}");
}

#[test]
fn a_wrong_limit_is_named_with_what_was_given() {
    let production = Production::new();

    for (flag, value, name) in [
        ("--rate-general", "0", "TIRIS_RATE_GENERAL"),
        ("--rate-auth", "-1", "TIRIS_RATE_AUTH"),
        ("--rate-money", "many", "TIRIS_RATE_MONEY"),
        (
            "--rate-credentials",
            "99999999999",
            "TIRIS_RATE_CREDENTIALS",
        ),
        ("--trusted-proxies", "10.0.0.0/33", "TIRIS_TRUSTED_PROXIES"),
        (
            "--trusted-proxies",
            "proxy.example",
            "TIRIS_TRUSTED_PROXIES",
        ),
        ("--head-seconds", "0", "TIRIS_HEAD_SECONDS"),
        ("--connections", "0", "TIRIS_CONNECTIONS"),
        (
            "--connections-per-address",
            "0",
            "TIRIS_CONNECTIONS_PER_ADDRESS",
        ),
    ] {
        let told = production.told(&[(flag, value)]);
        assert!(
            told.contains(&format!("{name}: ")) && told.contains(value),
            "{flag}={value}: {told:?}"
        );
    }
}
