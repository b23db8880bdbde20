//! `POST /v1/exchange-bindings/{id}/verify`

use super::verification::{self, VerifiedBinding};
use crate::routes::prelude::*;
use tiris_domain::ids::BindingId;

/// Verify the credentials of an exchange binding.
pub(crate) struct VerifyExchangeBinding;

impl Policy for VerifyExchangeBinding {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::Credentials);
    const REFUSALS: &'static [Refusal] = &[
        (
            400,
            "`INVALID_VALUE`: the id is no UUID; `INVALID_REQUEST`: the binding has no credentials, or they are those of \
             an exchange that cannot be asked",
        ),
        NOT_FOUND,
        TOO_LARGE,
        (
            502,
            "`EXCHANGE_ERROR`: the exchange cannot be reached, or fails; the binding is kept as `unverified`",
        ),
        (
            504,
            "`UPSTREAM_TIMEOUT`: the exchange does not answer in time; the binding is kept as `unverified`",
        ),
    ];
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl VerifyExchangeBinding {
    /// Asks the exchange whether the credentials are valid, with one signed call that changes nothing there
    ///
    /// For Binance, Kraken and Gate.io. When the exchange cannot be asked, the binding is kept as `unverified`.
    #[oai(
        path = "/:id/verify",
        method = "post",
        operation_id = "verifyExchangeBinding"
    )]
    async fn verify(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The binding
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
