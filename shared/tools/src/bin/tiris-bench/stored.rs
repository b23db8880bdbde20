//! Events that are in the books already, as if they had come one by one.
//!
//! Owns: their rows, made in the database. Must not know: what comes afterwards.

use crate::people::{AMOUNT, Ids, People};
use crate::stage::Database;
use anyhow::Result;
use sqlx::AssertSqlSafe;
use std::ops::Range;

/// Rows of one statement, so that progress shows and no transaction is too long.
const CHUNK: u64 = 250_000;

/// When they came.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// A microsecond apart, up to now: all in the partition that is written to.
    Now,
    /// Spread over the month so many months ago; their event ids are forgotten.
    MonthsAgo(u32),
}

/// Books the events of a range; those before it must be there. `done` hears how many are.
pub(crate) async fn book(
    database: &Database,
    people: People,
    events: Range<u64>,
    ids: Ids,
    when: When,
    done: impl Fn(u64),
) -> Result<()> {
    let mut from = events.start;
    while from < events.end {
        let to = events.end.min(from + CHUNK);
        chunk(database, people, from..to, ids, when).await?;
        done(to - events.start);
        from = to;
    }
    Ok(())
}

async fn chunk(
    database: &Database,
    people: People,
    events: Range<u64>,
    ids: Ids,
    when: When,
) -> Result<()> {
    let accounts: Vec<_> = (0..people.accounts).map(People::account_id).collect();

    let mut transaction = database.pool.begin().await?;
    for statement in statements(ids, when) {
        sqlx::query(AssertSqlSafe(statement))
            .bind(i64::try_from(events.start)?)
            .bind(i64::try_from(events.end)?)
            .bind(i64::try_from(people.accounts)?)
            .bind(&accounts)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}

/// Statements that book events from `$1` to before `$2` on `$3` accounts with the ids `$4`.
fn statements(ids: Ids, when: When) -> Vec<String> {
    let moment = match when {
        When::Now => "now() + (n - $1) * interval '1 microsecond'".to_owned(),
        When::MonthsAgo(months) => format!(
            "date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '{months} months' \
             + (n - $1) * (interval '27 days' / ($2 - $1))"
        ),
    };
    let rows = format!(
        "WITH rows AS (SELECT n, n % $3 AS account, n / $3 + 1 AS sequence, {moment} AS at, {} AS event_id, \
                              md5('t' || n)::uuid AS posting, md5('l' || n)::uuid AS log \
                       FROM generate_series($1::bigint, $2::bigint - 1) AS n), \
         booked AS (SELECT r.*, a.id AS account_id, a.user_id, a.trading_id \
                    FROM rows r JOIN UNNEST($4::uuid[]) WITH ORDINALITY AS o (id, number) ON o.number = r.account + 1 \
                    JOIN sub_accounts a ON a.id = o.id) ",
        ids.sql()
    );

    let mut statements = vec![
        format!(
            "{rows} INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, \
                 reason, amount, closing_balance, sequence, event_id, trading_log_id, info) \
             SELECT posting, at, user_id, trading_id, account_id, at, 'credit', 'bench', {AMOUNT}, sequence * {AMOUNT}, \
                 sequence, event_id, log, jsonb_build_object('broker_time', at) FROM booked ORDER BY n"
        ),
        format!(
            "{rows} INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, transaction_id, \
                 postings, event_time, type, source, event_id, info) \
             SELECT log, at, user_id, trading_id, account_id, posting, 1, at, 'balance_updated', 'bot', event_id, \
                 jsonb_build_object('broker_time', at) FROM booked ORDER BY n"
        ),
        format!(
            "{rows} UPDATE sub_accounts a SET balance = b.sequence * {AMOUNT}, sequence = b.sequence \
             FROM (SELECT account_id, max(sequence) AS sequence FROM booked GROUP BY account_id) AS b \
             WHERE a.id = b.account_id"
        ),
    ];
    if matches!(when, When::Now) {
        statements.push(format!(
            "{rows} INSERT INTO processed_events (user_id, event_id, content_hash, stream, stream_seq, outcome) \
             SELECT user_id, event_id, substring(event_id::bytea FOR 16), 'TRADING', n, 'applied' FROM booked ORDER BY n"
        ));
    }
    statements
}
