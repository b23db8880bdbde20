//! The rows of a batch: postings and logs.

use crate::world::{World, happened, movement, parsed};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tiris_domain::ledger::{Belief, Command, Movement};
use tiris_store::ledger::{Applied, Batch, Disposition, Entry, Source};
use uuid::Uuid;

/// A row of `transactions`, with the amounts as texts.
#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Posting {
    id: Uuid,
    event_time: DateTime<Utc>,
    sub_account_id: Uuid,
    sequence: i64,
    direction: String,
    reason: String,
    amount: String,
    closing_balance: String,
    price: Option<String>,
    quote_symbol: Option<String>,
    trading_log_id: Uuid,
    fee: Option<String>,
}

/// A row of `trading_logs`.
#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Log {
    sub_account_id: Uuid,
    transaction_id: Option<Uuid>,
    postings: i16,
    r#type: String,
    source: String,
    order_id: String,
    message: String,
    info: Value,
    event_time: DateTime<Utc>,
}

/// A trade of the order `A`, in its own batch.
struct Bought {
    world: World,
    info: Value,
    batch: Batch,
}

impl Bought {
    async fn new() -> Self {
        let world = World::new().await;
        let info = json!({"source": "tiris-bot", "metadata": {"big": "1e64"}});
        let entry = Entry {
            info: info.as_object().expect("an object").clone(),
            log_type: "long".into(),
            message: "bought".into(),
            ..world.event("buy-1", 1, world.buy("2", "100.25", Some("A")))
        };
        let batch = world.apply(&[entry]).await;
        Self { world, info, batch }
    }

    fn applied(&self) -> &Applied {
        let Disposition::Applied(applied) = &self.batch.dispositions[0] else {
            panic!("{:?}", self.batch)
        };
        applied
    }

    fn log(&self) -> Uuid {
        self.applied().log.0
    }

    fn posting(&self, at: usize) -> Uuid {
        self.applied().postings[at].0.0
    }
}

#[tokio::test]
async fn a_trade_writes_complete_postings() {
    let bought = Bought::new().await;
    let world = &bought.world;

    let rows: Vec<Posting> = sqlx::query_as(
        "SELECT id, event_time, sub_account_id, sequence, direction, reason, trim_scale(amount)::text AS amount, \
         trim_scale(closing_balance)::text AS closing_balance, trim_scale(price)::text AS price, quote_symbol, \
         trading_log_id, trim_scale(fee)::text AS fee \
         FROM transactions WHERE timestamp = $1 AND user_id = $2 AND trading_id = $3 AND order_id = 'A' \
         AND event_id = 'buy-1' AND info = $4 ORDER BY id",
    )
    .bind(bought.batch.timestamp)
    .bind(world.user.0)
    .bind(world.trading.0)
    .bind(json!({"source": "tiris-bot"}))
    .fetch_all(world.pool())
    .await
    .expect("rows");

    let stock = Posting {
        id: bought.posting(0),
        event_time: happened(),
        sub_account_id: world.btc.0,
        sequence: 2,
        direction: "credit".into(),
        reason: "long".into(),
        amount: "2".into(),
        closing_balance: "12".into(),
        price: Some("100.25".into()),
        quote_symbol: Some("USDT".into()),
        trading_log_id: bought.log(),
        fee: None,
    };
    let currency = Posting {
        id: bought.posting(1),
        sub_account_id: world.usdt.0,
        direction: "debit".into(),
        reason: "long".into(),
        amount: "200.5".into(),
        closing_balance: "799.5".into(),
        price: Some("100.25".into()),
        quote_symbol: Some("USDT".into()),
        fee: None,
        ..stock
    };
    let fee = Posting {
        id: bought.posting(2),
        sub_account_id: world.bnb.0,
        direction: "debit".into(),
        reason: "fee".into(),
        amount: "0.5".into(),
        closing_balance: "4.5".into(),
        price: None,
        quote_symbol: None,
        fee: Some("0.5".into()),
        ..stock
    };
    assert_eq!(rows, [stock, currency, fee]);
}

#[tokio::test]
async fn a_trade_writes_a_complete_log() {
    let bought = Bought::new().await;
    let world = &bought.world;

    let log: Log = sqlx::query_as(
        "SELECT sub_account_id, transaction_id, postings, type, source, order_id, message, info, event_time \
         FROM trading_logs WHERE id = $1 AND timestamp = $2 AND event_id = 'buy-1'",
    )
    .bind(bought.log())
    .bind(bought.batch.timestamp)
    .fetch_one(world.pool())
    .await
    .expect("log");

    let accounts = [world.btc, world.usdt, world.bnb];
    let expected = Log {
        sub_account_id: accounts.into_iter().min().expect("three").0,
        transaction_id: None,
        postings: 3,
        r#type: "long".into(),
        source: "bot".into(),
        order_id: "A".into(),
        message: "bought".into(),
        info: bought.info.clone(),
        event_time: happened(),
    };
    assert_eq!(log, expected);
}

#[tokio::test]
async fn a_log_names_its_only_transaction() {
    let world = World::new().await;
    let credit = world.entry(world.credit("1"));
    let lock = world.entry(world.lock("1", None));

    let batch = world.apply(&[credit, lock]).await;

    let Disposition::Applied(first) = &batch.dispositions[0] else {
        panic!("{batch:?}")
    };
    let logs: Vec<(Option<Uuid>, i16)> = sqlx::query_as(
        "SELECT transaction_id, postings FROM trading_logs WHERE timestamp = $1 ORDER BY id",
    )
    .bind(batch.timestamp)
    .fetch_all(world.pool())
    .await
    .expect("logs");
    assert_eq!(logs, [(Some(first.postings[0].0.0), 1), (None, 0)]);
}

/// Returns a credit of 1 USDT after which the bot believes another balance than the books.
fn mistaken(world: &World) -> Command {
    let belief = Belief {
        previous_balance: None,
        new_balance: Some(parsed("1000000000000000000.5")),
    };
    Command::Move(Movement {
        belief,
        ..movement(world.usdt, "USDT", "1")
    })
}

/// Returns info and event time of the only log of a source in a batch, which its transaction shares.
async fn info_of(world: &World, batch: &Batch, source: &str) -> (Value, DateTime<Utc>) {
    sqlx::query_as(
        "SELECT l.info, l.event_time FROM trading_logs l JOIN transactions t ON t.trading_log_id = l.id \
         WHERE l.info = t.info AND l.timestamp = $1 AND l.source = $2",
    )
    .bind(batch.timestamp)
    .bind(source)
    .fetch_one(world.pool())
    .await
    .expect("a log")
}

#[tokio::test]
async fn records_a_difference_reported_by_a_bot_as_drift() {
    let world = World::new().await;

    let batch = world.apply(&[world.event("e1", 1, mistaken(&world))]).await;

    let (info, event_time) = info_of(&world, &batch, "bot").await;
    let drift = json!({"drift": {"new_balance": "999999999999998999.5"}});
    assert_eq!(info, drift);
    assert_eq!(event_time, happened());
}

#[tokio::test]
async fn records_a_difference_of_a_rest_call_beside_its_own_info() {
    let world = World::new().await;
    let manual = Entry {
        source: Source::Manual,
        event_time: None,
        info: Map::from_iter([("note".to_owned(), "mine".into())]),
        ..world.entry(mistaken(&world))
    };

    let batch = world.apply(&[manual]).await;

    let (info, event_time) = info_of(&world, &batch, "manual").await;
    let drift = json!({"note": "mine", "drift": {"new_balance": "999999999999998999.5"}});
    assert_eq!(info, drift);
    assert_eq!(event_time, batch.timestamp);
}

/// Returns the sequences of an account's postings.
async fn sequences(world: &World, sql: &'static str) -> Vec<i64> {
    let sequences = sqlx::query_scalar(sql).bind(world.usdt.0);
    let sequences = sequences.fetch_all(world.pool());
    sequences.await.expect("sequences")
}

#[tokio::test]
async fn time_and_id_order_the_history_of_an_account() {
    let world = World::new().await;
    for _ in 0..5 {
        let entries: Vec<Entry> = (0..20).map(|_| world.entry(world.credit("1"))).collect();
        world.apply(&entries).await;
    }

    let by_time_and_id = sequences(
        &world,
        "SELECT sequence FROM transactions WHERE sub_account_id = $1 ORDER BY timestamp, id",
    )
    .await;
    let by_id = sequences(
        &world,
        "SELECT sequence FROM transactions WHERE sub_account_id = $1 ORDER BY id",
    )
    .await;

    let expected: Vec<i64> = (1..=101).collect();
    assert_eq!(by_time_and_id, expected);
    assert_eq!(by_id, expected, "the ids carry the time");
}
