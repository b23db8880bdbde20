//! What the balance of a sub-account was at a moment, and how it changed.

use super::SubAccount;
use crate::auth::Caller;
use crate::envelope::{Answer, Reply};
use crate::history::Replica;
use crate::resource::Tag;
use crate::resource::range::{Interval, moment, pieces};
use crate::resource::refusals::One;
use crate::resource::transactions::Time;
use crate::state::State;
use crate::value::Figure;
use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};
use serde::Serialize;
use tiris_domain::ids::AccountId;
use tiris_domain::performance;
use tiris_store::error::Error;
use tiris_store::point_in_time::{self, Clock};
use uuid::Uuid;

/// Operations on past balances.
pub(crate) struct PastBalances;

/// The balance of a sub-account at a moment.
#[derive(Object, Serialize)]
struct PastBalance {
    sub_account_id: Uuid,
    /// Symbol of the asset
    symbol: String,
    /// The moment
    at: DateTime<Utc>,
    /// Which time the moment is of
    time: Time,
    /// The balance then, in units of the asset; by event time it is below zero where more was spent than was there
    balance: Figure,
}

/// A piece of a history in which something was booked.
#[derive(Object, Serialize)]
struct Piece {
    /// Its first moment
    time: DateTime<Utc>,
    /// The balance when it began
    opening_balance: Figure,
    /// What came in
    credits: Figure,
    /// What went out
    debits: Figure,
    /// Transactions
    count: i64,
    /// The balance when it ended
    closing_balance: Figure,
}

/// How the balance of a sub-account changed.
#[derive(Object, Serialize)]
struct BalanceHistory {
    sub_account_id: Uuid,
    /// Symbol of the asset
    symbol: String,
    /// Length of a piece
    interval: Interval,
    /// Which time is meant
    time: Time,
    /// First moment of the first piece
    from: DateTime<Utc>,
    /// The moment after the last piece
    to: DateTime<Utc>,
    /// The balance at `from`
    opening_balance: Figure,
    /// The balance at `to`
    closing_balance: Figure,
    /// Pieces in which something was booked, oldest first; between them the balance did not change
    pieces: Vec<Piece>,
}

impl From<point_in_time::Piece> for Piece {
    fn from(piece: point_in_time::Piece) -> Self {
        Self {
            time: piece.time,
            opening_balance: Figure(piece.opening_balance),
            credits: Figure(piece.credits),
            debits: Figure(piece.debits),
            count: piece.count,
            closing_balance: Figure(piece.closing_balance),
        }
    }
}

impl From<Time> for Clock {
    fn from(time: Time) -> Self {
        match time {
            Time::Recorded => Self::Recorded,
            Time::Event => Self::Event,
        }
    }
}

/// The copy of the database, when it surely has all that was booked on the account so far.
async fn replica<'s>(state: &'s State, account: &SubAccount) -> Option<&'s Replica> {
    state.histories.replica(account.updated_at).await
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl PastBalances {
    /// The balance at a moment
    ///
    /// By `recorded` time it is what `GET /v1/sub-accounts/{id}` answered then; of history that is not kept any more, what
    /// it left. By `event` time all that happened since is taken from the current balance: of a backtest, which is booked
    /// within a minute, only that means anything.
    #[oai(path = "/:id/balance", method = "get", operation_id = "getPastBalance")]
    async fn balance(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
        /// The moment, by default now; what was booked, or happened, at that very moment counts
        at: Query<Option<DateTime<Utc>>>,
        /// Which time is meant: `recorded` (default) or `event`
        time: Query<Option<Time>>,
    ) -> Answer<PastBalance, One> {
        let at = moment("at", at.0)?.unwrap_or_else(Utc::now);
        let time = time.0.unwrap_or(Time::Recorded);
        let account = SubAccount::load(&state.db, caller.user(), id.0).await?;
        let (known, clock) = (AccountId(account.id), Clock::from(time));
        let mut balance = None;
        if let Some(replica) = replica(&state, &account).await {
            balance = replica
                .ask(point_in_time::balance(replica.pool(), known, at, clock))
                .await
                .flatten();
        }
        if balance.is_none() {
            balance = point_in_time::balance(&state.pool, known, at, clock).await?;
        }
        let balance = Figure(balance.ok_or(Error::NotFound("sub-account"))?);
        Ok(Reply::new(PastBalance {
            sub_account_id: account.id,
            symbol: account.symbol,
            at,
            time,
            balance,
        }))
    }

    /// How the balance changed, by hour or day
    ///
    /// The range is widened to whole hours or days (UTC) and has at most 10,000 of them.
    #[oai(
        path = "/:id/history",
        method = "get",
        operation_id = "getBalanceHistory"
    )]
    async fn history(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
        /// From this moment on, by default 720 pieces before `to`
        from: Query<Option<DateTime<Utc>>>,
        /// Until this moment, exclusive; by default the end of the piece of the last transaction
        to: Query<Option<DateTime<Utc>>>,
        /// Length of a piece: `hour` or `day` (default)
        interval: Query<Option<Interval>>,
        /// Which time is meant: `recorded` (default) or `event`
        time: Query<Option<Time>>,
    ) -> Answer<BalanceHistory, One> {
        let (interval, time) = (
            interval.0.unwrap_or(Interval::Day),
            time.0.unwrap_or(Time::Recorded),
        );
        let (unit, clock) = (performance::Interval::from(interval), Clock::from(time));
        let account = SubAccount::load(&state.db, caller.user(), id.0).await?;
        let known = AccountId(account.id);
        let latest = match to.0 {
            Some(to) => to,
            None => point_in_time::last_posting(&state.pool, known, clock)
                .await?
                .unwrap_or_else(Utc::now),
        };
        let range = pieces(from.0, to.0, unit, latest)?;
        let mut found = None;
        if let Some(replica) = replica(&state, &account).await {
            let asked = point_in_time::history(replica.pool(), known, range, unit.unit(), clock);
            found = replica.ask(asked).await.flatten();
        }
        if found.is_none() {
            found = point_in_time::history(&state.pool, known, range, unit.unit(), clock).await?;
        }
        let found = found.ok_or(Error::NotFound("sub-account"))?;
        Ok(Reply::new(BalanceHistory {
            sub_account_id: account.id,
            symbol: account.symbol,
            interval,
            time,
            from: range.0,
            to: range.1,
            opening_balance: Figure(found.opening_balance),
            closing_balance: Figure(found.closing_balance),
            pieces: found.pieces.into_iter().map(Piece::from).collect(),
        }))
    }
}
