//! `POST /v1/exchange-bindings`

use super::change::{binding_action, summary};
use super::credentials::Credentials;
use super::given::{ApiKey, ApiSecret, GivenCredentials, Passphrase};
use super::in_info;
use super::object::ExchangeBinding;
use super::verification;
use crate::http::secret::Secret;
use crate::routes::prelude::*;
use sqlx::PgConnection;
use tiris_domain::states::ExchangeType;
use tiris_runtime::crypto::Secrets;
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::exchange_bindings::{self, NewBinding};
use tiris_store::users;

operation!(CreateExchangeBinding: User, Credentials, [
    INVALID_BODY,
    (
        409,
        "`BINDING_NAME_EXISTS`: the caller has another binding with this name; `API_KEY_EXISTS`: the caller has another \
         binding with this API key; `QUOTA_EXCEEDED`: the caller has as many bindings as they may have",
    ),
]);

/// A new private exchange binding.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none, rename = "NewBinding")]
struct BindingRequest {
    /// Name, unique among your bindings that are not deleted
    name: Field<Name>,
    /// The exchange; `virtual` is a simulated one
    exchange_type: Field<ExchangeType>,
    /// API key issued by the exchange, 1 to 256 visible ASCII characters without `*`; optional for `virtual` only
    api_key: Option<Field<ApiKey>>,
    /// API secret issued by the exchange, 1 to 4096 characters; optional for `virtual` only
    api_secret: Option<Field<ApiSecret>>,
    /// Passphrase of the API key, 1 to 256 characters, if the exchange issues one
    passphrase: Option<Field<Passphrase>>,
    /// Free JSON, at most 16 KiB; credentials in it (`api_key`, `api_secret`, `passphrase`) are stored as such, encrypted
    info: Option<Field<Info>>,
}

impl Example for BindingRequest {
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

/// A private binding to insert, alone or together with a trading.
pub(in crate::routes) struct PrivateBinding<'a> {
    pub(in crate::routes) id: BindingId,
    pub(in crate::routes) user: UserId,
    pub(in crate::routes) name: &'a Name,
    pub(in crate::routes) exchange_type: ExchangeType,
    pub(in crate::routes) credentials: Option<&'a Credentials>,
    pub(in crate::routes) info: &'a Info,
}

impl PrivateBinding<'_> {
    /// Inserts the binding with its credentials encrypted. The user must be locked, and [`created`] be recorded.
    pub(in crate::routes) async fn insert(
        &self,
        connection: &mut PgConnection,
        secrets: &Secrets,
    ) -> Result<Model> {
        let seal = |credentials: &Credentials| {
            credentials.seal(secrets, self.id, self.user, self.exchange_type)
        };
        let new = NewBinding {
            id: self.id,
            user: self.user,
            name: self.name,
            exchange_type: self.exchange_type,
            credentials: self.credentials.map(seal).transpose()?.unwrap_or_default(),
            info: self.info,
        };
        exchange_bindings::insert(connection, new).await
    }
}

/// Returns the entry of a new binding in the audit trail.
pub(in crate::routes) fn created(row: &Model) -> Action<'static> {
    Action {
        after: Some(summary(row)),
        ..binding_action(ActionName::ExchangeBindingCreate, BindingId(row.id))
    }
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl CreateExchangeBinding {
    /// Create a private exchange binding
    ///
    /// The credentials are stored encrypted; lists and logs never show them. The new binding is `unverified` until
    /// `POST /v1/exchange-bindings/{id}/verify` succeeds. Where the service is configured to verify at once, the response
    /// already has the result; the binding is created even if the exchange cannot be reached.
    #[oai(path = "/", method = "post", operation_id = "createExchangeBinding")]
    async fn create(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        idempotency: Idempotency,
        body: JsonBody<BindingRequest>,
    ) -> Made<ExchangeBinding, Self> {
        let user = caller.user();
        let id = BindingId(new_id());
        let wanted = body.0;
        let mut info = wanted.info.unwrap_or_default().0;
        let given = GivenCredentials::new(wanted.api_key, wanted.api_secret, wanted.passphrase)
            .or(in_info::take(&mut info)?);
        let credentials = given.complete(wanted.exchange_type.0)?;
        let new = PrivateBinding {
            id,
            user,
            name: &wanted.name.0,
            exchange_type: wanted.exchange_type.0,
            credentials: credentials.as_ref(),
            info: &info,
        };

        let reply = idempotency.run(&state, user, async |mut tx: Tx| {
            users::lock_active(&mut tx, user).await?;
            let bindings = state.quotas.bindings;
            Quota::Bindings.check(&mut tx, user, 1, bindings).await?;
            let row = new.insert(&mut tx, &state.secrets).await?;
            let tx = tx.audited(caller.actor(), &created(&row)).await?;
            tx.finish(ExchangeBinding::try_from(row)?).await
        });
        let reply = reply.await?;

        Ok(verification::verified(&state, &caller, &idempotency, id, reply).await?)
    }
}
