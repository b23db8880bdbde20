//! What stands in the database against what the auditor expects.

use super::{Auditor, amount};
use bigdecimal::{BigDecimal, Zero};
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::fmt::Debug;
use uuid::Uuid;

impl Auditor {
    /// Every difference between the books in the database and the auditor's, in words; none when all is well.
    ///
    /// # Errors
    /// Trouble of the database.
    pub async fn compare(&self, pool: &PgPool) -> anyhow::Result<Vec<String>> {
        let mut differences = Vec::new();
        self.compare_accounts(pool, &mut differences).await?;
        self.compare_holds(pool, &mut differences).await?;
        self.compare_claims(pool, &mut differences).await?;
        self.compare_letters(pool, &mut differences).await?;
        Ok(differences)
    }

    async fn compare_accounts(
        &self,
        pool: &PgPool,
        differences: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let rows: Vec<(Uuid, String, String, i64, String)> = sqlx::query_as(
            "SELECT a.id, a.balance::text, a.locked::text, a.sequence, coalesce(f.fees, 0)::text FROM sub_accounts a \
             LEFT JOIN (SELECT sub_account_id, sum(fee) AS fees FROM transactions GROUP BY sub_account_id) f \
             ON f.sub_account_id = a.id WHERE a.deleted_at IS NULL",
        )
        .fetch_all(pool)
        .await?;
        let mut found = BTreeMap::new();
        for (id, balance, locked, sequence, fees) in rows {
            let (balance, locked) = (plain(&amount(&balance)?), plain(&amount(&locked)?));
            found.insert(id, (balance, locked, sequence, plain(&amount(&fees)?)));
        }
        let mut expected = BTreeMap::new();
        for (id, account) in &self.books.accounts {
            let (balance, locked) = (plain(&account.balance), plain(&account.locked()));
            expected.insert(
                *id,
                (balance, locked, account.postings, plain(&account.fees)),
            );
        }
        diff(
            "account (balance, locked, postings, fees)",
            &expected,
            &found,
            differences,
        );
        Ok(())
    }

    async fn compare_holds(
        &self,
        pool: &PgPool,
        differences: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let rows: Vec<(Uuid, String, String)> =
            sqlx::query_as("SELECT sub_account_id, order_id, amount::text FROM holds")
                .fetch_all(pool)
                .await?;
        let mut found = BTreeMap::new();
        for (id, order, held) in rows {
            found.insert((id, order), plain(&amount(&held)?));
        }
        let mut expected = BTreeMap::new();
        for (id, account) in &self.books.accounts {
            for (order, held) in &account.holds {
                expected.insert((*id, order.clone()), plain(held));
            }
        }
        diff("hold", &expected, &found, differences);
        Ok(())
    }

    /// The outcome of every event id, and the one log each applied event must have written.
    async fn compare_claims(
        &self,
        pool: &PgPool,
        differences: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let rows: Vec<(Uuid, String, String, i64)> = sqlx::query_as(
            "SELECT p.user_id, p.event_id, p.outcome, count(l.id) FROM processed_events p \
             LEFT JOIN trading_logs l ON l.user_id = p.user_id AND l.event_id = p.event_id \
             GROUP BY p.user_id, p.event_id, p.outcome",
        )
        .fetch_all(pool)
        .await?;
        let mut found = BTreeMap::new();
        for (user, event_id, outcome, logs) in rows {
            // Whoever discards a dead letter gives up its event; the books are the same.
            let outcome = if outcome == "discarded" {
                "dead".to_owned()
            } else {
                outcome
            };
            found.insert((user, event_id), (outcome, logs));
        }
        let mut expected = BTreeMap::new();
        for (key, (_, applied)) in &self.claims {
            let outcome = if *applied {
                ("applied", 1)
            } else {
                ("dead", 0)
            };
            expected.insert(key.clone(), (outcome.0.to_owned(), outcome.1));
        }
        diff("event (outcome, logs)", &expected, &found, differences);
        Ok(())
    }

    /// How many letters each payload became, by class and, except for malformed ones, code. What a letter says that was
    /// applied later stands in the books, and its claim is compared there.
    async fn compare_letters(
        &self,
        pool: &PgPool,
        differences: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let rows: Vec<(Vec<u8>, String, String)> = sqlx::query_as(
            "SELECT payload, class, code FROM dead_letters WHERE status <> 'replayed'",
        )
        .fetch_all(pool)
        .await?;
        let mut found = BTreeMap::new();
        for (payload, class, code) in rows {
            let code = if class == "malformed" {
                String::new()
            } else {
                code
            };
            *found.entry((class, code, text(&payload))).or_insert(0) += 1;
        }
        let mut expected = BTreeMap::new();
        for (payload, class, code) in &self.letters {
            let key = (
                (*class).to_owned(),
                code.unwrap_or_default().to_owned(),
                text(payload),
            );
            *expected.entry(key).or_insert(0) += 1;
        }
        diff("dead letters", &expected, &found, differences);
        Ok(())
    }
}

/// Notes every key whose values differ.
fn diff<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    expected: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
    differences: &mut Vec<String>,
) {
    for (key, value) in expected {
        match found.get(key) {
            Some(other) if other == value => {}
            Some(other) => differences.push(format!(
                "{what} {key:?}: expected {value:?}, found {other:?}"
            )),
            None => differences.push(format!("{what} {key:?}: expected {value:?}, found nothing")),
        }
    }
    for (key, value) in found {
        if !expected.contains_key(key) {
            differences.push(format!("{what} {key:?}: expected nothing, found {value:?}"));
        }
    }
}

fn plain(value: &BigDecimal) -> String {
    if value.is_zero() {
        "0".to_owned()
    } else {
        value.normalized().to_plain_string()
    }
}

fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}
