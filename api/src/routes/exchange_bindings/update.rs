//! `PUT /v1/exchange-bindings/{id}`

use super::change::{self, action, summary};
use super::credentials_change::CredentialsChange;
use super::given::{ApiKey, ApiSecret, GivenCredentials, Passphrase};
use super::object::ExchangeBinding;
use super::verification;
use crate::routes::prelude::*;
use serde_json::json;
use tiris_domain::ids::BindingId;
use tiris_domain::states::ExchangeType;
use tiris_domain::value::{Info, Name};
use tiris_store::audit::{self, Action};
use tiris_store::exchange_bindings;

/// Change an exchange binding.
pub(crate) struct UpdateExchangeBinding;

impl Policy for UpdateExchangeBinding {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::Credentials);
    const REFUSALS: &'static [Refusal] = &[
        INVALID_BODY,
        (
            403,
            "`ACCESS_DENIED`: a public binding is changed by admins only; `ACCOUNT_DISABLED`: the account of the caller is \
             disabled",
        ),
        NOT_FOUND,
        (
            409,
            "`BINDING_NAME_EXISTS`: another living binding of the caller has the name; `API_KEY_EXISTS`: another one has \
             the API key",
        ),
        TOO_LARGE,
        NO_JSON,
    ];
}

/// What is to be changed; what is absent or null stays.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
struct BindingChange {
    /// Unique among your living bindings
    name: Option<Field<Name>>,
    /// The exchange
    exchange_type: Option<Field<ExchangeType>>,
    /// 1 to 256 visible ASCII characters without `*`
    api_key: Option<Field<ApiKey>>,
    /// 1 to 4096 characters
    api_secret: Option<Field<ApiSecret>>,
    /// 1 to 256 characters
    passphrase: Option<Field<Passphrase>>,
    /// Free JSON that replaces what is there, at most 16 KiB
    info: Option<Field<Info>>,
}

impl Example for BindingChange {
    fn example() -> Self {
        Self {
            name: Some(Field(Name::from_static("Kraken, second account"))),
            exchange_type: None,
            api_key: None,
            api_secret: None,
            passphrase: None,
            info: Some(Field::default()),
        }
    }
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl UpdateExchangeBinding {
    /// Changes a binding; a public one by admins only
    ///
    /// What is absent stays. New credentials, or another exchange, make the binding `unverified` until the exchange is
    /// asked.
    #[oai(path = "/:id", method = "put", operation_id = "updateExchangeBinding")]
    async fn update(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The binding
        id: Path<Uuid>,
        idempotency: Idempotency,
        body: JsonBody<BindingChange>,
    ) -> Answer<ExchangeBinding, Self> {
        let id = BindingId(id.0);
        let wanted = body.0;
        let name = wanted.name.as_ref().map(|name| &name.0);
        let info = wanted.info.as_ref().map(|info| &info.0);
        let credentials = CredentialsChange {
            exchange_type: wanted.exchange_type.map(|exchange| exchange.0),
            given: GivenCredentials::new(wanted.api_key, wanted.api_secret, wanted.passphrase),
        };

        let reply = idempotency.run(&state, caller.user(), async |mut tx: Tx| {
            let current = change::lock(&mut tx, &caller, id).await?;
            if credentials.is_any() {
                credentials
                    .replace(&mut tx, &state.secrets, &current)
                    .await?;
            }
            let changed = exchange_bindings::update(&mut tx, id, name, info).await?;

            let mut after = summary(&changed);
            after["credentials_given"] = json!(credentials.given.any().is_some());
            after["info_given"] = json!(info.is_some());
            let action = Action {
                before: Some(summary(&current)),
                after: Some(after),
                ..action("exchange_binding.update", id)
            };
            audit::record(&mut tx, caller.actor(), &action).await?;

            tx.finish(ExchangeBinding::try_from(changed)?).await
        });
        let reply = reply.await?;

        if !credentials.is_any() {
            return Ok(reply);
        }
        Ok(verification::verified(&state, &caller, &idempotency, id, reply).await?)
    }
}
