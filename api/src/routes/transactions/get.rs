//! `GET /v1/transactions/{id}`

use super::object::Transaction;
use super::owned::{ORDER, owned};
use crate::http::page;
use crate::routes::prelude::*;

/// Get a transaction.
pub(crate) struct GetTransaction;

impl Policy for GetTransaction {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

#[OpenApi(prefix_path = "/v1/transactions", tag = "Tag::Transactions")]
impl GetTransaction {
    /// One transaction
    #[oai(path = "/:id", method = "get", operation_id = "getTransaction")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The transaction
        id: Path<Uuid>,
    ) -> Answer<Transaction, Self> {
        let row = page::by_id(&state.db, owned(caller.user()), ORDER, id.0).await?;

        let row = row.ok_or(Error::NotFound("transaction"))?;
        Ok(Reply::read(Transaction::try_from(row)?))
    }
}
