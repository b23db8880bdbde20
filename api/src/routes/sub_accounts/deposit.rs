//! `POST /v1/sub-accounts/{id}/deposit`

use super::move_money::{MoneyMove, Moved};
use crate::routes::prelude::*;
use tiris_domain::ids::AccountId;
use tiris_domain::ledger::Direction;

/// Put money into a sub-account.
pub(crate) struct Deposit;

impl Policy for Deposit {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::Money);
    const REFUSALS: &'static [Refusal] = &[INVALID_BODY, NOT_FOUND, TOO_LARGE, NO_JSON, REJECTED];
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl Deposit {
    /// Puts money in
    #[oai(path = "/:id/deposit", method = "post", operation_id = "deposit")]
    async fn deposit(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
        idempotency: Idempotency,
        body: JsonBody<MoneyMove>,
    ) -> Answer<Moved, Self> {
        let user = caller.user();
        let id = AccountId(id.0);

        let reply = idempotency.run(&state, user, async |tx: Tx| {
            body.0.apply(tx, user, id, Direction::Credit).await
        });
        Ok(reply.await?)
    }
}
