//! Paging by cursor during inserts, including rows that are booked earlier and committed later.

use crate::world::{User, World, text};
use chrono::{DateTime, Duration, Utc};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use std::collections::HashSet;
use uuid::Uuid;

/// Number of random interleavings of reads and writes.
const MIXES: u64 = 6;
/// Rows of a page: few, so that pages are many and timestamps span pages.
const LIMITS: [u64; 3] = [1, 3, 7];
/// Longest time from the timestamp of rows to their commit.
const LATE_SECONDS: u64 = 10;
/// Age from which no more rows are committed: older pages must miss no row.
const SETTLED_SECONDS: i64 = 30;

/// A deterministic random number generator.
struct Dice(u64);

impl Dice {
    /// Returns a number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Inserts `rows` rows with one timestamp into both histories, as a batch of events does.
async fn book(connection: &mut PgConnection, account: Uuid, at: DateTime<Utc>, rows: u64) {
    for statement in [
        "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, \
             amount, closing_balance, sequence, trading_log_id) \
         SELECT gen_random_uuid(), $2, user_id, trading_id, id, $2, 'credit', 'x', 1, 1, 1, gen_random_uuid() \
         FROM sub_accounts, generate_series(1, $3) WHERE id = $1",
        "INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, event_time, type, source) \
         SELECT gen_random_uuid(), $2, user_id, trading_id, id, $2, 'x', 'bot' \
         FROM sub_accounts, generate_series(1, $3) WHERE id = $1",
    ] {
        let rows = i64::try_from(rows).expect("few");
        sqlx::query(statement)
            .bind(account)
            .bind(at)
            .bind(rows)
            .execute(&mut *connection)
            .await
            .expect("rows");
    }
}

/// A writer with several open transactions, committed in random order.
struct Writer<'p> {
    pool: &'p PgPool,
    account: Uuid,
    open: Vec<Transaction<'p, Postgres>>,
}

impl Writer<'_> {
    /// Commits rows at once, opens a transaction, or ends one.
    async fn step(&mut self, dice: &mut Dice) {
        let late =
            Duration::milliseconds(i64::try_from(dice.below(LATE_SECONDS * 1_000)).expect("few"));

        match dice.below(4) {
            0 => {
                let mut connection = self.pool.acquire().await.expect("a connection");
                book(&mut connection, self.account, Utc::now(), 1 + dice.below(3)).await;
            }
            1 if self.open.len() < 6 => {
                let mut transaction = self.pool.begin().await.expect("begun");
                book(
                    &mut transaction,
                    self.account,
                    Utc::now() - late,
                    1 + dice.below(3),
                )
                .await;
                self.open.push(transaction);
            }
            action if !self.open.is_empty() => {
                let which = usize::try_from(dice.below(self.open.len() as u64)).expect("few");
                let transaction = self.open.swap_remove(which);
                if action == 3 {
                    transaction.rollback().await.expect("given up");
                } else {
                    transaction.commit().await.expect("committed");
                }
            }
            _ => {}
        }
    }
}

/// Inserts settled and fresh rows, some of which share timestamps.
async fn history(pool: &PgPool, account: Uuid, dice: &mut Dice) {
    let now = Utc::now();
    let mut connection = pool.acquire().await.expect("a connection");

    for number in 0..25 {
        let fresh = Duration::milliseconds(400 * number);
        book(&mut connection, account, now - fresh, 1 + dice.below(3)).await;
        let settled = Duration::seconds(SETTLED_SECONDS + 1 + 20 * number);
        book(&mut connection, account, now - settled, 1 + dice.below(5)).await;
    }
}

/// Reads a list to its end; the writer makes a step between pages.
async fn read(
    user: &User<'_>,
    list: &str,
    writer: &mut Writer<'_>,
    dice: &mut Dice,
) -> Vec<(String, String)> {
    let limit = LIMITS[usize::try_from(dice.below(3)).expect("few")];
    let mut seen = Vec::new();
    let mut cursor = String::new();

    loop {
        let page = user.get(&format!("/v1/{list}?limit={limit}{cursor}")).await;
        let rows = page.data()[list.replace('-', "_")]
            .as_array()
            .expect("a list");
        seen.extend(
            rows.iter()
                .map(|row| (text(&row["timestamp"]), text(&row["id"]))),
        );
        let next = &page.data()["pagination"]["next_cursor"];

        if next.is_null() {
            return seen;
        }

        cursor = format!("&cursor={}", text(next));

        for _ in 0..dice.below(4) {
            writer.step(dice).await;
        }
    }
}

/// Returns the ids of the settled rows of a user.
async fn settled(user: &User<'_>, table: &str) -> Vec<Uuid> {
    let query = format!(
        "SELECT id FROM {table} WHERE user_id = $1 AND timestamp < now() - $2 * interval '1 second'"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(query))
        .bind(user.id.0)
        .bind(i32::try_from(SETTLED_SECONDS).expect("few"))
        .fetch_all(user.world.pool())
        .await
        .expect("ids")
}

#[tokio::test]
async fn paging_during_inserts_skips_and_repeats_nothing() {
    let world = World::start().await;
    let pool = world.pool();
    world.begin_before_this_month().await;

    for mix in 0..MIXES {
        let mut dice = Dice(mix);
        let user = world.user(&format!("user {mix}")).await;
        let account = user.book("grid", "0", "0").await.stock;
        let account = account.parse().expect("an id");
        history(pool, account, &mut dice).await;

        for (list, table) in [
            ("transactions", "transactions"),
            ("trading-logs", "trading_logs"),
        ] {
            let settled = settled(&user, table).await;
            assert!(settled.len() >= 25);
            let mut writer = Writer {
                pool,
                account,
                open: Vec::new(),
            };

            let seen = read(&user, list, &mut writer, &mut dice).await;

            let distinct: HashSet<&str> = seen.iter().map(|(_, id)| id.as_str()).collect();
            assert_eq!(distinct.len(), seen.len(), "{list}, mix {mix}");
            let is_sorted = seen.is_sorted_by_key(|(at, _)| std::cmp::Reverse(instant(at)));
            assert!(is_sorted, "{list}, mix {mix}");
            for id in settled {
                let is_seen = distinct.contains(id.to_string().as_str());
                assert!(is_seen, "{list}, mix {mix}: {id} was skipped");
            }
        }
    }
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}
