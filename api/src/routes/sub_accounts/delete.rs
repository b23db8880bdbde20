//! `DELETE /v1/sub-accounts/{id}`

use super::object::SubAccount;
use crate::routes::prelude::*;
use tiris_store::sub_accounts;

operation!(DeleteSubAccount: User, General, [
    INVALID,
    NOT_FOUND,
    (409, "`BALANCE_NOT_ZERO`: the sub-account still holds money; withdraw it first"),
]);

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl DeleteSubAccount {
    /// Delete an empty sub-account
    ///
    /// The balance must be zero, and locked amounts are part of the balance. Its transactions and trading logs stay
    /// readable, and its name can be used again.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteSubAccount")]
    async fn delete(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the sub-account, from `GET /v1/sub-accounts`
        id: Path<Uuid>,
    ) -> Answer<Message, Self> {
        let user = caller.user();
        let id = AccountId(id.0);

        let reply = Tx::run(&state, user, async |mut tx: Tx| {
            let row = sub_accounts::lock(&mut tx, user, id).await?;
            let account = SubAccount::try_from(row)?;
            if account.balance.0 != Money::ZERO {
                return Err(Error::Conflict(Conflict::BalanceNotZero));
            }

            sub_accounts::delete(&mut tx, id).await?;
            let action = Action {
                before: Some(json!({
                    "trading_id": account.trading_id,
                    "name": account.name,
                    "symbol": account.symbol,
                })),
                ..action(ActionName::SubAccountDelete, "sub_account", id)
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(Message::new("The sub-account is deleted.")).await
        });
        Ok(reply.await?)
    }
}
