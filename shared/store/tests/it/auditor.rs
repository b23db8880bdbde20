//! Compares the auditor with the production parser, ledger and database: two implementations of one contract.

mod cast;
mod ingest;
mod messages;
mod orders;
mod stories;

use self::cast::{ACTIVE, TRADING, USDT, prepare};
use self::ingest::ingest;
use self::messages::{Message, any_run};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeMap;
use tiris_domain::ledger::Rejection;
use tiris_testing::TestDatabase;
use tokio::runtime::Runtime;

/// Number of messages by verdict.
type Tally = BTreeMap<String, usize>;

/// Processes batches with the production code and the auditor, and compares the outcomes of all messages.
async fn audit(run: &[Vec<Message>]) -> Result<Tally, TestCaseError> {
    let database = TestDatabase::new().await.expect("a database");
    let pool = database.pool();
    let mut auditor = prepare(pool).await;
    let mut tally = Tally::new();
    let mut sequence = 1;
    for batch in run {
        let verdicts = ingest(pool, batch, sequence).await;
        sequence += u64::try_from(batch.len()).expect("small");
        for (message, found) in batch.iter().zip(verdicts) {
            let expected = format!("{:?}", auditor.publish(&message.subject, &message.payload));
            prop_assert_eq!(&found, &expected, "{}", message);
            *tally.entry(found).or_insert(0) += 1;
        }
    }

    let differences = auditor.compare(pool).await.expect("compared");
    prop_assert!(differences.is_empty(), "{:#?}", differences);
    let hidden = indicatif::ProgressBar::hidden();
    let report = tiris_migrations::verify(database.url(), &hidden).await;
    let report = report.expect("verified");
    prop_assert!(report.is_clean(), "{:?}", report);
    Ok(tally)
}

fn agree(mut runner: TestRunner) -> Tally {
    let runtime = Runtime::new().expect("a runtime");
    let total = RefCell::new(Tally::new());
    let outcome = runner.run(&any_run(), |run| {
        for (verdict, count) in runtime.block_on(audit(&run))? {
            *total.borrow_mut().entry(verdict).or_insert(0) += count;
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    total.into_inner()
}

/// Configures few cases, each of many messages. A failure prints its messages and writes no file.
fn settings() -> Config {
    Config {
        cases: 24,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    }
}

#[test]
fn auditor_and_ledger_agree_on_random_messages() {
    agree(TestRunner::new(settings()));
}

#[test]
fn auditor_and_ledger_agree_on_every_verdict() {
    let rng = TestRng::deterministic_rng(settings().rng_algorithm);

    let tally = agree(TestRunner::new_with_rng(settings(), rng));

    // No random bot uses an order id on a hundred pairs.
    let codes = Rejection::ALL
        .into_iter()
        .filter(|rejection| *rejection != Rejection::OrderTooLarge)
        .map(|rejection| format!("Refused({:?})", rejection.code()));
    let others = [
        "Applied",
        "Duplicate",
        "Heartbeat",
        "Malformed",
        "Refused(\"EVENT_ID_REUSED\")",
    ]
    .map(str::to_owned);
    for verdict in codes.chain(others) {
        let met = tally.contains_key(&verdict);
        assert!(met, "{verdict} is not among {tally:#?}");
    }
}

/// A manipulation of the books, and the finding of the auditor.
struct Tampering {
    sql: &'static str,
    found: &'static str,
}

const fn tampering(sql: &'static str, found: &'static str) -> Tampering {
    Tampering { sql, found }
}

const TAMPERINGS: [Tampering; 18] = [
    tampering(
        "UPDATE sub_accounts SET balance = balance + 0.000000000000000001 WHERE symbol = 'BTC'",
        "account",
    ),
    tampering(
        "UPDATE sub_accounts SET locked = locked + 1 WHERE symbol = 'BTC'",
        "account",
    ),
    tampering(
        "UPDATE sub_accounts SET sequence = sequence + 1 WHERE symbol = 'BTC'",
        "account",
    ),
    tampering(
        "UPDATE sub_accounts SET deleted_at = now() WHERE symbol = '币É.ПЕПЕ'",
        "account",
    ),
    tampering("UPDATE holds SET amount = amount * 2", "hold"),
    tampering("UPDATE holds SET symbol = 'BTC/USDT'", "hold"),
    tampering("DELETE FROM holds", "hold"),
    tampering("UPDATE orders SET status = 'cancelled'", "order"),
    tampering("UPDATE orders SET filled = 1", "order"),
    tampering("UPDATE orders SET amount = 1", "order"),
    tampering("DELETE FROM orders", "order"),
    tampering(
        "UPDATE processed_events SET outcome = 'dead' WHERE event_id = 'locked'",
        "event",
    ),
    tampering(
        "UPDATE processed_events SET outcome = 'applied' WHERE event_id = 'refused'",
        "event",
    ),
    tampering(
        "DELETE FROM processed_events WHERE event_id = 'locked'",
        "event",
    ),
    tampering(
        "DELETE FROM trading_logs WHERE event_id = 'locked'",
        "event",
    ),
    tampering("DELETE FROM dead_letters", "dead letters"),
    tampering("UPDATE dead_letters SET code = 'INTERNAL'", "dead letters"),
    tampering(
        "UPDATE dead_letters SET class = 'unresolved'",
        "dead letters",
    ),
];

fn lock(event_id: &str, amount: &str) -> Message {
    let event = json!({
        "event_id": event_id, "event_type": "trading.balance.locked", "timestamp": "2026-11-23T10:00:00Z",
        "user_id": ACTIVE, "trading_id": TRADING, "source": "tiris-bot", "version": "1.0",
        "sub_account_id": USDT, "symbol": "USDT", "amount": amount, "related_order_id": "A",
    });
    Message {
        subject: format!("trading.balance.locked.{ACTIVE}"),
        payload: event.to_string().into_bytes(),
    }
}

#[tokio::test]
async fn the_auditor_detects_every_tampering() {
    for Tampering { sql, found } in TAMPERINGS {
        let database = TestDatabase::new().await.expect("a database");
        let pool = database.pool();
        let mut auditor = prepare(pool).await;
        let batch = [lock("locked", "1"), lock("refused", "5000")];
        ingest(pool, &batch, 1).await;
        for message in &batch {
            auditor.publish(&message.subject, &message.payload);
        }
        let before = auditor.compare(pool).await.expect("compared");
        assert!(before.is_empty(), "{before:?}");

        sqlx::query(sql).execute(pool).await.expect(sql);

        let differences = auditor.compare(pool).await.expect("compared");
        assert!(!differences.is_empty(), "{sql}");
        for difference in differences {
            assert!(difference.starts_with(found), "{sql}: {difference}");
        }
    }
}
