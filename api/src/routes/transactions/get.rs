//! `GET /v1/transactions/{id}`

use super::object::Transaction;
use super::owned::{ORDER, owned};
use crate::http::page;
use crate::routes::prelude::*;

operation!(GetTransaction: User, General, [INVALID, NOT_FOUND]);

#[OpenApi(prefix_path = "/v1/transactions", tag = "Tag::Transactions")]
impl GetTransaction {
    /// Get a transaction
    ///
    /// Returns one change of one balance, with the balance after it.
    #[oai(path = "/:id", method = "get", operation_id = "getTransaction")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the transaction, from `GET /v1/transactions`
        id: Path<Uuid>,
    ) -> Answer<Transaction, Self> {
        let row = page::by_id(&state.db, owned(caller.user()), ORDER, id.0).await?;

        let row = row.ok_or(Error::NotFound("transaction"))?;
        Ok(Reply::read(Transaction::try_from(row)?))
    }
}
