//! `POST /v1/sub-accounts/{id}/withdraw`

use super::move_money::{MoneyMove, Moved};
use crate::routes::prelude::*;
use tiris_domain::ids::AccountId;
use tiris_domain::ledger::Direction;

/// Take money out of a sub-account.
pub(crate) struct Withdraw;

impl Policy for Withdraw {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::Money);
    const REFUSALS: &'static [Refusal] = &[INVALID_BODY, NOT_FOUND, TOO_LARGE, NO_JSON, REJECTED];
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl Withdraw {
    /// Takes money out
    #[oai(path = "/:id/withdraw", method = "post", operation_id = "withdraw")]
    async fn withdraw(
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
            body.0.apply(tx, user, id, Direction::Debit).await
        });
        Ok(reply.await?)
    }
}
