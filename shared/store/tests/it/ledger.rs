//! `store::ledger` on a real database: what a batch writes, and what it refuses.

use crate::world::{
    World, add_account, add_trading, add_user, happened, movement, parsed, rand_seed,
};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use tiris_domain::ids::{AccountId, TradingId, UserId, new_id};
use tiris_domain::ledger::{Belief, Command, Direction, Movement, Rejection};
use tiris_store::ledger::{Batch, Cause, Disposition, Entry, Source, apply_batch, assert_fresh};
use uuid::Uuid;

/// Dispositions in one word each.
fn told(batch: &Batch) -> Vec<&'static str> {
    let word = |disposition: &Disposition| match disposition {
        Disposition::Applied(_) => "applied",
        Disposition::Recorded => "recorded",
        Disposition::Duplicate => "duplicate",
        Disposition::DeadLetter(Cause::EventIdReused) => "reused",
        Disposition::DeadLetter(cause) => cause.code(),
        Disposition::Deferred => "behind",
    };
    batch.dispositions.iter().map(word).collect()
}

#[tokio::test]
async fn a_batch_of_many_is_folded_in_order_and_leaves_consistent_books() {
    let world = World::new().await;
    let mut entries = Vec::new();
    for round in 0..100 {
        entries.push(world.event(&format!("credit-{round:03}"), 1, world.credit("3.5")));
        entries.push(world.event(&format!("debit-{round:03}"), 1, world.debit("2", None)));
    }
    entries.push(world.event("trade", 1, world.buy("1", "1150", None)));
    entries.push(world.event("too-much", 1, world.debit("0.000000000001", None)));
    let batch = world.apply(&entries).await;
    let mut expected = vec!["applied"; 201];
    expected.push("INSUFFICIENT_BALANCE");
    assert_eq!(told(&batch), expected);
    assert_eq!(
        world.figures(world.usdt).await,
        ("0".into(), "0".into(), 202)
    );
    assert_eq!(world.figures(world.btc).await, ("11".into(), "0".into(), 2));
    assert_eq!(
        world.figures(world.bnb).await,
        ("4.5".into(), "0".into(), 2)
    );
    assert_eq!(
        (
            world.count("transactions").await,
            world.count("trading_logs").await
        ),
        (206, 204)
    );
    world.assert_verified().await;
}

#[tokio::test]
async fn an_empty_batch_and_one_of_rejections_alone_write_nothing() {
    let world = World::new().await;
    let before = (
        world.count("transactions").await,
        world.count("trading_logs").await,
    );
    assert!(world.apply(&[]).await.dispositions.is_empty());
    assert_eq!(
        told(&world.apply(&[world.entry(world.debit("5000", None))]).await),
        ["INSUFFICIENT_BALANCE"]
    );
    assert_eq!(
        (
            world.count("transactions").await,
            world.count("trading_logs").await
        ),
        before
    );
    assert!(world.claims().await.is_empty());
}

#[tokio::test]
async fn a_duplicate_changes_nothing_inside_a_batch_and_across_batches() {
    let world = World::new().await;
    let credit = || world.event("e1", 1, world.credit("1"));
    assert_eq!(
        told(&world.apply(&[credit(), credit()]).await),
        ["applied", "duplicate"]
    );
    assert_eq!(
        told(&world.apply(&[credit(), credit()]).await),
        ["duplicate", "duplicate"]
    );
    assert_eq!(world.figures(world.usdt).await.0, "1001");
    assert_eq!(
        world.claims().await,
        [("e1".to_owned(), "applied".to_owned())]
    );
}

#[tokio::test]
async fn a_reused_id_is_told_from_a_duplicate_wherever_the_batches_are_cut() {
    let contents = [1, 2, 1, 2, 2];
    let expected = ["applied", "reused", "duplicate", "reused", "reused"];
    for cut in 0..=contents.len() {
        let world = World::new().await;
        let entries: Vec<Entry> = contents
            .iter()
            .map(|content| world.event("e1", *content, world.credit("1")))
            .collect();
        let mut outcomes = told(&world.apply(&entries[..cut]).await);
        outcomes.extend(told(&world.apply(&entries[cut..]).await));
        assert_eq!(outcomes, expected, "cut at {cut}");
        assert_eq!(world.figures(world.usdt).await.0, "1001");
    }
}

#[tokio::test]
async fn an_event_id_belongs_to_its_user() {
    let world = World::new().await;
    let user = add_user(world.pool()).await;
    let trading = add_trading(world.pool(), user).await;
    let account = add_account(world.pool(), user, trading, "USDT").await;
    let theirs = movement(account, "USDT", Direction::Credit, "7", None);
    let theirs = Entry {
        user,
        trading,
        ..world.event("e1", 2, theirs)
    };
    let batch = world
        .apply(&[world.event("e1", 1, world.credit("1")), theirs])
        .await;
    assert_eq!(told(&batch), ["applied", "applied"]);
    assert_eq!(world.figures(account).await.0, "7");
}

#[tokio::test]
async fn a_refused_event_keeps_its_claim_as_dead_and_its_duplicates_stay_duplicates() {
    let world = World::new().await;
    let refused = || world.event("e1", 1, world.debit("5000", None));
    assert_eq!(
        told(&world.apply(&[refused(), refused()]).await),
        ["INSUFFICIENT_BALANCE", "duplicate"]
    );
    assert_eq!(world.claims().await, [("e1".to_owned(), "dead".to_owned())]);
    let later = [
        world.event("e2", 1, world.credit("9000")),
        refused(),
        world.event("e1", 2, world.credit("1")),
    ];
    assert_eq!(
        told(&world.apply(&later).await),
        ["applied", "duplicate", "reused"]
    );
    let expected = [("e1", "dead"), ("e2", "applied")]
        .map(|(id, outcome)| (id.to_owned(), outcome.to_owned()));
    assert_eq!(world.claims().await, expected);
}

#[tokio::test]
async fn users_tradings_and_accounts_are_checked_in_the_order_of_the_rejections() {
    let world = World::new().await;
    let pool = world.pool();
    let stranger = add_user(pool).await;
    let their_trading = add_trading(pool, stranger).await;
    let their_account = add_account(pool, stranger, their_trading, "USDT").await;
    let other_trading = add_trading(pool, world.user).await;
    let elsewhere = add_account(pool, world.user, other_trading, "USDT").await;
    let (no_user, no_trading, no_account) =
        (UserId(new_id()), TradingId(new_id()), AccountId(new_id()));

    let credit = |user: UserId, trading: TradingId, account: AccountId| {
        let command = movement(account, "USDT", Direction::Credit, "1", None);
        Entry {
            user,
            trading,
            ..world.event(&new_id().to_string(), 1, command)
        }
    };
    let foreign_log = Entry {
        sub_account: Some(elsewhere),
        ..world.entry(world.credit("1"))
    };
    let absent_log = Entry {
        sub_account: Some(no_account),
        ..world.entry(world.credit("1"))
    };
    let (user, trading) = (world.user, world.trading);
    for (entry, rejection) in [
        (
            credit(no_user, no_trading, no_account),
            Rejection::UnknownUser,
        ),
        (
            credit(user, no_trading, no_account),
            Rejection::UnknownTrading,
        ),
        (
            credit(user, trading, no_account),
            Rejection::UnknownSubAccount,
        ),
        (
            credit(user, their_trading, no_account),
            Rejection::UnknownSubAccount,
        ),
        (
            credit(user, their_trading, their_account),
            Rejection::OwnershipMismatch,
        ),
        (
            credit(user, trading, their_account),
            Rejection::OwnershipMismatch,
        ),
        (
            credit(user, trading, elsewhere),
            Rejection::OwnershipMismatch,
        ),
        (
            credit(stranger, trading, world.usdt),
            Rejection::OwnershipMismatch,
        ),
        (foreign_log, Rejection::OwnershipMismatch),
        (absent_log, Rejection::UnknownSubAccount),
        (
            world.entry(movement(world.btc, "USDT", Direction::Credit, "1", None)),
            Rejection::SymbolMismatch,
        ),
    ] {
        assert_eq!(told(&world.apply(&[entry]).await), [rejection.code()]);
    }
    assert_eq!(
        world.figures(their_account).await,
        ("0".into(), "0".into(), 0)
    );
}

#[tokio::test]
async fn what_is_disabled_paused_deleted_or_being_deleted_is_told_so() {
    let world = World::new().await;
    for (table, id, status, expected) in [
        ("users", world.user.0, "disabled", "USER_DISABLED"),
        ("users", world.user.0, "deleted", "UNKNOWN_USER"),
        ("users", world.user.0, "active", "applied"),
        ("tradings", world.trading.0, "deleting", "UNKNOWN_TRADING"),
        ("tradings", world.trading.0, "deleted", "UNKNOWN_TRADING"),
        ("tradings", world.trading.0, "paused", "applied"),
    ] {
        let sql = match table {
            "users" => "UPDATE users SET status = $2 WHERE id = $1",
            _ => "UPDATE tradings SET status = $2 WHERE id = $1",
        };
        sqlx::query(sql)
            .bind(id)
            .bind(status)
            .execute(world.pool())
            .await
            .expect("set");
        assert_eq!(
            told(&world.apply(&[world.entry(world.credit("1"))]).await),
            [expected],
            "{table} {status}"
        );
    }
    let delete =
        sqlx::query("UPDATE sub_accounts SET deleted_at = now() WHERE id = $1").bind(world.usdt.0);
    delete.execute(world.pool()).await.expect("deleted");
    assert_eq!(
        told(&world.apply(&[world.entry(world.credit("1"))]).await),
        ["UNKNOWN_SUB_ACCOUNT"]
    );
}

#[tokio::test]
async fn holds_are_kept_between_batches_and_removed_when_empty() {
    let world = World::new().await;
    let locks = [
        world.event("l1", 1, world.lock("100", Some("A"))),
        world.event("l2", 1, world.lock("50", Some("A"))),
        world.event("l3", 1, world.lock("7", None)),
        world.event("l4", 1, world.lock("1", Some("gone"))),
        world.event("l5", 1, world.unlock("1", Some("gone"))),
    ];
    assert_eq!(told(&world.apply(&locks).await), ["applied"; 5]);
    let held = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(order, amount)| ((*order).to_owned(), (*amount).to_owned()))
            .collect()
    };
    assert_eq!(
        world.holds(world.usdt).await,
        held(&[("", "7"), ("A", "150")])
    );
    assert_eq!(
        world.figures(world.usdt).await,
        ("1000".into(), "157".into(), 1)
    );

    let batch = world
        .apply(&[world.entry(world.debit("843.1", None))])
        .await;
    assert_eq!(
        told(&batch),
        ["INSUFFICIENT_BALANCE"],
        "holds that were not loaded count too"
    );
    world
        .apply(&[world.event("d1", 1, world.debit("120", Some("A")))])
        .await;
    assert_eq!(
        world.holds(world.usdt).await,
        held(&[("", "7"), ("A", "30")])
    );
    assert_eq!(
        world.figures(world.usdt).await,
        ("880".into(), "37".into(), 2)
    );

    let release = Command::Release {
        account: world.usdt,
        order: parsed("A"),
    };
    world
        .apply(&[world.entry(release), world.entry(world.unlock("7", None))])
        .await;
    assert!(world.holds(world.usdt).await.is_empty());
    assert_eq!(
        world.figures(world.usdt).await,
        ("880".into(), "0".into(), 2)
    );

    let again = world
        .apply(&[world.entry(world.lock("880", Some("A")))])
        .await;
    assert_eq!(told(&again), ["applied"]);
    world.assert_verified().await;
}

#[tokio::test]
async fn a_hold_remembers_the_event_that_began_it() {
    let world = World::new().await;
    world
        .apply(&[world.event("first", 1, world.lock("1", Some("A")))])
        .await;
    world
        .apply(&[world.event("second", 1, world.lock("1", Some("A")))])
        .await;
    let event_id: String = sqlx::query_scalar("SELECT event_id FROM holds")
        .fetch_one(world.pool())
        .await
        .expect("one hold");
    assert_eq!(event_id, "first");
}

type PostingRow = (
    Uuid,
    DateTime<Utc>,
    Uuid,
    i64,
    String,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    Uuid,
    Option<String>,
);

#[tokio::test]
async fn the_rows_of_a_trade_say_what_happened_to_whom_and_when() {
    let world = World::new().await;
    let info = json!({"source": "tiris-bot", "metadata": {"big": "1e64"}});
    let Value::Object(info) = info else {
        unreachable!("an object literal")
    };
    let buy = world.event("buy-1", 1, world.buy("2", "100.25", Some("A")));
    let entry = Entry {
        info: info.clone(),
        log_type: "long".into(),
        message: "bought".into(),
        ..buy
    };
    let batch = world.apply(&[entry]).await;
    let Disposition::Applied(applied) = &batch.dispositions[0] else {
        panic!("not applied")
    };

    let rows: Vec<PostingRow> = sqlx::query_as(
        "SELECT id, event_time, sub_account_id, sequence, direction, reason, trim_scale(amount)::text, \
         trim_scale(closing_balance)::text, trim_scale(price)::text, quote_symbol, trading_log_id, trim_scale(fee)::text \
         FROM transactions WHERE timestamp = $1 AND user_id = $2 AND trading_id = $3 AND order_id = 'A' \
         AND event_id = 'buy-1' AND info = $4 ORDER BY id",
    )
    .bind(batch.timestamp)
    .bind(world.user.0)
    .bind(world.trading.0)
    .bind(Value::Object(info.clone()))
    .fetch_all(world.pool())
    .await
    .expect("rows");
    let (price, quote) = (Some("100.25".to_owned()), Some("USDT".to_owned()));
    let expected = [
        (
            world.btc,
            "credit",
            "long",
            "2",
            "12",
            price.clone(),
            quote.clone(),
        ),
        (world.usdt, "debit", "long", "200.5", "799.5", price, quote),
        (world.bnb, "debit", "fee", "0.5", "4.5", None, None),
    ];
    assert_eq!(rows.len(), expected.len());
    let fees = [None, None, Some("0.5".to_owned())];
    for (at, (account, direction, reason, amount, closing, price, quote)) in
        expected.into_iter().enumerate()
    {
        let (direction, reason, amount, closing) = (
            direction.into(),
            reason.into(),
            amount.into(),
            closing.into(),
        );
        let id = applied.postings[at].0.0;
        let (log, fee) = (applied.log.0, fees[at].clone());
        let row = (
            id,
            happened(),
            account.0,
            2,
            direction,
            reason,
            amount,
            closing,
            price,
            quote,
            log,
            fee,
        );
        assert_eq!(rows[at], row);
    }

    let log: (Uuid, Option<Uuid>, i16, String, String, String, String, Value, DateTime<Utc>) = sqlx::query_as(
        "SELECT sub_account_id, transaction_id, postings, type, source, order_id, message, info, event_time \
         FROM trading_logs WHERE id = $1 AND timestamp = $2 AND event_id = 'buy-1'",
    )
    .bind(applied.log.0)
    .bind(batch.timestamp)
    .fetch_one(world.pool())
    .await
    .expect("log");
    let named = [world.btc, world.usdt, world.bnb]
        .into_iter()
        .min()
        .expect("three");
    let expected = (
        named.0,
        None,
        3,
        "long".into(),
        "bot".into(),
        "A".into(),
        "bought".into(),
        Value::Object(info),
        happened(),
    );
    assert_eq!(log, expected);
}

#[tokio::test]
async fn a_log_names_its_transaction_when_there_is_exactly_one() {
    let world = World::new().await;
    let batch = world
        .apply(&[
            world.entry(world.credit("1")),
            world.entry(world.lock("1", None)),
        ])
        .await;
    let logs: Vec<(Option<Uuid>, i16)> = sqlx::query_as(
        "SELECT transaction_id, postings FROM trading_logs WHERE timestamp = $1 ORDER BY id",
    )
    .bind(batch.timestamp)
    .fetch_all(world.pool())
    .await
    .expect("logs");
    let Disposition::Applied(first) = &batch.dispositions[0] else {
        panic!("not applied")
    };
    assert_eq!(logs, [(Some(first.postings[0].0.0), 1), (None, 0)]);
}

#[tokio::test]
async fn what_a_bot_believed_is_kept_as_drift_of_events_and_not_of_rest_calls() {
    let world = World::new().await;
    let wrong = |reason: &str| {
        let belief = Belief {
            previous_balance: None,
            new_balance: Some(parsed("1000000000000000000.5")),
        };
        let Command::Move(movement) = world.credit("1") else {
            unreachable!("a movement")
        };
        Command::Move(Movement {
            belief,
            reason: reason.to_owned(),
            ..movement
        })
    };
    let entries = [
        world.event("e1", 1, wrong("bot")),
        Entry {
            source: Source::Manual,
            event_time: None,
            ..world.entry(wrong("person"))
        },
    ];
    let batch = world.apply(&entries).await;
    let rows: Vec<(String, Value, DateTime<Utc>)> = sqlx::query_as(
        "SELECT l.source, l.info, l.event_time FROM trading_logs l JOIN transactions t ON t.trading_log_id = l.id \
         WHERE l.info = t.info AND l.timestamp = $1 ORDER BY l.id",
    )
    .bind(batch.timestamp)
    .fetch_all(world.pool())
    .await
    .expect("rows");
    let drift = json!({"drift": {"new_balance": "999999999999998999.5"}});
    let expected = [
        ("bot".to_owned(), drift, happened()),
        ("manual".to_owned(), json!({}), batch.timestamp),
    ];
    assert_eq!(
        rows, expected,
        "without a time of its own a row happened when it was booked"
    );
}

#[tokio::test]
async fn time_and_id_give_the_order_of_an_accounts_history() {
    let world = World::new().await;
    for _ in 0..5 {
        let entries: Vec<Entry> = (0..20).map(|_| world.entry(world.credit("1"))).collect();
        world.apply(&entries).await;
    }
    let sequences: Vec<i64> = sqlx::query_scalar(
        "SELECT sequence FROM transactions WHERE sub_account_id = $1 ORDER BY timestamp, id",
    )
    .bind(world.usdt.0)
    .fetch_all(world.pool())
    .await
    .expect("sequences");
    assert_eq!(sequences, (1..=101).collect::<Vec<i64>>());
    let by_id_alone: Vec<i64> = sqlx::query_scalar(
        "SELECT sequence FROM transactions WHERE sub_account_id = $1 ORDER BY id",
    )
    .bind(world.usdt.0)
    .fetch_all(world.pool())
    .await
    .expect("sequences");
    assert_eq!(by_id_alone, sequences, "the ids carry the time");
}

#[tokio::test]
async fn batches_at_once_on_the_same_accounts_end_in_consistent_books() {
    const WORKERS: usize = 6;
    const BATCHES: u8 = 8;
    let world = World::new().await;
    let work = (0..WORKERS).map(|worker| {
        let world = &world;
        async move {
            let mut applied = 0;
            for batch in 0..BATCHES {
                // Both orders of accounts and of ids, and ids that several workers share.
                let mut entries = vec![
                    world.event(
                        &format!("own-{worker}-{batch}"),
                        1,
                        world.buy("0.01", "10", None),
                    ),
                    world.event(&format!("shared-{batch}"), 1, world.credit("1")),
                    world.event(&format!("other-{batch}"), 1, world.lock("1", Some("A"))),
                ];
                if worker % 2 == 0 {
                    entries.reverse();
                }
                let outcomes = world.apply(&entries).await.dispositions;
                applied += outcomes
                    .iter()
                    .filter(|outcome| matches!(outcome, Disposition::Applied(_)))
                    .count();
            }
            applied
        }
    });
    let applied: usize = futures_util::future::join_all(work).await.into_iter().sum();
    // Each worker pays 0.5 BNB a batch until the 5 BNB are gone.
    assert_eq!(applied, 10 + 2 * usize::from(BATCHES));
    assert_eq!(world.figures(world.bnb).await, ("0".into(), "0".into(), 11));
    assert_eq!(
        world.figures(world.btc).await,
        ("10.1".into(), "0".into(), 11)
    );
    let usdt = 1000 - 1 + i64::from(BATCHES);
    assert_eq!(
        world.figures(world.usdt).await,
        (
            usdt.to_string(),
            BATCHES.to_string(),
            11 + i64::from(BATCHES)
        )
    );
    world.assert_verified().await;
}

#[tokio::test]
async fn a_batch_rolled_back_leaves_nothing_behind() {
    let world = World::new().await;
    let credit = || world.event("e1", 1, world.credit("1"));
    let mut transaction = world.pool().begin().await.expect("begun");
    apply_batch(&mut transaction, &[credit()], rand_seed())
        .await
        .expect("applied");
    transaction.rollback().await.expect("rolled back");
    assert_eq!(world.figures(world.usdt).await.0, "1000");
    assert_eq!(
        told(&world.apply(&[credit()]).await),
        ["applied"],
        "the claim went with it"
    );
}

#[tokio::test]
async fn a_batch_older_than_ten_seconds_is_refused_as_something_to_try_again() {
    let world = World::new().await;
    let mut connection = world.pool().acquire().await.expect("connection");
    let now = Utc::now();
    assert_fresh(&mut connection, now - Duration::seconds(5))
        .await
        .expect("fresh");
    let error = assert_fresh(&mut connection, now - Duration::seconds(11))
        .await
        .expect_err("stale");
    assert!(error.is_transient(), "{error:?}");
}
