//! Sub-accounts: one asset of a trading, with its balance and holds.

mod create;
mod holds;
mod moves;
mod past;
mod update;

use super::refusals::{
    ChangeSubAccount, DeleteSubAccount, Filtered, MakeSubAccount, MoveMoney, One, ReleaseHold,
};
use super::{Message, Tag};
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::entities::Entities;
use crate::envelope::{Answer, Made, Reply};
use crate::filter::{containing, equal};
use crate::ledger;
use crate::once::Once;
use crate::state::State;
use crate::value::{Info, MoneyText};
use crate::version::IfMatch;
use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Select};
use serde::Serialize;
use sqlx::PgConnection;
use tiris_domain::ids::{AccountId, UserId, new_id};
use tiris_domain::ledger::Direction;
use tiris_domain::money::Money;
use tiris_store::entity::sub_accounts;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

use create::{AccountWork, NewSubAccount};
pub(super) use create::{NewAccount, insert_account};
use holds::{HoldList, ReleaseWork};
use moves::{MoneyMove, MoveWork, Moved};
pub(crate) use past::PastBalances;
use update::{ChangeWork, DeleteWork, SubAccountChange};

/// Operations on sub-accounts.
pub(crate) struct SubAccounts;

/// One asset of a trading.
#[derive(Object, Serialize)]
pub(super) struct SubAccount {
    id: Uuid,
    user_id: Uuid,
    trading_id: Uuid,
    /// Unique among the living sub-accounts of the trading
    name: String,
    /// Symbol of the asset, such as `BTC`
    symbol: String,
    /// All there is, in units of the asset
    balance: MoneyText,
    /// What orders hold of it
    locked: MoneyText,
    /// `balance - locked`
    available: MoneyText,
    /// Number of the last transaction, 0 before the first
    sequence: i64,
    /// Free JSON
    info: Info,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// All living sub-accounts, newest first.
#[derive(Object, Serialize)]
struct SubAccountList {
    sub_accounts: Vec<SubAccount>,
}

impl SubAccount {
    pub(super) fn from_row(row: sub_accounts::Model) -> Result<Self> {
        let (balance, locked) = (
            MoneyText::from_column(row.balance)?,
            MoneyText::from_column(row.locked)?,
        );
        let available = balance.0.checked_sub(locked.0).unwrap_or(Money::ZERO);
        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            trading_id: row.trading_id,
            name: row.name,
            symbol: row.symbol,
            balance,
            locked,
            available: MoneyText(available),
            sequence: row.sequence,
            info: Info::from_column(row.info),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }

    async fn load(db: &Entities, user: UserId, id: Uuid) -> Result<Self> {
        let row = living(user)
            .filter(sub_accounts::Column::Id.eq(id))
            .one(db)
            .await?;
        Self::from_row(row.ok_or(Error::NotFound("sub-account"))?)
    }

    /// Whether nothing is in it.
    fn is_empty(&self) -> bool {
        self.balance.0 == Money::ZERO
    }

    /// The accounts as the running transaction has them, in the order of `ids`.
    pub(super) async fn load_within(
        connection: &mut PgConnection,
        ids: &[AccountId],
    ) -> Result<Vec<Self>> {
        let wanted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, user_id, trading_id, name, symbol, balance, locked, sequence, deleted_at, info, a.created_at, a.updated_at \
             FROM sub_accounts a JOIN UNNEST($1::uuid[]) WITH ORDINALITY AS w (id, at) USING (id) ORDER BY at",
        )
        .bind(wanted)
        .fetch_all(connection)
        .await?;
        rows.into_iter().map(|row| Self::from_row(row.0)).collect()
    }
}

/// A row read by SQL.
struct Row(sub_accounts::Model);

impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for Row {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> std::result::Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        Ok(Self(sub_accounts::Model {
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            trading_id: row.try_get("trading_id")?,
            name: row.try_get("name")?,
            symbol: row.try_get("symbol")?,
            balance: row.try_get("balance")?,
            locked: row.try_get("locked")?,
            sequence: row.try_get("sequence")?,
            deleted_at: row.try_get("deleted_at")?,
            info: row.try_get("info")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        }))
    }
}

/// The sub-accounts of a user that are not deleted.
fn living(user: UserId) -> Select<sub_accounts::Entity> {
    sub_accounts::Entity::find()
        .filter(sub_accounts::Column::UserId.eq(user.0))
        .filter(sub_accounts::Column::DeletedAt.is_null())
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl SubAccounts {
    /// All sub-accounts of the caller, newest first
    #[oai(path = "/", method = "get", operation_id = "listSubAccounts")]
    async fn list(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// Only those of this trading
        trading_id: Query<Option<Uuid>>,
        /// JSON object the `info` of a sub-account must contain
        info: Query<Option<String>>,
    ) -> Answer<SubAccountList, Filtered> {
        let rows = living(caller.user())
            .filter(equal(sub_accounts::Column::TradingId, trading_id.0))
            .filter(containing(sub_accounts::Column::Info, info.0.as_deref())?)
            .order_by_desc(sub_accounts::Column::CreatedAt)
            .order_by_desc(sub_accounts::Column::Id)
            .all(&state.db)
            .await
            .map_err(Error::from)?;
        let sub_accounts = rows
            .into_iter()
            .map(SubAccount::from_row)
            .collect::<Result<_>>()?;
        Ok(Reply::new(SubAccountList { sub_accounts }))
    }

    /// Makes a sub-account; a balance is booked as a deposit
    #[oai(path = "/", method = "post", operation_id = "createSubAccount")]
    async fn create(
        &self,
        caller: Caller,
        state: Data<&State>,
        once: Once,
        body: JsonBody<NewSubAccount>,
    ) -> Made<SubAccount, MakeSubAccount> {
        let work = AccountWork {
            user: caller.user(),
            id: AccountId(new_id()),
            new: body.0,
        };
        Ok(once.commit(&state, work.user, &work).await?)
    }

    /// One sub-account
    #[oai(path = "/:id", method = "get", operation_id = "getSubAccount")]
    async fn get(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
    ) -> Answer<SubAccount, One> {
        Ok(Reply::new(
            SubAccount::load(&state.db, caller.user(), id.0).await?,
        ))
    }

    /// Puts money in
    #[oai(path = "/:id/deposit", method = "post", operation_id = "deposit")]
    async fn deposit(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
        once: Once,
        body: JsonBody<MoneyMove>,
    ) -> Answer<Moved, MoveMoney> {
        let work = MoveWork {
            user: caller.user(),
            account: AccountId(id.0),
            direction: Direction::Credit,
            asked: body.0,
        };
        Ok(once.commit(&state, work.user, &work).await?)
    }

    /// Takes money out
    #[oai(path = "/:id/withdraw", method = "post", operation_id = "withdraw")]
    async fn withdraw(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
        once: Once,
        body: JsonBody<MoneyMove>,
    ) -> Answer<Moved, MoveMoney> {
        let work = MoveWork {
            user: caller.user(),
            account: AccountId(id.0),
            direction: Direction::Debit,
            asked: body.0,
        };
        Ok(once.commit(&state, work.user, &work).await?)
    }

    /// What orders hold of the balance
    #[oai(path = "/:id/holds", method = "get", operation_id = "listHolds")]
    async fn holds(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
    ) -> Answer<HoldList, One> {
        let account = SubAccount::load(&state.db, caller.user(), id.0).await?;
        Ok(Reply::new(HoldList::load(&state.db, account.id).await?))
    }

    /// Releases the hold of an order, whatever is left of it: when its bot is dead
    ///
    /// A bot that still trades the order finds less held than it thinks. The release is kept as a trading log of type
    /// `balance_unlocked` and in the audit trail.
    #[oai(path = "/:id/holds", method = "delete", operation_id = "releaseHold")]
    async fn release(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
        /// The order; empty for the hold of locks that named none
        order_id: Query<String>,
    ) -> Answer<Message, ReleaseHold> {
        let work = ReleaseWork {
            user: caller.user(),
            actor: caller.actor(),
            id: AccountId(id.0),
            order: holds::order(&order_id.0)?,
        };
        ledger::commit(&state.pool, &work).await?;
        Ok(Reply::new(Message::new("The hold is released.")))
    }

    /// Changes name or free JSON; what is absent stays, and money is never changed here
    #[oai(path = "/:id", method = "put", operation_id = "updateSubAccount")]
    async fn update(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
        /// ETag of the version to be changed
        #[oai(name = "If-Match")]
        seen: IfMatch,
        once: Once,
        body: JsonBody<SubAccountChange>,
    ) -> Answer<SubAccount, ChangeSubAccount> {
        let work = ChangeWork {
            user: caller.user(),
            id: AccountId(id.0),
            seen,
            change: &body.0,
        };
        Ok(once.commit(&state, work.user, &work).await?)
    }

    /// Deletes an empty sub-account; its history stays
    #[oai(path = "/:id", method = "delete", operation_id = "deleteSubAccount")]
    async fn delete(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
    ) -> Answer<Message, DeleteSubAccount> {
        let work = DeleteWork {
            user: caller.user(),
            actor: caller.actor(),
            id: AccountId(id.0),
        };
        ledger::commit(&state.pool, &work).await?;
        Ok(Reply::new(Message::new("The sub-account is deleted.")))
    }
}
