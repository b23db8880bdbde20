//! Events stored directly in the database, as if they had come one by one.

use crate::site::Site;
use anyhow::Result;
use sqlx::AssertSqlSafe;
use tiris_testing::View;
use tiris_tools::{EVENT_AMOUNT, EventIds, Population};

/// The rows of a statement: progress shows and no transaction is too long.
const CHUNK: u64 = 250_000;

/// The time of stored events.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// A microsecond apart, up to now: all in the partition that is written to.
    Now,
    /// Spread over the month this many months ago. The event ids are expired.
    MonthsAgo(u32),
}

/// Books the next `count` events of a site and shows the progress.
pub(crate) async fn book(
    site: &mut Site,
    count: u64,
    ids: EventIds,
    when: When,
    view: &View,
) -> Result<()> {
    let accounts = site.population.accounts;
    let account_ids: Vec<_> = (0..accounts).map(Population::account_id).collect();
    let first = site.events;
    let end = first + count;

    while site.events < end {
        let to = end.min(site.events + CHUNK);
        let mut transaction = site.database.pool.begin().await?;
        for statement in statements(ids, when) {
            sqlx::query(AssertSqlSafe(statement))
                .bind(i64::try_from(site.events)?)
                .bind(i64::try_from(to)?)
                .bind(i64::try_from(accounts)?)
                .bind(&account_ids)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;

        site.events = to;
        view.progress(to - first);
    }
    Ok(())
}

/// Returns statements that book events from `$1` to before `$2` on `$3` accounts with the ids `$4`.
fn statements(ids: EventIds, when: When) -> Vec<String> {
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
             SELECT posting, at, user_id, trading_id, account_id, at, 'credit', 'bench', {EVENT_AMOUNT}, \
                 sequence * {EVENT_AMOUNT}, sequence, event_id, log, jsonb_build_object('broker_time', at) FROM booked ORDER BY n"
        ),
        format!(
            "{rows} INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, transaction_id, \
                 postings, event_time, type, source, event_id, info) \
             SELECT log, at, user_id, trading_id, account_id, posting, 1, at, 'balance_updated', 'bot', event_id, \
                 jsonb_build_object('broker_time', at) FROM booked ORDER BY n"
        ),
        format!(
            "{rows} UPDATE sub_accounts a SET balance = b.sequence * {EVENT_AMOUNT}, sequence = b.sequence \
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
