use super::*;
use clap::Parser;

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
fn every_mistake_is_reported_at_once_by_the_name_of_its_variable() {
    let error = check(&[
        "--database-url=mysql://u:hunter2@h/d",
        "--database-connections=many",
        "--database-connections-min=201",
        "--database-acquire-seconds=0",
        "--database-idle-seconds=86401",
        "--database-lifetime-seconds=x",
        "--database-statement-seconds=6",
        "--environment=staging",
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
struct WithoutNats {
    #[command(flatten)]
    nats: OptionalNatsArgs,
}

#[test]
fn where_nats_is_optional_it_may_be_left_out_but_not_be_wrong() {
    let check = |url: &str| {
        let args = WithoutNats::parse_from(["test", "--nats-url", url]);
        let mut problems = Problems::default();
        let nats = args.nats.check(Some(Environment::Dev), &mut problems);
        problems
            .finish(Some(nats.map(|nats| nats.servers.len())))
            .map_err(|error| error.to_string())
    };

    assert_eq!(check(" "), Ok(None));
    assert_eq!(check("nats://a:4222, nats://b:4222"), Ok(Some(2)));
    assert!(check("nats://a:many").is_err_and(|error| error.contains("NATS_URL")));

    let encoded = check("nats://u:hunter2%21@a").expect_err("a mistake");
    assert!(
        encoded.contains("NATS_URL: user and password") && !encoded.contains("hunter2"),
        "{encoded}"
    );
}

#[test]
fn a_password_of_nats_is_never_printed() {
    let args = WithoutNats::parse_from(["test", "--nats-url", "tls://u:hunter2@a"]);
    let config = args
        .nats
        .check(None, &mut Problems::default())
        .expect("a server");
    assert_eq!(format!("{config:?}"), r#"["a", ..]"#);
    assert!(!format!("{:?}", args.nats).contains("hunter2"));
}

#[test]
fn no_more_connections_are_kept_than_there_may_be() {
    let check = |min: &str| {
        check(&[
            "--database-url=postgres://u@h/d",
            "--database-connections=5",
            min,
        ])
    };
    assert_eq!(
        check("--database-connections-min=5")
            .expect("valid")
            .0
            .min_connections,
        5
    );

    let error = check("--database-connections-min=6")
        .expect_err("a mistake")
        .to_string();
    assert!(
        error.contains("TIRIS_DATABASE_CONNECTIONS_MIN: must be between 0 and 5"),
        "{error}"
    );
}

#[test]
fn a_secret_is_never_printed() {
    let args = Args::parse_from(["test", "--database-url=postgres://u:hunter2@h/d"]);
    assert!(!format!("{args:?}").contains("hunter2"));
    let (database, _) = check(&["--database-url=postgres://u:hunter2@h/d"]).expect("valid");
    assert!(!format!("{database:?}").contains("hunter2"));
}
