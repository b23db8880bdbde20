//! The auditor against the real parser, ledger and database: two readings of the contract must agree.

mod messages;

use messages::{Message, any_run};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use serde_json::{Map, json};
use sqlx::PgPool;
use std::collections::BTreeMap;
use tiris_domain::event::{self, BareSubjects, Event};
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::ledger::Direction;
use tiris_store::dead_letters::{self, NewLetter};
use tiris_store::ledger::{Cause, Claim, Disposition, Entry, Source, apply_batch};
use tiris_testing::TestDatabase;
use tiris_testing::auditor::{Auditor, Verdict};
use uuid::Uuid;

use crate::world::{movement, rand_seed};

const fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x01900000_0000_7000_8000_000000000000 + number)
}

const ACTIVE: Uuid = id(1);
const DISABLED: Uuid = id(2);
const NOBODY: Uuid = id(3);
const TRADING: Uuid = id(10);
const OTHER_TRADING: Uuid = id(11);
const DISABLED_TRADING: Uuid = id(12);
const NO_TRADING: Uuid = id(13);
const BTC: Uuid = id(20);
const USDT: Uuid = id(21);
const BNB: Uuid = id(22);
const ELSEWHERE: Uuid = id(23);
const FOREIGN: Uuid = id(24);
const NO_ACCOUNT: Uuid = id(25);

const ACCOUNTS: [(Uuid, Uuid, Uuid, &str, &str); 5] = [
    (BTC, ACTIVE, TRADING, "BTC", "10"),
    (USDT, ACTIVE, TRADING, "USDT", "1000"),
    (BNB, ACTIVE, TRADING, "BNB", "5.5"),
    (ELSEWHERE, ACTIVE, OTHER_TRADING, "USDT", "50"),
    (FOREIGN, DISABLED, DISABLED_TRADING, "USDT", "0"),
];

async fn prepare(pool: &PgPool) -> Auditor {
    let mut auditor = Auditor::new(false);
    for user in [ACTIVE, DISABLED] {
        let insert =
            sqlx::query("INSERT INTO users (id, username) VALUES ($1, $1::text)").bind(user);
        insert.execute(pool).await.expect("user");
        auditor.user(user);
    }
    for (trading, owner) in [
        (TRADING, ACTIVE),
        (OTHER_TRADING, ACTIVE),
        (DISABLED_TRADING, DISABLED),
    ] {
        let sql =
            "INSERT INTO tradings (id, user_id, name, type) VALUES ($1, $2, $1::text, 'paper')";
        sqlx::query(sql)
            .bind(trading)
            .bind(owner)
            .execute(pool)
            .await
            .expect("trading");
        auditor.trading(trading, owner);
    }
    let mut deposits = Vec::new();
    for (account, user, trading, symbol, opening) in ACCOUNTS {
        let sql = "INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) VALUES ($1, $2, $3, $1::text, $4)";
        sqlx::query(sql)
            .bind(account)
            .bind(user)
            .bind(trading)
            .bind(symbol)
            .execute(pool)
            .await
            .expect("account");
        auditor
            .account(account, user, trading, symbol, opening)
            .expect("amount");
        if opening != "0" {
            deposits.push(Entry {
                user: user.into(),
                trading: trading.into(),
                sub_account: Some(account.into()),
                command: movement(account.into(), symbol, Direction::Credit, opening, None),
                claim: None,
                log_type: "deposit".into(),
                source: Source::Manual,
                order: None,
                event_time: None,
                message: String::new(),
                info: Map::new(),
            });
        }
    }
    let mut transaction = pool.begin().await.expect("begun");
    apply_batch(&mut transaction, &deposits, rand_seed())
        .await
        .expect("deposited");
    transaction.commit().await.expect("committed");
    sqlx::query("UPDATE users SET status = 'disabled' WHERE id = $1")
        .bind(DISABLED)
        .execute(pool)
        .await
        .expect("set");
    auditor.user_disabled(DISABLED);
    auditor
}

fn entry(event: Event, stream_seq: u64) -> Option<Entry> {
    Some(Entry {
        user: event.user,
        trading: event.trading,
        sub_account: event.sub_account,
        command: event.command()?,
        log_type: event.log_type().to_owned(),
        source: Source::Bot,
        order: event.order_id().cloned(),
        claim: Some(Claim {
            event_id: event.event_id,
            content_hash: event.content_hash,
            stream: EventStream::Trading,
            stream_seq,
        }),
        event_time: Some(event.timestamp),
        message: event.message,
        info: event.info,
    })
}

fn letter(message: &Message, stream_seq: u64, cause: &Cause) -> NewLetter {
    NewLetter {
        key: LaneKey {
            stream: EventStream::Trading,
            lane: 0,
        },
        stream_created_at: 1,
        stream_seq,
        subject: message.subject.clone(),
        payload: message.payload.clone(),
        headers: json!({}),
        broker_time: None,
        event_id: None,
        user_id: None,
        trading_id: None,
        class: cause.class(),
        code: cause.code(),
        reason: cause.to_string(),
    }
}

/// Puts a batch through parser, ledger and dead letters, and says what became of each message.
async fn ingest(pool: &PgPool, batch: &[Message], first_seq: u64) -> Vec<String> {
    let mut told = vec![String::new(); batch.len()];
    let (mut entries, mut letters) = (Vec::new(), Vec::new());
    for (at, (message, seq)) in batch.iter().zip(first_seq..).enumerate() {
        match event::parse(&message.subject, &message.payload, BareSubjects::Refuse) {
            Ok(event) => match entry(event, seq) {
                Some(entry) => entries.push((at, seq, entry)),
                None => told[at] = format!("{:?}", Verdict::Heartbeat),
            },
            Err(malformed) => {
                told[at] = format!("{:?}", Verdict::Malformed);
                letters.push(letter(message, seq, &Cause::Malformed(malformed)));
            }
        }
    }
    let mut transaction = pool.begin().await.expect("begun");
    let commands: Vec<Entry> = entries.iter().map(|(.., entry)| entry.clone()).collect();
    let done = apply_batch(&mut transaction, &commands, rand_seed())
        .await
        .expect("applied");
    for ((at, seq, _), disposition) in entries.iter().zip(&done.dispositions) {
        let cause = match disposition {
            Disposition::Applied(_) | Disposition::Recorded => {
                told[*at] = format!("{:?}", Verdict::Applied);
                continue;
            }
            Disposition::Duplicate => {
                told[*at] = format!("{:?}", Verdict::Duplicate);
                continue;
            }
            Disposition::DeadLetter(cause) => cause,
            Disposition::Deferred => &Cause::BehindUnresolved,
        };
        told[*at] = format!("{:?}", Verdict::Refused(cause.code()));
        letters.push(letter(&batch[*at], *seq, cause));
    }
    dead_letters::insert(&mut transaction, &letters)
        .await
        .expect("put aside");
    transaction.commit().await.expect("committed");
    told
}

/// Runs batches through the real thing and the auditor; gives what became of the messages, by verdict.
async fn audit(run: &[Vec<Message>]) -> Result<BTreeMap<String, usize>, TestCaseError> {
    let database = TestDatabase::new().await.expect("a database");
    let pool = database.pool();
    let mut auditor = prepare(pool).await;
    let mut tally = BTreeMap::new();
    let mut seq = 1;
    for batch in run {
        let told = ingest(pool, batch, seq).await;
        seq += u64::try_from(batch.len()).expect("small");
        for (message, told) in batch.iter().zip(told) {
            let verdict = format!("{:?}", auditor.publish(&message.subject, &message.payload));
            let shown =
                String::from_utf8_lossy(&message.payload[..message.payload.len().min(1000)])
                    .into_owned();
            prop_assert_eq!(&told, &verdict, "{}: {}", message.subject, shown);
            *tally.entry(verdict).or_insert(0) += 1;
        }
    }
    let differences = auditor.compare(pool).await.expect("compared");
    prop_assert!(differences.is_empty(), "{:#?}", differences);
    let hidden = indicatif::ProgressBar::hidden();
    let report = tiris_migrations::verify(database.url(), &hidden)
        .await
        .expect("verified");
    prop_assert!(report.is_clean(), "{:?}", report);
    Ok(tally)
}

fn agree(mut runner: TestRunner) -> BTreeMap<String, usize> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let total = std::cell::RefCell::new(BTreeMap::new());
    let outcome = runner.run(&any_run(), |run| {
        for (verdict, count) in runtime.block_on(audit(&run))? {
            *total.borrow_mut().entry(verdict).or_insert(0) += count;
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    total.into_inner()
}

/// Few cases, each of many messages. A failure prints its messages; no file keeps it.
fn settings() -> Config {
    Config {
        cases: 24,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    }
}

#[test]
fn auditor_and_ledger_agree_on_whatever_is_published() {
    agree(TestRunner::new(settings()));
}

#[test]
fn auditor_and_ledger_agree_on_a_mix_that_meets_every_verdict() {
    let rng = TestRng::deterministic_rng(settings().rng_algorithm);
    let tally = agree(TestRunner::new_with_rng(settings(), rng));
    let codes = tiris_domain::ledger::Rejection::ALL
        .map(|rejection| format!("Refused({:?})", rejection.code()));
    let others = [
        "Applied",
        "Duplicate",
        "Heartbeat",
        "Malformed",
        "Refused(\"EVENT_ID_REUSED\")",
    ]
    .map(str::to_owned);
    for verdict in codes.iter().chain(&others) {
        assert!(
            tally.contains_key(verdict),
            "{verdict} is not among {tally:#?}"
        );
    }
}

#[tokio::test]
async fn the_auditor_notices_every_tampering() {
    for (sql, told) in [
        (
            "UPDATE sub_accounts SET balance = balance + 0.000000000001 WHERE symbol = 'BTC'",
            "account",
        ),
        (
            "UPDATE sub_accounts SET locked = locked + 1 WHERE symbol = 'BTC'",
            "account",
        ),
        (
            "UPDATE sub_accounts SET sequence = sequence + 1 WHERE symbol = 'BTC'",
            "account",
        ),
        (
            "UPDATE sub_accounts SET deleted_at = now() WHERE symbol = 'BNB'",
            "account",
        ),
        ("UPDATE holds SET amount = amount * 2", "hold"),
        ("DELETE FROM holds", "hold"),
        (
            "UPDATE processed_events SET outcome = 'dead' WHERE event_id = 'locked'",
            "event",
        ),
        (
            "UPDATE processed_events SET outcome = 'applied' WHERE event_id = 'refused'",
            "event",
        ),
        (
            "DELETE FROM processed_events WHERE event_id = 'locked'",
            "event",
        ),
        (
            "DELETE FROM trading_logs WHERE event_id = 'locked'",
            "event",
        ),
        ("DELETE FROM dead_letters", "dead letters"),
        ("UPDATE dead_letters SET code = 'INTERNAL'", "dead letters"),
        (
            "UPDATE dead_letters SET class = 'unresolved'",
            "dead letters",
        ),
    ] {
        let database = TestDatabase::new().await.expect("a database");
        let pool = database.pool();
        let mut auditor = prepare(pool).await;
        let lock = |event_id: &str, amount: &str| {
            Message {
            subject: format!("trading.balance.locked.{ACTIVE}"),
            payload: json!({
                "event_id": event_id, "event_type": "trading.balance.locked", "timestamp": "2026-11-23T10:00:00Z",
                "user_id": ACTIVE, "trading_id": TRADING, "source": "tiris-bot", "version": "1.0",
                "sub_account_id": USDT, "symbol": "USDT", "amount": amount,
            })
            .to_string()
            .into_bytes(),
        }
        };
        let batch = [lock("locked", "1"), lock("refused", "5000")];
        ingest(pool, &batch, 1).await;
        for message in &batch {
            auditor.publish(&message.subject, &message.payload);
        }
        assert_eq!(
            auditor.compare(pool).await.expect("compared"),
            Vec::<String>::new()
        );
        sqlx::query(sql).execute(pool).await.expect(sql);
        let differences = auditor.compare(pool).await.expect("compared");
        assert!(!differences.is_empty(), "{sql}");
        assert!(
            differences
                .iter()
                .all(|difference| difference.starts_with(told)),
            "{sql}: {differences:?}"
        );
    }
}
