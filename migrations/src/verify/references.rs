//! Checks that rows outside the time series refer to existing rows of the same user.

use super::report::{Kind, Report};
use super::snapshot::Snapshot;
use futures_util::TryStreamExt;

/// The broken references: the referring row, the referred row, and whether that is missing or another user's.
const BROKEN: &str = "
    SELECT 'trading ' || t.id AS referring, 'user ' || t.user_id AS referred, true AS is_missing
    FROM tradings t WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = t.user_id)
    UNION ALL
    SELECT 'trading ' || t.id, 'exchange binding ' || t.exchange_binding_id, b.id IS NULL
    FROM tradings t LEFT JOIN exchange_bindings b ON b.id = t.exchange_binding_id
    WHERE t.exchange_binding_id IS NOT NULL AND (b.id IS NULL OR b.user_id <> t.user_id)
    UNION ALL
    SELECT 'exchange binding ' || b.id, 'user ' || b.user_id, true
    FROM exchange_bindings b
    WHERE b.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM users u WHERE u.id = b.user_id)
    UNION ALL
    SELECT 'sub-account ' || s.id, 'user ' || s.user_id, true
    FROM sub_accounts s WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = s.user_id)
    UNION ALL
    SELECT 'sub-account ' || s.id, 'trading ' || s.trading_id, t.id IS NULL
    FROM sub_accounts s LEFT JOIN tradings t ON t.id = s.trading_id
    WHERE t.id IS NULL OR t.user_id <> s.user_id
    UNION ALL
    SELECT 'hold of order ' || quote_literal(h.order_id), 'sub-account ' || h.sub_account_id, true
    FROM holds h WHERE NOT EXISTS (SELECT FROM sub_accounts s WHERE s.id = h.sub_account_id)";

pub(super) async fn check(snapshot: &mut Snapshot<'_>, report: &mut Report) -> sqlx::Result<()> {
    snapshot.progress.set_message("references");
    let mut rows =
        sqlx::query_as::<_, (String, String, bool)>(BROKEN).fetch(&mut *snapshot.connection);

    while let Some((referring, referred, is_missing)) = rows.try_next().await? {
        if is_missing {
            let words = format_args!("{referring} names {referred}");
            report.add(Kind::MissingRow, words);
        } else {
            let words = format_args!("{referring} and its {referred} differ in user");
            report.add(Kind::ForeignRow, words);
        }
    }
    Ok(())
}
