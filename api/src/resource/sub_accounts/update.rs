//! Changes what a sub-account is called, and deletes one that is empty. Never money.

use super::SubAccount;
use crate::fields::{Fields, FromFields};
use crate::ledger::Work;
use crate::resource::NAME_LENGTH_MAX;
use crate::value::Info;
use crate::version::IfMatch;
use poem_openapi::Object;
use poem_openapi::types::Example;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tiris_domain::ids::{AccountId, UserId};
use tiris_store::audit::{self, Action, Actor};
use tiris_store::error::{Conflict, Error, Result};
use uuid::Uuid;

/// What is to be changed; what is absent or null stays. Money is moved by deposits and withdrawals only.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct SubAccountChange {
    /// Unique among the living sub-accounts of the trading
    #[oai(validator(min_length = 1, max_length = 128))]
    name: Option<String>,
    /// Free JSON that replaces what is there, at most 16 KiB
    info: Option<Info>,
}

impl Example for SubAccountChange {
    fn example() -> Self {
        Self {
            name: Some("stock".to_owned()),
            info: Some(Info::default()),
        }
    }
}

impl FromFields for SubAccountChange {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            name: fields.text("name", 1, NAME_LENGTH_MAX)?,
            info: fields.new_info()?,
        })
    }

    /// Whoever sends a balance means it to be set.
    fn refuses_unknown(&self) -> bool {
        true
    }
}

/// Locks the living account of the caller until the transaction ends, also against everything that books on it.
pub(super) async fn lock(
    connection: &mut PgConnection,
    user: UserId,
    id: AccountId,
) -> Result<SubAccount> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "SELECT id FROM sub_accounts WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(&mut *connection)
    .await?;
    let found = found.ok_or(Error::NotFound("sub-account"))?;
    load(connection, AccountId(found)).await
}

async fn load(connection: &mut PgConnection, id: AccountId) -> Result<SubAccount> {
    let account = SubAccount::load_within(connection, &[id]).await?.pop();
    account.ok_or_else(|| Error::internal("a locked sub-account cannot be read"))
}

/// The transaction that changes a sub-account.
pub(super) struct ChangeWork<'a> {
    pub(super) user: UserId,
    pub(super) id: AccountId,
    pub(super) seen: IfMatch,
    pub(super) change: &'a SubAccountChange,
}

impl Work for ChangeWork<'_> {
    type Output = SubAccount;

    async fn run(&self, connection: &mut PgConnection) -> Result<SubAccount> {
        let current = lock(connection, self.user, self.id).await?;
        self.seen.check(async { Ok(current) }).await?;
        sqlx::query(
            "UPDATE sub_accounts SET name = coalesce($2, name), info = coalesce($3, info), \
             updated_at = clock_timestamp() WHERE id = $1",
        )
        .bind(self.id.0)
        .bind(&self.change.name)
        .bind(
            self.change
                .info
                .as_ref()
                .map(|info| Value::Object(info.0.clone())),
        )
        .execute(&mut *connection)
        .await?;
        load(connection, self.id).await
    }
}

/// The transaction that deletes a sub-account: its history stays.
pub(super) struct DeleteWork<'a> {
    pub(super) user: UserId,
    pub(super) actor: &'a Actor,
    pub(super) id: AccountId,
}

impl Work for DeleteWork<'_> {
    type Output = ();

    async fn run(&self, connection: &mut PgConnection) -> Result<()> {
        let account = lock(connection, self.user, self.id).await?;
        // What is held is part of the balance.
        if !account.is_empty() {
            return Err(Error::Conflict(Conflict::BalanceNotZero));
        }
        sqlx::query(
            "UPDATE sub_accounts SET deleted_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = $1",
        )
        .bind(self.id.0)
        .execute(&mut *connection)
        .await?;
        let before = json!({"trading_id": account.trading_id, "name": account.name, "symbol": account.symbol});
        let action = Action {
            name: "sub_account.delete",
            resource: "sub_account",
            id: Some(self.id.to_string()),
            before: Some(before),
            after: None,
        };
        audit::record(connection, self.actor, &action).await
    }
}
