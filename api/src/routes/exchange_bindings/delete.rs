//! `DELETE /v1/exchange-bindings/{id}`

use super::change::{self, FORBIDDEN_BINDING, binding_action, summary};
use crate::routes::prelude::*;
use tiris_store::exchange_bindings;

operation!(DeleteExchangeBinding: User, General, [
    INVALID,
    FORBIDDEN_BINDING,
    NOT_FOUND,
    (
        409,
        "`BINDING_IN_USE`: a trading uses the binding; delete the trading or give it another \
         binding first",
    ),
]);

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl DeleteExchangeBinding {
    /// Delete an exchange binding
    ///
    /// Destroys the stored credentials and `info`. A binding that a trading uses cannot be deleted. Only admins delete public
    /// bindings.
    #[oai(
        path = "/:id",
        method = "delete",
        operation_id = "deleteExchangeBinding"
    )]
    async fn delete(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the exchange binding, from `GET /v1/exchange-bindings`
        id: Path<Uuid>,
    ) -> Answer<Message, Self> {
        let id = BindingId(id.0);

        let reply = Tx::run(&state, caller.user(), async |mut tx: Tx| {
            let row = change::lock(&mut tx, &caller, id).await?;
            if exchange_bindings::is_used(&mut tx, id).await? {
                return Err(Error::Conflict(Conflict::BindingInUse));
            }

            exchange_bindings::delete(&mut tx, id).await?;
            let action = Action {
                before: Some(summary(&row)),
                ..binding_action(ActionName::ExchangeBindingDelete, id)
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(Message::new("The exchange binding is deleted."))
                .await
        });
        Ok(reply.await?)
    }
}
