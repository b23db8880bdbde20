//! The events of a user and trading were booked in the order of the stream.
//!
//! Owns: the comparison of two orders. Must not know: what an event does.

use super::stream::Stored;
use crate::report::Check;
use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::PgPool;
use std::collections::BTreeMap;
use tiris_testing::auditor::Verdict;
use uuid::Uuid;

/// What keeps an order.
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
    event_id: String,
}

type Orders = BTreeMap<Key, Vec<String>>;

pub(super) async fn check(
    pool: &PgPool,
    messages: &[Stored],
    verdicts: &[Verdict],
) -> Result<Check> {
    let expected = published(messages, verdicts)?;
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

    let extent = format!("{} sequences of a user, trading and stream", expected.len());
    let what = "booked in the order of the stream";
    Ok(Check::new(what, extent, findings))
}

/// The event ids that must be applied, as they were published.
fn published(messages: &[Stored], verdicts: &[Verdict]) -> Result<Orders> {
    let mut orders = Orders::new();
    for (message, verdict) in messages.iter().zip(verdicts) {
        if *verdict == Verdict::Applied {
            let event: Value = serde_json::from_slice(&message.payload)?;
            let key = Key {
                stream: message.stream.to_owned(),
                user_id: id(&event, "user_id")?,
                trading_id: id(&event, "trading_id")?,
            };
            let event_id = event["event_id"].as_str().context("an event id")?;
            orders.entry(key).or_default().push(event_id.to_owned());
        }
    }

    Ok(orders)
}

/// The event ids that are booked, in the order of every list a client sees.
async fn booked(pool: &PgPool) -> Result<Orders> {
    let rows: Vec<Booked> = sqlx::query_as(
        "SELECT p.stream, l.user_id, l.trading_id, l.event_id FROM trading_logs l \
         JOIN processed_events p ON p.user_id = l.user_id AND p.event_id = l.event_id \
         WHERE l.source = 'bot' ORDER BY l.timestamp, l.id",
    )
    .fetch_all(pool)
    .await?;

    let mut orders = Orders::new();
    for row in rows {
        orders.entry(row.key).or_default().push(row.event_id);
    }
    Ok(orders)
}

fn id(event: &Value, field: &str) -> Result<Uuid> {
    Ok(event[field].as_str().context("an id")?.parse()?)
}
