//! `DELETE /v1/sub-accounts/{id}`

use super::object::SubAccount;
use crate::routes::prelude::*;
use serde_json::json;
use tiris_domain::ids::AccountId;
use tiris_domain::money::Money;
use tiris_store::audit::{self, Action};
use tiris_store::error::{Conflict, Error};
use tiris_store::sub_accounts;

/// Delete a sub-account.
pub(crate) struct DeleteSubAccount;

impl Policy for DeleteSubAccount {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[
        INVALID,
        NOT_FOUND,
        (409, "`BALANCE_NOT_ZERO`: it holds money"),
    ];
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl DeleteSubAccount {
    /// Deletes an empty sub-account; its history stays
    #[oai(path = "/:id", method = "delete", operation_id = "deleteSubAccount")]
    async fn delete(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
    ) -> Answer<Message, Self> {
        let user = caller.user();
        let id = AccountId(id.0);

        let reply = Tx::run(&state, user, async |mut tx: Tx| {
            let row = sub_accounts::lock(&mut tx, user, id).await?;
            let account = SubAccount::try_from(row)?;
            // What is held is part of the balance.
            if account.balance.0 != Money::ZERO {
                return Err(Error::Conflict(Conflict::BalanceNotZero));
            }

            sub_accounts::delete(&mut tx, id).await?;
            let action = Action {
                name: "sub_account.delete",
                resource: "sub_account",
                id: Some(id.to_string()),
                before: Some(json!({
                    "trading_id": account.trading_id,
                    "name": account.name,
                    "symbol": account.symbol,
                })),
                after: None,
            };
            audit::record(&mut tx, caller.actor(), &action).await?;
            tx.finish(Message::new("The sub-account is deleted.")).await
        });
        Ok(reply.await?)
    }
}
