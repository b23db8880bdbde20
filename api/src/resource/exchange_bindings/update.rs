//! Changes a binding, and deletes one.

use super::create::record;
use super::credentials::{Credentials, GivenCredentials, Sealed};
use super::load::{locked, visible_within};
use super::object::{ExchangeBinding, ExchangeType};
use crate::fields::{Fields, FromFields};
use crate::ledger::Work;
use crate::resource::{NAME_LENGTH_MAX, stored};
use crate::value::{Info, SecretInput};
use poem_openapi::Object;
use poem_openapi::types::Example;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tiris_domain::ids::{BindingId, UserId};
use tiris_runtime::crypto::Secrets;
use tiris_store::audit::Actor;
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::error::{Conflict, Error, Result};

/// What is to be changed; what is absent or null stays.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct BindingChange {
    /// Unique among your living bindings
    #[oai(validator(min_length = 1, max_length = 128))]
    name: Option<String>,
    /// The exchange
    exchange_type: Option<ExchangeType>,
    /// 1 to 256 visible ASCII characters without `*`
    api_key: Option<SecretInput>,
    /// 1 to 4096 characters
    api_secret: Option<SecretInput>,
    /// 1 to 256 characters
    passphrase: Option<SecretInput>,
    /// Free JSON that replaces what is there, at most 16 KiB
    info: Option<Info>,
}

impl Example for BindingChange {
    fn example() -> Self {
        Self {
            name: Some("Kraken, second account".to_owned()),
            exchange_type: None,
            api_key: None,
            api_secret: None,
            passphrase: None,
            info: Some(Info::default()),
        }
    }
}

impl FromFields for BindingChange {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        let name = fields.text("name", 1, NAME_LENGTH_MAX)?;
        let exchange_type = fields.one_of("exchange_type", &ExchangeType::NAMES)?;
        let given = GivenCredentials::take(fields)?;
        Ok(Self {
            name,
            exchange_type,
            api_key: given.api_key.map(SecretInput),
            api_secret: given.api_secret.map(SecretInput),
            passphrase: given.passphrase.map(SecretInput),
            info: fields.new_info()?,
        })
    }
}

impl BindingChange {
    fn given(&self) -> GivenCredentials {
        let secret = |input: &Option<SecretInput>| input.as_ref().map(|input| input.0.clone());
        GivenCredentials {
            api_key: secret(&self.api_key),
            api_secret: secret(&self.api_secret),
            passphrase: secret(&self.passphrase),
        }
    }

    /// Whether what the exchange said is no longer about this binding.
    pub(super) fn concerns_credentials(&self) -> bool {
        self.exchange_type.is_some() || self.given().any().is_some()
    }
}

/// The transaction that changes a binding.
pub(super) struct UpdateWork<'a> {
    pub(super) secrets: &'a Secrets,
    pub(super) actor: &'a Actor,
    pub(super) user: UserId,
    pub(super) is_admin: bool,
    pub(super) id: BindingId,
    pub(super) change: &'a BindingChange,
}

impl Work for UpdateWork<'_> {
    type Output = ExchangeBinding;

    async fn run(&self, connection: &mut PgConnection) -> Result<ExchangeBinding> {
        let row = locked(connection, self.id, self.user, self.is_admin).await?;
        let before = json!({"name": row.name, "exchange_type": row.exchange_type, "masked_api_key": row.masked_api_key});
        let name = self.change.name.clone().unwrap_or_else(|| row.name.clone());
        let old_type: ExchangeType = stored(&row.exchange_type)?;
        let exchange_type = self.change.exchange_type.unwrap_or(old_type);
        let mut masked = row.masked_api_key.clone();
        if self.change.concerns_credentials() {
            let sealed = self.sealed(&row, exchange_type)?;
            masked = sealed.masked_api_key.clone();
            store(connection, self.id, exchange_type, sealed).await?;
        }
        sqlx::query("UPDATE exchange_bindings SET name = $2, info = coalesce($3, info), updated_at = clock_timestamp() WHERE id = $1")
            .bind(self.id.0)
            .bind(&name)
            .bind(self.change.info.as_ref().map(|info| Value::Object(info.0.clone())))
            .execute(&mut *connection)
            .await?;
        let after = json!({"name": name, "exchange_type": exchange_type, "masked_api_key": masked,
                           "credentials_given": self.change.given().any().is_some(), "info_given": self.change.info.is_some()});
        record(
            connection,
            self.actor,
            "exchange_binding.update",
            self.id,
            (Some(before), Some(after)),
        )
        .await?;
        ExchangeBinding::from_row(visible_within(connection, self.id, self.user).await?)
    }
}

impl UpdateWork<'_> {
    /// All of a row's credentials under one key, also those that stay.
    fn sealed(&self, row: &Model, exchange_type: ExchangeType) -> Result<Sealed> {
        let given = self.change.given();
        let Some(user) = row.user_id else {
            // Everybody could read them.
            return match given.any() {
                Some(field) => Err(Error::invalid(
                    field,
                    "cannot be given: a public binding has no credentials",
                )),
                None => Ok(Sealed::default()),
            };
        };
        let merged = given.over(self.secrets, row, user, exchange_type)?;
        let seal = |credentials: Credentials| {
            credentials.seal(self.secrets, (row.id, user), exchange_type)
        };
        Ok(merged.map(seal).transpose()?.unwrap_or_default())
    }
}

async fn store(
    connection: &mut PgConnection,
    id: BindingId,
    exchange_type: ExchangeType,
    sealed: Sealed,
) -> Result<()> {
    sqlx::query(
        "UPDATE exchange_bindings SET exchange_type = $2, api_key_encrypted = $3, api_secret_encrypted = $4, \
         passphrase_encrypted = $5, masked_api_key = $6, key_id = $7, fingerprint = $8, \
         status = CASE kind WHEN 'public' THEN status ELSE 'unverified' END, last_verified_at = NULL WHERE id = $1",
    )
    .bind(id.0)
    .bind(exchange_type.stored())
    .bind(sealed.api_key)
    .bind(sealed.api_secret)
    .bind(sealed.passphrase)
    .bind(sealed.masked_api_key)
    .bind(sealed.key_id)
    .bind(sealed.fingerprint)
    .execute(connection)
    .await?;
    Ok(())
}

/// The transaction that deletes a binding: the row stays for the tradings of the past, its credentials do not.
pub(super) struct DeleteWork<'a> {
    pub(super) actor: &'a Actor,
    pub(super) user: UserId,
    pub(super) is_admin: bool,
    pub(super) id: BindingId,
}

impl Work for DeleteWork<'_> {
    type Output = ();

    async fn run(&self, connection: &mut PgConnection) -> Result<()> {
        let row = locked(connection, self.id, self.user, self.is_admin).await?;
        let used: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM tradings WHERE exchange_binding_id = $1 AND status IN ('active', 'paused'))",
        )
        .bind(self.id.0)
        .fetch_one(&mut *connection)
        .await?;
        if used {
            return Err(Error::Conflict(Conflict::BindingInUse));
        }
        sqlx::query(
            "UPDATE exchange_bindings SET status = 'deleted', api_key_encrypted = NULL, api_secret_encrypted = NULL, \
             passphrase_encrypted = NULL, masked_api_key = NULL, key_id = NULL, fingerprint = NULL, \
             updated_at = clock_timestamp() WHERE id = $1",
        )
        .bind(self.id.0)
        .execute(&mut *connection)
        .await?;
        let before = json!({"name": row.name, "exchange_type": row.exchange_type, "masked_api_key": row.masked_api_key});
        record(
            connection,
            self.actor,
            "exchange_binding.delete",
            self.id,
            (Some(before), None),
        )
        .await
    }
}
