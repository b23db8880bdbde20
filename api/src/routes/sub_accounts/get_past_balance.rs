//! `GET /v1/sub-accounts/{id}/balance`

use crate::routes::prelude::*;
use crate::routes::range::{Time, moment};
use tiris_domain::ids::AccountId;
use tiris_domain::value::Figure;
use tiris_store::point_in_time::{self, Clock};
use tiris_store::sub_accounts;

/// Get the balance of a sub-account at a moment.
pub(crate) struct GetPastBalance;

impl Policy for GetPastBalance {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

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
    balance: Field<Figure>,
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl GetPastBalance {
    /// The balance at a moment
    ///
    /// By `recorded` time it is what `GET /v1/sub-accounts/{id}` answered then; of history that is not kept any more, what
    /// it left. By `event` time all that happened since is taken from the current balance: of a backtest, which is booked
    /// within a minute, only that means anything.
    #[oai(path = "/:id/balance", method = "get", operation_id = "getPastBalance")]
    async fn balance(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
        /// The moment, by default now; what was booked, or happened, at that very moment counts
        at: Query<Option<DateTime<Utc>>>,
        /// Which time is meant: `recorded` (default) or `event`
        time: Query<Option<Time>>,
    ) -> Answer<PastBalance, Self> {
        let at = moment("at", at.0)?.unwrap_or_else(Utc::now);
        let time = time.0.unwrap_or(Time::Recorded);
        let account = sub_accounts::get(&state.pool, caller.user(), AccountId(id.0)).await?;
        let known = AccountId(account.id);
        let clock = Clock::from(time);

        let mut balance = None;
        if let Some(replica) = state.histories.replica(account.updated_at).await {
            balance = replica
                .query(point_in_time::balance(replica.pool(), known, at, clock))
                .await
                .flatten();
        }
        if balance.is_none() {
            balance = point_in_time::balance(&state.pool, known, at, clock).await?;
        }

        let balance = Field(Figure(balance.ok_or(Error::NotFound("sub-account"))?));
        Ok(Reply::read(PastBalance {
            sub_account_id: account.id,
            symbol: account.symbol,
            at,
            time,
            balance,
        }))
    }
}
