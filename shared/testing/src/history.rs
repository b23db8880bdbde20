//! Long histories, made at once.
//!
//! Owns: rows as the ledger would have written them one by one. Must not know: what they are for.

use sqlx::PgPool;
use uuid::Uuid;

/// Books so many credits of one unit on an account that nothing was booked on yet, each with its log and a moment of its
/// own, from now on.
pub async fn grow_history(pool: &PgPool, account: Uuid, postings: i32) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    for statement in [
        "WITH moment AS (SELECT clock_timestamp() AS at), rows AS ( \
             SELECT n, at + n * interval '1 microsecond' AS timestamp, gen_random_uuid() AS posting, \
                    gen_random_uuid() AS log \
             FROM moment, generate_series(1, $2) AS n), logs AS ( \
             INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, transaction_id, postings, \
                 event_time, type, source) \
             SELECT log, timestamp, a.user_id, a.trading_id, a.id, posting, 1, timestamp, 'deposit', 'manual' \
             FROM rows, sub_accounts a WHERE a.id = $1) \
         INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, \
             amount, closing_balance, sequence, trading_log_id) \
         SELECT posting, timestamp, a.user_id, a.trading_id, a.id, timestamp, 'credit', 'deposit', 1, n, n, log \
         FROM rows, sub_accounts a WHERE a.id = $1",
        "UPDATE sub_accounts SET balance = $2, sequence = $2 WHERE id = $1 AND sequence = 0",
    ] {
        let written = sqlx::query(statement)
            .bind(account)
            .bind(postings)
            .execute(&mut *transaction)
            .await?;
        anyhow::ensure!(
            written.rows_affected() > 0,
            "the account has a history already"
        );
    }

    transaction.commit().await?;
    Ok(())
}
