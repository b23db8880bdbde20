//! Inserts a private binding, alone or together with a trading.

use super::change::{action, summary};
use super::credentials::Credentials;
use sqlx::PgConnection;
use tiris_domain::ids::{BindingId, UserId};
use tiris_domain::states::ExchangeType;
use tiris_domain::value::{Info, Name};
use tiris_runtime::crypto::Secrets;
use tiris_store::audit::{self, Action, Actor};
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::error::Result;
use tiris_store::exchange_bindings::{self, NewBinding};

/// A private binding to insert.
pub(in crate::routes) struct PrivateBinding<'a> {
    pub(in crate::routes) id: BindingId,
    pub(in crate::routes) user: UserId,
    pub(in crate::routes) name: &'a Name,
    pub(in crate::routes) exchange_type: ExchangeType,
    pub(in crate::routes) credentials: Option<&'a Credentials>,
    pub(in crate::routes) info: &'a Info,
}

impl PrivateBinding<'_> {
    /// Inserts the binding with its credentials encrypted, and records that. The user must be locked.
    pub(in crate::routes) async fn insert(
        &self,
        connection: &mut PgConnection,
        secrets: &Secrets,
        actor: &Actor,
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
        let row = exchange_bindings::insert(connection, new).await?;

        let action = Action {
            after: Some(summary(&row)),
            ..action("exchange_binding.create", self.id)
        };
        audit::record(connection, actor, &action).await?;
        Ok(row)
    }
}
