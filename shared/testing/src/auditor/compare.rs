//! Compares the database with the expectations of the auditor.

use super::Auditor;
use bigdecimal::{BigDecimal, Zero};
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::fmt::Debug;
use uuid::Uuid;

impl Auditor {
    /// Returns a description of every difference between the database and the auditor's books.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn compare(&self, pool: &PgPool) -> anyhow::Result<Vec<String>> {
        let mut differences = self.compare_accounts(pool).await?;
        differences.extend(self.compare_holds(pool).await?);
        differences.extend(self.compare_orders(pool).await?);
        differences.extend(self.compare_claims(pool).await?);
        differences.extend(self.compare_dead_letters(pool).await?);
        Ok(differences)
    }

    async fn compare_accounts(&self, pool: &PgPool) -> anyhow::Result<Vec<String>> {
        let rows: Vec<(Uuid, String, String, i64, String)> = sqlx::query_as(
            "SELECT a.id, trim_scale(a.balance)::text, trim_scale(a.locked)::text, a.sequence, \
                 trim_scale(coalesce(f.fees, 0))::text FROM sub_accounts a \
             LEFT JOIN (SELECT sub_account_id, sum(fee) AS fees FROM transactions GROUP BY sub_account_id) f \
             ON f.sub_account_id = a.id WHERE a.deleted_at IS NULL",
        )
        .fetch_all(pool)
        .await?;
        let found = rows
            .into_iter()
            .map(|(id, balance, locked, postings, fees)| (id, (balance, locked, postings, fees)));

        let expected = self.books.accounts.iter().map(|(id, account)| {
            let balance = plain(&account.balance);
            let locked = plain(&account.locked());
            let fees = plain(&account.fees);
            (*id, (balance, locked, account.postings, fees))
        });
        let what = "account (balance, locked, postings, fees)";
        Ok(diff(what, &expected.collect(), &found.collect()))
    }

    async fn compare_holds(&self, pool: &PgPool) -> anyhow::Result<Vec<String>> {
        let rows: Vec<(Uuid, String, String, String)> = sqlx::query_as(
            "SELECT sub_account_id, order_id, symbol, trim_scale(amount)::text FROM holds",
        )
        .fetch_all(pool)
        .await?;
        let found = rows
            .into_iter()
            .map(|(id, order, pair, held)| ((id, order, pair), held));

        let expected = self.books.accounts.iter().flat_map(|(id, account)| {
            let holds = account.holds.iter();
            holds.map(|(key, held)| ((*id, key.order.clone(), key.pair.clone()), plain(held)))
        });
        Ok(diff("hold", &expected.collect(), &found.collect()))
    }

    async fn compare_orders(&self, pool: &PgPool) -> anyhow::Result<Vec<String>> {
        let rows: Vec<(Uuid, String, String, bool, String)> = sqlx::query_as(
            "SELECT trading_id, order_id, symbol, status IN ('filled', 'cancelled', 'failed'), \
                 concat_ws(' for ', trim_scale(filled), trim_scale(quote_filled)) \
                 || coalesce(' of ' || trim_scale(amount), '') FROM orders",
        )
        .fetch_all(pool)
        .await?;
        let found = rows
            .into_iter()
            .map(|(trading, id, pair, has_ended, figures)| {
                ((trading, id, pair), (has_ended, figures))
            });

        let expected = self
            .books
            .orders
            .iter()
            .flat_map(|((trading, id), orders)| {
                orders.by_pair.iter().map(|(pair, order)| {
                    let mut figures = format!(
                        "{} for {}",
                        plain(&order.filled),
                        plain(&order.quote_filled)
                    );
                    if let Some(amount) = &order.amount {
                        figures.push_str(&format!(" of {}", plain(amount)));
                    }
                    (
                        (*trading, id.clone(), pair.clone()),
                        (order.has_ended, figures),
                    )
                })
            });
        let what = "order (has ended, filled for quote of amount)";
        Ok(diff(what, &expected.collect(), &found.collect()))
    }

    /// Compares the outcome of every event id, and that each applied event wrote one log.
    async fn compare_claims(&self, pool: &PgPool) -> anyhow::Result<Vec<String>> {
        // A discarded dead letter does not change the books.
        let rows: Vec<(Uuid, String, String, i64)> = sqlx::query_as(
            "SELECT p.user_id, p.event_id, CASE p.outcome WHEN 'discarded' THEN 'dead' ELSE p.outcome END, count(l.id) \
             FROM processed_events p \
             LEFT JOIN trading_logs l ON l.user_id = p.user_id AND l.event_id = p.event_id \
             GROUP BY p.user_id, p.event_id, p.outcome",
        )
        .fetch_all(pool)
        .await?;
        let found = rows
            .into_iter()
            .map(|(user, event_id, outcome, logs)| ((user, event_id), (outcome, logs)));

        let expected = self.claims.iter().map(|(key, claim)| {
            let outcome = if claim.applied { "applied" } else { "dead" };
            (key.clone(), (outcome.to_owned(), i64::from(claim.applied)))
        });
        let what = "event (outcome, logs)";
        Ok(diff(what, &expected.collect(), &found.collect()))
    }

    /// Compares the number of dead letters of each payload by class and, except for malformed ones, code. Those applied
    /// later are in the books, where `compare_claims` covers them.
    async fn compare_dead_letters(&self, pool: &PgPool) -> anyhow::Result<Vec<String>> {
        let rows: Vec<(Vec<u8>, String, String)> = sqlx::query_as(
            "SELECT payload, class, CASE class WHEN 'malformed' THEN '' ELSE code END FROM dead_letters \
             WHERE status <> 'replayed'",
        )
        .fetch_all(pool)
        .await?;
        let mut found = BTreeMap::new();
        for (payload, class, code) in rows {
            *found.entry((class, code, text(&payload))).or_insert(0) += 1;
        }

        let mut expected = BTreeMap::new();
        for letter in &self.dead_letters {
            let class = letter.class.to_owned();
            let key = (class, letter.code.to_owned(), text(&letter.payload));
            *expected.entry(key).or_insert(0) += 1;
        }
        Ok(diff("dead letters", &expected, &found))
    }
}

/// Describes every key whose values differ.
fn diff<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    expected: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
) -> Vec<String> {
    let mut differences = Vec::new();
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

    differences
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
