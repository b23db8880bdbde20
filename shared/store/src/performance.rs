//! Folds the postings of a trading, as the database returns them, into its performance.
//!
//! Postings of a moment are in the order of booking, by `(timestamp, id)`: so those of an account are by sequence, and the
//! legs of a trade are adjacent. PostgreSQL sorts, on disk if necessary; here one block is in memory.

use crate::column::asset;
use crate::error::{Error, Result};
use crate::numeric::MoneyColumn;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use std::collections::HashMap;
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Asset, Direction};
use tiris_domain::money::Money;
use tiris_domain::performance::{
    Fold, Interval, Performance, Period, Point, Posting, TooManyPoints,
};
use uuid::Uuid;

const DECLARE: &str = "DECLARE postings NO SCROLL CURSOR FOR \
    SELECT sub_account_id, event_time, direction = 'credit' AS is_credit, amount, reason, quote_symbol, fee, \
        order_id, trading_log_id \
    FROM transactions WHERE user_id = $3 AND trading_id = $4 AND sub_account_id = ANY($1) \
        AND event_time < coalesce($2::timestamptz, 'infinity') \
    ORDER BY event_time, timestamp, id";
/// Rows are fetched in blocks of this many.
const FETCH: &str = "FETCH 2000 FROM postings";
/// Postings folded before other tasks get the thread.
const FOLDED_AT_ONCE: usize = 100;

/// Accounts of a trading, including deleted ones, with their balance before the first stored posting.
const ACCOUNTS: &str = "SELECT a.id, a.symbol, coalesce(( \
        SELECT closing_balance - CASE direction WHEN 'credit' THEN amount ELSE -amount END FROM transactions \
        WHERE sub_account_id = a.id ORDER BY timestamp, sequence LIMIT 1), a.balance) AS held \
    FROM sub_accounts a WHERE a.trading_id = $1 ORDER BY a.id";

/// The quote symbol of most postings; the first by name among equals.
const USUAL_QUOTE: &str = "SELECT quote_symbol FROM transactions \
    WHERE user_id = $2 AND trading_id = $1 AND quote_symbol IS NOT NULL GROUP BY quote_symbol ORDER BY count(*) DESC, quote_symbol LIMIT 1";

/// A request for the performance of a trading.
#[derive(Clone, Debug)]
pub struct Question {
    /// The owner of the trading.
    pub user: UserId,
    /// The trading to measure.
    pub trading: TradingId,
    /// The range of event times.
    pub period: Period,
    /// The asset of the figures; `None` means the quote asset of most of its trades.
    pub quote: Option<Asset>,
    /// Length of the intervals of the equity curve, if one is requested.
    pub interval: Option<Interval>,
}

/// The performance of a trading.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The asset of the figures.
    pub quote: Asset,
    /// The figures.
    pub performance: Performance,
    /// The equity curve; empty unless requested.
    pub points: Vec<Point>,
}

/// Returns the performance of a trading; `None` when the request names no asset and no posting has a price. All statements
/// must see the same data: `connection` must be in a repeatable read transaction.
pub async fn measure(
    connection: &mut PgConnection,
    question: &Question,
) -> Result<Result<Option<Measured>, TooManyPoints>> {
    let Some(quote) = quote(connection, question).await? else {
        return Ok(Ok(None));
    };
    let mut fold = Fold::new(quote.clone(), question.period, question.interval);
    let assets = accounts(connection, question.trading, &mut fold).await?;
    if let Err(error) = postings(connection, question, &assets, &mut fold).await? {
        return Ok(Err(error));
    }

    Ok(fold.finish().map(|(performance, points)| {
        Some(Measured {
            quote,
            performance,
            points,
        })
    }))
}

/// Adds the postings of the trading to the fold.
async fn postings(
    connection: &mut PgConnection,
    question: &Question,
    assets: &HashMap<AccountId, Asset>,
    fold: &mut Fold,
) -> Result<Result<(), TooManyPoints>> {
    open(connection, question, assets).await?;

    loop {
        let rows: Vec<PostingRow> = sqlx::query_as(FETCH)
            .persistent(false)
            .fetch_all(&mut *connection)
            .await?;
        if rows.is_empty() {
            break;
        }

        for (at, row) in rows.into_iter().enumerate() {
            if at % FOLDED_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            if let Err(error) = fold.push(row.posting(assets)?) {
                return Ok(Err(error));
            }
        }
    }

    sqlx::query("CLOSE postings").execute(connection).await?;
    Ok(Ok(()))
}

async fn open(
    connection: &mut PgConnection,
    question: &Question,
    assets: &HashMap<AccountId, Asset>,
) -> Result<()> {
    // The cursor is read to its end, so its plan must not be chosen for the first rows.
    sqlx::query("SELECT set_config('cursor_tuple_fraction', '1', true)")
        .execute(&mut *connection)
        .await?;

    let ids: Vec<Uuid> = assets.keys().map(|id| id.0).collect();
    sqlx::query(DECLARE)
        .persistent(false)
        .bind(ids)
        .bind(question.period.to)
        .bind(question.user.0)
        .bind(question.trading.0)
        .execute(connection)
        .await?;
    Ok(())
}

async fn quote(connection: &mut PgConnection, question: &Question) -> Result<Option<Asset>> {
    if question.quote.is_some() {
        return Ok(question.quote.clone());
    }
    let usual: Option<String> = sqlx::query_scalar(USUAL_QUOTE)
        .bind(question.trading.0)
        .bind(question.user.0)
        .fetch_optional(connection)
        .await?;
    usual.as_deref().map(asset).transpose()
}

/// Adds the first balances of the accounts to the fold. Returns the asset of each.
async fn accounts(
    connection: &mut PgConnection,
    trading: TradingId,
    fold: &mut Fold,
) -> Result<HashMap<AccountId, Asset>> {
    let rows: Vec<(Uuid, String, MoneyColumn)> = sqlx::query_as(ACCOUNTS)
        .bind(trading.0)
        .fetch_all(connection)
        .await?;
    let mut assets = HashMap::new();

    for (id, symbol, MoneyColumn(held)) in rows {
        let asset = asset(&symbol)?;
        if held != Money::ZERO {
            fold.hold(&asset, held);
        }
        assets.insert(AccountId(id), asset);
    }
    Ok(assets)
}

#[derive(FromRow)]
struct PostingRow {
    sub_account_id: Uuid,
    event_time: DateTime<Utc>,
    is_credit: bool,
    amount: MoneyColumn,
    reason: String,
    quote_symbol: Option<String>,
    fee: Option<MoneyColumn>,
    order_id: Option<String>,
    trading_log_id: Uuid,
}

impl PostingRow {
    fn posting(self, assets: &HashMap<AccountId, Asset>) -> Result<Posting> {
        let account = AccountId(self.sub_account_id);
        let unknown =
            || Error::internal(format!("a posting of account {account} of another trading"));
        let asset_of = assets.get(&account).ok_or_else(unknown)?;
        let direction = if self.is_credit {
            Direction::Credit
        } else {
            Direction::Debit
        };

        Ok(Posting {
            time: self.event_time,
            asset: asset_of.clone(),
            direction,
            amount: self.amount.0,
            reason: self.reason,
            quote: self.quote_symbol.as_deref().map(asset).transpose()?,
            fee: self.fee.map(|fee| fee.0),
            order: self.order_id.and_then(|order| order.parse().ok()),
            log: self.trading_log_id,
        })
    }
}
