//! `GET /v1/sub-accounts/{id}/history`

use crate::routes::prelude::*;
use crate::routes::range::{Interval, Time, pieces};
use tiris_domain::ids::AccountId;
use tiris_domain::performance;
use tiris_domain::value::Figure;
use tiris_store::point_in_time::{self, Clock};
use tiris_store::sub_accounts;

/// Get how the balance of a sub-account changed.
pub(crate) struct GetBalanceHistory;

impl Policy for GetBalanceHistory {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

/// A piece of a history in which something was booked.
#[derive(Object, Serialize)]
struct Piece {
    /// Its first moment
    time: DateTime<Utc>,
    /// The balance when it began
    opening_balance: Field<Figure>,
    /// What came in
    credits: Field<Figure>,
    /// What went out
    debits: Field<Figure>,
    /// Transactions
    count: i64,
    /// The balance when it ended
    closing_balance: Field<Figure>,
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
    opening_balance: Field<Figure>,
    /// The balance at `to`
    closing_balance: Field<Figure>,
    /// Pieces in which something was booked, oldest first; between them the balance did not change
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
        caller: Caller<Self>,
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
    ) -> Answer<BalanceHistory, Self> {
        let interval = interval.0.unwrap_or(Interval::Day);
        let time = time.0.unwrap_or(Time::Recorded);
        let unit = performance::Interval::from(interval);
        let clock = Clock::from(time);
        let account = sub_accounts::get(&state.pool, caller.user(), AccountId(id.0)).await?;
        let known = AccountId(account.id);
        let latest = match to.0 {
            Some(to) => to,
            None => point_in_time::last_posting(&state.pool, known, clock)
                .await?
                .unwrap_or_else(Utc::now),
        };
        let range = pieces(from.0, to.0, unit, latest)?;

        let mut found = None;
        if let Some(replica) = state.histories.replica(account.updated_at).await {
            let asked = point_in_time::history(replica.pool(), known, range, unit.unit(), clock);
            found = replica.query(asked).await.flatten();
        }
        if found.is_none() {
            found = point_in_time::history(&state.pool, known, range, unit.unit(), clock).await?;
        }

        let found = found.ok_or(Error::NotFound("sub-account"))?;
        Ok(Reply::read(BalanceHistory {
            sub_account_id: account.id,
            symbol: account.symbol,
            interval,
            time,
            from: range.0,
            to: range.1,
            opening_balance: Field(Figure(found.opening_balance)),
            closing_balance: Field(Figure(found.closing_balance)),
            pieces: found.pieces.into_iter().map(Piece::from).collect(),
        }))
    }
}
