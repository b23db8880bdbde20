//! Checks every order against its trading, its holds and its postings.

use super::report::{Kind, Report};
use super::snapshot::Snapshot;
use futures_util::TryStreamExt;
use sqlx::FromRow;
use sqlx::types::Uuid;

/// The orders of another user's or a missing trading.
const FOREIGN: &str = "
    SELECT o.id, o.trading_id, t.id IS NULL AS is_missing
    FROM orders o LEFT JOIN tradings t ON t.id = o.trading_id
    WHERE t.id IS NULL OR t.user_id <> o.user_id";

/// The orders whose columns contradict each other, or that have no pair beside one with a pair. One that the bot reported as filled may lack a part of its amount, and
/// a fill whose volume rounds to zero moves money although it does not count.
const CONTRADICTORY: &str = "
    SELECT o.id, o.status, o.fills, o.filled::text, o.amount::text
    FROM orders o
    WHERE (o.fills > 0) <> (o.filled > 0)
       OR ((o.symbol = '' OR o.side IS NULL) AND (o.fills > 0 OR o.quote_filled <> 0 OR o.fees <> '{}'))
       OR (o.fills > 0 AND o.status IN ('open', 'unknown'))
       OR (o.fills = 0 AND o.status = 'partially_filled')
       OR (o.filled >= o.amount AND o.amount > 0 AND o.status = 'partially_filled')
       OR (o.symbol = '' AND EXISTS (SELECT FROM orders p
           WHERE p.trading_id = o.trading_id AND p.order_id = o.order_id AND p.symbol <> ''))";

/// The holds whose order has ended or is missing. A hold without a pair belongs to any order with its id, so one of them
/// must be open.
const HELD: &str = "
    SELECT h.sub_account_id, h.order_id, h.symbol, h.amount::text, count(o.id) = 0 AS is_missing
    FROM holds h LEFT JOIN orders o
        ON o.trading_id = h.trading_id AND o.order_id = h.order_id AND h.symbol IN ('', o.symbol)
    WHERE h.order_id <> ''
    GROUP BY h.sub_account_id, h.order_id, h.symbol, h.amount
    HAVING bool_and(o.status IN ('filled', 'cancelled', 'failed')) IS NOT FALSE";

/// The holds with another trading than their sub-account.
const FOREIGN_HOLDS: &str = "
    SELECT h.sub_account_id, h.order_id, h.symbol, h.trading_id
    FROM holds h JOIN sub_accounts s ON s.id = h.sub_account_id
    WHERE h.trading_id <> s.trading_id";

/// The orders whose filled amount is not the sum of their postings of the base asset. Fills have the quote asset of their
/// price, which other movements and fees lack; they count whichever side they report. An order of an asset for itself is left
/// out, because the legs of other orders look like its own. The sum ends at the largest amount of the books. Rows before the order was first recorded do not count, and neither
/// do orders whose rows retention may have dropped.
const MISCOUNTED: &str = "
    SELECT o.id, o.filled::text, coalesce(sum(x.amount), 0)::text AS posted
    FROM orders o
    JOIN tradings t ON t.id = o.trading_id
    LEFT JOIN (transactions x JOIN sub_accounts s ON s.id = x.sub_account_id)
        ON x.trading_id = o.trading_id AND x.order_id = o.order_id AND x.timestamp >= o.created_at
       AND x.quote_symbol = split_part(o.symbol, '/', 2) AND s.symbol = split_part(o.symbol, '/', 1)
    WHERE o.symbol <> '' AND split_part(o.symbol, '/', 1) <> split_part(o.symbol, '/', 2) AND o.side IS NOT NULL
      AND o.created_at >= $1
      AND NOT (t.status = 'deleting' AND t.type <> 'real')
    GROUP BY o.id, o.filled
    HAVING least(coalesce(sum(x.amount), 0), 99999999999999999999.999999999999999999) <> o.filled";

#[derive(FromRow)]
struct Foreign {
    id: Uuid,
    trading_id: Uuid,
    is_missing: bool,
}

#[derive(FromRow)]
struct Contradictory {
    id: Uuid,
    status: String,
    fills: i32,
    filled: String,
    amount: Option<String>,
}

#[derive(FromRow)]
struct Held {
    sub_account_id: Uuid,
    order_id: String,
    symbol: String,
    amount: String,
    is_missing: bool,
}

#[derive(FromRow)]
struct ForeignHold {
    sub_account_id: Uuid,
    order_id: String,
    symbol: String,
    trading_id: Uuid,
}

#[derive(FromRow)]
struct Miscounted {
    id: Uuid,
    filled: String,
    posted: String,
}

pub(super) async fn check(snapshot: &mut Snapshot<'_>, report: &mut Report) -> sqlx::Result<()> {
    snapshot.progress.set_message("orders");
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM orders")
        .fetch_one(&mut *snapshot.connection)
        .await?;
    report.orders = orders.unsigned_abs();

    check_tradings(snapshot, report).await?;
    check_states(snapshot, report).await?;
    check_holds(snapshot, report).await?;
    check_tradings_of_holds(snapshot, report).await?;
    check_fills(snapshot, report).await
}

async fn check_tradings(snapshot: &mut Snapshot<'_>, report: &mut Report) -> sqlx::Result<()> {
    let mut rows = sqlx::query_as::<_, Foreign>(FOREIGN).fetch(&mut *snapshot.connection);

    while let Some(Foreign {
        id,
        trading_id,
        is_missing,
    }) = rows.try_next().await?
    {
        if is_missing {
            let words = format_args!("order {id} names trading {trading_id}");
            report.add(Kind::MissingRow, words);
        } else {
            let words = format_args!("order {id} and its trading {trading_id} differ in user");
            report.add(Kind::ForeignRow, words);
        }
    }
    Ok(())
}

async fn check_states(snapshot: &mut Snapshot<'_>, report: &mut Report) -> sqlx::Result<()> {
    let mut rows =
        sqlx::query_as::<_, Contradictory>(CONTRADICTORY).fetch(&mut *snapshot.connection);

    while let Some(order) = rows.try_next().await? {
        let words = format_args!(
            "order {}: status {}, {} fills, filled {}, amount {}",
            order.id,
            order.status,
            order.fills,
            order.filled,
            order.amount.as_deref().unwrap_or("null"),
        );
        report.add(Kind::OrderState, words);
    }
    Ok(())
}

async fn check_holds(snapshot: &mut Snapshot<'_>, report: &mut Report) -> sqlx::Result<()> {
    let mut rows = sqlx::query_as::<_, Held>(HELD).fetch(&mut *snapshot.connection);

    while let Some(hold) = rows.try_next().await? {
        let state = if hold.is_missing {
            "is missing"
        } else {
            "has ended"
        };
        let words = format_args!(
            "sub-account {} holds {} for order {:?} {}, which {state}",
            hold.sub_account_id, hold.amount, hold.order_id, hold.symbol
        );
        report.add(Kind::OrderHold, words);
    }
    Ok(())
}

async fn check_tradings_of_holds(
    snapshot: &mut Snapshot<'_>,
    report: &mut Report,
) -> sqlx::Result<()> {
    let mut rows = sqlx::query_as::<_, ForeignHold>(FOREIGN_HOLDS).fetch(&mut *snapshot.connection);

    while let Some(hold) = rows.try_next().await? {
        let words = format_args!(
            "the hold of sub-account {} for order {:?} {} names trading {}",
            hold.sub_account_id, hold.order_id, hold.symbol, hold.trading_id
        );
        report.add(Kind::ForeignRow, words);
    }
    Ok(())
}

async fn check_fills(snapshot: &mut Snapshot<'_>, report: &mut Report) -> sqlx::Result<()> {
    let since = snapshot.horizon.transactions;
    let mut rows = sqlx::query_as::<_, Miscounted>(MISCOUNTED)
        .bind(since)
        .fetch(&mut *snapshot.connection);

    while let Some(Miscounted { id, filled, posted }) = rows.try_next().await? {
        let words = format_args!("order {id}: filled {filled}, by its postings {posted}");
        report.add(Kind::OrderFilled, words);
    }
    Ok(())
}
