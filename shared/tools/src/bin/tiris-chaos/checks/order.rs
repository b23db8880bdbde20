//! The events of a user and trading were booked in the order of the stream.

use super::Judged;
use crate::report::Check;
use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::PgPool;
use std::collections::BTreeMap;
use tiris_testing::auditor::Verdict;
use uuid::Uuid;

/// The scope within which the order of events must hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow)]
struct Key {
    stream: String,
    user_id: Uuid,
    trading_id: Uuid,
}

#[derive(sqlx::FromRow)]
struct Booked {
    #[sqlx(flatten)]
    key: Key,
    event_ids: Vec<String>,
}

/// The event ids of each key.
type Orders = BTreeMap<Key, Vec<String>>;

pub(super) async fn check(pool: &PgPool, judged: &[Judged<'_>]) -> Result<Check> {
    let expected = published(judged)?;
    let mut found = booked(pool).await?;

    let mut findings = Vec::new();
    for (key, wanted) in &expected {
        let booked = found.remove(key).unwrap_or_default();
        if booked != *wanted {
            let same = wanted.iter().zip(&booked).take_while(|(a, b)| a == b);
            let at = same.count();
            findings.push(format!(
                "{key:?}: {} published, {} booked; at {at}: {:?} published, {:?} booked",
                wanted.len(),
                booked.len(),
                wanted.get(at),
                booked.get(at)
            ));
        }
    }
    let unknown = found.keys();
    findings.extend(unknown.map(|key| format!("{key:?}: booked and never published")));

    Ok(Check {
        what: "booked in the order of the stream",
        extent: format!("{} sequences of a user, trading and stream", expected.len()),
        findings,
    })
}

/// Returns the events that must be applied, in the order of the stream.
fn published(judged: &[Judged<'_>]) -> Result<Orders> {
    let mut orders = Orders::new();
    for Judged { message, verdict } in judged {
        if *verdict == Verdict::Applied {
            let event: Value = serde_json::from_slice(&message.payload)?;
            let text = |field: &str| {
                let value = event[field].as_str();
                value.with_context(|| format!("an applied event without {field}"))
            };
            let key = Key {
                stream: message.stream.to_owned(),
                user_id: text("user_id")?.parse()?,
                trading_id: text("trading_id")?.parse()?,
            };
            let event_id = text("event_id")?.to_owned();
            orders.entry(key).or_default().push(event_id);
        }
    }
    Ok(orders)
}

/// Returns the booked events, in the order of every list of the API.
async fn booked(pool: &PgPool) -> Result<Orders> {
    let rows: Vec<Booked> = sqlx::query_as(
        "SELECT p.stream, l.user_id, l.trading_id, array_agg(l.event_id ORDER BY l.timestamp, l.id) AS event_ids \
         FROM trading_logs l JOIN processed_events p ON p.user_id = l.user_id AND p.event_id = l.event_id \
         WHERE l.source = 'bot' GROUP BY p.stream, l.user_id, l.trading_id",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.key, row.event_ids))
        .collect())
}
