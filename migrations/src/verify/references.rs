//! Who owns what: the plain tables' references among each other.
//!
//! Owns: that no row of one user refers to a row of another, outside the time series. Must not know: money.

use super::report::{Kind, Report};
use futures_util::TryStreamExt;
use sqlx::{FromRow, PgConnection};

/// Offending pairs: what refers, what it refers to, and whether that is missing (true) or another user's (false).
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

#[derive(FromRow)]
struct Broken {
    referring: String,
    referred: String,
    is_missing: bool,
}

pub(super) async fn check(connection: &mut PgConnection, report: &mut Report) -> sqlx::Result<()> {
    let mut rows = sqlx::query_as::<_, Broken>(BROKEN).fetch(connection);

    while let Some(row) = rows.try_next().await? {
        let Broken {
            referring,
            referred,
            is_missing,
        } = row;

        match is_missing {
            true => report.add(
                Kind::MissingRow,
                format_args!("{referring} names {referred}"),
            ),
            false => report.add(
                Kind::ForeignRow,
                format_args!("{referring} and its {referred} differ in user"),
            ),
        }
    }
    Ok(())
}
