//! Dead letters as ingest stores them.

use crate::world::User;
use crate::world::book::Book;
use serde_json::{Value, json};
use sqlx::PgPool;
use tiris_domain::event::Kind;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::states::DeadLetterClass;
use tiris_store::dead_letters::{NewLetter, insert};
use uuid::Uuid;

/// Stores a message of a user as a dead letter.
pub(crate) async fn store_letter(
    user: &User<'_>,
    seq: i64,
    payload: Vec<u8>,
    class: DeadLetterClass,
    code: &'static str,
) -> Uuid {
    let stored = insert_letter(user.world.pool(), user.id.0, seq, payload, (class, code));
    stored.await
}

/// Inserts a message that this user published as a dead letter.
pub(crate) async fn insert_letter(
    pool: &PgPool,
    user: Uuid,
    seq: i64,
    payload: Vec<u8>,
    (class, code): (DeadLetterClass, &'static str),
) -> Uuid {
    let event: Value = serde_json::from_slice(&payload).unwrap_or_default();
    let trading = event["trading_id"].as_str();
    let letter = NewLetter {
        key: LaneKey {
            stream: EventStream::Trading,
            lane: 0,
        },
        stream_created_at: 7,
        stream_seq: u64::try_from(seq).expect("a sequence"),
        subject: format!("trading.balance.updated.0.{user}"),
        payload,
        headers: json!({}),
        broker_time: None,
        event_id: event["event_id"].as_str().map(str::to_owned),
        user_id: Some(user),
        trading_id: trading.and_then(|id| id.parse().ok()),
        accounts: None,
        class,
        code,
        reason: "a test".to_owned(),
    };
    let mut connection = pool.acquire().await.expect("a connection");
    insert(&mut connection, &[letter])
        .await
        .expect("a dead letter");

    sqlx::query_scalar("SELECT id FROM dead_letters WHERE stream_seq = $1")
        .bind(seq)
        .fetch_one(&mut *connection)
        .await
        .expect("the dead letter")
}

/// Returns the event of a withdrawal by this user.
pub(crate) fn withdrawal(user: Uuid, book: &Book, seq: i64, amount: &str) -> Value {
    json!({
        "event_id": format!("e-{seq}"),
        "event_type": Kind::BalanceUpdated.bare_subject(),
        "timestamp": "2026-01-02T03:04:05Z",
        "user_id": user,
        "trading_id": book.trading,
        "sub_account_id": book.currency,
        "symbol": "BTC",
        "amount": amount,
        "direction": "debit",
        "reason": "trade",
        "source": "bot",
        "version": "1.0",
    })
}

/// Stores the event of a withdrawal that the ledger rejected.
pub(crate) async fn store_rejected(user: &User<'_>, book: &Book, seq: i64, amount: &str) -> Uuid {
    let payload = withdrawal(user.id.0, book, seq, amount).to_string();
    store_letter(
        user,
        seq,
        payload.into_bytes(),
        DeadLetterClass::Rejected,
        "INSUFFICIENT_BALANCE",
    )
    .await
}

/// Stores a withdrawal of 1 that `publisher` published and whose payload claims another user.
pub(crate) async fn store_mismatch(
    publisher: &User<'_>,
    claimed: Uuid,
    book: &Book,
    seq: i64,
) -> Uuid {
    let payload = withdrawal(claimed, book, seq, "1").to_string();
    store_letter(
        publisher,
        seq,
        payload.into_bytes(),
        DeadLetterClass::Malformed,
        "SUBJECT_MISMATCH",
    )
    .await
}
