//! What may go over the wire in production: to other machines nothing in clear.
//!
//! Owns: which connections are safe. Must not know: how connections are made.

use super::environment::Environment;
use super::problems::Problems;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::net::IpAddr;

/// Whether this host is the machine itself.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches('.')
        .to_ascii_lowercase();
    bare == "localhost"
        || bare.ends_with(".localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Notes a database that is reached over the network without its certificate being verified. `sslmode=require` is not
/// enough: it encrypts for whoever answers, who may be anybody between us and the database.
pub(super) fn check_database(
    variable: &str,
    options: &PgConnectOptions,
    environment: Option<Environment>,
    problems: &mut Problems,
) {
    let is_local = options.get_socket().is_some()
        || options.get_host().starts_with('/')
        || is_loopback(options.get_host());

    let is_verified = matches!(
        options.get_ssl_mode(),
        PgSslMode::VerifyCa | PgSslMode::VerifyFull
    );

    if environment == Some(Environment::Production) && !is_local && !is_verified {
        problems.add(
            variable,
            "must end with ?sslmode=verify-full in production (or verify-ca; with a certificate authority of your own \
             also &sslrootcert=FILE), unless the database is on this machine",
        );
    }
}

/// Notes a NATS server that is reached over the network without TLS.
pub(super) fn check_nats(
    server: &async_nats::ServerAddr,
    environment: Option<Environment>,
    problems: &mut Problems,
) {
    let is_safe = matches!(server.scheme(), "tls" | "wss") || is_loopback(server.host());
    if environment == Some(Environment::Production) && !is_safe {
        let why = "must be tls://host:port in production, unless it is this machine";
        problems.add(
            "NATS_URL",
            format_args!("{why} (host: {:?})", server.host()),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(check: impl FnOnce(&mut Problems)) -> String {
        let mut problems = Problems::default();
        check(&mut problems);
        problems
            .finish(Some(()))
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_database_elsewhere_must_prove_who_it_is_in_production() {
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
            let options: PgConnectOptions = url.parse().expect("a URL");
            let told_in = |environment| {
                told(|problems| {
                    check_database("DATABASE_URL", &options, Some(environment), problems)
                })
            };

            let production = told_in(Environment::Production);
            assert_eq!(production.is_empty(), is_safe, "{url}");
            assert!(
                is_safe || production.contains("DATABASE_URL"),
                "{production}"
            );
            assert!(!production.contains("hunter2"), "{production}");
            assert_eq!(told_in(Environment::Dev), "", "{url}");
        }
    }

    #[test]
    fn nats_elsewhere_must_be_reached_by_tls_in_production() {
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
            let server: async_nats::ServerAddr = url.parse().expect("an address");
            let told_in =
                |environment| told(|problems| check_nats(&server, Some(environment), problems));

            let production = told_in(Environment::Production);
            assert_eq!(production.is_empty(), is_safe, "{url}");
            assert!(is_safe || production.contains("NATS_URL"), "{production}");
            assert!(!production.contains("hunter2"), "{production}");
            assert_eq!(told_in(Environment::Dev), "", "{url}");
        }
    }

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "api.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }

        for host in [
            "localhost.example",
            "128.0.0.1",
            "0.0.0.0",
            "::2",
            "example",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
