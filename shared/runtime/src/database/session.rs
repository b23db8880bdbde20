//! The begin of a session: its settings, and whether it is one that the programs can use.

use super::{pooler, refusal};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// How long a refused connection is kept before the driver tries the next one, which it does at once and with a log line.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);
/// The limit of the test of an idle session. One that hangs, as after the loss of its server, must leave time to connect.
const TEST_LIMIT: Duration = Duration::from_secs(1);
const ON: &str = "on";

/// The use of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Reads,
    Changes,
}

/// Why a session cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error(
        "the database is read-only: it is a standby, or a primary that was replaced; connections are retried until the \
         address leads to the primary"
    )]
    ReadOnly,
    #[error(
        "the session setting {name} is {found:?} right after it was set to {wanted:?}: a pooler does not keep session \
         settings; use pool_mode = session, or connect to PostgreSQL directly"
    )]
    Setting {
        name: &'static str,
        found: String,
        wanted: String,
    },
    #[error(
        "a new session already has {0} prepared statements of another client: a pooler shares sessions, or does not reset \
         them; use pool_mode = session with server_reset_query = DISCARD ALL, or connect to PostgreSQL directly"
    )]
    Used(String),
    #[error(
        "two connections share a session of PostgreSQL: a pooler assigns sessions for a transaction or a statement; use \
         pool_mode = session, or connect to PostgreSQL directly"
    )]
    Shared,
}

/// The sessions of a pool.
#[derive(Debug)]
pub(super) struct Session {
    settings: BTreeMap<&'static str, String>,
    usage: Use,
    options: PgConnectOptions,
    /// Whether a session was proven to be exclusive.
    is_exclusive: AtomicBool,
}

impl Session {
    /// Of settings with the same name the last one counts.
    pub(super) fn new<'a>(
        settings: impl Iterator<Item = (&'static str, &'a str)>,
        usage: Use,
        options: PgConnectOptions,
    ) -> Self {
        let settings = settings.map(|(name, value)| (name, value.to_owned()));
        Self {
            settings: settings.collect(),
            usage,
            options,
            is_exclusive: AtomicBool::new(false),
        }
    }

    /// Sets and verifies the settings of a new session; fails when it cannot be used.
    pub(super) async fn begin(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let Err(unusable) = self.prepare(connection).await? else {
            return Ok(());
        };

        refusal::note(&unusable.to_string());
        tokio::time::sleep(REFUSED_PAUSE).await;
        Err(sqlx::Error::Configuration(unusable.into()))
    }

    async fn prepare(&self, connection: &mut PgConnection) -> sqlx::Result<Result<(), Unusable>> {
        // First, so that a session of other clients keeps its settings.
        if !self.is_exclusive.load(Ordering::Relaxed) {
            match pooler::probe(&self.options, connection).await? {
                pooler::Probe::Shared => return Ok(Err(Unusable::Shared)),
                pooler::Probe::Exclusive => self.is_exclusive.store(true, Ordering::Relaxed),
                pooler::Probe::Unknown => {}
            }
        }

        let set = one_row(connection, self.setting_statement()).await?;
        let read = one_row(connection, self.reading_statement()).await?;
        if let Some(differs) = self.difference(&texts(&set)?, &texts(&read)?) {
            return Ok(Err(differs));
        }

        let statements: String = read.try_get("statements")?;
        if statements != "0" {
            return Ok(Err(Unusable::Used(statements)));
        }
        let read_only: String = read.try_get("read_only")?;
        if self.usage == Use::Changes && read_only == ON {
            return Ok(Err(Unusable::ReadOnly));
        }
        Ok(Ok(()))
    }

    /// Compares the values of all settings in the order of their names. What the server returned when a value was set is its
    /// own spelling, such as 5s for 5000ms.
    fn difference(&self, set: &[String], read: &[String]) -> Option<Unusable> {
        let names = self.settings.keys().copied();
        let mut settings = names.zip(set.iter().zip(read));
        let (name, (wanted, found)) = settings.find(|(_, (wanted, found))| wanted != found)?;
        Some(Unusable::Setting {
            name,
            found: found.clone(),
            wanted: wanted.clone(),
        })
    }

    /// Returns whether an idle session is alive and still has a server for its use.
    pub(super) async fn is_usable(&self, connection: &mut PgConnection) -> sqlx::Result<bool> {
        let statement = "SELECT current_setting('transaction_read_only') AS read_only";
        let read = timeout(TEST_LIMIT, one_row(connection, statement.to_owned())).await;
        let Ok(read) = read else {
            super::renew_sessions("an idle session does not answer");
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        };
        let read_only: String = read?.try_get("read_only")?;

        let is_usable = self.usage == Use::Reads || read_only != ON;
        if !is_usable {
            super::renew_sessions("the database became read-only");
        }
        Ok(is_usable)
    }

    fn setting_statement(&self) -> String {
        let set = self
            .settings
            .iter()
            .map(|(name, value)| format!("set_config({}, {}, false)", quoted(name), quoted(value)));
        format!("SELECT {}", set.collect::<Vec<_>>().join(", "))
    }

    /// A statement of its own, because a pooler may run it in another session.
    fn reading_statement(&self) -> String {
        let names = self.settings.keys();
        let read = names.map(|name| format!("current_setting({})", quoted(name)));
        format!(
            "SELECT {}, current_setting('transaction_read_only') AS read_only, \
             (SELECT count(*)::text FROM pg_prepared_statements) AS statements",
            read.collect::<Vec<_>>().join(", ")
        )
    }
}

/// Runs a statement without preparing it: names of prepared statements collide in a shared session.
pub(super) async fn one_row(connection: &mut PgConnection, text: String) -> sqlx::Result<PgRow> {
    sqlx::raw_sql(AssertSqlSafe(text))
        .fetch_one(connection)
        .await
}

/// Returns the columns of a row, which are all texts.
fn texts(row: &PgRow) -> sqlx::Result<Vec<String>> {
    (0..row.len()).map(|index| row.try_get(index)).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_setting_is_named_with_both_values() {
        let settings = [("lock_timeout", "4000ms"), ("timezone", "UTC")];
        let session = Session::new(settings.into_iter(), Use::Changes, PgConnectOptions::new());
        let texts = |texts: [&str; 2]| texts.map(str::to_owned);
        let set = texts(["4s", "UTC"]);

        let same = session.difference(&set, &set);
        let differs = session.difference(&set, &texts(["0", "UTC"]));

        assert_eq!(same, None);
        let words = differs.expect("a difference").to_string();
        let expected = "the session setting lock_timeout is \"0\" right after it was set to \"4s\"";
        assert!(words.starts_with(expected), "{words}");
    }

    #[test]
    fn the_last_value_of_a_setting_counts() {
        let settings = [("lock_timeout", "4s"), ("lock_timeout", "it's")];
        let session = Session::new(settings.into_iter(), Use::Changes, PgConnectOptions::new());

        let statement = session.setting_statement();

        assert_eq!(
            statement,
            "SELECT set_config('lock_timeout', 'it''s', false)"
        );
    }
}
