use super::*;
use clap::Parser;
use secrecy::SecretString;

#[derive(Parser, Debug)]
struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

fn check(arguments: &[&str]) -> Result<(DatabaseConfig, ServiceConfig), ConfigError> {
    let args = Args::parse_from(std::iter::once(&"test").chain(arguments));
    let mut problems = Problems::default();
    let checked = args
        .database
        .check(args.service.environment(), &mut problems)
        .zip(args.service.check("127.0.0.1:0", &mut problems));
    problems.finish(checked)
}

#[test]
fn reports_all_mistakes_by_their_variables() {
    let error = check(&[
        "--database-url=mysql://u:hunter2@h/d",
        "--database-connections=many",
        "--database-connections-min=201",
        "--database-acquire-seconds=0",
        "--database-idle-seconds=86401",
        "--database-lifetime-seconds=x",
        "--database-statement-seconds=6",
        "--environment=prod",
        "--admin-listen=nowhere",
        "--shutdown-seconds=0",
        "--log-format=xml",
        "--metrics=some",
    ])
    .expect_err("twelve mistakes")
    .to_string();

    for variable in [
        "DATABASE_URL",
        "TIRIS_DATABASE_CONNECTIONS:",
        "TIRIS_DATABASE_CONNECTIONS_MIN",
        "TIRIS_DATABASE_ACQUIRE_SECONDS",
        "TIRIS_DATABASE_IDLE_SECONDS",
        "TIRIS_DATABASE_LIFETIME_SECONDS",
        "TIRIS_DATABASE_STATEMENT_SECONDS",
        "TIRIS_ENV",
        "TIRIS_ADMIN_LISTEN",
        "TIRIS_SHUTDOWN_SECONDS",
        "TIRIS_LOG_FORMAT",
        "TIRIS_METRICS",
    ] {
        assert!(
            error.contains(variable),
            "{variable} is missing in: {error}"
        );
    }
    assert!(!error.contains("hunter2"), "{error}");
}

#[derive(Parser)]
struct NatsCommand {
    #[command(flatten)]
    nats: NatsArgs,
}

/// Returns the number of servers in `url`, or the mistakes.
fn check_nats(url: &str, environment: Environment) -> Result<Option<usize>, String> {
    let args = NatsCommand::parse_from(["test", "--nats-url", url]);
    let mut problems = Problems::default();
    let nats = args.nats.check_optional(Some(environment), &mut problems);
    problems
        .finish(Some(nats.map(|nats| nats.servers.len())))
        .map_err(|error| error.to_string())
}

fn check_database(url: &str, environment: Environment) -> Result<SecretString, String> {
    let mut problems = Problems::default();
    let url = SecretString::from(url);
    let checked = check_database_url("DATABASE_URL", &url, Some(environment), &mut problems);
    problems.finish(checked).map_err(|error| error.to_string())
}

#[test]
fn optional_nats_may_be_absent_but_not_wrong() {
    let check = |url: &str| check_nats(url, Environment::Dev);

    assert_eq!(check(" "), Ok(None));
    assert_eq!(check("nats://a:4222, nats://b:4222"), Ok(Some(2)));
    assert!(check("nats://a:many").is_err_and(|error| error.contains("NATS_URL")));

    let encoded = check("nats://u:hunter2%21@a").expect_err("a mistake");
    assert!(encoded.contains("NATS_URL: user and password"), "{encoded}");
    assert!(!encoded.contains("hunter2"), "{encoded}");
}

#[test]
fn production_requires_tls_to_a_remote_nats() {
    for (url, is_safe) in [
        ("nats://nats.example:4222", false),
        ("nats.example", false),
        ("ws://nats.example", false),
        ("nats://u:hunter2@10.0.0.7:4222", false),
        ("tls://nats.example:4222", true),
        ("wss://nats.example", true),
        ("nats://127.0.0.1:4222", true),
        ("nats://localhost", true),
        ("nats://[::1]:4222", true),
    ] {
        let refused = check_nats(url, Environment::Production).err();

        assert_eq!(refused.is_none(), is_safe, "{url}");
        if let Some(error) = refused {
            assert!(error.contains("NATS_URL"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!(check_nats(url, Environment::Dev), Ok(Some(1)), "{url}");
    }
}

#[test]
fn production_requires_a_verified_remote_database() {
    for (url, is_safe) in [
        ("postgres://u:hunter2@db.example/d", false),
        ("postgres://u:hunter2@db.example/d?sslmode=disable", false),
        ("postgres://u:hunter2@db.example/d?sslmode=prefer", false),
        ("postgres://u:hunter2@db.example/d?sslmode=require", false),
        ("postgres://u:hunter2@10.0.0.7/d", false),
        ("postgres://u:hunter2@localhost.example/d", false),
        ("postgres://u:hunter2@db.example/d?sslmode=verify-ca", true),
        (
            "postgres://u:hunter2@db.example/d?sslmode=verify-full",
            true,
        ),
        ("postgres://u:hunter2@localhost/d", true),
        ("postgres://u:hunter2@127.0.0.1:5433/d", true),
        ("postgres://u:hunter2@[::1]/d", true),
        ("postgres:///d?host=/var/run/postgresql", true),
    ] {
        let refused = check_database(url, Environment::Production).err();

        assert_eq!(refused.is_none(), is_safe, "{url}");
        if let Some(error) = refused {
            assert!(error.contains("DATABASE_URL"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(check_database(url, Environment::Dev).is_ok(), "{url}");
    }
}

#[test]
fn never_prints_a_nats_password() {
    let args = NatsCommand::parse_from(["test", "--nats-url", "tls://u:hunter2@a"]);
    let config = args
        .nats
        .check(None, &mut Problems::default())
        .expect("a server");
    assert_eq!(format!("{config:?}"), r#"["a", ..]"#);
    assert!(!format!("{:?}", args.nats).contains("hunter2"));
}

#[test]
fn min_connections_may_not_exceed_max() {
    let check = |min: &str| {
        check(&[
            "--database-url=postgres://u@h/d",
            "--database-connections=5",
            min,
        ])
    };
    let (database, _) = check("--database-connections-min=5").expect("valid");
    assert_eq!(database.min_connections, 5);

    let error = check("--database-connections-min=6").expect_err("a mistake");
    let expected = "TIRIS_DATABASE_CONNECTIONS_MIN: must be between 0 and 5";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn never_prints_a_database_password() {
    let args = Args::parse_from(["test", "--database-url=postgres://u:hunter2@h/d"]);
    assert!(!format!("{args:?}").contains("hunter2"));
    let (database, _) = check(&["--database-url=postgres://u:hunter2@h/d"]).expect("valid");
    assert!(!format!("{database:?}").contains("hunter2"));
}

/// Returns the address of the collector, or the mistakes.
fn check_traces(base: &str, own: &str) -> Result<Option<String>, String> {
    let base = format!("--otlp-endpoint={base}");
    let own = format!("--otlp-traces-endpoint={own}");
    let args = Args::parse_from(["test", &base, &own]);

    let mut problems = Problems::default();
    let service = args.service.check("127.0.0.1:0", &mut problems);
    let service = problems
        .finish(service)
        .map_err(|error| error.to_string())?;
    Ok(service.traces.map(|endpoint| endpoint.to_string()))
}

#[test]
fn the_traces_endpoint_overrides_the_collector() {
    assert_eq!(check_traces("", " "), Ok(None));
    assert_eq!(
        check_traces("http://a:4318", ""),
        Ok(Some("http://a:4318/v1/traces".into()))
    );
    assert_eq!(
        check_traces("http://a:4318/in/", ""),
        Ok(Some("http://a:4318/in/v1/traces".into()))
    );
    assert_eq!(
        check_traces("http://a:4318", "https://b/t"),
        Ok(Some("https://b/t".into()))
    );

    for (base, own, variable) in [
        ("a:4318", "", "OTLP_ENDPOINT"),
        ("grpc://a", "", "OTLP_ENDPOINT"),
        ("", "/t", "TRACES_ENDPOINT"),
    ] {
        assert!(
            check_traces(base, own).is_err_and(|error| error.contains(variable)),
            "{base} {own}"
        );
    }
}
