//! `POST /v1/exchange-bindings/{id}/verify`

use super::verification::{self, VerifiedBinding};
use crate::routes::prelude::*;

operation!(VerifyExchangeBinding: User, Credentials, [
    (
        400,
        "`INVALID_VALUE`: the id is not a UUID; `INVALID_REQUEST`: the binding has no \
         credentials, or its exchange does not support verification",
    ),
    NOT_FOUND,
    (
        502,
        "`EXCHANGE_ERROR`: the exchange cannot be reached or fails; the binding becomes \
         `unverified`",
    ),
    (
        504,
        "`UPSTREAM_TIMEOUT`: the exchange does not respond in time; the binding becomes \
         `unverified`",
    ),
]);

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl VerifyExchangeBinding {
    /// Verify the credentials of an exchange binding
    ///
    /// Makes one signed, read-only call to the exchange and stores the verdict as the `status` of the binding. Supported
    /// for Binance, Kraken and Gate.io. If the exchange cannot be reached, the binding becomes `unverified`.
    #[oai(
        path = "/:id/verify",
        method = "post",
        operation_id = "verifyExchangeBinding"
    )]
    async fn verify(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the exchange binding, from `GET /v1/exchange-bindings`
        id: Path<Uuid>,
        idempotency: Idempotency,
    ) -> Answer<VerifiedBinding, Self> {
        if let Some(reply) = idempotency.stored(&state, caller.user()).await? {
            return Ok(reply);
        }

        let id = BindingId(id.0);
        Ok(verification::verify(&state, &caller, &idempotency, id).await?)
    }
}
