//! `PUT /v1/exchange-bindings/{id}`

use super::change::{self, BINDING_EXISTS, FORBIDDEN_BINDING, binding_action, summary};
use super::credentials::{Credentials, StoredCredentials};
use super::given::{ApiKey, ApiSecret, GivenCredentials, Passphrase};
use super::in_info;
use super::object::ExchangeBinding;
use super::verification;
use crate::routes::prelude::*;
use sqlx::PgConnection;
use std::sync::atomic::{AtomicBool, Ordering};
use tiris_domain::states::ExchangeType;
use tiris_runtime::crypto::Secrets;
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::exchange_bindings::{self, SealedCredentials};

operation!(UpdateExchangeBinding: User, Credentials, [
    INVALID_BODY,
    FORBIDDEN_BINDING,
    NOT_FOUND,
    BINDING_EXISTS,
]);

/// Changes of an exchange binding; absent and null fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
struct BindingChange {
    /// New name, unique among your bindings that are not deleted
    name: Option<Field<Name>>,
    /// Another exchange; the credentials stay unless new ones are given
    exchange_type: Option<Field<ExchangeType>>,
    /// New API key, 1 to 256 visible ASCII characters without `*`
    api_key: Option<Field<ApiKey>>,
    /// New API secret, 1 to 4096 characters
    api_secret: Option<Field<ApiSecret>>,
    /// New passphrase, 1 to 256 characters
    passphrase: Option<Field<Passphrase>>,
    /// Free JSON that replaces the current one, at most 16 KiB; credentials in it (`api_key`, `api_secret`, `passphrase`) are
    /// stored as such, encrypted, and stay when it has none
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

/// A change of exchange or credentials; fields that are `None` stay as they are.
#[derive(Clone)]
struct CredentialsChange {
    exchange_type: Option<ExchangeType>,
    given: GivenCredentials,
}

impl CredentialsChange {
    /// Returns whether anything changes, so that an earlier verification no longer holds.
    fn is_any(&self) -> bool {
        self.exchange_type.is_some() || self.given.any().is_some()
    }

    /// Adds credentials of the free JSON as far as they differ from the stored ones.
    fn with(&self, in_info: GivenCredentials, secrets: &Secrets, row: &Model) -> Self {
        let in_info = match row.user_id.map(UserId) {
            Some(user) => in_info.other_than(StoredCredentials { secrets, row, user }),
            None => in_info,
        };
        Self {
            exchange_type: self.exchange_type,
            given: self.given.clone().or(in_info),
        }
    }

    /// Replaces exchange and credentials of a locked binding.
    async fn replace(
        &self,
        connection: &mut PgConnection,
        secrets: &Secrets,
        row: &Model,
    ) -> Result<()> {
        let exchange = match self.exchange_type {
            Some(exchange) => exchange,
            None => column::state(&row.exchange_type)?,
        };
        let sealed = self.sealed(secrets, row, exchange)?;

        let id = BindingId(row.id);
        exchange_bindings::replace_credentials(connection, id, exchange, sealed).await
    }

    /// Encrypts all credentials of the row under the current key, unchanged ones included.
    fn sealed(
        &self,
        secrets: &Secrets,
        row: &Model,
        exchange: ExchangeType,
    ) -> Result<SealedCredentials> {
        let Some(user) = row.user_id.map(UserId) else {
            // All users could read them.
            return match self.given.any() {
                Some(field) => Err(Error::invalid(
                    field,
                    "cannot be given: a public binding has no credentials",
                )),
                None => Ok(SealedCredentials::default()),
            };
        };

        let stored = StoredCredentials { secrets, row, user };
        let merged = self.given.clone().over(stored, exchange)?;
        let seal =
            |credentials: Credentials| credentials.seal(secrets, BindingId(row.id), user, exchange);
        Ok(merged.map(seal).transpose()?.unwrap_or_default())
    }
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl UpdateExchangeBinding {
    /// Update an exchange binding
    ///
    /// Absent fields stay as they are. New credentials or another exchange make the binding `unverified` until it is
    /// verified again. Only admins update public bindings, which never hold credentials.
    #[oai(path = "/:id", method = "put", operation_id = "updateExchangeBinding")]
    async fn update(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the exchange binding, from `GET /v1/exchange-bindings`
        id: Path<Uuid>,
        idempotency: Idempotency,
        body: JsonBody<BindingChange>,
    ) -> Answer<ExchangeBinding, Self> {
        let id = BindingId(id.0);
        let wanted = body.0;
        let name = wanted.name.as_ref().map(|name| &name.0);
        let mut info = wanted.info.map(|info| info.0);
        let in_info = info
            .as_mut()
            .map(in_info::take)
            .transpose()?
            .unwrap_or_default();
        let has_replaced = AtomicBool::new(false);
        let credentials = CredentialsChange {
            exchange_type: wanted.exchange_type.map(|exchange| exchange.0),
            given: GivenCredentials::new(wanted.api_key, wanted.api_secret, wanted.passphrase),
        };

        let user = caller.user();
        let work = async |mut tx: Tx| {
            let current = change::lock(&mut tx, &caller, id).await?;
            let credentials = credentials.with(in_info.clone(), &state.secrets, &current);
            let was_in_clear = in_info::is_in(&current.info);
            has_replaced.store(credentials.is_any() || was_in_clear, Ordering::Relaxed);
            if credentials.is_any() || was_in_clear {
                credentials
                    .replace(&mut tx, &state.secrets, &current)
                    .await?;
            }
            let kept = was_in_clear.then(|| {
                let mut kept = Info::from_column(current.info.clone());
                in_info::remove(&mut kept);
                kept
            });
            let new_info = info.as_ref().or(kept.as_ref());
            let is_new = credentials.is_any() || was_in_clear;
            let changed = exchange_bindings::update(&mut tx, id, name, new_info, is_new).await?;
            let Some(changed) = changed else {
                let unchanged = ExchangeBinding::try_from(current)?;
                return tx.finish_unchanged(unchanged).await;
            };

            let mut after = summary(&changed);
            after["renamed"] = json!(name.is_some());
            after["credentials_given"] = json!(credentials.given.any().is_some());
            after["info_given"] = json!(info.is_some());
            let action = Action {
                before: Some(summary(&current)),
                after: Some(after),
                ..binding_action(ActionName::ExchangeBindingUpdate, id)
            };
            let tx = tx.audited(caller.actor(), &action).await?;

            tx.finish(ExchangeBinding::try_from(changed)?).await
        };
        let reread = async || {
            let row = exchange_bindings::get(&state.pool, user, id).await?;
            ExchangeBinding::try_from(row)
        };
        let reply = idempotency.run_or_reread(&state, user, work, reread);
        let reply = reply.await?;

        if !has_replaced.into_inner() {
            return Ok(reply);
        }
        Ok(verification::verified(&state, &caller, &idempotency, id, reply).await?)
    }
}
