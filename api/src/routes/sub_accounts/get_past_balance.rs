//! `GET /v1/sub-accounts/{id}/balance`

use crate::http::filter::moment;
use crate::routes::prelude::*;
use crate::routes::range::Time;
use tiris_store::point_in_time::{self, Clock};
use tiris_store::sub_accounts;

operation!(GetPastBalance: User, General, [INVALID, NOT_FOUND]);

/// The balance of a sub-account at a moment.
#[derive(Object, Serialize)]
struct PastBalance {
    /// Id of the sub-account
    sub_account_id: Uuid,
    /// Symbol of the asset
    symbol: String,
    /// The moment
    at: DateTime<Utc>,
    /// The clock that orders the transactions
    time: Time,
    /// Balance at that moment, in units of the asset; negative by event time where more was spent than had come in
    balance: Field<Figure>,
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl GetPastBalance {
    /// Get the balance of a sub-account at a past moment
    ///
    /// By `recorded` time this is the balance `GET /v1/sub-accounts/{id}` returned at that moment; before the oldest
    /// stored transaction, it is the balance that transaction started from. By `event` time it is the current balance
    /// minus everything that happened later. Use `event` for backtests, which book years of events within a minute.
    #[oai(path = "/:id/balance", method = "get", operation_id = "getPastBalance")]
    async fn balance(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the sub-account, from `GET /v1/sub-accounts`
        id: Path<Uuid>,
        /// The moment, RFC 3339, inclusive; by default now
        at: Query<Option<QueryTime>>,
        /// The clock that orders the transactions: `recorded` (default) or `event`
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
