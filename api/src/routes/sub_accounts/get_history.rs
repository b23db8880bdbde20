//! `GET /v1/sub-accounts/{id}/history`

use crate::routes::prelude::*;
use crate::routes::range::{Interval, Time, pieces};
use tiris_domain::performance;
use tiris_store::point_in_time::{self, Clock};
use tiris_store::sub_accounts;

operation!(GetBalanceHistory: User, General, [INVALID, NOT_FOUND]);

/// Intervals of a history that is small.
const SMALL_PIECES: i32 = 1_000;

/// An hour or a day in which transactions were booked.
#[derive(Object, Serialize)]
struct Piece {
    /// Start of the interval, UTC
    time: DateTime<Utc>,
    /// Balance at the start, in units of the asset
    opening_balance: Field<Figure>,
    /// Sum of the credits
    credits: Field<Figure>,
    /// Sum of the debits
    debits: Field<Figure>,
    /// Number of transactions
    count: i64,
    /// Balance at the end
    closing_balance: Field<Figure>,
}

/// The balance of a sub-account over time.
#[derive(Object, Serialize)]
struct BalanceHistory {
    /// Id of the sub-account
    sub_account_id: Uuid,
    /// Symbol of the asset
    symbol: String,
    /// Length of an interval
    interval: Interval,
    /// The clock that orders the transactions
    time: Time,
    /// Start of the first interval
    from: DateTime<Utc>,
    /// End of the last interval, exclusive
    to: DateTime<Utc>,
    /// Balance at `from`, in units of the asset
    opening_balance: Field<Figure>,
    /// Balance at `to`
    closing_balance: Field<Figure>,
    /// Intervals with transactions, oldest first; between them the balance did not change
    pieces: Vec<Piece>,
}

impl From<point_in_time::Piece> for Piece {
    fn from(piece: point_in_time::Piece) -> Self {
        Self {
            time: piece.time,
            opening_balance: Field(Figure(piece.opening_balance)),
            credits: Field(Figure(piece.credits)),
            debits: Field(Figure(piece.debits)),
            count: piece.count,
            closing_balance: Field(Figure(piece.closing_balance)),
        }
    }
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl GetBalanceHistory {
    /// Get the balance history of a sub-account by hour or day
    ///
    /// Returns opening and closing balance, credits, debits and the number of transactions for each hour or day with
    /// transactions. The range is widened to whole intervals (UTC); more than 10,000 intervals are rejected with
    /// `INVALID_VALUE`.
    #[oai(
        path = "/:id/history",
        method = "get",
        operation_id = "getBalanceHistory"
    )]
    async fn history(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the sub-account, from `GET /v1/sub-accounts`
        id: Path<Uuid>,
        /// Start of the range, RFC 3339; by default 720 intervals before `to`
        from: Query<Option<QueryTime>>,
        /// End of the range, exclusive; by default the end of the interval of the latest transaction
        to: Query<Option<QueryTime>>,
        /// Length of an interval: `hour` or `day` (default)
        interval: Query<Option<Interval>>,
        /// The clock that orders the transactions: `recorded` (default) or `event`
        time: Query<Option<Time>>,
    ) -> Answer<BalanceHistory, Self> {
        let interval = interval.0.unwrap_or(Interval::Day);
        let time = time.0.unwrap_or(Time::Recorded);
        let unit = performance::Interval::from(interval);
        let clock = Clock::from(time);
        let account = sub_accounts::get(&state.pool, caller.user(), AccountId(id.0)).await?;
        let known = AccountId(account.id);
        let latest = match to.0 {
            Some(to) => to.0,
            None => point_in_time::last_posting(&state.pool, known, clock)
                .await?
                .unwrap_or_else(Utc::now),
        };
        let range = pieces(from.0, to.0, unit, latest)?;

        let mut answer = state.answers.begin(caller.user()).long();
        if range.1 - range.0 > unit.length() * SMALL_PIECES {
            answer.enlarge().await?;
        }
        let turn = answer.turn().await?;
        let mut found = None;
        if let Some(replica) = state.histories.replica(account.updated_at).await {
            let query = point_in_time::history(replica.pool(), known, range, unit.unit(), clock);
            found = replica.query(query).await.flatten();
        }
        if found.is_none() {
            found = point_in_time::history(&state.pool, known, range, unit.unit(), clock).await?;
        }
        drop(turn);

        let found = found.ok_or(Error::NotFound("sub-account"))?;
        let data = BalanceHistory {
            sub_account_id: account.id,
            symbol: account.symbol,
            interval,
            time,
            from: range.0,
            to: range.1,
            opening_balance: Field(Figure(found.opening_balance)),
            closing_balance: Field(Figure(found.closing_balance)),
            pieces: found.pieces.into_iter().map(Piece::from).collect(),
        };
        Ok(Reply::list(data, answer))
    }
}
