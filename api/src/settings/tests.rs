use super::*;
use crate::auth::keys::{Keys, generate};
use clap::{CommandFactory, Parser};
use std::num::NonZeroU32;
use tempfile::TempDir;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    serve: ServeArgs,
}

/// Flags that production starts with, except for the key file.
const VALID: &str = "
    --environment production
    --database-url postgres://u:hunter2@db.example/d?sslmode=verify-full
    --encryption-keys one:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
    --fingerprint-key AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=
    --redirect-uris https://tiris.ai/callback
    --google-client-id google
    --google-client-secret hunter2
    --wechat-app-id wechat
    --wechat-app-secret hunter2
";

/// Flags that production rejects; an empty value is absent.
const REJECTED: &str = "
    --database-replica-url postgres://u:hunter2@db.example/d
    --database-replica-url mysql://u:hunter2@db.example/d
    --database-url postgres://u:hunter2@db.example/d
    --database-url postgres://u:hunter2@db.example/d?sslmode=require
    --jwt-key-file
    --encryption-keys
    --encryption-keys dev-1a2b3c4d:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
    --fingerprint-key
    --cors-origins *
    --cors-origins https://*.tiris.ai
    --cors-origins https://tiris.ai,http://tiris.ai
    --cors-origins http://localhost:3000
    --cors-origins https://localhost:3000
    --cors-origins https://127.0.0.1
    --cors-origins https://[::1]:8443
    --redirect-uris
    --redirect-uris http://tiris.ai/callback
    --redirect-uris https://localhost/callback
    --google-client-id
    --google-client-secret
    --wechat-app-id
    --wechat-app-secret
    --google-token-url http://oauth2.googleapis.com/token
    --google-jwks-url https://127.0.0.1/keys
    --wechat-user-url http://localhost/user
    --providers
    --kraken-url http://api.kraken.com
    --rate-general off
    --rate-auth off
    --rate-money off
    --rate-credentials off
    --trusted-proxies 0.0.0.0/0
    --trusted-proxies 10.0.0.1,::/0
";

/// Flags beyond the limits of their settings.
const OUT_OF_RANGE: &str = "
    --rate-general 0
    --rate-auth -1
    --rate-money many
    --rate-credentials 99999999999
    --trusted-proxies 10.0.0.0/33
    --trusted-proxies proxy.example
    --head-seconds 0
    --idle-seconds 0
    --connections 0
    --connections-per-address 0
";

/// Returns the flags and values of a table.
fn flags(table: &str) -> Vec<(&str, &str)> {
    let lines = table.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .collect()
}

/// Returns the variable of a flag.
fn variable(flag: &str) -> String {
    let name = flag[2..].replace('-', "_").to_uppercase();
    if name.starts_with("DATABASE") {
        name
    } else {
        format!("TIRIS_{name}")
    }
}

/// A folder with a key for production.
struct Production {
    folder: TempDir,
}

impl Production {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        generate(&folder.path().join("jwt.pem")).expect("a key");
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Returns the errors when the valid flags change like this, empty when the settings are accepted.
    fn errors(&self, changed: &[(&str, &str)]) -> String {
        let key = self.path("jwt.pem");
        let mut valid = flags(VALID);
        valid.push(("--jwt-key-file", &key));
        valid.retain(|(flag, _)| changed.iter().all(|(other, _)| other != flag));

        let all = valid.iter().chain(changed);
        let all = all.map(|(flag, value)| format!("{flag}={value}"));
        let args = Args::parse_from(std::iter::once("test".to_owned()).chain(all));
        let error = args.serve.check().err();
        error.map(|error| error.to_string()).unwrap_or_default()
    }
}

#[test]
fn the_documents_explain_every_setting() {
    let documents = [
        include_str!("../../README.md"),
        include_str!("../../../shared/docs/OBSERVABILITY.md"),
    ];
    let command = Args::command();
    let variables = command.get_arguments().filter_map(clap::Arg::get_env);

    for variable in variables {
        let name = variable.display();
        let forms = [format!("`{name}`"), format!("`{name}=")];
        let is_explained = documents
            .iter()
            .any(|text| forms.iter().any(|form| text.contains(form)));
        assert!(is_explained, "{name} is missing in api/README.md");
    }
}

#[test]
fn production_accepts_valid_settings() {
    assert_eq!(Production::new().errors(&[]), "");
}

#[test]
fn production_rejects_unsafe_settings_without_repeating_secrets() {
    let production = Production::new();

    for (flag, value) in flags(REJECTED) {
        let errors = production.errors(&[(flag, value)]);

        let name = format!("{}: ", variable(flag));
        assert!(errors.contains(&name), "{flag}={value}: {errors:?}");
        for secret in ["hunter2", "AAECAwQF"] {
            assert!(!errors.contains(secret), "{errors}");
        }
    }
}

#[test]
fn staging_has_the_rules_of_production() {
    let production = Production::new();

    for (flag, value) in flags(REJECTED) {
        let errors = production.errors(&[("--environment", "staging"), (flag, value)]);

        let name = format!("{}: ", variable(flag));
        assert!(errors.contains(&name), "{flag}={value}: {errors:?}");
    }
}

#[test]
fn each_environment_allows_its_own_origins() {
    let origins = |environment: &str| {
        let environment = environment.parse().ok();
        origins::parse(None, environment, &mut Problems::default()).join(" ")
    };

    let production = "https://tiris.ai https://admin.tiris.ai https://docs.tiris.ai";
    let staging = "https://dev.tiris.ai https://admin.dev.tiris.ai https://docs.dev.tiris.ai";
    assert_eq!(origins("production"), production);
    assert_eq!(origins("staging"), staging);
    assert_eq!(origins("dev"), staging);
}

#[test]
fn idle_connections_outlive_those_of_a_proxy() {
    /// What Traefik and Go's HTTP client wait before they close an idle connection.
    const PROXY_IDLE: Duration = Duration::from_secs(90);
    let args = Args::parse_from(["test", "--database-url=postgres://u@db.example/d"]);

    let settings = args.serve.check().expect("valid");

    assert!(settings.protection.idle_timeout > PROXY_IDLE);
}

#[test]
fn errors_of_limits_repeat_the_given_value() {
    let production = Production::new();

    for (flag, value) in flags(OUT_OF_RANGE) {
        let errors = production.errors(&[(flag, value)]);

        let name = format!("{}: ", variable(flag));
        assert!(errors.contains(&name), "{flag}={value}: {errors:?}");
        assert!(errors.contains(value), "{flag}={value}: {errors:?}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let mut changed: Vec<(&str, &str)> = Vec::new();
    for (flag, value) in flags(REJECTED) {
        // Without an id or a provider, no further setting of it is required.
        if !flag.contains("client") && !flag.contains("wechat-app") {
            changed.retain(|(other, _)| *other != flag);
            changed.push((flag, value));
        }
    }
    let rejected = changed.clone();
    // A mistake beside TIRIS_ENV does not hide that this is production.
    changed.push(("--admin-listen", "nowhere"));

    let errors = Production::new().errors(&changed);

    for (flag, _) in rejected {
        let name = format!("{}: ", variable(flag));
        assert!(errors.contains(&name), "{flag}: {errors}");
    }
}

#[test]
fn development_needs_only_a_database() {
    let args = Args::parse_from([
        "test",
        "--environment=dev",
        "--database-url=postgres://u@db.example/d",
    ]);

    let settings = args.serve.check().expect("valid");

    let expected = RateSettings {
        general: NonZeroU32::new(6_000),
        auth: NonZeroU32::new(60),
        money: NonZeroU32::new(600),
        credentials: NonZeroU32::new(60),
    };
    assert_eq!(settings.protection.rates, expected);
}

#[test]
fn production_rejects_a_development_key_for_tokens() {
    let production = Production::new();
    let key = production.path("dev.pem");
    Keys::load(&[PathBuf::from(&key)], Environment::Dev).expect("a readable key with its label");

    let files = format!("{},{key}", production.path("jwt.pem"));
    let errors = production.errors(&[("--jwt-key-file", &files)]);

    assert!(errors.contains("TIRIS_JWT_KEY_FILE: "), "{errors}");
    assert!(errors.contains("dev.pem"), "{errors}");
}

#[test]
fn production_rejects_a_development_key_for_credentials() {
    let production = Production::new();
    let keys = production.path("encryption.env");
    let config = EncryptionConfig {
        keys: "".into(),
        fingerprint_key: "".into(),
        file: Some(keys.clone().into()),
    };
    config.load(Environment::Dev).expect("generated keys");

    let errors = production.errors(&[("--encryption-file", &keys)]);

    assert!(errors.contains("TIRIS_ENCRYPTION_FILE: "), "{errors}");
}
