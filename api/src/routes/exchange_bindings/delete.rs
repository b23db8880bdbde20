//! `DELETE /v1/exchange-bindings/{id}`

use super::change::{self, action, summary};
use crate::routes::prelude::*;
use tiris_domain::ids::BindingId;
use tiris_store::audit::{self, Action};
use tiris_store::exchange_bindings;

/// Delete an exchange binding.
pub(crate) struct DeleteExchangeBinding;

impl Policy for DeleteExchangeBinding {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[
        INVALID,
        (
            403,
            "`ACCESS_DENIED`: a public binding is changed by admins only; `ACCOUNT_DISABLED`: the account of the caller is \
             disabled",
        ),
        NOT_FOUND,
        (409, "`BINDING_IN_USE`: a living trading uses it"),
    ];
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl DeleteExchangeBinding {
    /// Deletes a binding no living trading uses, and destroys its credentials; a public one by admins only
    #[oai(
        path = "/:id",
        method = "delete",
        operation_id = "deleteExchangeBinding"
    )]
    async fn delete(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The binding
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
                ..action("exchange_binding.delete", id)
            };
            audit::record(&mut tx, caller.actor(), &action).await?;
            tx.finish(Message::new("The exchange binding is deleted."))
                .await
        });
        Ok(reply.await?)
    }
}
