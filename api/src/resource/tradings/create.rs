//! Makes a trading with its sub-accounts and their initial deposits in one transaction.

use super::new::NewTrading;
use super::object::Trading;
use crate::ledger::{self, Work};
use crate::resource::exchange_bindings::{Credentials, Insert, lock_usable};
use crate::resource::sub_accounts::{NewAccount, insert_account};
use crate::value::Info;
use serde_json::Value;
use sqlx::PgConnection;
use tiris_domain::ids::{AccountId, BindingId, TradingId, UserId, new_id};
use tiris_runtime::crypto::Secrets;
use tiris_store::audit::Actor;
use tiris_store::error::Result;
use tiris_store::users;

/// The transaction that makes a trading.
pub(super) struct TradingWork<'a> {
    pub(super) user: UserId,
    pub(super) id: TradingId,
    /// The binding, when one is made with it.
    pub(super) binding: BindingId,
    pub(super) new: NewTrading,
    pub(super) secrets: &'a Secrets,
    pub(super) actor: &'a Actor,
}

impl Work for TradingWork<'_> {
    type Output = Trading;

    async fn run(&self, connection: &mut PgConnection) -> Result<Trading> {
        self.insert(connection).await?;
        let mut deposits = Vec::new();
        for account in self.new.sub_accounts.iter().flatten() {
            let id = AccountId(new_id());
            let account = NewAccount {
                trading: self.id,
                name: &account.name,
                symbol: &account.symbol,
                deposit: account.initial_deposit.as_ref().map(|amount| &amount.0),
                event_time: account.event_time,
                info: account.info.as_ref(),
            };
            insert_account(connection, self.user, id, &account).await?;
            deposits.extend(account.deposit_entry(self.user, id)?);
        }
        let trading = Trading::load_within(connection, self.id).await?;
        if !deposits.is_empty() {
            let (timestamp, _) = ledger::book(connection, &deposits).await?;
            ledger::finish(connection, timestamp).await?;
        }
        Ok(trading)
    }
}

impl TradingWork<'_> {
    /// Makes the private binding of a trading that comes with credentials.
    async fn insert_binding(&self, connection: &mut PgConnection) -> Result<Option<BindingId>> {
        let new = &self.new;
        let Some(exchange_type) = new.r#type.exchange() else {
            return Ok(None);
        };
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
            exchange_type,
            credentials: credentials.as_ref(),
            info: &Info::default(),
        };
        insert
            .run(connection, self.binding, self.secrets, self.actor)
            .await?;
        Ok(Some(self.binding))
    }

    async fn insert(&self, connection: &mut PgConnection) -> Result<()> {
        users::lock_active(connection, self.user).await?;
        if let Some(binding) = self.new.exchange_binding_id {
            lock_usable(connection, self.user, BindingId(binding)).await?;
        }
        let made = self.insert_binding(connection).await?;
        let info = Value::Object(self.new.info.clone().unwrap_or_default().0);
        sqlx::query(
            "INSERT INTO tradings (id, user_id, exchange_binding_id, name, type, info) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.id.0)
        .bind(self.user.0)
        .bind(made.map(|binding| binding.0).or(self.new.exchange_binding_id))
        .bind(&self.new.name)
        .bind(self.new.r#type.stored())
        .bind(info)
        .execute(connection)
        .await?;
        Ok(())
    }
}
