//! The events of each account were booked in the order of the stream.

use super::Judged;
use crate::report::Check;
use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet};
use tiris_testing::auditor::Verdict;
use uuid::Uuid;

/// The scope within which the order of events must hold: an account in the events of a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    stream: String,
    user_id: Uuid,
    /// None for events that name no account, which have no order.
    account: Option<Uuid>,
}

/// A booked event.
#[derive(sqlx::FromRow)]
struct Booked {
    stream: String,
    user_id: Uuid,
    event_id: String,
}

/// The event ids of each key.
type Orders = BTreeMap<Key, Vec<String>>;

/// The accounts of each event, by user and event id.
type Accounts = BTreeMap<(Uuid, String), Vec<Option<Uuid>>>;

pub(super) async fn check(pool: &PgPool, judged: &[Judged<'_>]) -> Result<Check> {
    let mut accounts = Accounts::new();
    let expected = published(judged, &mut accounts)?;
    let mut found = booked(pool, &accounts).await?;

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
        extent: format!("{} sequences of a user, account and stream", expected.len()),
        findings,
    })
}

/// Returns the events that must be applied, in the order of the stream, and adds their accounts.
fn published(judged: &[Judged<'_>], accounts: &mut Accounts) -> Result<Orders> {
    let mut orders = Orders::new();
    for Judged { message, verdict } in judged {
        if *verdict == Verdict::Applied {
            let event: Value = serde_json::from_slice(&message.payload)?;
            let text = |field: &str| {
                let value = event[field].as_str();
                value.with_context(|| format!("an applied event without {field}"))
            };
            let user_id: Uuid = text("user_id")?.parse()?;
            let event_id = text("event_id")?.to_owned();
            let of_event = accounts_of(&event);
            add(&mut orders, message.stream, user_id, &event_id, &of_event);
            accounts.insert((user_id, event_id), of_event);
        }
    }
    sort_unordered(&mut orders);
    Ok(orders)
}

fn accounts_of(event: &Value) -> Vec<Option<Uuid>> {
    let of_fill = ["stock_account_id", "currency_account_id", "fee_account_id"];
    let fields = of_fill.map(|field| &event["fill"][field]);
    let fields = fields.into_iter().chain([&event["sub_account_id"]]);
    let ids = fields.filter_map(|field| field.as_str()?.parse().ok());
    let ids: BTreeSet<Uuid> = ids.collect();
    if ids.is_empty() {
        vec![None]
    } else {
        ids.into_iter().map(Some).collect()
    }
}

fn add(
    orders: &mut Orders,
    stream: &str,
    user_id: Uuid,
    event_id: &str,
    accounts: &[Option<Uuid>],
) {
    for account in accounts {
        let key = Key {
            stream: stream.to_owned(),
            user_id,
            account: *account,
        };
        orders.entry(key).or_default().push(event_id.to_owned());
    }
}

fn sort_unordered(orders: &mut Orders) {
    for (key, events) in orders {
        if key.account.is_none() {
            events.sort_unstable();
        }
    }
}

/// Returns the booked events, in the order of every list of the API.
async fn booked(pool: &PgPool, accounts: &Accounts) -> Result<Orders> {
    let rows: Vec<Booked> = sqlx::query_as(
        "SELECT p.stream, l.user_id, l.event_id FROM trading_logs l \
         JOIN processed_events p ON p.user_id = l.user_id AND p.event_id = l.event_id \
         WHERE l.source = 'bot' ORDER BY l.timestamp, l.id",
    )
    .fetch_all(pool)
    .await?;

    let mut orders = Orders::new();
    let none = [None];
    for row in rows {
        let key = (row.user_id, row.event_id);
        let of_event = accounts.get(&key).map_or(&none[..], Vec::as_slice);
        add(&mut orders, &row.stream, key.0, &key.1, of_event);
    }
    sort_unordered(&mut orders);
    Ok(orders)
}
