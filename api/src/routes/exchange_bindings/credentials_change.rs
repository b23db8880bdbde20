//! Another exchange or other credentials for a binding.

use super::credentials::{Credentials, StoredCredentials};
use super::given::GivenCredentials;
use sqlx::PgConnection;
use tiris_domain::ids::{BindingId, UserId};
use tiris_domain::states::ExchangeType;
use tiris_runtime::crypto::Secrets;
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::error::{Error, Result};
use tiris_store::exchange_bindings::SealedCredentials;
use tiris_store::{column, exchange_bindings};

/// What is to be changed of exchange and credentials; what is `None` stays.
pub(super) struct CredentialsChange {
    pub(super) exchange_type: Option<ExchangeType>,
    pub(super) given: GivenCredentials,
}

impl CredentialsChange {
    /// Whether anything is changed, so that what the exchange said is no longer about the binding.
    pub(super) fn is_any(&self) -> bool {
        self.exchange_type.is_some() || self.given.any().is_some()
    }

    /// Replaces exchange and credentials of a locked binding.
    pub(super) async fn replace(
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

    /// All credentials of the row under one key, also those that stay.
    fn sealed(
        &self,
        secrets: &Secrets,
        row: &Model,
        exchange: ExchangeType,
    ) -> Result<SealedCredentials> {
        let Some(user) = row.user_id.map(UserId) else {
            // Everybody could read them.
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
