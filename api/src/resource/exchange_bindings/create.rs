//! Makes a private binding.

use super::credentials::{Credentials, GivenCredentials, Sealed};
use super::load::visible_within;
use super::object::{ExchangeBinding, ExchangeType};
use crate::fields::{Fields, FromFields, required};
use crate::ledger::Work;
use crate::resource::NAME_LENGTH_MAX;
use crate::value::{Info, SecretInput};
use poem_openapi::Object;
use poem_openapi::types::Example;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tiris_domain::ids::{BindingId, UserId};
use tiris_runtime::crypto::Secrets;
use tiris_store::audit::{self, Action, Actor};
use tiris_store::error::Result;
use tiris_store::users;

/// A binding to be made.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct NewBinding {
    /// Unique among your living bindings
    #[oai(validator(min_length = 1, max_length = 128))]
    name: String,
    /// The exchange
    pub(super) exchange_type: ExchangeType,
    /// 1 to 256 visible ASCII characters without `*`; only a virtual binding needs none
    api_key: Option<SecretInput>,
    /// 1 to 4096 characters; only a virtual binding needs none
    api_secret: Option<SecretInput>,
    /// 1 to 256 characters, when the exchange asks for one
    passphrase: Option<SecretInput>,
    /// Free JSON, at most 16 KiB
    info: Option<Info>,
}

impl Example for NewBinding {
    fn example() -> Self {
        Self {
            name: "Kraken, main account".to_owned(),
            exchange_type: ExchangeType::Kraken,
            api_key: Some(SecretInput::example()),
            api_secret: Some(SecretInput::example()),
            passphrase: None,
            info: Some(Info::default()),
        }
    }
}

impl FromFields for NewBinding {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        let name = required("name", fields.text("name", 1, NAME_LENGTH_MAX)?)?;
        let exchange_type = required(
            "exchange_type",
            fields.one_of("exchange_type", &ExchangeType::NAMES)?,
        )?;
        let credentials = GivenCredentials::take(fields)?.complete(exchange_type)?;
        let info = Some(fields.info()?);
        let (api_key, api_secret, passphrase) = credentials
            .map(|given| {
                (
                    Some(given.api_key),
                    Some(given.api_secret),
                    given.passphrase,
                )
            })
            .unwrap_or_default();
        Ok(Self {
            name,
            exchange_type,
            api_key: api_key.map(SecretInput),
            api_secret: api_secret.map(SecretInput),
            passphrase: passphrase.map(SecretInput),
            info,
        })
    }
}

/// A private binding to be inserted.
pub(in crate::resource) struct Insert<'a> {
    pub(in crate::resource) user: UserId,
    pub(in crate::resource) name: &'a str,
    pub(in crate::resource) exchange_type: ExchangeType,
    pub(in crate::resource) credentials: Option<&'a Credentials>,
    pub(in crate::resource) info: &'a Info,
}

impl Insert<'_> {
    /// Inserts it and keeps who did it.
    pub(in crate::resource) async fn run(
        &self,
        connection: &mut PgConnection,
        id: BindingId,
        secrets: &Secrets,
        actor: &Actor,
    ) -> Result<()> {
        users::lock_active(connection, self.user).await?;
        let seal = |credentials: &Credentials| {
            credentials.seal(secrets, (id.0, self.user.0), self.exchange_type)
        };
        let sealed: Sealed = self.credentials.map(seal).transpose()?.unwrap_or_default();
        let after = json!({"name": self.name, "exchange_type": self.exchange_type, "masked_api_key": sealed.masked_api_key});
        sqlx::query(
            "INSERT INTO exchange_bindings (id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, \
             passphrase_encrypted, masked_api_key, key_id, fingerprint, info) \
             VALUES ($1, $2, $3, $4, 'private', $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(id.0)
        .bind(self.user.0)
        .bind(self.name)
        .bind(self.exchange_type.stored())
        .bind(sealed.api_key)
        .bind(sealed.api_secret)
        .bind(sealed.passphrase)
        .bind(sealed.masked_api_key)
        .bind(sealed.key_id)
        .bind(sealed.fingerprint)
        .bind(Value::Object(self.info.0.clone()))
        .execute(&mut *connection)
        .await?;
        record(
            connection,
            actor,
            "exchange_binding.create",
            id,
            (None, Some(after)),
        )
        .await
    }
}

/// Keeps what was done to a binding.
pub(super) async fn record(
    connection: &mut PgConnection,
    actor: &Actor,
    name: &str,
    id: BindingId,
    (before, after): (Option<Value>, Option<Value>),
) -> Result<()> {
    let action = Action {
        name,
        resource: "exchange_binding",
        id: Some(id.to_string()),
        before,
        after,
    };
    audit::record(connection, actor, &action).await
}

/// The transaction that makes a binding.
pub(super) struct CreateWork<'a> {
    pub(super) secrets: &'a Secrets,
    pub(super) actor: &'a Actor,
    pub(super) user: UserId,
    pub(super) id: BindingId,
    pub(super) new: &'a NewBinding,
}

impl Work for CreateWork<'_> {
    type Output = ExchangeBinding;

    async fn run(&self, connection: &mut PgConnection) -> Result<ExchangeBinding> {
        let new = self.new;
        let credentials = new
            .api_key
            .clone()
            .zip(new.api_secret.clone())
            .map(|(key, secret)| Credentials {
                api_key: key.0,
                api_secret: secret.0,
                passphrase: new.passphrase.clone().map(|passphrase| passphrase.0),
            });
        let insert = Insert {
            user: self.user,
            name: &new.name,
            exchange_type: new.exchange_type,
            credentials: credentials.as_ref(),
            info: &new.info.clone().unwrap_or_default(),
        };
        insert
            .run(connection, self.id, self.secrets, self.actor)
            .await?;
        ExchangeBinding::from_row(visible_within(connection, self.id, self.user).await?)
    }
}
