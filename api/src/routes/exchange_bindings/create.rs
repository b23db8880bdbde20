//! `POST /v1/exchange-bindings`

use super::given::{ApiKey, ApiSecret, GivenCredentials, Passphrase};
use super::insert::PrivateBinding;
use super::object::ExchangeBinding;
use super::verification;
use crate::http::secret::Secret;
use crate::routes::prelude::*;
use tiris_domain::ids::{BindingId, new_id};
use tiris_domain::states::ExchangeType;
use tiris_domain::value::{Info, Name};
use tiris_store::users;

/// Make a private exchange binding.
pub(crate) struct CreateExchangeBinding;

impl Policy for CreateExchangeBinding {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::Credentials);
    const REFUSALS: &'static [Refusal] = &[
        INVALID_BODY,
        (
            409,
            "`BINDING_NAME_EXISTS`: another living binding of the caller has the name; `API_KEY_EXISTS`: another one has \
             the API key",
        ),
        TOO_LARGE,
        NO_JSON,
    ];
}

/// A binding to be made.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none, rename = "NewBinding")]
struct BindingToMake {
    /// Unique among your living bindings
    name: Field<Name>,
    /// The exchange
    exchange_type: Field<ExchangeType>,
    /// 1 to 256 visible ASCII characters without `*`; only a virtual binding needs none
    api_key: Option<Field<ApiKey>>,
    /// 1 to 4096 characters; only a virtual binding needs none
    api_secret: Option<Field<ApiSecret>>,
    /// 1 to 256 characters, when the exchange asks for one
    passphrase: Option<Field<Passphrase>>,
    /// Free JSON, at most 16 KiB
    info: Option<Field<Info>>,
}

impl Example for BindingToMake {
    fn example() -> Self {
        Self {
            name: Field(Name::from_static("Kraken, main account")),
            exchange_type: Field(ExchangeType::Kraken),
            api_key: Some(Field(Secret::example())),
            api_secret: Some(Field(Secret::example())),
            passphrase: None,
            info: Some(Field::default()),
        }
    }
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl CreateExchangeBinding {
    /// Makes a private binding; its credentials are encrypted
    ///
    /// Where the service is set up to ask the exchange at once, the answer has its `status`; it stays `unverified` when
    /// the exchange cannot be reached.
    #[oai(path = "/", method = "post", operation_id = "createExchangeBinding")]
    async fn create(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        idempotency: Idempotency,
        body: JsonBody<BindingToMake>,
    ) -> Made<ExchangeBinding, Self> {
        let user = caller.user();
        let id = BindingId(new_id());
        let wanted = body.0;
        let given = GivenCredentials::new(wanted.api_key, wanted.api_secret, wanted.passphrase);
        let credentials = given.complete(wanted.exchange_type.0)?;
        let info = wanted.info.unwrap_or_default();
        let new = PrivateBinding {
            id,
            user,
            name: &wanted.name.0,
            exchange_type: wanted.exchange_type.0,
            credentials: credentials.as_ref(),
            info: &info.0,
        };

        let reply = idempotency.run(&state, user, async |mut tx: Tx| {
            users::lock_active(&mut tx, user).await?;
            let row = new.insert(&mut tx, &state.secrets, caller.actor()).await?;
            tx.finish(ExchangeBinding::try_from(row)?).await
        });
        let reply = reply.await?;

        Ok(verification::verified(&state, &caller, &idempotency, id, reply).await?)
    }
}
