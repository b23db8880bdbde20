//! Detects a pooler that assigns sessions of the server for less than a connection. Behind it session settings vanish and
//! prepared statements mix.

use super::session::one_row;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use std::time::Duration;
use tokio::time::timeout;

/// The limit of the second connection. A pooler without a free session makes it wait.
const SECOND_LIMIT: Duration = Duration::from_secs(1);
/// Other clients of a pooler may take the session between two statements, so one comparison can miss it.
const COMPARISONS: usize = 3;

/// Whether a connection has a session of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    Exclusive,
    Shared,
    /// No second connection was possible.
    Unknown,
}

/// Compares the sessions of `connection` and of a second connection, in turn.
pub(super) async fn probe(
    options: &PgConnectOptions,
    connection: &mut PgConnection,
) -> sqlx::Result<Probe> {
    let own = session(connection).await?;
    let Ok(Ok(mut second)) = timeout(SECOND_LIMIT, options.connect()).await else {
        return Ok(Probe::Unknown);
    };

    for _ in 0..COMPARISONS {
        let Ok(Ok(other)) = timeout(SECOND_LIMIT, session(&mut second)).await else {
            return Ok(Probe::Unknown);
        };
        if other == own || session(connection).await? != own {
            return Ok(Probe::Shared);
        }
    }
    second.close().await.ok();
    Ok(Probe::Exclusive)
}

/// Returns the process of the server that runs the session.
async fn session(connection: &mut PgConnection) -> sqlx::Result<String> {
    let text = "SELECT pg_backend_pid()::text".to_owned();
    one_row(connection, text).await?.try_get(0)
}
