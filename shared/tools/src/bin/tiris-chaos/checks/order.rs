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

/// Stream, user, trading: what keeps an order.
type Key = (String, Uuid, Uuid);
type Orders = BTreeMap<Key, Vec<String>>;

pub(super) async fn check(
    pool: &PgPool,
    messages: &[Stored],
    verdicts: &[Verdict],
) -> Result<Check> {
    let mut expected = Orders::new();
    for (message, _) in messages
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| **verdict == Verdict::Applied)
    {
        let event: Value = serde_json::from_slice(&message.payload)?;
        let key = (
            message.stream.to_owned(),
            id(&event, "user_id")?,
            id(&event, "trading_id")?,
        );
        let event_id = event["event_id"].as_str().context("an event id")?;
        expected.entry(key).or_default().push(event_id.to_owned());
    }
    // The order of every list a client sees.
    let rows: Vec<(String, Uuid, Uuid, String)> = sqlx::query_as(
        "SELECT p.stream, l.user_id, l.trading_id, l.event_id FROM trading_logs l \
         JOIN processed_events p ON p.user_id = l.user_id AND p.event_id = l.event_id \
         WHERE l.source = 'bot' ORDER BY l.timestamp, l.id",
    )
    .fetch_all(pool)
    .await?;
    let mut found = Orders::new();
    for (stream, user, trading, event_id) in rows {
        found
            .entry((stream, user, trading))
            .or_default()
            .push(event_id);
    }
    let mut findings = Vec::new();
    for (key, wanted) in &expected {
        let booked = found.remove(key).unwrap_or_default();
        if booked != *wanted {
            let at = wanted
                .iter()
                .zip(&booked)
                .take_while(|(a, b)| a == b)
                .count();
            findings.push(format!(
                "{key:?}: {} published, {} booked; at {at}: {:?} published, {:?} booked",
                wanted.len(),
                booked.len(),
                wanted.get(at),
                booked.get(at)
            ));
        }
    }
    findings.extend(
        found
            .keys()
            .map(|key| format!("{key:?}: booked and never published")),
    );
    let extent = format!("{} sequences of a user, trading and stream", expected.len());
    Ok(Check {
        what: "booked in the order of the stream",
        extent,
        findings,
    })
}

fn id(event: &Value, field: &str) -> Result<Uuid> {
    Ok(event[field].as_str().context("an id")?.parse()?)
}
